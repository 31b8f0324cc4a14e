"""Steps of cases: the log has an entry and the digest of each, the catalogue what somebody typed.

    case.assign, case.decide, case.reopen   begins … done, detail = digest of the record
    case.keep                               noted: vouches for a record before the year of its entry is pruned

A record (`evidence.vouched`) lies under the catalogue's key and no other: who may read cases need not be able
to open a study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.cases.clocks import NAMES
from appliance.cases.views import CaseState
from appliance.errors import UsageError
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.vouched import Contents, Fields, Kind, Vouched, recorded

ASSIGN, DECIDE, REOPEN, KEEP = "case.assign", "case.decide", "case.reopen", "case.keep"
DECISIONS: Final = (CaseState.ACCEPTED, CaseState.DISPUTED, CaseState.REFERRED, CaseState.CLOSED)
FEWEST_WORDS, LONGEST_REASON = 3, 2000  # words, characters


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it was recorded.

    Attributes:
        at, utc, by, digest, entry: as in `Vouched`.
        decision: of `DECISIONS`, or "".
    """

    act: str
    audit_id: str
    at: int
    utc: str
    by: str
    decision: str
    owner: str
    reason: str
    answers: tuple[str, ...]
    digest: str
    entry: Entry | None


def check_reason(reason: str) -> str:
    """The reason without blanks around it.

    Raises:
        UsageError: it says too little, or too much.
    """
    said = reason.strip()
    if len(said.split()) < FEWEST_WORDS or len(said) > LONGEST_REASON:
        raise UsageError(
            f"a reason has at least {FEWEST_WORDS} words and at most {LONGEST_REASON} characters",
            "say what was found and who was told; name no patient, an erasure would not find the name",
        )
    return said


def check_answers(decision: str, answers: Sequence[str]) -> tuple[str, ...]:
    """The clocks that a decision answers, in their order; a case that is closed has none running.

    Raises:
        UsageError: no such decision or clock.
    """
    if decision not in DECISIONS:
        raise UsageError(f"no such decision: {decision}", "one of " + ", ".join(DECISIONS))
    unknown = next((name for name in answers if name not in NAMES), "")
    if unknown:
        raise UsageError(f"no such clock: {unknown}", "one of " + ", ".join(NAMES))
    return NAMES if decision == CaseState.CLOSED else tuple(name for name in NAMES if name in answers)


def record(
    log: EvidenceLog,
    actor: str,
    act: str,
    audit_id: str,
    *,
    decision: str = "",
    owner: str = "",
    reason: str = "",
    answers: Sequence[str] = (),
) -> tuple[str, str]:
    """What is kept of a step, with its SHA-256, hex."""
    return recorded(
        log,
        actor,
        {
            "act": act,
            "answers": list(answers),
            "case": audit_id,
            "decision": decision,
            "owner": owner,
            "reason": reason,
        },
    )


def told(log: EvidenceLog, kept: Contents) -> tuple[Step, ...]:
    """Every step of every case that the log vouches for, oldest first. Args and Raises as `Kind.told`."""
    return tuple(map(_step, _STEPS.told(log, kept)))


def keep(log: EvidenceLog, steps: Sequence[Step], actor: str) -> None:
    """Vouch for these steps once more, before the entries that do may be pruned."""
    _STEPS.vouch_again(log, [step.digest for step in steps], actor)


def _act(fields: Fields) -> str:
    act, decision = str(fields.get("act")), fields.get("decision")
    makes_sense = (decision in DECISIONS) if act == DECIDE else not decision
    return act if makes_sense else ""


_STEPS: Final = Kind("the step of a case", (ASSIGN, DECIDE, REOPEN), KEEP, dict, _act)


def _step(one: Vouched[Fields]) -> Step:
    fields = one.record
    return Step(
        act=one.act,
        audit_id=fields["case"],
        at=one.at,
        utc=one.utc,
        by=one.by,
        decision=fields["decision"],
        owner=fields["owner"],
        reason=fields["reason"],
        answers=tuple(fields["answers"]),
        digest=one.digest,
        entry=one.entry,
    )
