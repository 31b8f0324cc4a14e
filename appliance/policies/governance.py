"""What a policy asks of the site and not of an audit's numbers: who approves, how long, how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from audit_core.adapters.families import CONTRASTIVE, GENERATIVE, MATCHING
from audit_core.policy_values import Count, Form

_DAYS: Final[Mapping[str, str]] = {
    GENERATIVE: "generative_days",
    CONTRASTIVE: "contrastive_days",
    MATCHING: "matching_days",
}
SHORTEST_LOG: Final = 6  # years: 45 CFR 164.316(b)(2)(i)
_CADENCE: Final = Count(0, 3660)
FORMS: Final[Mapping[str, Form]] = {
    "quorum": Count(1, 2),
    "log_years": Count(SHORTEST_LOG, 100),
    "generative_days": _CADENCE,
    "contrastive_days": _CADENCE,
    "matching_days": _CADENCE,
}
"""Field of `Governance` -> what its value may be."""


@dataclass(frozen=True, slots=True)
class Governance:
    """Demands on a site. The values are those of a text from before there were keys for them.

    Attributes:
        quorum: officers or paper keys who must open findings, and so approve, together; 1 or 2.
        log_years: for how many years the log is kept at least.
        generative_days, contrastive_days, matching_days: a model of the family is audited anew after so many
            days at the latest; 0 for no demand.
    """

    quorum: int = 1
    log_years: int = SHORTEST_LOG
    generative_days: int = 0
    contrastive_days: int = 0
    matching_days: int = 0

    def cadence_days(self, family: str) -> int | None:
        """After how many days a model of this family is audited anew; None where nothing is demanded.

        Args:
            family: one of `families.FAMILIES`.
        """
        return getattr(self, _DAYS[family]) or None
