"""The crosswalk as OSCAL assessment results: accepted by trestle's models, and claiming no more than it."""

from __future__ import annotations

import copy
from typing import Any

import pack_standards
import pytest

from appliance.evidence.log import EvidenceLog
from appliance.pack.facts import PackInput
from tests.appliance.pack.interop_case import document, packed

NAME = "crosswalk.oscal.json"


def validated(results: dict[str, Any]) -> None:
    """The document by trestle's model; raises Refused where it is none."""
    pytest.importorskip("trestle.oscal", reason="not shown: needs compliance-trestle")
    pack_standards.oscal(results, {})


def result_of(results: dict[str, Any]) -> dict[str, Any]:
    """The one result of a document."""
    (found,) = results["assessment-results"]["results"]
    assert isinstance(found, dict)
    return found


def test_trestle_accepts_it_and_refuses_a_broken_one(members: dict[str, bytes]) -> None:
    """OSCAL 1.2.1; no time without a zone, no state that there is not, no field too many, no short UUID."""
    results = document(members, NAME)
    validated(results)
    for break_it in (
        lambda one: one["assessment-results"]["metadata"].update({"last-modified": "2026-11-22T01:00:00"}),
        lambda one: result_of(one)["findings"][0]["target"]["status"].update(state="compliant"),
        lambda one: result_of(one).update(verdict="PASS"),
        lambda one: one["assessment-results"].update(uuid="1"),
        lambda one: one["assessment-results"].pop("import-ap"),
        lambda one: one["assessment-results"]["metadata"].update({"oscal-version": "1.1.2"}),
    ):
        broken = copy.deepcopy(results)
        break_it(broken)
        with pytest.raises(pack_standards.Refused):
            validated(broken)


def test_references_lead_somewhere(members: dict[str, bytes]) -> None:
    """Evidence and plan to the back matter, findings to observations, observations to components."""
    results = document(members, NAME)
    inner, result = results["assessment-results"], result_of(results)
    resources = {f"#{one['uuid']}": one for one in inner["back-matter"]["resources"]}
    assert "policy.toml" == resources[inner["import-ap"]["href"]]["title"]
    observations = {one["uuid"]: one for one in result["observations"]}
    components = {one["uuid"] for one in result["local-definitions"]["components"]}
    for one in observations.values():
        assert resources[one["relevant-evidence"][0]["href"]]["title"] == one["title"]
        assert {
            one["subjects"][0]["subject-uuid"],
            one["origins"][0]["actors"][0]["actor-uuid"],
        } <= components
    for finding in result["findings"]:
        assert {one["observation-uuid"] for one in finding.get("related-observations", [])} <= set(
            observations
        )


def test_it_says_what_the_crosswalk_says(members: dict[str, bytes]) -> None:
    """A finding for each clause in scope with its items and digests; satisfied only where it is covered."""
    crosswalk, results = document(members, "crosswalk.json"), document(members, NAME)
    result = result_of(results)
    findings = {one["title"]: one for one in result["findings"]}
    observations = {one["uuid"]: one["title"] for one in result["observations"]}
    digests = {
        one["title"]: one["rlinks"][0]["hashes"][0]["value"]
        for one in results["assessment-results"]["back-matter"]["resources"]
    }
    in_scope = [row for row in crosswalk["clauses"] if row["state"] != "out of scope"]
    assert [f"{row['framework']} {row['clause']}" for row in in_scope] == list(findings)
    for row in in_scope:
        finding = findings[f"{row['framework']} {row['clause']}"]
        seen = [observations[one["observation-uuid"]] for one in finding.get("related-observations", [])]
        assert [item["member"] for item in row["items"]] == seen
        assert all(item["sha256"] == digests[item["member"]] for item in row["items"])
        satisfied = row["state"] == "covered" and row["certain"]
        assert ("satisfied" if satisfied else "not-satisfied") == finding["target"]["status"]["state"]
    assert {"satisfied", "not-satisfied"} == {one["target"]["status"]["state"] for one in result["findings"]}


def test_clauses_have_names_of_their_own(members: dict[str, bytes]) -> None:
    """No two clauses become one identifier, in scope or out of it; each is on one side."""
    selection = result_of(document(members, NAME))["reviewed-controls"]["control-selections"][0]
    sides = [
        [one["control-id"] for one in selection[side]] for side in ("include-controls", "exclude-controls")
    ]
    every = [*sides[0], *sides[1]]
    assert len(set(every)) == len(every) == len(document(members, "crosswalk.json")["clauses"])
    assert sides[0] == [one["target"]["target-id"] for one in result_of(document(members, NAME))["findings"]]


def test_the_same_bytes_each_time_and_less_for_a_vendor(
    site: tuple[EvidenceLog, PackInput], members: dict[str, bytes]
) -> None:
    """Built again it is the same; a vendor's is valid, and names only members of its pack."""
    assert members[NAME] == packed(*site)[NAME]
    vendor = packed(*site, "vendor")
    validated(document(vendor, NAME))
    assert {one["title"] for one in result_of(document(vendor, NAME))["observations"]} <= set(vendor)


def test_a_withheld_plan_is_named_and_not_enclosed(site: tuple[EvidenceLog, PackInput]) -> None:
    """A pack without its policy has a resource for it, in words, and a valid document."""
    results = document(packed(*site, withhold=("policy.toml",)), NAME)
    validated(results)
    plan = results["assessment-results"]["import-ap"]["href"].removeprefix("#")
    (found,) = (
        one for one in results["assessment-results"]["back-matter"]["resources"] if one["uuid"] == plan
    )
    assert "withholds it" in found["description"]
    assert "rlinks" not in found
