"""What screens and commands see of a vendor's claims, and how they ask for one to be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from appliance.errors import UsageError
from appliance.views import VerdictWord
from audit_core.claims import Account, Budget, ClaimCheck, ClaimFinding, ClaimKind, ClaimUnit, Neighbours

__all__ = [  # with the engine's types that the front ends may name
    "KINDS",
    "NEIGHBOURS",
    "UNITS",
    "Account",
    "Budget",
    "ClaimAudit",
    "ClaimCheck",
    "ClaimEffect",
    "ClaimFinding",
    "ClaimKind",
    "ClaimRequest",
    "ClaimRow",
    "ClaimStanding",
    "ClaimUnit",
    "ClaimView",
    "Neighbours",
    "chosen",
]


KINDS: Final = {
    "not-trained": ClaimKind.NOT_TRAINED,
    "de-identified": ClaimKind.DE_IDENTIFIED,
    "dp": ClaimKind.PRIVATE,
}
UNITS: Final = {str(unit): unit for unit in ClaimUnit}
NEIGHBOURS: Final = {"add-remove": Neighbours.ADD_REMOVE, "replace": Neighbours.REPLACE}
"""Words that are typed -> what they mean."""
T = TypeVar("T")


def chosen(words: Mapping[str, T], word: str, what: str) -> T:
    """What a word means.

    Raises:
        UsageError: nothing.
    """
    if word not in words:
        raise UsageError(f"no such {what}: {word}", "one of " + ", ".join(words))
    return words[word]


class ClaimStanding(StrEnum):
    """How a claim stands against everything measured; never "supported" because nobody looked."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    QUESTIONED = "questioned"
    NOT_TESTED = "not tested"


class ClaimEffect(StrEnum):
    """What one audit does to a claim."""

    SUPPORTS = "supports"
    CONTRADICTS = "contradicts"
    QUESTIONS = "questions"
    SILENT = "says nothing"


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A claim to be kept.

    Attributes:
        model: of whom it speaks; NAME is the newest version.
        kind: what is claimed.
        source: where the vendor says so: a document, a clause, a letter.
        dated: ISO date of the source, or "".
        later: whether the vendor says it of later versions as well.
        budget: for `ClaimKind.PRIVATE` only.
    """

    model: str
    kind: ClaimKind
    source: str
    dated: str = ""
    later: bool = False
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim as a line of a table.

    Attributes:
        claim_id: `C-` and eight hex digits.
        model: the version it speaks of, NAME or NAME@2.
        later: whether it speaks of later versions too.
        says: the claim in words, with its numbers.
        standing: against everything measured.
        why: of the standing, in a sentence.
        in_force: False once it was withdrawn.
        added_utc: when it was recorded.
    """

    claim_id: str
    model: str
    later: bool
    kind: ClaimKind
    says: str
    source: str
    dated: str
    standing: ClaimStanding
    why: str
    in_force: bool
    added_utc: str


@dataclass(frozen=True, slots=True)
class ClaimAudit:
    """One finished audit of a model that a claim speaks of.

    Attributes:
        effect: what it does to the claim.
        why: in a sentence.
        decided: whether the claim was in force when this audit was asked for, so that its verdict knew it.
        lower, allowed: the audit's lower bound on ε and what the claim allows for the same; None without.
    """

    audit_id: str
    model: str
    cohort: str
    finished_utc: str
    verdict: VerdictWord
    tier: str
    effect: ClaimEffect
    why: str
    decided: bool
    lower: float | None = None
    allowed: float | None = None


@dataclass(frozen=True, slots=True)
class ClaimView:
    """One claim whole.

    Attributes:
        budget: the numbers of a claim of differential privacy, else None.
        accounts: what accountants make of them; empty where nothing was or could be recomputed.
        accounted_by: software and version of the accountants, or "".
        accounted_why: why nothing was recomputed, else "".
        audits: every finished audit of what it speaks of, newest first.
        by: role and which person; with `entry`, of the log, that says so (None where its year was pruned).
        withdrawn_utc, reason: "" while it is in force.
        notes: what this kind of claim needs, and what no audit can show of it.
    """

    row: ClaimRow
    budget: Budget | None
    accounts: tuple[Account, ...]
    accounted_by: str
    accounted_why: str
    audits: tuple[ClaimAudit, ...]
    by: str
    entry: int | None
    withdrawn_utc: str
    reason: str
    notes: tuple[str, ...]
