"""What an auditor asks for, and what the site knows besides its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from appliance.cases.standing import Cases
from appliance.claims.records import Kept as KeptClaim
from appliance.errors import UsageError
from appliance.evidence.views import ReviewRow
from appliance.registry import ModelRecord
from appliance.schedule_records import Kept as KeptSchedule
from appliance.watch.views import ChangeRow
from appliance.words.table import tell
from appliance.workspace.rows import StoredAudit


@dataclass(frozen=True, slots=True)
class Asked:
    """What an auditor asks for.

    Attributes:
        model: a line with all its versions, or one version.
        since, until: ISO dates, UTC, both included.
    """

    model: str
    since: str
    until: str

    def holds(self, utc: str) -> bool:
        """Whether a moment (ISO, UTC) lies in the span."""
        return self.since <= utc[:10] <= self.until


@dataclass(frozen=True, slots=True)
class Site:
    """What the site knows besides its log.

    Attributes:
        versions: that were asked for.
        audits: all of the catalogue, without their results.
        changes: of these versions.
    """

    name: str
    demo: bool
    versions: Sequence[ModelRecord]
    audits: Sequence[StoredAudit]
    cases: Cases
    claims: Sequence[KeptClaim]
    changes: Sequence[ChangeRow]
    schedules: Mapping[str, KeptSchedule]
    reviews: Sequence[ReviewRow]


def dated(asked: Asked) -> Asked:
    """The same with its dates as ISO writes them.

    Raises:
        UsageError: a date is none, or the last day lies before the first.
    """
    try:
        since, until = (date.fromisoformat(text).isoformat() for text in (asked.since, asked.until))
    except ValueError as wrong:
        raise UsageError("a day of the span is none", "write both as YYYY-MM-DD, in UTC") from wrong
    if until < since:
        raise UsageError("the last day lies before the first", "give --from and --to in this order")
    return Asked(asked.model, since, until)


def role(actor: str) -> str:
    """Role, and the beginning of the pseudonym that tells several people of a role apart."""
    kind, _, person = actor.partition(":")
    return tell("answer.by", role=kind, person=person[:4]) if person else kind
