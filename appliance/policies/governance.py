"""What a policy asks of the site and not of an audit's numbers: who approves, how long, how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from audit_core.adapters.families import CONTRASTIVE, GENERATIVE, MATCHING

_DAYS: Final[Mapping[str, str]] = {
    GENERATIVE: "generative_days",
    CONTRASTIVE: "contrastive_days",
    MATCHING: "matching_days",
}


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
    log_years: int = 6
    generative_days: int = 0
    contrastive_days: int = 0
    matching_days: int = 0

    def cadence_days(self, family: str) -> int | None:
        """After how many days a model of this family is audited anew; None where nothing is demanded.

        Args:
            family: one of `families.FAMILIES`.
        """
        return getattr(self, _DAYS[family]) or None
