"""The bill of materials: accepted by CycloneDX's own schema, complete, and fair to vendor and site."""

from __future__ import annotations

import copy
from hashlib import sha256
from pathlib import Path
from typing import Any

import pack_standards
import pytest

from appliance.evidence.log import EvidenceLog
from appliance.pack.facts import PackInput
from appliance.views import VerdictWord
from audit_core.claims import ClaimCheck, ClaimKind
from tests.appliance.evidence_case import closed_audit
from tests.appliance.pack.interop_case import CLAIMS, MODEL, closed, document, packed

NAME = "model.cdx.json"


def problem(bill: dict[str, Any]) -> str:
    """What CycloneDX's strict schema has against it; "" where nothing."""
    pytest.importorskip("cyclonedx.validation.json", reason="not shown: needs cyclonedx-python-lib")
    try:
        pack_standards.cyclonedx(bill, {})
    except pack_standards.Refused as refused:
        return str(refused)
    return ""


def referred(value: Any, key: str) -> list[str]:
    """All strings under one key, at any depth."""
    if isinstance(value, dict):
        own = value.get(key, [])
        here = [own] if isinstance(own, str) else [one for one in own if isinstance(one, str)]
        return here + [one for item in value.values() for one in referred(item, key)]
    return [one for item in value for one in referred(item, key)] if isinstance(value, list) else []


def claims_of(bill: dict[str, Any]) -> dict[str, Any]:
    """The declared claims by the last part of their reference."""
    return {one["bom-ref"].rpartition("/")[2]: one for one in bill["declarations"]["claims"]}


def test_the_schema_accepts_it_and_refuses_a_broken_one(members: dict[str, bytes]) -> None:
    """CycloneDX 1.6, strict; a hash of another length, an unknown field, a score of 2 are refused."""
    bill = document(members, NAME)
    assert "" == problem(bill)
    for break_it in (
        lambda one: one["metadata"]["component"]["components"][0]["hashes"][0].update(content="00"),
        lambda one: one["declarations"].update(verdict="PASS"),
        lambda one: one["declarations"]["attestations"][0]["map"][0]["conformance"].update(score=2),
        lambda one: one.update(serialNumber="1"),
    ):
        broken = copy.deepcopy(bill)
        break_it(broken)
        assert problem(broken)


def test_references_are_unique_and_lead_somewhere(members: dict[str, bytes]) -> None:
    """Each bom-ref once; every target, assessor, piece of evidence and requirement that is named is there."""
    bill = document(members, NAME)
    names = referred(bill, "bom-ref")
    assert len(set(names)) == len(names)
    keys = ("ref", "dependsOn", "target", "assessor", "requirement", "claims", "counterClaims", "evidence")
    pointing = {one for key in (*keys, "counterEvidence") for one in referred(bill, key)}
    assert set() == pointing - set(names)


def test_every_file_stands_with_its_digest(members: dict[str, bytes]) -> None:
    """Files of the model, of what it was made from, and of the adapter it depends on."""
    bill = document(members, NAME)
    model = bill["metadata"]["component"]
    parts = {
        "files": model,
        "base_files": model["pedigree"]["ancestors"][0],
        "adapter_files": bill["components"][0],
    }
    for key, part in parts.items():
        found = {one["name"]: one["hashes"][0]["content"] for one in part["components"]}
        assert MODEL[key] == found
    assert ("machine-learning-model", "lumen-vlm", "2") == (model["type"], model["name"], model["version"])
    assert "Lumen" == model["supplier"]["name"] == bill["metadata"]["supplier"]["name"]
    released = {one["name"]: one["value"] for one in model["properties"]}["gradaudit:released"]
    assert "2026-03-01" == released
    assert [{"ref": "model", "dependsOn": ["adapter"]}, {"ref": "adapter"}] == bill["dependencies"]


def test_what_it_links_to_is_in_the_pack(members: dict[str, bytes]) -> None:
    """Results and statement by the digest of the bytes beside it; the evidence names the results' digest."""
    bill = document(members, NAME)
    for one in bill["metadata"]["component"]["externalReferences"]:
        assert sha256(members[one["url"]]).hexdigest() == one["hashes"][0]["content"]
    evidence = {one["bom-ref"]: one for one in bill["declarations"]["evidence"]}
    assert sha256(members["results.json"]).hexdigest() in evidence["evidence-results"]["description"]
    assert bill["metadata"]["timestamp"] == evidence["evidence-log-entry"]["created"]


