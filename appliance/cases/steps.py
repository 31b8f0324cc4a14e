"""Steps of cases: the log has an entry and the digest of each, the catalogue what somebody typed.

    case.assign, case.decide, case.reopen   begins … done, detail = digest of the record
    case.keep                               noted: vouches for a record before the year of its entry is pruned

A record is canonical JSON with a salt, so nobody can try out words against the digest. It lies under the
catalogue's key and no other: who may read cases need not be able to open a study.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from appliance.cases.clocks import NAMES
from appliance.cases.views import CaseState
from appliance.errors import IntegrityError, UsageError
from appliance.evidence.entries import Act, Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify_evidence import canonical

ASSIGN, DECIDE, REOPEN, KEEP = "case.assign", "case.decide", "case.reopen", "case.keep"
DECISIONS: Final = (CaseState.ACCEPTED, CaseState.DISPUTED, CaseState.REFERRED, CaseState.CLOSED)
FEWEST_WORDS, LONGEST_REASON = 3, 2000  # words, characters
Kept = Callable[[], Mapping[str, str]]  # records by digest


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it was recorded.

    Attributes:
        at: entries of the log when it was begun; orders steps, also where their entries were pruned.
        utc, by: when and by whom, as the record says it.
        decision: of `DECISIONS`, or "".
        entry: that vouches for it; None where its year was pruned.
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
    now = datetime.fromtimestamp(log.clock.utc_ms() // 1000, UTC)
    content = canonical(
        {
            "act": act,
            "answers": list(answers),
            "at": log.refresh(),
            "by": actor,
            "case": audit_id,
            "decision": decision,
            "owner": owner,
            "reason": reason,
            "salt": secrets.token_hex(16),
            "utc": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "v": 1,
        }
    )
    return content.decode(), sha256(content).hexdigest()


def told(log: EvidenceLog, kept: Kept) -> tuple[Step, ...]:
    """Every step of every case that the log vouches for, oldest first.

    Args:
        log: with the digests.
        kept: gives record by digest, asked after the log: a record is there before its entry. One that no
            entry vouches for was cut off, and says nothing.

    Raises:
        IntegrityError: a record is missing, is not what was logged, or an entry repeats another's.
    """
    done = [entry for act in (ASSIGN, DECIDE, REOPEN) for entry in log.acts(act) if entry.outcome == "done"]
    steps: dict[str, Step] = {}
    again, records = log.acts(KEEP), kept()
    for entry in done:
        if entry.detail_digest in steps:
            raise _not_logged(entry)
        steps[entry.detail_digest] = _step(records, entry, entry)
    for entry in again:
        if entry.detail_digest not in steps:
            steps[entry.detail_digest] = _step(records, entry, None)
    return tuple(sorted(steps.values(), key=lambda step: (step.at, step.entry.index if step.entry else -1)))


def keep(log: EvidenceLog, steps: Sequence[Step], actor: str) -> None:
    """Vouch for these steps once more, before the entries that do may be pruned."""
    if steps:
        log.append_all([Act(KEEP, "", "noted", actor, detail_digest=step.digest) for step in steps])


def _step(records: Mapping[str, str], said: Entry, entry: Entry | None) -> Step:
    content = records.get(said.detail_digest, "")
    if sha256(content.encode()).hexdigest() != said.detail_digest:
        raise _not_logged(said)
    fields: dict[str, Any] = json.loads(content)
    decided = (fields["decision"] in DECISIONS) if fields["act"] == DECIDE else not fields["decision"]
    if said.act not in (fields["act"], KEEP) or not decided:
        raise _not_logged(said)
    return Step(
        act=fields["act"],
        audit_id=fields["case"],
        at=fields["at"],
        utc=entry.claimed_utc if entry else fields["utc"],
        by=entry.actor if entry else fields["by"],
        decision=fields["decision"],
        owner=fields["owner"],
        reason=fields["reason"],
        answers=tuple(fields["answers"]),
        digest=said.detail_digest,
        entry=entry,
    )


def _not_logged(entry: Entry) -> IntegrityError:
    return IntegrityError(
        f"the step of a case in entry {entry.index} is not the one that was logged",
        "Restore the workspace from a backup.",
    )
