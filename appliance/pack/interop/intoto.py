"""How an audit was run: an in-toto statement of SLSA provenance, in a DSSE envelope signed by the log's key.

Its subject is what the run made: the results. Model files, policy, cohort, code and packages are what it was
made from. docs/decisions/run-as-provenance.md says why it is no test result of the model's files.
"""

from __future__ import annotations

import shlex
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from appliance.evidence.entries import Entry
from appliance.evidence.verify_evidence import canonical
from appliance.pack.editions import FULL
from appliance.pack.facts import Members, PackFacts, digest
from appliance.pack.interop.naming import OWN, committed, opening
from appliance.policy_file import SPIKE_IN_NAME

NAME: Final = "run.intoto.json"
PAYLOAD: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PROVENANCE: Final = "https://slsa.dev/provenance/v1"
RUN: Final = f"{OWN}:run:1"
_POLICY: Final = "policy.toml"
_RESULTS: Final = ("results.json", "results.disclosed.json")
_PARTS: Final = (("files", "model"), ("base_files", "base"), ("adapter_files", "adapter"))
_CODE: Final = "gradaudittree"  # SHA-256 over path and digest of each file of the code; no digest of one file


def members(facts: PackFacts, so_far: Members) -> Members:
    """The envelope; nothing where the pack withholds its subject, the results, as a whole."""
    shown = committed(so_far)
    subject = [_described(name, sha256=value) for name, value in shown.items() if name in _RESULTS]
    if not subject:
        return {}
    statement = {
        "_type": STATEMENT,
        "subject": subject,
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": RUN,
                "externalParameters": _asked(facts),
                "internalParameters": _inside(facts),
                "resolvedDependencies": _made_from(facts, shown),
            },
            "runDetails": _ran(facts, so_far),
        },
    }
    payload = canonical(statement)
    signature = facts.log.sign_statement(PAYLOAD, payload)
    envelope = {
        "payload": b64encode(payload).decode(),
        "payloadType": PAYLOAD,
        "signatures": [{"keyid": facts.log.key_id, "sig": b64encode(signature).decode()}],
    }
    return {NAME: canonical(envelope)}


def _asked(facts: PackFacts) -> dict[str, Any]:
    """What somebody chose, and the command that asks for the same again, beside this pack's policy."""
    row = facts.view.row
    chosen = {"model": row.model, "policy": row.policy}
    if facts.edition != FULL:
        return chosen
    words = ["gradaudit", "audit", "run", "--model", row.model, "--cohort", row.cohort, "--policy", _POLICY]
    if row.policy.endswith(SPIKE_IN_NAME):
        words.append("--spike-in")
    return {**chosen, "cohort": row.cohort, "replay": shlex.join(words)}


def _inside(facts: PackFacts) -> dict[str, Any]:
    """What the run was under: seed, machine, box, who asked for it, and both clocks of the log."""
    run = facts.given.run
    first = opening(facts)
    return {
        **{name: run[name] for name in ("seed", "python", "machine", "hardware") if name in run},
        "isolation": dict(facts.view.isolation),
        "operator": first.actor,
        "log": {"begins": _moment(first), "closes": _moment(facts.closing)},
    }


def _moment(entry: Entry) -> dict[str, Any]:
    return {"entry": entry.index, "utc": entry.claimed_utc, "boot_ns": str(entry.boot_ns)}


def _made_from(facts: PackFacts, shown: Mapping[str, str]) -> list[dict[str, Any]]:
    model, run = facts.given.model, facts.given.run
    found = [
        _described(f"{part}/{name}", sha256=value)
        for key, part in _PARTS
        for name, value in sorted(model.get(key, {}).items())
    ]
    found += [_described(name, sha256=value) for name, value in shown.items() if name not in _RESULTS]
    if "code" in run:
        found.append(_described("gradaudit-appliance", **{_CODE: run["code"]}))
    lock = run.get("lock", {})
    if lock.get("sha256"):
        found.append(_described("requirements.lock", sha256=lock["sha256"]))
    packages = lock.get("packages") or run.get("packages", {})
    found += [{"name": name, "uri": f"pkg:pypi/{name}@{held}"} for name, held in sorted(packages.items())]
    return found


def _ran(facts: PackFacts, so_far: Members) -> dict[str, Any]:
    version = facts.given.run.get("appliance")
    builder: dict[str, Any] = {"id": f"{OWN}:appliance"}
    return {
        "builder": builder | ({"version": {"gradaudit-appliance": version}} if version else {}),
        "metadata": {
            "invocationId": f"{OWN}:audit:{facts.view.row.audit_id}",
            "startedOn": opening(facts).claimed_utc,
            "finishedOn": facts.closed_utc,
        },
        "byproducts": [
            _described(name, sha256=digest(so_far[name]))
            for name in ("log/checkpoint", "log/entries.jsonl")
            if name in so_far
        ],
    }


def _described(name: str, **digests: str) -> dict[str, Any]:
    return {"name": name, "digest": digests}
