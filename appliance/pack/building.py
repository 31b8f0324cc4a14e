"""The evidence pack: one ZIP with verdict, numbers, policy, log extract and proofs, verifiable alone.

Nothing in it depends on when or where it is written, but for what witnesses have cosigned since: the same
audit under the same cosignatures gives the same bytes. It holds no patient, no pseudonym and no score of one.

Closing an audit commits the log to four members (`data.json`, `model.json`, `policy.toml`, `results.json`)
before there is a pack; the pack's manifest lists all members but itself and is signed by the log's key. So
each byte hangs on a signature, and nothing has to contain its own digest.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.witnesses import cosigned
from appliance.pack.facts import PackFacts, PackInput
from appliance.pack.parts import PARTS
from appliance.views import AuditView, plain

_DIGITS = 6  # significant; what two machines may differ in lies below


def committed_members(given: PackInput) -> dict[str, bytes]:
    """The four members that the log commits to when the audit closes."""
    if sha256(given.policy_text).hexdigest() != given.view.policy_digest:
        raise IntegrityError("the policy text is not the one the audit ran under", "look at the policy file")
    return {
        "data.json": _json({"format": "gradaudit-data-1", **given.data}),
        "model.json": _json(
            {"format": "gradaudit-model-1", "digest": given.view.model_digest, **given.model}
        ),
        "policy.toml": given.policy_text,
        "results.json": _json(_results(given.view, given.stored)),
    }


def close_audit(
    log: EvidenceLog, given: PackInput, actor: str = "system", findings_digest: str = ""
) -> Entry:
    """Write the entry that closes an audit: its verdict, its policy, and the digest of all it rests on.

    Args:
        findings_digest: hex SHA-256 of what it sealed about single patients.

    Raises: as `EvidenceLog.append`.
    """
    return log.append(
        checked.CLOSING_ACT.decode(),
        log.identifier(given.view.row.audit_id),
        given.view.verdict.word.value,
        actor=actor,
        policy_digest=given.view.policy_digest,
        detail_digest=findings_digest,
        result_root=checked.commitment(committed_members(given)),
    )


def build(log: EvidenceLog, given: PackInput) -> bytes:
    """The pack of a closed audit, under the checkpoint that closed it.

    Raises:
        UsageError: the log has not closed this audit.
        IntegrityError: the audit is not the one that was closed, or the pack does not verify.
    """
    members = committed_members(given)
    entries = _entries(log, given)
    closing = entries[-1]
    if closing.result_root != checked.commitment(members):
        raise IntegrityError(
            "the stored audit is not the one whose verdict was logged",
            "run `gradaudit log verify`; do not export",
        )
    facts = PackFacts(given, log, tuple(entries), _checkpoint_after(log, closing.index))
    members |= _log_extract(facts)
    for part in PARTS:
        members |= part(facts, members)
    members["manifest.json"] = _json(
        {
            "audit": given.view.row.audit_id,
            "format": "gradaudit-pack-1",
            "members": {name: sha256(data).hexdigest() for name, data in members.items()},
            "run": {"timings": {step.phase: step.seconds for step in given.view.result.timings}, **given.run},
        }
    )
    members["manifest.note"] = log.sign_manifest(members["manifest.json"])
    pack = checked.build_zip(members)
    try:
        checked.check_pack(pack)
    except checked.Broken as broken:  # what would not verify elsewhere must not leave here
        raise IntegrityError(f"the pack does not verify: {broken}", "run `gradaudit log verify`") from broken
    return pack


def _log_extract(facts: PackFacts) -> dict[str, bytes]:
    """The audit's entries, the proofs that they are in the log, and what witnesses saw of it since."""
    log, size = facts.log, facts.size
    opening = _checkpoint_after(log, _first_own(log, facts.given).index)
    return {
        "log/checkpoint": log.checkpoint_at(size),
        "log/entries.jsonl": b"".join(log.raw(entry.index) + b"\n" for entry in facts.entries),
        "log/opening": log.checkpoint_at(opening),
        "log/proofs.json": _json(
            {
                "consistency": [step.hex() for step in log.prove_growth(opening, size)],
                "inclusion": [
                    [step.hex() for step in log.prove_entry(entry.index, size)] for entry in facts.entries
                ],
            }
        ),
        "log/verifier-key": log.verifier_key,
    } | _cosigned(log, size)


