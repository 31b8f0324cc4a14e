"""The log extract as FHIR: accepted by the packaged model of R4B, and the same entries as the extract."""

from __future__ import annotations

import copy
import json
from typing import Any

import pack_standards
import pytest

from appliance.evidence.audit_events import audit_event
from appliance.evidence.entries import Act, decode, encode
from appliance.evidence.log import EvidenceLog
from appliance.pack.facts import PackInput
from tests.appliance.pack.interop_case import document, packed

NAME = "log/audit-events.fhir.json"
# DICOM PS3.16 CID 400 as far as used; PS3.15 A.5.3 says which actions each may have
ACTIONS = {
    "110100": "E", "110101": "R", "110103": "CRUD", "110106": "R", "110107": "C", "110110": "CRUD",
    "110113": "E", "110114": "E",
}  # fmt: skip


def validated(bundle: dict[str, Any]) -> None:
    """The bundle by the library's model; raises Refused where it is none."""
    pytest.importorskip("fhir.resources.R4B.bundle", reason="not shown: needs fhir.resources")
    pack_standards.fhir(bundle, {})


def test_the_library_accepts_it_and_refuses_a_broken_one(members: dict[str, bytes]) -> None:
    """R4B's own model takes the bundle; without a time, with an unknown element or of no kind it does not."""
    bundle = document(members, NAME)
    validated(bundle)
    assert "collection" == bundle["type"]
    for break_it in (
        lambda one: one["entry"][0]["resource"].pop("recorded"),
        lambda one: one["entry"][0]["resource"]["source"].pop("observer"),
        lambda one: one["entry"][0]["resource"].update(patient="x"),
        lambda one: one.pop("type"),
    ):
        broken = copy.deepcopy(bundle)
        break_it(broken)
        with pytest.raises(pack_standards.Refused, match="validation error"):
            validated(broken)


def test_it_holds_the_extract_and_nothing_else(members: dict[str, bytes]) -> None:
    """One event for each line of the extract, in order, with its digests and under an id that stays."""
    lines = [json.loads(line) for line in members["log/entries.jsonl"].splitlines()]
    bundle = document(members, NAME)
    events = [one["resource"] for one in bundle["entry"]]
    assert [f"entry-{line['id']}" for line in lines] == [event["id"] for event in events]
    assert [line["utc"] for line in lines] == [event["recorded"] for event in events]
    last = events[-1]
    assert ("audit.close", "FAIL") == (last["subtype"][0]["code"], last["outcomeDesc"])
    details = {one["type"]: one["valueString"] for one in last["entity"][0]["detail"]}
    assert (lines[-1]["policy"], lines[-1]["result"]) == (details["policy_digest"], details["result_root"])
    assert len({one["fullUrl"] for one in bundle["entry"]}) == len(events)
    assert lines[-1]["utc"] == bundle["timestamp"]


def test_the_same_bytes_each_time_and_other_ids_for_another_edition(
    site: tuple[EvidenceLog, PackInput], members: dict[str, bytes]
) -> None:
    """Built again it is the same; a pack that shows less is another document."""
    again, vendor = packed(*site), packed(*site, "vendor")
    assert members[NAME] == again[NAME]
    assert document(members, NAME)["id"] != document(vendor, NAME)["id"]


@pytest.mark.parametrize(
    ("act", "outcome", "actor", "said"),
    [
        ("workspace.unlock", "refused", "anonymous", ("110114", "E", "4", "humanuser")),
        ("workspace.backup", "done", "operator", ("110106", "R", "0", "humanuser")),
        ("workspace.verify", "failed", "machine", ("110100", "E", "8", "dataprocessor")),
        ("user.add", "done", "officer", ("110113", "E", "0", "humanuser")),
        ("studies.ingest", "done", "operator", ("110107", "C", "0", "humanuser")),
        ("studies.show", "ok", "auditor", ("110103", "R", "0", "humanuser")),
        ("findings.reveal", "allowed", "officer", ("110110", "R", "0", "humanuser")),
        ("patient.erase", "done", "officer", ("110110", "D", "0", "humanuser")),
        ("log.view", "ok", "officer", ("110101", "R", "0", "humanuser")),
        ("log.prune", "done", "officer", ("110113", "E", "0", "humanuser")),
        ("clock.back", "noted", "system", ("110113", "E", "0", "dataprocessor")),
        ("audit.run", "begins", "worker", ("110100", "E", "0", "dataprocessor")),
    ],
)
def test_codes_are_those_of_dicom(act: str, outcome: str, actor: str, said: tuple[str, ...]) -> None:
    """Type, action, outcome and kind of agent, by act."""
    event = audit_event(decode(encode(Act(act, outcome=outcome, actor=actor), 3, 3, 0, 0)), "log")
    found = (event["type"]["code"], event["action"], event["outcome"])
    assert said == (*found, event["agent"][0]["type"]["coding"][0]["code"])
    assert event["action"] in ACTIONS[event["type"]["code"]]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": event}]}
    validated(bundle)
