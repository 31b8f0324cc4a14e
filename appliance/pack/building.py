"""The evidence pack: one ZIP with verdict, numbers, policy, log extract and proofs, verifiable alone.

Nothing in it depends on when or where it is written, but for what witnesses have cosigned since: the same
audit under the same cosignatures gives the same bytes. It holds no patient, no pseudonym and no score of one.

Closing an audit commits the log to the salted leaves of five members (`data.json`, `model.json`,
`policy.toml`, `records.json`, `results.json`) before there is a pack; the pack's manifest lists all members
but itself and is signed by the log's key. So each byte hangs on a signature, nothing has to contain its own
digest, and a pack may withhold leaves: docs/spec/pack.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Entry
from appliance.evidence.log import EvidenceLog
from appliance.evidence.whole_file import whole_file
from appliance.evidence.witnesses import cosigned
from appliance.pack.editions import FULL, cut
from appliance.pack.facts import PackFacts, PackInput
from appliance.pack.leaves import commitment, documents
from appliance.pack.leaving import grouped, projected, untold
from appliance.pack.parts import PARTS
from appliance.views import AuditView, plain

_DIGITS = 6  # significant; what two machines may differ in lies below


def committed_members(given: PackInput) -> dict[str, bytes]:
    """The members that the log commits to when the audit closes: four, and the site's records where kept."""
    given = projected(given)
    if sha256(given.policy_text).hexdigest() != given.view.policy_digest:
        raise IntegrityError("the policy text is not the one the audit ran under", "look at the policy file")
    kept = given.records if given.salt_seed else {}
    records = {checked.RECORDS: _json({"format": "gradaudit-records-1", **kept})} if kept else {}
    return records | {
        "data.json": _json({"format": "gradaudit-data-1", **given.data}),
        "model.json": _json(
            {"format": "gradaudit-model-1", "digest": given.view.model_digest, **given.model}
        ),
        "policy.toml": given.policy_text,
        "results.json": _json(_results(given)),
    }


def close_audit(
    log: EvidenceLog, given: PackInput, actor: str = "system", findings_digest: str = ""
) -> Entry:
    """Write the entry that closes an audit: its verdict, its policy, and the digest of all it rests on.

    Args:
        findings_digest: hex SHA-256 of what it sealed about single patients.

    Raises:
        IntegrityError: the log has closed it already; otherwise as `EvidenceLog.append`.
    """
    committed = committed_members(given)
    handle = log.identifier(given.view.row.audit_id)
    for entry in log.about(handle):
        if entry.act == checked.CLOSING_ACT.decode():
            raise IntegrityError(
                f"entry {entry.index} of the log closed this audit already, with {entry.outcome}",
                "an audit is closed once; run a new one",
            )
    return log.append(
        checked.CLOSING_ACT.decode(),
        handle,
        given.view.verdict.word.value,
        actor=actor,
        policy_digest=given.view.policy_digest,
        detail_digest=findings_digest,
        result_root=commitment(committed, documents(given.salt_seed, committed)),
    )


def build(log: EvidenceLog, given: PackInput, edition: str = FULL, withhold: Collection[str] = ()) -> bytes:
    """The pack of a closed audit, under the checkpoint that closed it.

    Args:
        edition: "full", or "vendor": without anything about patients.
        withhold: committed members, or parts of them, that are withheld besides: `data.json`,
            `results.json#/result/exposure`. What is made of them is left out.

    Raises:
        UsageError: the log has not closed this audit; no such edition, or nothing of that name to withhold.
        IntegrityError: the audit is not the one that was closed, or the pack does not verify.
    """
    given = projected(given)
    committed = committed_members(given)
    entries = _entries(log, given)
    closing = entries[-1]
    parted = documents(given.salt_seed, committed)
    if closing.result_root != commitment(committed, parted):
        raise IntegrityError(
            "the stored audit is not the one whose verdict was logged",
            "run `gradaudit log verify`; do not export",
        )
    shown = cut(given, parted, committed, edition, withhold)
    size = _checkpoint_after(log, closing.index)
    facts = PackFacts(shown.given, log, tuple(entries), size, edition, shown.withheld)
    members = {**shown.members, **_log_extract(facts)}
    left_out: list[str] = []
    for part in PARTS:
        made = part(facts, members)
        left_out += [name for name in made if not shown.kept(name)]
        members |= {name: data for name, data in made.items() if shown.kept(name)}
    members[checked.DISCLOSURE] = _json({**shown.disclosure, "left_out": sorted(left_out)})
    members["manifest.json"] = _json(
        {
            "audit": given.view.row.audit_id,
            "edition": edition,
            "format": "gradaudit-pack-2",
            "members": {name: sha256(data).hexdigest() for name, data in members.items()},
            "run": _run(shown.given),
        }
    )
    members["manifest.note"] = log.sign_manifest(members["manifest.json"])
    pack = checked.build_zip(members)
    try:
        checked.check_pack(pack)
    except checked.Broken as broken:  # what would not verify elsewhere must not leave here
        raise IntegrityError(f"the pack does not verify: {broken}", "run `gradaudit log verify`") from broken
    return pack


def _run(shown: PackInput) -> dict[str, Any]:
    """How the audit was run, and how long each phase took where that is shown."""
    timings = {step.phase: step.seconds for step in shown.view.result.timings}
    return {**({"timings": timings} if timings else {}), **shown.run}


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
    } | cosigned_members(log, size)


def cosigned_members(log: EvidenceLog, size: int) -> dict[str, bytes]:
    """What witnesses have cosigned since: later states, each proven to contain the pack's."""
    found = [
        {
            "consistency": [step.hex() for step in log.prove_growth(size, seen.checkpoint.size)],
            "witness": witness.data().decode(),
        }
        for witness, seen in cosigned(log, size)
    ]
    return {checked.COSIGNED: _json(found)} if found else {}


def write(
    log: EvidenceLog, given: PackInput, path: Path, edition: str = FULL, withhold: Collection[str] = ()
) -> Path:
    """Build the pack and put it at `path`, all of it or nothing.

    Raises:
        UsageError: the folder is not there or cannot be written; otherwise as `build`.
    """
    put(build(log, given, edition, withhold), path)
    return path


def put(data: bytes, path: Path) -> None:
    """A file of these bytes, all of it or nothing.

    Raises:
        UsageError: the folder is not there or cannot be written.
    """
    with whole_file(path) as stream:
        stream.write(data)


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


def _results(given: PackInput) -> dict[str, Any]:
    """The audit without what changes from run to run: timings stand in the manifest."""
    view, stored = given.view, given.stored
    result = plain(replace(view.result, timings=()))
    if given.salt_seed:
        result["counts"] = grouped(result["counts"], untold(given.data.get("patients_by_role", {})))
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
    return file_name("evidence", view.row.model, view.row.audit_id, view.verdict.word.value)


def file_name(*parts: str) -> str:
    """A file name of these parts, whatever signs are in them."""
    return "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", part) for part in parts) + ".zip"
