"""Cases as they follow from the log: a verdict of FAIL or REVIEW is one, and steps say what became of it.

Nobody opens a case, so nobody can forget to; nothing is stored of one but what people typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from appliance.cases.clocks import CLOCKS, reading
from appliance.cases.steps import ASSIGN, REOPEN, Step, told
from appliance.cases.views import CaseRow, CaseState, CaseView, ClockState, StepView, StepWord
from appliance.evidence.elapsed import Elapsed
from appliance.evidence.entries import Entry, claimed_ms
from appliance.evidence.log import EvidenceLog
from appliance.evidence.vouched import Contents
from appliance.evidence_roots import CLOSED
from appliance.sanitise import safe
from appliance.shown import policy_reference
from appliance.views import VerdictWord
from appliance.words.table import tell
from appliance.workspace.rows import StoredAudit

OPENING: Final = (VerdictWord.FAIL, VerdictWord.REVIEW)
LEGAL: Final = tell("case.legal")
_NO_ENTRY: Final = -1  # before every entry


@dataclass(slots=True)
class Case:
    """A case with its steps.

    Attributes:
        audit: whose verdict it is.
        entry: first knowledge, the first entry with such a verdict; None where the log does not hold it.
        answered: clock -> the step that answered it.
    """

    audit: StoredAudit
    verdict: VerdictWord
    entry: Entry | None
    steps: list[Step] = field(default_factory=list)
    state: CaseState = CaseState.OPEN
    owner: str = ""
    answered: dict[str, Step] = field(default_factory=dict)

    @property
    def known_utc(self) -> str:
        """When it was known first, as claimed."""
        return self.entry.claimed_utc if self.entry else self.audit.finished_utc

    def take(self, step: Step) -> None:
        """Let a step have its effect; a case that is reopened has no answered clock."""
        self.steps.append(step)
        if step.act == ASSIGN:
            self.owner = step.owner
        elif step.act == REOPEN:
            self.state, self.answered = CaseState.OPEN, {}
        else:
            self.state = CaseState(step.decision)
            self.answered = dict.fromkeys(step.answers, step) | self.answered


class Cases:
    """Every case of a workspace at one moment.

    Args:
        log: of the workspace.
        audits: all of the catalogue.
        kept: gives the records of steps by digest.

    Raises:
        IntegrityError: as `told`.
    """

    def __init__(self, log: EvidenceLog, audits: Sequence[StoredAudit], kept: Contents) -> None:
        log.refresh()
        self._cases = _opened(log, audits)
        self._elapsed = Elapsed(log) if self._cases else None
        for step in told(log, kept) if self._cases else ():
            if step.audit_id in self._cases:
                self._cases[step.audit_id].take(step)

    def __getitem__(self, audit_id: str) -> Case:
        return self._cases[audit_id]

    def __contains__(self, audit_id: str) -> bool:
        return audit_id in self._cases

    def steps(self) -> tuple[Step, ...]:
        """Every step of every case."""
        return tuple(step for case in self._cases.values() for step in case.steps)

    def rows(self) -> tuple[CaseRow, ...]:
        """Open cases first, of those the ones with the least time left; then closed ones, newest first."""
        newest = sorted(map(self._row, self._cases.values()), key=lambda row: row.known_utc, reverse=True)
        return tuple(sorted(newest, key=_urgency))

    def view(self, audit_id: str, people: Sequence[str]) -> CaseView:
        """One case whole; `people` are the users who can own it."""
        case = self._cases[audit_id]
        steps = tuple(
            StepView(
                entry=step.entry.index if step.entry else None,
                done_utc=step.utc,
                by=step.by,
                what=_word(step),
                owner=step.owner,
                reason=step.reason,
                answers=step.answers,
            )
            for step in case.steps
        )
        return CaseView(self._row(case), steps, tuple(people), (*self._notes(case, people), LEGAL))

    def _row(self, case: Case) -> CaseRow:
        assert self._elapsed is not None, "there is a case"
        index, known_ms = _known(case)
        passed_ms = self._elapsed.since(index, known_ms)
        answered = {
            name: self._elapsed.between(index, known_ms, *_done(step)) for name, step in case.answered.items()
        }
        return CaseRow(
            audit_id=case.audit.audit_id,
            model=safe(case.audit.model),
            verdict=case.verdict,
            why=safe(case.audit.why, 300) if case.audit.state == "done" else tell("case.lost"),
            state=case.state,
            owner=safe(case.owner),
            known_utc=case.known_utc,
            entry=case.entry.index if case.entry else None,
            clocks=tuple(
                reading(clock, passed_ms, answered.get(clock.name), self._elapsed.now_ms) for clock in CLOCKS
            ),
            policy=policy_reference(case.audit),
            policy_digest=str(case.audit.digests.get("policy", "")),
        )

    def _notes(self, case: Case, people: Sequence[str]) -> list[str]:
        assert self._elapsed is not None, "there is a case"
        notes = []
        if case.owner and case.owner not in people:
            notes.append(tell("case.owner_left", owner=safe(case.owner)))
        if case.entry is None:
            notes.append(tell("case.no_entry"))
        same = [one for one in self._cases.values() if one.audit.model == case.audit.model]
        first = min(same, key=lambda one: _known(one)[1])
        if first is not case:
            when = first.known_utc[:16].replace("T", " ")
            notes.append(tell("case.earlier", moment=when, audit=first.audit.audit_id))
        set_back = [index for index in self._elapsed.set_back if index > _known(case)[0]]
        if set_back:
            notes.append(tell("case.set_back", entry=f"{set_back[0]:,}"))
        return notes


def _opened(log: EvidenceLog, audits: Sequence[StoredAudit]) -> dict[str, Case]:
    """A case for every verdict that opens one, in the log or in the catalogue."""
    closings: dict[str, list[Entry]] = {}
    for entry in log.acts(CLOSED):
        if entry.outcome in OPENING:
            closings.setdefault(entry.object, []).append(entry)
    cases = {}
    for audit in audits:
        known = closings.get(log.identifier(audit.audit_id), [])
        word = known[-1].outcome if known else audit.verdict
        if word in OPENING:
            cases[audit.audit_id] = Case(audit, VerdictWord(word), known[0] if known else None)
    return cases


def _known(case: Case) -> tuple[int, int]:
    """Number and claimed time of the entry of first knowledge."""
    if case.entry is not None:
        return case.entry.index, claimed_ms(case.entry)
    return _NO_ENTRY, _ms(case.audit.finished_utc)


def _done(step: Step) -> tuple[int, int]:
    """Number and claimed time of the entry of a step."""
    return (step.entry.index if step.entry else _NO_ENTRY), _ms(step.utc)


def _ms(utc: str) -> int:
    return round(datetime.fromisoformat(utc).timestamp() * 1000)


def _word(step: Step) -> StepWord:
    if step.decision:
        return StepWord(step.decision)
    return StepWord.ASSIGNED if step.act == ASSIGN else StepWord.REOPENED


def _urgency(row: CaseRow) -> tuple[bool, float]:
    running = [
        clock.left_s for clock in row.clocks if clock.state in (ClockState.RUNNING, ClockState.OVERDUE)
    ]
    return row.state is CaseState.CLOSED, min(running, default=float("inf"))
