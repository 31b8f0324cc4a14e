"""Sealed records in an answer, as its state of the log knew them: cases, changes, claims, log reviews."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from appliance.cases.clocks import CLOCKS
from appliance.cases.standing import Case, Cases
from appliance.cases.steps import REOPEN, Step
from appliance.cases.views import CaseState
from appliance.claims.records import Kept as KeptClaim
from appliance.claims.standing import says, speaks_of
from appliance.evidence.entries import Entry
from appliance.evidence.views import ReviewRow
from appliance.pack.answer.asked import Asked, role
from appliance.sanitise import safe
from appliance.views import LogRow
from appliance.watch.views import ChangeRow
from appliance.workspace.rows import StoredAudit


def cases(found: Cases, ours: Mapping[str, StoredAudit], asked: Asked, size: int) -> list[dict[str, Any]]:
    """Cases of the model with their steps."""
    return [_case(one, size) for one in _of_span(found, ours, asked, size)]


def changes(found: Iterable[ChangeRow], asked: Asked, size: int, last: Entry) -> list[dict[str, Any]]:
    """Changes that the watch saw in the span, each with its answer where there was one by then."""
    return [_change(row, last) for row in found if _is_here(row, asked, size)]


def claims(found: Iterable[KeptClaim], names: set[str], size: int) -> list[dict[str, Any]]:
    """What the vendor claims of these versions, and what was taken back."""
    return [_claim(one, size) for one in found if _speaks(one, names, size)]


def reviews(found: Iterable[ReviewRow], rows: Sequence[LogRow], asked: Asked, size: int) -> dict[str, Any]:
    """Who examined the log in the span, and how much of the span any review has covered so far."""
    known = [one for one in found if one.entry < size]
    covered = sum(any(one.first <= row.index <= one.last for one in known) for row in rows)
    return {
        "covered": covered,
        "entries": len(rows),
        "rows": [
            {"by": role(one.by), "entry": one.entry, "utc": one.reviewed_utc, **_window(one)}
            for one in known
            if asked.holds(one.reviewed_utc)
        ],
    }


def _of_span(cases: Cases, ours: Mapping[str, StoredAudit], asked: Asked, size: int) -> Iterator[Case]:
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
                "by": role(step.by),
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
        "answered_by": role(answer.by) if answer else "",
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


def _window(review: ReviewRow) -> dict[str, int]:
    return {"first": review.first, "last": review.last}
