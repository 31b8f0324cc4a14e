"""What was at work in the span of an answer: audits without a verdict, packs written, scheduled runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from appliance import schedule
from appliance.due_runs import iso
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence_roots import CLOSED
from appliance.pack.answer.asked import Asked, Site, role
from appliance.sanitise import safe
from appliance.schedule_records import Kept as KeptSchedule
from appliance.schedule_views import ALL
from appliance.views import LogRow
from appliance.workspace.rows import StoredAudit

_RUN_ACTS: Final = ("audit.run", "audit.resume")
_SCHEDULED: Final = ("schedule.run", "schedule.resume", "schedule.plan", "schedule.started")


def not_finished(
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


def written(
    rows: Iterable[LogRow], known: Mapping[str, str], ours: Mapping[str, StoredAudit]
) -> list[dict[str, Any]]:
    """Packs of the model's audits that were written in the span."""
    return [
        {"audit": known[row.object], "by": role(row.actor), "entry": row.index, "utc": row.claimed_utc}
        for row in rows
        if row.act.startswith("evidence.export") and row.outcome == "done" and known.get(row.object) in ours
    ]


def schedules(
    log: EvidenceLog, site: Site, names: set[str], rows: Sequence[LogRow], asked: Asked, last: Entry
) -> list[dict[str, Any]]:
    """What came of every schedule that names the model."""
    return [_scheduled(log, one, rows, asked, last) for one in _named(site, names, asked)]


def missed(document: Mapping[str, Any]) -> int:
    """Scheduled runs that were begun late, passed over, or not begun."""
    return sum(
        one["late"] + one["passed_over"] + one["failed"] + len(one["not_begun_utc"])
        for one in document["schedules"]
    )


def _named(site: Site, names: set[str], asked: Asked) -> list[KeptSchedule]:
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
        "failed": sum(row.act in _SCHEDULED and row.outcome == "failed" for row in mine),
        "late": sum(row.act == "schedule.missed" for row in mine),
        "model": safe(one.model),
        "not_all_begun": sum(bool(run.why) for run in runs if run.over),
        "not_begun_utc": waiting,
        "object": handle,
        "passed_over": sum(run.missed for run in runs),
        "zone": one.zone,
    }