def test_claims_stand_against_the_measurement(members: dict[str, bytes]) -> None:
    """Contradicted ones have counter-evidence and the score 0, one that no audit tests has neither."""
    bill = document(members, NAME)
    claims = claims_of(bill)
    assert {"claim-of-the-audit", "C-1", "C-2", "C-3"} == set(claims)
    assert "data sheet 2.1" in claims["C-1"]["predicate"]
    assert ["evidence-results", "evidence-log-entry"] == claims["C-3"]["counterEvidence"]
    assert not {"evidence", "counterEvidence"} & set(claims["C-2"])
    maps = {
        one["claims"][0].rpartition("/")[2]: one for one in bill["declarations"]["attestations"][0]["map"]
    }
    assert (0, ["claim-of-the-audit"]) == (maps["C-3"]["conformance"]["score"], maps["C-3"]["counterClaims"])
    assert "score" not in maps["C-2"]["conformance"]
    assert 0 == maps["claim-of-the-audit"]["conformance"]["score"]
    assert "affirmation" not in bill["declarations"]


@pytest.mark.parametrize(
    ("word", "side"),
    [
        (VerdictWord.FAIL, "counterEvidence"),
        (VerdictWord.REVIEW, "counterEvidence"),
        (VerdictWord.PASS, "evidence"),
        (VerdictWord.INCONCLUSIVE, None),
        (VerdictWord.VOID, None),
    ],
)
def test_a_verdict_answers_not_trained_and_void_answers_nothing(
    tmp_path: Path, word: VerdictWord, side: str | None
) -> None:
    """FAIL and REVIEW speak against the claim, PASS for it; only FAIL has a score, and none scores 1."""
    claims = (CLAIMS[0],)
    bill = document(packed(*closed(tmp_path / "log", word, claims)), NAME)
    assert "" == problem(bill)
    claim = claims_of(bill)["C-1"]
    assert [side] * (side is not None) == [key for key in ("evidence", "counterEvidence") if key in claim]
    scores = [one["conformance"].get("score") for one in bill["declarations"]["attestations"][0]["map"]]
    assert ([0, 0] if word is VerdictWord.FAIL else [None, None]) == scores
    answered = word not in (VerdictWord.VOID, VerdictWord.INCONCLUSIVE)
    assert answered == ("quantitativeAnalysis" in bill["metadata"]["component"]["modelCard"])


def test_a_vendor_reads_nothing_of_patients(site: tuple[EvidenceLog, PackInput]) -> None:
    """No count, no source that the site typed, no digest of what is withheld; and still a valid bill."""
    full, vendor = packed(*site), packed(*site, "vendor")
    bill = document(vendor, NAME)
    assert "" == problem(bill)
    text = vendor[NAME].decode()
    for word in (
        "21 of 46",
        "46 patients",
        "data sheet",
        "annex B",
        sha256(full["results.json"]).hexdigest(),
    ):
        assert word not in text
    assert document(full, NAME)["serialNumber"] != bill["serialNumber"]


def test_little_known_is_still_a_bill_and_the_same_each_time(
    tmp_path: Path, members: dict[str, bytes]
) -> None:
    """A model registered without vendor claims, version or run record; built twice it has the same bytes."""
    log, given = closed_audit(tmp_path / "log")
    made = packed(log, given)
    bill = document(made, NAME)
    assert ["claim-of-the-audit"] == [one["bom-ref"] for one in bill["declarations"]["claims"]]
    assert made[NAME] == packed(log, given)[NAME]
    assert bill["serialNumber"] != document(members, NAME)["serialNumber"]


def test_a_claim_without_a_kind_it_knows_is_not_invented(tmp_path: Path) -> None:
    """Privacy claimed and not tested: silence, and no number that would look like an answer."""
    claims = (ClaimCheck("C-9", ClaimKind.PRIVATE, "leaflet", 3.0, 1e-5),)
    bill = document(packed(*closed(tmp_path / "log", VerdictWord.PASS, claims)), NAME)
    claim = claims_of(bill)["C-9"]
    assert not {"evidence", "counterEvidence"} & set(claim)
    assert "says nothing" in claim["reasoning"]
