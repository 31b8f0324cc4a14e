"""What a site's log holds about one model in a span of days: what an answer to an auditor is made of.

Everything follows from the log up to one state of it, and from sealed records that the log vouches for: the
same state gives the same answer. Audits belong to the span in which the log closed them. Nothing typed by
a person goes along (reasons, findings of reviews, why something failed): it may name a patient or a path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from appliance import schedule
from appliance.cases.clocks import CLOCKS
from appliance.cases.standing import Case, Cases
from appliance.cases.steps import REOPEN, Step
from appliance.cases.views import CaseState
from appliance.claims.records import Kept as KeptClaim
from appliance.claims.standing import says, speaks_of
from appliance.due_runs import iso
from appliance.errors import UsageError
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.views import LogFilter, ReviewRow
from appliance.evidence_roots import CLOSED
from appliance.policies.shelf import about
from appliance.registry import ModelRecord
from appliance.sanitise import safe
from appliance.schedule_records import Kept as KeptSchedule
from appliance.schedule_views import ALL
from appliance.views import LogRow
from appliance.watch.views import ChangeRow
from appliance.words.table import tell
from appliance.workspace.rows import StoredAudit

Told = Callable[[int, int], None]
SITE_WIDE: Final = ("clock.", "keys.", "log.", "policy.", "schedule.", "service.", "user.", "witness.")
"""Beginnings of acts that go along whatever they are about: how the log is kept, examined and ruled."""
_AT_ONCE: Final = 4096  # entries
_RUN_ACTS: Final = ("audit.run", "audit.resume")


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


@dataclass(frozen=True, slots=True)
class Closing:
    """An entry that closed an audit.

    Attributes:
        model: version that was audited.
        packed: whether there can be a pack: the audit has its result, and no other entry closed it.
    """

    audit_id: str
    model: str
    entry: Entry
    packed: bool


@dataclass(frozen=True, slots=True)
class Quarter:
    """What there is.

    Attributes:
        size: entries of the log's state that it speaks of.
        closings: every entry that closed an audit of the model, oldest first.
        extract: numbers of the entries that go along, in order.
        document: all of it as plain values, but for audits and what digests say.
    """

    asked: Asked
    size: int
    closings: tuple[Closing, ...]
    extract: tuple[int, ...]
    document: Mapping[str, Any]


def checked(asked: Asked) -> Asked:
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


def collected(log: EvidenceLog, site: Site, asked: Asked, size: int, told: Told = lambda *_: None) -> Quarter:
    """Go through the span in the log.

    Args:
        size: entries of the state to speak of.
        told: how many entries were read, of how many; may raise to stop.
    """
    last = log.entries(size - 1, 1)[0]
    rows = list(_rows(log, asked, size, told))
    names = {record.name for record in site.versions}
    ours = {row.audit_id: row for row in site.audits if row.model in names}
    known = {log.identifier(row.audit_id): row.audit_id for row in site.audits}
    closed = [row for row in rows if row.act == CLOSED]
    found = [(ours[known[row.object]], row.index) for row in closed if known.get(row.object) in ours]
    handles = _handles(log, site, asked, ours)
    extract = [row.index for row in rows if row.object in handles or row.act.startswith((*SITE_WIDE, CLOSED))]
    document = {
        "activity": _activity(rows),
        "cases": [_case(one, size) for one in _cases(site.cases, ours, asked, size)],
        "changes": [_change(row, last) for row in site.changes if _is_here(row, asked, size)],
        "claims": [_claim(one, size) for one in site.claims if _speaks(one, names, size)],
        "closings": {
            "of_others": sum(known.get(row.object) not in (*ours, None) for row in closed),
            "of_this_model": sum(known.get(row.object) in ours for row in closed),
            "unknown": sum(row.object not in known for row in closed),
        },
        "demo": site.demo,
        "from": asked.since,
        "log": {
            "as_of_utc": last.claimed_utc,
            "entries": size,
            "root": log.root_at(size).hex(),
            "window_open": last.claimed_utc[:10] <= asked.until,
        },
        "model": asked.model,
        "not_finished": list(_not_finished(log, rows, ours, size)),
        "packs_written": _written(rows, known, ours),
        "reviews": _reviews(site.reviews, rows, asked, size),
        "schedules": [_scheduled(log, one, rows, asked, last) for one in _schedules(site, names, asked)],
        "site": site.name,
        "to": asked.until,
        "versions": [_version(record) for record in site.versions],
    }
    closings = tuple(_closing(log, audit, index, size) for audit, index in found)
    return Quarter(asked, size, closings, tuple(sorted({*extract, size - 1})), document)


def _closing(log: EvidenceLog, audit: StoredAudit, index: int, size: int) -> Closing:
    own = log.about(log.identifier(audit.audit_id))
    once = sum(entry.act == CLOSED and entry.index < size for entry in own) == 1
    return Closing(audit.audit_id, audit.model, log.entries(index, 1)[0], once and audit.state == "done")


def _rows(log: EvidenceLog, asked: Asked, size: int, told: Told) -> Iterator[LogRow]:
    """The span's entries, oldest first."""
    wanted = LogFilter(since=asked.since, until=asked.until, below=size)
    done, total = 0, 1
    while done < total:
        page = log.find(wanted, done, _AT_ONCE, newest_first=False)
        total, done = page.total, done + len(page.rows)
        if not page.rows:
            return
        yield from page.rows
        told(done, total)


