"""What an evidence pack says of model, data and run: gathered when the audit closes, then fixed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from secrets import token_hex
from typing import Any

from appliance.designs.shelf import assignments
from appliance.evidence.log import EvidenceLog
from appliance.pack import leaving
from appliance.pack.facts import PackInput
from appliance.policies.shelf import about
from appliance.registry import ModelRecord
from appliance.sanitise import safe
from appliance.views import AuditView
from appliance.workspace.rows import StoredAudit
from appliance.workspace.workspace import Workspace
from audit_core.results import Finding, Role, Score
from medio.projection import modality, year
from medio.records import Cohort

_PACKAGES = ("torch", "transformers", "monai", "pydicom", "scikit-learn", "numpy", "scipy", "cryptography")
_CODE = ("audit_core", "medio", "appliance", "tui")
_KINDS = frozenset({".json", ".py", ".service", ".tcss", ".timer", ".toml"})
_APART = frozenset({"__pycache__", "assets"})  # what Python writes; studies and models of the demonstration
_ROOT = Path(__file__).resolve().parent.parent.parent
_PIN = re.compile(r"^([a-z0-9._-]+)==([a-z0-9.]+)$", re.MULTILINE)


def described(workspace: Workspace, model: ModelRecord, cohort: Cohort, seed: int) -> dict[str, Any]:
    """The parts of a pack that are stored with the audit. No patient, no pseudonym, no path."""
    return {
        "model": _model(model),
        "data": _data(workspace, cohort),
        "run": _run(seed),
        "salt_seed": token_hex(32),  # of the leaves that the log commits to; it leaves the site in no pack
    }


def unscored(log: EvidenceLog, audit_id: str, found: Iterable[Finding]) -> list[dict[str, str]]:
    """Pairs that some detector could not score though it ran, each by a digest that hangs on the log's key.

    Why a score is missing stays sealed with the finding, as the reason may name a pseudonym.
    """
    pairs = [one for one in found if one.role is not Role.CANARY]
    ran = {name for one in pairs for name, score in one.scores.items() if isinstance(score, Score)}
    missing = {
        log.identifier(f"unscored {audit_id} {one.pair_id}"): sorted(
            name for name in ran if not isinstance(one.scores.get(name), Score)
        )
        for one in pairs
    }
    return [
        {"pair": digest, "detectors": ", ".join(names)} for digest, names in sorted(missing.items()) if names
    ]


def pack_input(workspace: Workspace, stored: StoredAudit, view: AuditView) -> PackInput:
    """A finished audit as the pack needs it."""
    document: Mapping[str, Any] = stored.result or {}
    return PackInput(
        view=view,
        site=workspace.site_name,
        policy_text=str(document["policy_text"]).encode(),
        model=document["pack"]["model"],
        data=document["pack"]["data"],
        run=document["pack"]["run"],
        records=document["pack"].get("records", {}),
        salt_seed=bytes.fromhex(document["pack"].get("salt_seed", "")),
        stored=document["result"],
        related=(
            stored.model,
            stored.cohort,
            about(str(stored.digests.get("asked", {}).get("policy", "")).partition("@")[0]),
            *document["pack"]["data"].get("committed_design", {}).values(),
        ),
    )


def _model(model: ModelRecord) -> dict[str, Any]:
    return {
        "name": model.name,
        "family": model.family,
        "architecture": model.architecture,
        "parameters": model.parameters,
        "preprocessor": model.preprocessor,
        "files": dict(model.digests),
        "base_files": dict(model.base_digests),
        "adapter_files": dict(model.peft_digests),
        "vendor": model.vendor,
        "released": model.released,
        "line": model.line,
        "version": model.version,
        "replaces": model.replaces,
        "found": model.found,
        "changed": list(model.changed),
    }


def _data(workspace: Workspace, cohort: Cohort) -> dict[str, Any]:
    """How the cohort was chosen, in counts. Groups of fewer than five patients are not told apart."""
    pairs = {pair.pair_id: pair for pair in workspace.catalogue.pairs()}
    patients: dict[str, set[str]] = {}
    modalities: dict[str, set[str]] = {}
    for one in cohort.assignments:
        patients.setdefault(str(one.role), set()).add(one.patient)
        modalities.setdefault(modality(pairs[one.pair_id].Modality), set()).add(one.patient)
    years = sorted(year(pairs[one.pair_id].StudyDate) for one in cohort.assignments)
    found = {
        "cohort": cohort.name,
        "cohort_digest": cohort.digest,
        "design": cohort.design,
        "references": cohort.references,
        "seed": cohort.seed,
        "patients_by_role": {role: len(found) for role, found in sorted(patients.items())},
        "pairs_by_role": dict(sorted(Counter(str(one.role) for one in cohort.assignments).items())),
        "patients_by_modality": {term: len(found) for term, found in sorted(modalities.items())},
        "study_years": [years[0], years[-1]],
        **_committed(workspace, cohort),
    }
    return leaving.data(found)


def _committed(workspace: Workspace, cohort: Cohort) -> dict[str, Any]:
    """Commitment -> name of the design behind the cohort, whose log entries go along; nothing without one."""
    names = {one.commitment: one.name for one in assignments(workspace)}
    found = names.get(cohort.commitment)
    return {"committed_design": {cohort.commitment: found}} if found else {}


def _run(seed: int) -> dict[str, Any]:
    return {
        "code": code_digest(),
        "appliance": version("gradaudit-appliance"),
        "packages": {name: version(name) for name in _PACKAGES},
        "lock": _locked(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "hardware": _hardware(),
        "seed": seed,
    }


@cache
def _locked() -> dict[str, Any]:
    """Digest of the lock file, the packages it pins in the versions found, and those found in others.

    An installation without the file has neither: nobody can say then what should be there.
    """
    file = _ROOT / "requirements.lock"
    if not file.is_file():
        return {"sha256": "", "packages": {}, "not_as_locked": []}
    pins = dict(_PIN.findall(file.read_text()))
    found = {}
    for pin in pins:
        with suppress(PackageNotFoundError):  # it stands among those not as locked
            found[pin] = version(pin).partition("+")[0]
    return {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "packages": found,
        "not_as_locked": sorted(pin for pin, wanted in pins.items() if found.get(pin) != wanted),
    }


def _hardware() -> dict[str, Any]:
    """Processor, cores this process may use and memory; no name of the machine."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30),
    }


def _processor() -> str:
    """As the kernel calls it; "" where it does not say."""
    file = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", file.read_text(), re.MULTILINE) if file.exists() else None
    return safe(found[1], 80) if found else ""


@cache
def code_digest() -> str:
    """Hex SHA-256 over every source file of the four packages and the data installed with them, by path."""
    digest = hashlib.sha256()
    for name, content in code_files(_ROOT).items():
        digest.update(f"{name}\0".encode() + content)
    return digest.hexdigest()


def code_files(root: Path) -> dict[str, bytes]:
    """Path below `root` -> SHA-256, of all files that the digest of the code is over, in its order."""
    found = [
        file.relative_to(root)
        for package in _CODE
        for file in (root / package).rglob("*")
        if file.suffix in _KINDS and file.is_file()
    ]
    return {
        file.as_posix(): hashlib.sha256((root / file).read_bytes()).digest()
        for file in sorted(found, key=Path.as_posix)
        if not _APART & set(file.parts)
    }
