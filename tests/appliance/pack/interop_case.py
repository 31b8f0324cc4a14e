"""A closed audit whose pack the standards' validators look at."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack import building
from appliance.pack.facts import PackInput
from appliance.views import VerdictWord
from audit_core.claims import ClaimCheck, ClaimFinding, ClaimKind
from tests.appliance import evidence_case

CLAIMS = (
    ClaimCheck("C-1", ClaimKind.NOT_TRAINED, "data sheet 2.1"),
    ClaimCheck("C-2", ClaimKind.DE_IDENTIFIED, "contract, annex B"),
    ClaimCheck(
        "C-3", ClaimKind.PRIVATE, "data sheet 2.1", 1.0, 1e-5, 1.2, "RDP, opacus 1.6.0", 1.82, 1.0, 0.95,
        "patients", ClaimFinding.CONTRADICTED, "Epsilon is at least 1.82, the claim allows 1.",
    ),
)  # fmt: skip
MODEL = {
    "name": "lumen-vlm", "family": "llava", "architecture": "LlavaForConditionalGeneration",
    "parameters": 2113408,
    "preprocessor": sha256(b"preprocessor").hexdigest(), "vendor": "Lumen", "released": "2026-03-01",
    "line": "lumen-vlm", "version": 2, "replaces": "lumen-vlm@1",
    "found": "unannounced", "changed": ["weights"],
    "files": {name: sha256(name.encode()).hexdigest() for name in ("config.json", "model.safetensors")},
    "base_files": {"model.safetensors": sha256(b"base").hexdigest()},
    "adapter_files": {"adapter_model.safetensors": sha256(b"adapter").hexdigest()},
}  # fmt: skip
RUN = {
    "code": sha256(b"code").hexdigest(), "appliance": "0.1.0", "packages": {"torch": "2.13.0"},
    "python": "3.11.9",
    "lock": {"sha256": sha256(b"lock").hexdigest(), "packages": {"torch": "2.13.0"}, "not_as_locked": []},
    "machine": "x86_64", "hardware": {"processor": "P", "cores": 2, "memory_gib": 8}, "seed": 7,
}  # fmt: skip


def closed(
    folder: Path, word: VerdictWord = VerdictWord.FAIL, claims: tuple[ClaimCheck, ...] = CLAIMS
) -> tuple[EvidenceLog, PackInput]:
    """A log in which an audit with vendor claims, base, adapter and a full run record closed."""
    log = evidence_case.small_log(folder)
    view = evidence_case.view(word)
    given = PackInput(
        view=replace(view, result=replace(view.result, claims=claims)),
        site="St. Example",
        policy_text=evidence_case.POLICY,
        model=MODEL,
        data={"counts": {"target": 46}},
        run=RUN,
        salt_seed=bytes(range(32)),
        related=("model 1",),
    )
    actor = f"officer:{log.identifier('user')}"
    log.append("audit.run", log.identifier(evidence_case.AUDIT), "begins", actor=actor)
    log.append("models.add", log.identifier("model 9"), "refused")
    building.close_audit(log, given, actor)
    return log, given


def packed(
    log: EvidenceLog, given: PackInput, edition: str = "full", withhold: tuple[str, ...] = ()
) -> dict[str, bytes]:
    """The members of the audit's pack."""
    members, _ = checked.split_zip(building.build(log, given, edition, withhold))
    return members


def document(members: dict[str, bytes], name: str) -> Any:
    """A member as JSON; a float anywhere in it fails."""

    def refused(text: str) -> None:
        raise AssertionError(f"{name} holds the number {text}")

    return json.loads(members[name], parse_float=refused, parse_constant=refused)