def _handles(log: EvidenceLog, site: Site, asked: Asked, ours: Mapping[str, StoredAudit]) -> frozenset[str]:
    """What entries about the model call it, its audits, and all that those rest on."""
    names = {asked.model, *(record.name for record in site.versions), *(one.line for one in site.versions)}
    for audit_id, row in ours.items():
        names |= {audit_id, f"case\0{audit_id}", row.cohort, about(row.policy)}
    names |= {f"claim\0{one.claim_id}" for one in site.claims}
    return frozenset(map(log.identifier, names))


def _activity(rows: Iterable[LogRow]) -> list[dict[str, Any]]:
    """How often each act came to each outcome, of the whole site."""
    counted = Counter((row.act, row.outcome) for row in rows)
    return [{"act": act, "number": number, "outcome": how} for (act, how), number in sorted(counted.items())]


# -- audits -------------------------------------------------------------------------------------------


def _not_finished(
    log: EvidenceLog,
    rows: Sequence[LogRow],
    ours: Mapping[str, StoredAudit],
    size: int,
) -> Iterator[dict[str, Any]]:
    """Audits that were at work in the span and that the log has not closed, with what came of each try."""
    tries: dict[str, list[LogRow]] = {}
    names = {log.identifier(audit): audit for audit in ours}
    for row in rows:
        if row.act in _RUN_ACTS and row.object in names:
            tries.setdefault(names[row.object], []).append(row)
    for audit, found in tries.items():
        closings = (entry for entry in log.about(log.identifier(audit)) if entry.act == CLOSED)
        if any(entry.index < size for entry in closings):
            continue
        yield {
            "audit": audit,
            "began_utc": found[0].claimed_utc,
            "entry": found[-1].index,
            "last_outcome": found[-1].outcome,
            "model": ours[audit].model,
            "tries": sum(row.outcome == "begins" for row in found),
        }


def _written(
    rows: Iterable[LogRow], known: Mapping[str, str], ours: Mapping[str, StoredAudit]
) -> list[dict[str, Any]]:
    """Packs of the model's audits that were written in the span."""
    return [
        {"audit": known[row.object], "by": _role(row.actor), "entry": row.index, "utc": row.claimed_utc}
        for row in rows
        if row.act.startswith("evidence.export") and row.outcome == "done" and known.get(row.object) in ours
    ]


def _version(record: ModelRecord) -> dict[str, Any]:
    return {
        "digest": record.digest,
        "name": safe(record.name),
        "released": record.released,
        "vendor": safe(record.vendor),
        "version": record.version,
    }


# -- schedules ----------------------------------------------------------------------------------------


def _schedules(site: Site, names: set[str], asked: Asked) -> list[KeptSchedule]:
    lines = {*names, *(record.line for record in site.versions), asked.model, ALL}
    return [one for one in site.schedules.values() if one.schedule.model in lines]


def _scheduled(
    log: EvidenceLog, kept: KeptSchedule, rows: Sequence[LogRow], asked: Asked, last: Entry
) -> dict[str, Any]:
    """What came of a schedule's runs in the span; what was begun late or not at all is said first."""
    one, handle = kept.schedule, log.identifier(kept.schedule.name)
    mine = [row for row in rows if row.object == handle]
    runs = [run for run in kept.runs if asked.holds(run.at_utc) and run.begun_utc <= last.claimed_utc]
    now = datetime.fromisoformat(last.claimed_utc)
    begun = {at for at in kept.begun() if at <= now}
    waiting = [iso(at) for at in schedule.waited(now, one, begun) if asked.holds(iso(at))]
    return {
        "begun": sum((row.act, row.outcome) == ("schedule.run", "done") for row in mine),
        "cron": one.cron,
        "failed": sum(row.act.startswith("schedule.") and row.outcome == "failed" for row in mine),
        "late": sum(row.act == "schedule.missed" for row in mine),
        "model": safe(one.model),
        "not_all_begun": sum(bool(run.why) for run in runs if run.over),
        "not_begun_utc": waiting,
        "object": handle,
        "passed_over": sum(run.missed for run in runs),
        "zone": one.zone,
    }


