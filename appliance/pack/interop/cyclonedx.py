"""The audited model as a bill of materials: CycloneDX 1.6 with a model card and declarations.

Every file by its digest, the model before fine-tuning as ancestor, the adapter as what it depends on. The
model card holds what the site knows or measured, and nothing that a vendor would have to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from appliance.evidence.verify_evidence import canonical
from appliance.pack.editions import FULL
from appliance.pack.facts import Members, PackFacts, digest
from appliance.pack.interop.declarations import NO_ANSWER, declarations, standard
from appliance.pack.interop.naming import committed, stable_uuid
from appliance.pack.pages import wording
from appliance.words.table import tell

NAME: Final = "model.cdx.json"
SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
VERSION: Final = "1.6"
_MODEL, _BASE, _ADAPTER = "model", "base", "adapter"
_KIND: Final = "machine-learning-model"
_LINKED: Final = {"results": "evidence", "model": "evidence", "run": "attestation"}


def members(facts: PackFacts, so_far: Members) -> Members:
    """The bill of materials of the model that was audited."""
    shown = committed(so_far)
    results = {name: value for name, value in shown.items() if name.startswith("results.")}
    bare = _about_model(facts)
    model = {"bom-ref": _MODEL, **bare, **_made_of(facts), "modelCard": _card(facts)}
    linked = _linked(so_far)
    document = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": VERSION,
        "serialNumber": f"urn:uuid:{stable_uuid(facts, so_far, NAME)}",
        "version": 1,
        "metadata": _metadata(facts, model | ({"externalReferences": linked} if linked else {})),
        **_adapter(facts),
        "declarations": declarations(facts, bare, results),
        "definitions": {"standards": [standard(facts)]},
    }
    return {NAME: canonical(document)}


def _metadata(facts: PackFacts, model: Mapping[str, Any]) -> dict[str, Any]:
    run = facts.given.run
    tool = {"type": "application", "name": "gradaudit-appliance"}
    tool |= {"version": str(run["appliance"])} if "appliance" in run else {}
    code = {"properties": _properties(code=run.get("code"))} if "code" in run else {}
    return {
        "timestamp": facts.closed_utc,
        "lifecycles": [{"phase": "operations"}],
        "tools": {"components": [{**tool, **code}]},
        "component": model,
        **_supplier(facts),
        "properties": _properties(
            audit=facts.view.row.audit_id,
            edition=facts.edition,
            log=facts.log.key_id,
            policy=facts.view.policy_digest,
            verdict=facts.view.verdict.word.value,
        ),
    }


def _supplier(facts: PackFacts) -> dict[str, Any]:
    vendor = str(facts.given.model.get("vendor", ""))
    return {"supplier": {"name": vendor}} if vendor else {}


def _about_model(facts: PackFacts) -> dict[str, Any]:
    """Name, version, supplier and what else was registered, without the files."""
    given = facts.given.model
    version = {"version": str(given["version"])} if "version" in given else {}
    return {
        "type": _KIND,
        "name": facts.view.row.model,
        **version,
        **_supplier(facts),
        "properties": _properties(
            digest=facts.view.model_digest,
            line=given.get("line"),
            released=given.get("released"),
            replaces=given.get("replaces"),
            changed=", ".join(given.get("changed", ())),
            preprocessor=given.get("preprocessor"),
        ),
    }


def _made_of(facts: PackFacts) -> dict[str, Any]:
    """The model's own files, and the model it was made from."""
    given = facts.given.model
    found: dict[str, Any] = {"components": _files(_MODEL, given.get("files", {}))}
    if base := given.get("base_files"):
        ancestor = {
            "bom-ref": _BASE,
            "type": _KIND,
            "name": f"{facts.view.row.model}, {_BASE}",
            "description": tell("bom.base"),
            "components": _files(_BASE, base),
        }
        found["pedigree"] = {"ancestors": [ancestor]}
    return found


def _adapter(facts: PackFacts) -> dict[str, Any]:
    """The adapter as a component that the model depends on; without one the model depends on nothing."""
    files = facts.given.model.get("adapter_files")
    if not files:
        return {"dependencies": [{"ref": _MODEL}]}
    adapter = {
        "bom-ref": _ADAPTER,
        "type": _KIND,
        "name": f"{facts.view.row.model}, {_ADAPTER}",
        "description": tell("bom.adapter"),
        "components": _files(_ADAPTER, files),
    }
    return {
        "components": [adapter],
        "dependencies": [{"ref": _MODEL, "dependsOn": [_ADAPTER]}, {"ref": _ADAPTER}],
    }


def _files(part: str, digests: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"bom-ref": f"{part}/{name}", "type": "file", "name": name, "hashes": _hashes(value)}
        for name, value in sorted(digests.items())
    ]


def _card(facts: PackFacts) -> dict[str, Any]:
    given = facts.given.model
    known = {"architectureFamily": given.get("family"), "modelArchitecture": given.get("architecture")}
    card: dict[str, Any] = {"modelParameters": {name: value for name, value in known.items() if value}}
    if parameters := given.get("parameters"):
        card["properties"] = _properties(parameters=parameters)
    if metrics := _metrics(facts):
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    return card


def _metrics(facts: PackFacts) -> list[dict[str, Any]]:
    """What the audit measured of the model: nothing for a vendor, and nothing of a run without an answer."""
    result = facts.view.result
    if facts.edition != FULL or facts.view.verdict.word in NO_ANSWER:
        return []
    found: list[dict[str, Any]] = []
    if result.exposure is not None:
        found.append({"type": tell("bom.metric.flagged"), "value": wording.flagged_of(result.exposure)})
    for one in result.detectors:
        if one.decides and one.reference_auroc is not None:
            auroc: dict[str, Any] = {"type": tell("bom.metric.auroc"), "value": f"{one.reference_auroc:.2f}"}
            if interval := one.reference_auroc_ci:
                auroc["confidenceInterval"] = {
                    "lowerBound": f"{interval.low:.2f}",
                    "upperBound": f"{interval.high:.2f}",
                }
            found.append(auroc)
    return found


def _linked(so_far: Members) -> list[dict[str, Any]]:
    """Members beside this one that speak of the model, by name and digest."""
    return [
        {"type": _LINKED[name.partition(".")[0]], "url": name, "hashes": _hashes(digest(so_far[name]))}
        for name in sorted(so_far)
        if name.endswith(".json") and name.partition(".")[0] in _LINKED
    ]


def _hashes(value: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": value}]


def _properties(**values: object) -> list[dict[str, str]]:
    """Named values of our own; those that are not known are left out."""
    return [
        {"name": f"gradaudit:{name}", "value": str(value)} for name, value in sorted(values.items()) if value
    ]
