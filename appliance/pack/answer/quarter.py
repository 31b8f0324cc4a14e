"""What a site's log holds about one model in a span of days: what an answer to an auditor is made of.

Everything follows from the log up to one state of it, and from sealed records that the log vouches for: the
same state gives the same answer. Audits belong to the span in which the log closed them. Nothing typed by
a person goes along (reasons, findings of reviews, why something failed): it may name a patient or a path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.views import LogFilter
from appliance.evidence_roots import CLOSED
from appliance.pack.answer import at_work, records
from appliance.pack.answer.asked import Asked, Site
from appliance.policies.shelf import about
from appliance.registry import ModelRecord
from appliance.sanitise import safe
from appliance.views import LogRow
from appliance.workspace.rows import StoredAudit

Told = Callable[[int, int], None]
SITE_WIDE: Final = ("clock.", "keys.", "log.", "policy.", "schedule.", "service.", "user.", "witness.")
"""Beginnings of acts that go along whatever they are about: how the log is kept, examined and ruled."""
_AT_ONCE: Final = 4096  # entries


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
        "cases": records.cases(site.cases, ours, asked, size),
        "changes": records.changes(site.changes, asked, size, last),
        "claims": records.claims(site.claims, names, size),
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
        "not_finished": list(at_work.not_finished(log, rows, ours, size)),
        "packs_written": at_work.written(rows, known, ours),
        "reviews": records.reviews(site.reviews, rows, asked, size),
        "schedules": at_work.schedules(log, site, names, rows, asked, last),
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


def _version(record: ModelRecord) -> dict[str, Any]:
    return {
        "digest": record.digest,
        "name": safe(record.name),
        "released": record.released,
        "vendor": safe(record.vendor),
        "version": record.version,
    }
