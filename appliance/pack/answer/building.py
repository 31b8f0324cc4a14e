"""An answer to an auditor as one file: the packs of a span, the log's entries about it, and a page.

The same ZIP as a pack, its manifest signed under a first line of its own: neither can be taken for the other.
Every pack in it verifies alone; `log/proofs.json` proves that each pack's log grew into the answer's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from appliance.cases.views import CaseState
from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify import verifier_source
from appliance.pack import building
from appliance.pack.answer.at_work import missed
from appliance.pack.answer.pages import index_html, index_text, said
from appliance.pack.answer.quarter import Quarter
from appliance.pack.answer.views import AnsweredAudit, AnswerView
from appliance.pack.building import put
from appliance.pack.facts import PackInput
from appliance.pack.pages import wording
from appliance.views import Progress, VerdictWord
from appliance.words.table import tell

__all__ = ["build", "put", "reading", "view"]
FORMAT = checked.ANSWER_FORMAT
_EACH = 256  # entries between two reports
Step = Callable[[Progress], None]


def build(log: EvidenceLog, quarter: Quarter, pack_of: Callable[[str], PackInput], step: Step) -> bytes:
    """The answer, under the state of the log that the quarter speaks of.

    Args:
        pack_of: a finished audit as its pack needs it.
        step: told what was done; may raise to stop.

    Raises:
        UsageError: more than one file takes.
        IntegrityError: an audit is not the one that was closed, or the answer does not verify.
    """
    packs, audits = _packs(log, quarter, pack_of, step)
    document = {**quarter.document, "extract": len(quarter.extract), "format": FORMAT}
    stated = {**document, "audits": [row for row, _ in audits]}
    document["audits"] = [{**row, "result": words} for row, words in audits]
    words = log.key_words, log.state_words(quarter.size)
    members = {
        "README.txt": tell("answer.readme", words=log.key_words).encode(),
        "answer.json": checked.canonical(building.decimal_strings(stated)),
        "index.html": index_html(document, *words).encode(),
        "index.txt": index_text(document, *words).encode(),
        "verify_evidence.py": verifier_source(),
        **packs,
        **_extract(log, quarter, packs, step),
    }
    digests = {name: sha256(data).hexdigest() for name, data in members.items()}
    members["manifest.json"] = checked.canonical({"format": FORMAT, "members": digests})
    members["manifest.note"] = log.sign_answer(members["manifest.json"])
    if sum(map(len, members.values())) > checked.MAX_PACK:
        raise UsageError("the answer is larger than one file may be", "ask for a shorter span")
    answer = checked.build_zip(members)
    try:
        checked.check_pack(answer)
    except checked.Broken as broken:  # what would not verify elsewhere must not leave here
        raise IntegrityError(
            f"the answer does not verify: {broken}", "run `gradaudit log verify`"
        ) from broken
    return answer


def _packs(
    log: EvidenceLog, quarter: Quarter, pack_of: Callable[[str], PackInput], step: Step
) -> tuple[dict[str, bytes], list[tuple[dict[str, Any], str]]]:
    """The packs by name; of every closing what the answer states, and its result in words.

    A closing without a pack has its entry's verdict: there is no result of it, or two entries closed it.
    """
    members, audits = {}, []
    for done, closing in enumerate(quarter.closings):
        step(_progress("packs", done, len(quarter.closings)))
        entry = closing.entry
        row: dict[str, Any] = {
            "audit": closing.audit_id,
            "closed_utc": entry.claimed_utc,
            "entry": entry.index,
            "model": closing.model,
            "pack": "",
            "policy_digest": entry.policy_digest,
            "sha256": "",
            "verdict": entry.outcome,
        }
        said = tell("answer.no_pack")
        if closing.packed:
            given = pack_of(closing.audit_id)
            pack, name = building.build(log, given), f"packs/{closing.audit_id}.zip"
            members[name] = pack
            row = checked.stated_results(checked.split_zip(pack)[0]) | row
            row |= {"pack": name, "sha256": sha256(pack).hexdigest()}
            said = wording.exposure(given.view.result, given.view.verdict.word)
        audits.append((row, said))
    step(_progress("packs", len(audits), len(audits)))
    return members, audits


def _extract(log: EvidenceLog, quarter: Quarter, packs: Mapping[str, bytes], step: Step) -> dict[str, bytes]:
    """The span's entries, the proof of each, and that every pack's log is the beginning of this one."""
    inclusion, lines, size = [], [], quarter.size
    for done, index in enumerate(quarter.extract):
        if done % _EACH == 0:
            step(_progress("proofs", done, len(quarter.extract)))
        lines.append(log.raw(index) + b"\n")
        inclusion.append([node.hex() for node in log.prove_entry(index, size)])
    grown = {
        name: [node.hex() for node in log.prove_growth(checked.check_pack(pack).checkpoint.size, size)]
        for name, pack in packs.items()
    }
    step(_progress("proofs", len(lines), len(lines)))
    return {
        "log/checkpoint": log.checkpoint_at(size),
        "log/entries.jsonl": b"".join(lines),
        "log/proofs.json": checked.canonical({"inclusion": inclusion, "packs": grown}),
        "log/verifier-key": log.verifier_key,
        **building.cosigned_members(log, size),
    }


def _progress(phase: str, done: int, total: int) -> Progress:
    unit = "packs" if phase == "packs" else "entries"
    return Progress(tell(f"answer.phase.{phase}"), done, total, tell(f"answer.unit.{unit}"))


def reading(done: int, total: int) -> Progress:
    """How far the log was read."""
    return _progress("log", done, total)


def view(quarter: Quarter, answer: bytes, path: Path, key_words: str) -> AnswerView:
    """What was written, for screens and commands."""
    document = quarter.document
    not_finished, late = len(document["not_finished"]), missed(document)
    open_cases = sum(one["state"] != CaseState.CLOSED for one in document["cases"])
    window_open = document["log"]["window_open"]
    verdicts = [closing.entry.outcome for closing in quarter.closings]
    return AnswerView(
        file=path.name,
        model=quarter.asked.model,
        since=quarter.asked.since,
        until=quarter.asked.until,
        window_open=window_open,
        audits=tuple(
            AnsweredAudit(one.audit_id, one.model, VerdictWord(one.entry.outcome), one.entry.claimed_utc)
            for one in quarter.closings
        ),
        not_finished=not_finished,
        missed=late,
        open_cases=open_cases,
        entries=len(quarter.extract),
        checkpoint=quarter.size,
        size=len(answer),
        key_words=key_words,
        sentences=tuple(said(verdicts, not_finished, late, open_cases, window_open)),
    )