def missed(document: Mapping[str, Any]) -> int:
    """Scheduled runs that were begun late, passed over, or not begun."""
    return sum(
        one["late"] + one["passed_over"] + one["failed"] + len(one["not_begun_utc"])
        for one in document["schedules"]
    )


# -- cases, changes, claims, reviews ------------------------------------------------------------------


def _cases(cases: Cases, ours: Mapping[str, StoredAudit], asked: Asked, size: int) -> Iterator[Case]:
    """Cases known before the state: opened or worked on in the span, or open at its end."""
    for audit in ours:
        if audit not in cases:
            continue
        one = cases[audit]
        if one.entry is not None and one.entry.index >= size:
            continue
        steps = list(_steps(one, size))
        at_work = asked.holds(one.known_utc) or any(asked.holds(step.utc) for step in steps)
        if at_work or (one.known_utc[:10] <= asked.until and _state(steps) is not CaseState.CLOSED):
            yield one


def _steps(case: Case, size: int) -> Iterator[Step]:
    return (step for step in case.steps if step.entry is None or step.entry.index < size)


def _state(steps: Iterable[Step]) -> CaseState:
    state = CaseState.OPEN
    for step in steps:
        if step.act == REOPEN:
            state = CaseState.OPEN
        elif step.decision:
            state = CaseState(step.decision)
    return state


def _case(case: Case, size: int) -> dict[str, Any]:
    steps = list(_steps(case, size))
    return {
        "audit": case.audit.audit_id,
        "clocks": [{"law": clock.law, "name": clock.name} for clock in CLOCKS],
        "entry": case.entry.index if case.entry else None,
        "known_utc": case.known_utc,
        "model": safe(case.audit.model),
        "state": str(_state(steps)),
        "steps": [
            {
                "answers": list(step.answers),
                "by": _role(step.by),
                "entry": step.entry.index if step.entry else None,
                "utc": step.utc,
                "what": step.decision or step.act.rpartition(".")[2],
            }
            for step in steps
        ],
        "verdict": str(case.verdict),
    }


def _is_here(row: ChangeRow, asked: Asked, size: int) -> bool:
    return asked.holds(row.seen_utc) and (row.entry is None or row.entry < size)


def _change(row: ChangeRow, last: Entry) -> dict[str, Any]:
    answer = row.answer if row.answer and row.answer.said_utc <= last.claimed_utc else None
    return {
        "answered_by": _role(answer.by) if answer else "",
        "answered_utc": answer.said_utc if answer else "",
        "entry": row.entry,
        "found": str(row.found),
        "model": row.model,
        "parts": list(map(str, row.parts)),
        "replaces": row.replaces,
        "seen_utc": row.seen_utc,
    }


def _speaks(kept: KeptClaim, names: set[str], size: int) -> bool:
    return kept.added.at < size and any(speaks_of(kept.request, name) for name in names)


def _claim(kept: KeptClaim, size: int) -> dict[str, Any]:
    withdrawn = kept.withdrawn if kept.withdrawn and kept.withdrawn.at < size else None
    return {
        "added_utc": kept.added.utc,
        "claim": kept.claim_id,
        "dated": kept.request.dated,
        "entry": kept.added.entry.index if kept.added.entry else None,
        "model": safe(kept.request.model),
        "says": says(kept.request),
        "withdrawn_utc": withdrawn.utc if withdrawn else "",
    }


def _reviews(reviews: Iterable[ReviewRow], rows: Sequence[LogRow], asked: Asked, size: int) -> dict[str, Any]:
    """Who examined the log in the span, and how much of the span any review has covered so far."""
    known = [one for one in reviews if one.entry < size]
    covered = sum(any(one.first <= row.index <= one.last for one in known) for row in rows)
    return {
        "covered": covered,
        "entries": len(rows),
        "rows": [
            {"by": _role(one.by), "entry": one.entry, "utc": one.reviewed_utc, **_window(one)}
            for one in known
            if asked.holds(one.reviewed_utc)
        ],
    }


def _window(review: ReviewRow) -> dict[str, int]:
    return {"first": review.first, "last": review.last}


def _role(actor: str) -> str:
    """Role, and the beginning of the pseudonym that tells several people of a role apart."""
    role, _, person = actor.partition(":")
    return tell("answer.by", role=role, person=person[:4]) if person else role