def _cosigned(log: EvidenceLog, size: int) -> dict[str, bytes]:
    """What witnesses have cosigned since: later states, each proven to contain the pack's."""
    found = [
        {
            "consistency": [step.hex() for step in log.prove_growth(size, seen.checkpoint.size)],
            "witness": witness.data().decode(),
        }
        for witness, seen in cosigned(log, size)
    ]
    return {checked.COSIGNED: _json(found)} if found else {}


def write(log: EvidenceLog, given: PackInput, path: Path) -> Path:
    """Build the pack and put it at `path`, all of it or nothing.

    Raises:
        UsageError: the folder is not there or cannot be written; otherwise as `build`.
    """
    pack = build(log, given)
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as stream:
            stream.write(pack)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "name a folder that exists"
        ) from error
    return path


def decimal_strings(value: Any) -> Any:
    """`value` with every float as a decimal string of six significant digits, ready for canonical JSON."""
    if isinstance(value, Mapping):
        return {str(key): decimal_strings(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [decimal_strings(item) for item in value]
    if isinstance(value, float):
        return _decimal(value)
    if value is None or isinstance(value, str | int):
        return str(value) if isinstance(value, str) else value
    raise TypeError(f"no canonical form for {type(value).__name__}")


def _decimal(number: float) -> str:
    if not math.isfinite(number):
        return "not a number" if math.isnan(number) else "infinite" if number > 0 else "-infinite"
    text = format(Decimal(f"{number:.{_DIGITS}g}"), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def _json(value: Any) -> bytes:
    return checked.canonical(decimal_strings(value))


def _results(view: AuditView, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """The audit without what changes from run to run: timings stand in the manifest."""
    result = plain(replace(view.result, timings=()))
    return {
        "format": "gradaudit-results-1",
        "audit": view.row.audit_id,
        "started_utc": view.row.started_utc,
        "model": {"name": view.row.model, "digest": view.model_digest},
        "cohort": {"name": view.row.cohort, "digest": view.cohort_digest},
        "policy": {"name": view.row.policy, "digest": view.policy_digest},
        "isolation": dict(view.isolation),
        "sample_note": view.sample_note,
        "verdict": plain(view.verdict),
        "result": result if stored is None else _as_closed(result, stored),
    }


def _as_closed(value: Any, stored: Any) -> Any:
    """`value` without the fields that the stored document lacks, at any depth."""
    if isinstance(value, Mapping) and isinstance(stored, Mapping):
        return {name: _as_closed(item, stored[name]) for name, item in value.items() if name in stored}
    if isinstance(value, list) and isinstance(stored, list) and len(value) == len(stored):
        return [_as_closed(*both) for both in zip(value, stored, strict=True)]
    return value


def _entries(log: EvidenceLog, given: PackInput) -> list[Entry]:
    """The audit's entries and those of related objects, up to the one that closed it."""
    own = log.about(log.identifier(given.view.row.audit_id))
    closings = [entry for entry in own if entry.act == checked.CLOSING_ACT.decode()]
    if not closings:
        raise UsageError("the log has not closed this audit", "only a finished audit has evidence")
    found = {entry.index: entry for entry in own}
    for name in given.related:
        found |= {entry.index: entry for entry in log.about(log.identifier(name))}
    return [found[index] for index in sorted(found) if index <= closings[-1].index]


def _first_own(log: EvidenceLog, given: PackInput) -> Entry:
    return log.about(log.identifier(given.view.row.audit_id))[0]


def _checkpoint_after(log: EvidenceLog, index: int) -> int:
    """Size of the first checkpoint that covers entry `index`: entries of one step share it."""
    size = index + 1
    while size < log.size and log.entries(size, 1)[0].first != size:
        size += 1
    return size


def suggested_name(view: AuditView) -> str:
    """A file name for the pack of an audit."""
    parts = (view.row.model, view.row.audit_id, view.verdict.word.value)
    return "evidence-" + "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", part) for part in parts) + ".zip"
