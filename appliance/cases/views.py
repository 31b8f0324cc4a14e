"""What screens and commands see of cases."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.views import VerdictWord


class CaseState(StrEnum):
    """What was decided last; a case is open until it is closed."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    REFERRED = "referred"
    CLOSED = "closed"


class StepWord(StrEnum):
    """What somebody did about a case."""

    ASSIGNED = "assigned"
    REOPENED = "reopened"
    ACCEPTED = "accepted"
    DISPUTED = "disputed"
    REFERRED = "referred"
    CLOSED = "closed"


class ClockState(StrEnum):
    """How a clock stands: running, over its limit, answered within it or after it."""

    RUNNING = "running"
    OVERDUE = "overdue"
    ANSWERED = "answered"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class ClockView:
    """One legal clock of a case.

    Attributes:
        name: `72h` or `60d`.
        law: where the limit stands.
        left_s: seconds until the limit, below 0 behind it; of an answered clock as it was then.
        due_utc: when the limit is, by this machine's clock.
        said: `2 d 4 h left`, `overdue by 3 h`, `answered in 1 d 2 h`, `answered late, after 4 d 0 h`.
    """

    name: str
    law: str
    state: ClockState
    left_s: int
    due_utc: str
    said: str


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case as a line of a table; it goes by the audit whose verdict opened it.

    Attributes:
        verdict: FAIL or REVIEW.
        why: first reason of the verdict.
        owner: name of a user, or "".
        known_utc: first knowledge, the claimed time of the verdict's entry.
        entry: number of that entry; None where the log does not hold it.
        policy: NAME@VERSION of what decided, or NAME where no version is known.
    """

    audit_id: str
    model: str
    verdict: VerdictWord
    why: str
    state: CaseState
    owner: str
    known_utc: str
    entry: int | None
    clocks: tuple[ClockView, ...]
    policy: str = ""
    policy_digest: str = ""


@dataclass(frozen=True, slots=True)
class StepView:
    """What somebody did about a case.

    Attributes:
        entry: number of the entry that says so; None where its year was pruned.
        by: role, and which person among several.
        owner: whom it was assigned to.
        reason: as typed; from the sealed record.
        answers: the clocks that this decision answered.
    """

    entry: int | None
    done_utc: str
    by: str
    what: StepWord
    owner: str
    reason: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case whole.

    Attributes:
        steps: oldest first.
        people: users who can own it.
        notes: what the clocks do not prove, and what else has to be known to read them.
    """

    row: CaseRow
    steps: tuple[StepView, ...]
    people: tuple[str, ...]
    notes: tuple[str, ...]
