"""The run as in-toto provenance: signed as DSSE says, read by in-toto's own messages, and of this pack."""

from __future__ import annotations

import copy
import json
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

import pack_standards
import pytest

from appliance.evidence.log import EvidenceLog
from appliance.pack.facts import PackInput
from tests.appliance.evidence_case import AUDIT, small_log
from tests.appliance.pack.interop_case import MODEL, RUN, document, packed

NAME = "run.intoto.json"


def statement(members: dict[str, bytes]) -> Any:
    """What the envelope holds."""
    return json.loads(b64decode(document(members, NAME)["payload"]))


def verified(envelope: dict[str, Any], log: EvidenceLog) -> None:
    """The signature by the library, under the key that a pack of this log carries; raises Refused."""
    pytest.importorskip("securesystemslib.dsse", reason="not shown: needs securesystemslib")
    pack_standards.envelope(envelope, {"log/verifier-key": log.verifier_key})


def read(said: dict[str, Any]) -> None:
    """A statement through the messages of in-toto and SLSA; raises Refused where it is none."""
    pytest.importorskip("in_toto_attestation", reason="not shown: needs in-toto-attestation")
    pack_standards.statement({"payload": b64encode(json.dumps(said).encode())}, {})


def test_the_signature_is_dsse_by_the_logs_key(
    site: tuple[EvidenceLog, PackInput], members: dict[str, bytes], tmp_path: Any
) -> None:
    """securesystemslib verifies it; not with a changed payload, another type, or another log's key."""
    log, _ = site
    envelope = document(members, NAME)
    verified(envelope, log)
    changed = b64decode(envelope["payload"]).replace(b'"seed":7', b'"seed":8')
    for broken, key in (
        (envelope | {"payload": b64encode(changed).decode()}, log),
        (envelope | {"payloadType": "application/json"}, log),
        (envelope, small_log(tmp_path / "other")),
    ):
        with pytest.raises(pack_standards.Refused):
            verified(broken, key)


def test_in_totos_messages_take_it_and_refuse_a_broken_one(members: dict[str, bytes]) -> None:
    """Statement and provenance by their own messages; not without a digest, of another type, or with more."""
    whole = statement(members)
    read(whole)
    assert "urn:gradaudit:run:1" == whole["predicate"]["buildDefinition"]["buildType"]
    for break_it, said in (
        (lambda one: one["subject"][0]["digest"].clear(), "digest"),
        (lambda one: one.update(_type="https://in-toto.io/Statement/v0.1"), "type"),
        (lambda one: one["predicate"].update(verdict="PASS"), "no field named"),
        (lambda one: one["predicate"]["runDetails"]["metadata"].update(startedOn="yesterday"), "startedOn"),
    ):
        broken = copy.deepcopy(whole)
        break_it(broken)
        with pytest.raises(pack_standards.Refused, match=said):
            read(broken)


def test_it_is_about_this_packs_members_and_these_model_files(members: dict[str, bytes]) -> None:
    """Subject and dependencies by digests of the bytes beside it; every file of model, base and adapter."""
    whole = statement(members)
    digests = {name: sha256(data).hexdigest() for name, data in members.items()}
    assert [{"name": "results.json", "digest": {"sha256": digests["results.json"]}}] == whole["subject"]
    definition = whole["predicate"]["buildDefinition"]
    made_from = {
        one["name"]: one.get("digest", {}).get("sha256") for one in definition["resolvedDependencies"]
    }
    for name in ("data.json", "model.json", "policy.toml"):
        assert digests[name] == made_from[name]
    for key, part in (("files", "model"), ("base_files", "base"), ("adapter_files", "adapter")):
        for name, value in MODEL[key].items():  # type: ignore[attr-defined]
            assert value == made_from[f"{part}/{name}"]
    assert RUN["lock"]["sha256"] == made_from["requirements.lock"]  # type: ignore[index]
    by_products = whole["predicate"]["runDetails"]["byproducts"]
    assert all(digests[one["name"]] == one["digest"]["sha256"] for one in by_products)


def test_it_says_how_to_run_it_again_and_who_ran_it(members: dict[str, bytes]) -> None:
    """The command, the seed, both clocks, and the operator by role and pseudonym."""
    lines = [json.loads(line) for line in members["log/entries.jsonl"].splitlines()]
    predicate = statement(members)["predicate"]
    asked = predicate["buildDefinition"]["externalParameters"]
    assert "gradaudit audit run --model lumen-vlm --cohort demo --policy policy.toml" == asked["replay"]
    inside = predicate["buildDefinition"]["internalParameters"]
    assert (7, "P") == (inside["seed"], inside["hardware"]["processor"])
    assert inside["operator"].startswith("officer:")
    closes = inside["log"]["closes"]
    assert (lines[-1]["boot"], lines[-1]["utc"]) == (closes["boot_ns"], closes["utc"])
    ran = predicate["runDetails"]["metadata"]
    assert (f"urn:gradaudit:audit:{AUDIT}", lines[-1]["utc"]) == (ran["invocationId"], ran["finishedOn"])


def test_a_vendor_sees_no_cohort_and_only_what_its_pack_shows(site: tuple[EvidenceLog, PackInput]) -> None:
    """Digests of withheld members are guesses made checkable: they are not there. The signature holds."""
    log, given = site
    full, vendor = packed(log, given), packed(log, given, "vendor")
    verified(document(vendor, NAME), log)
    text = b64decode(document(vendor, NAME)["payload"]).decode()
    read(json.loads(text))
    withheld = {"results.json", "data.json"}
    assert withheld <= set(full) - set(vendor)
    assert not [name for name in set(full) - set(vendor) if sha256(full[name]).hexdigest() in text]
    assert given.view.cohort_digest not in text
    assert "replay" not in text
    assert ["results.disclosed.json"] == [one["name"] for one in json.loads(text)["subject"]]
    assert NAME not in packed(log, given, withhold=("results.json",))


def test_the_same_bytes_each_time(site: tuple[EvidenceLog, PackInput], members: dict[str, bytes]) -> None:
    """Built again, it is the same, signature and all."""
    assert members[NAME] == packed(*site)[NAME]
