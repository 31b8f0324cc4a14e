"""The commitment to salted leaves: any of them can be withheld, none changed, none guessed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack import building
from appliance.pack.leaves import Document
from tests.appliance.evidence_case import closed_again, closed_audit
from tests.appliance.pack import small_pack
from tests.appliance.pack.small_pack import problem_of, small_parts

Case = tuple[EvidenceLog, building.PackInput]
EXPOSURE = "results.json#/result/exposure"


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    with small_parts():
        yield closed_audit(tmp_path_factory.mktemp("leaves") / "log")


def document(value: Any, seed: bytes = bytes(32)) -> Document:
    return Document.of(seed, "results.json", checked.canonical(value))


def test_a_document_is_taken_apart_at_objects_and_lists_of_objects() -> None:
    """Other lists are one leaf each, however long and deep; what is empty is a leaf too."""
    value = {"b": [{"x": 1}, 2], "a": [[1, 2], [3]], "d": {}, "c": [], "e": [[{}]], "f": None}
    expected: list[tuple[tuple[str | int, ...], Any]] = [
        (("a",), [[1, 2], [3]]),
        (("b", 0, "x"), 1),
        (("b", 1), 2),
        (("c",), []),
        (("d",), {}),
        (("e", 0, 0), {}),
        (("f",), None),
    ]
    assert expected == list(checked.leaves(value))


def oracle(hashes: list[bytes]) -> bytes:
    """RFC 6962's definition, word for word."""
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return checked.sha256(b"\x01" + oracle(hashes[:middle]) + oracle(hashes[middle:]))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13, 64, 65])
def test_any_choice_of_withheld_leaves_leads_to_the_same_root(size: int) -> None:
    """Shown in part, the document has the root that the whole has, which is RFC 6962's."""
    rng = random.Random(size)
    one = document({f"{number:03}": number for number in range(size)})
    root = oracle(list(one.hashes))
    assert root.hex() == one.root()["root"]
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        withheld = [number for number in range(size) if rng.random() < share]
        part = json.loads(checked.canonical(one.disclosed(withheld)))
        assert checked.disclosed_root(part, "part") == root
        assert len(part["shown"]) == size - len(withheld)
        assert len(part["withheld"]) <= len(withheld)


def tampered(change: Callable[[dict[str, Any]], None]) -> str:
    """What the check of a partly shown document says after a change, or the root's difference."""
    one = document({name: name for name in "abcdefghij"})
    part = json.loads(checked.canonical(one.disclosed([3, 4, 5])))
    change(part)
    try:
        root = checked.disclosed_root(part, "part")
    except checked.Broken as broken:
        return str(broken)
    return "" if root.hex() == one.root()["root"] else "another root"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda part: None, ""),
        (lambda part: part["shown"][0].__setitem__(3, "x"), "another root"),
        (lambda part: part["shown"][0].__setitem__(2, ["x"]), "another root"),
        (lambda part: part["shown"][0].__setitem__(1, "0" * 32), "another root"),
        (lambda part: part["shown"][0].__setitem__(1, "0" * 30), "part, leaf 0: not a salt"),
        (lambda part: part["shown"].pop(0), "part, leaf 0: missing or there twice"),
        (lambda part: part["shown"].append(part["shown"][0]), "part: its leaves are not 10"),
        (
            lambda part: part["shown"].append([3, *part["shown"][0][1:]]),
            "part, leaf 4: missing or there twice",
        ),
        (lambda part: part["withheld"].pop(), "part, leaf 4: missing or there twice"),
        (lambda part: part["withheld"][0].__setitem__(1, 3), "part, leaf 3: missing or there twice"),
        (lambda part: part["withheld"][0].__setitem__(2, "00" * 32), "another root"),
        (lambda part: part.__setitem__("withheld", [[3, 6, "00" * 32]]), "part, leaf 3: its hash covers no"),
        (lambda part: part.__setitem__("leaves", 11), "part: its leaves are not 11"),
        (lambda part: part["shown"][1].__setitem__(2, part["shown"][0][2]), "two values"),
    ],
)
def test_a_partly_shown_document_cannot_be_bent(change: Callable[[dict[str, Any]], None], said: str) -> None:
    """Another value, place, salt or hash gives another root; what is missing or there twice is named."""
    found = tampered(change)
    assert said in found and bool(said) == bool(found)


def test_a_withheld_value_cannot_be_guessed(case: Case) -> None:
    """Whoever knows place, form and the few values it could have finds it only with the salt."""
    pack = building.build(*case, withhold=["results.json#/result/exposure/flagged"])
    members = checked.split_zip(pack)[0]
    part = json.loads(members["results.disclosed.json"])
    [[number, end, hidden]] = part["withheld"]
    assert end == number + 1
    one = Document.of(case[1].salt_seed, "results.json", building.committed_members(case[1])["results.json"])
    way = one.ways[number]
    assert way == ("result", "exposure", "flagged")
    known_salts = ["", "0" * 32, *(salt for _, salt, _, _ in part["shown"])]
    table = json.loads(members["disclosure.json"])["members"].values()
    seeds = [bytes.fromhex(row["seed"]) for row in table if "seed" in row]
    assert len(seeds) == 3
    known_salts += [checked.leaf_salt(seed, way) for seed in seeds]
    for guess in range(47):
        assert hidden not in {checked.salted_leaf(salt, way, guess).hex() for salt in known_salts}
    assert hidden == checked.salted_leaf(checked.leaf_salt(one.seed, way), way, 21).hex()
    assert case[1].salt_seed.hex() not in pack.decode("latin-1") and one.seed.hex().encode() not in pack


def test_what_is_withheld_is_told_and_is_not_there(case: Case) -> None:
    """Its place in the tree is; its value, and what is made of it, are not; all the rest still is proven."""
    whole = checked.split_zip(building.build(*case))[0]
    pack = building.build(*case, withhold=[EXPOSURE, "data.json"])
    lines = checked.check_pack(pack).lines
    members = checked.split_zip(pack)[0]
    results = list(checked.leaves(json.loads(whole["results.json"])))
    hidden = [way for way, _ in results if way[:2] == ("result", "exposure")]
    assert f"withheld {len(hidden)} of {len(results)} leaves of results.json" in lines
    assert "withheld 3 of 3 leaves of data.json" in lines
    assert {"data.json", "results.json", "figures/one.svg", "verdict.html", "verdict.txt"} == set(
        whole
    ) - set(members)
    assert [f"left out {name}" for name in ("figures/one.svg", "verdict.html", "verdict.txt")] == [
        line.partition(":")[0] for line in lines if line.startswith("left out")
    ]
    shown = [
        (tuple(way), value) for _, _, way, value in json.loads(members["results.disclosed.json"])["shown"]
    ]
    assert [leaf for leaf in results if leaf[0] not in hidden] == shown
    assert b"0.309" in whole["results.json"] and b"0.309" not in pack


def test_the_log_commits_to_the_records_where_they_are_kept(tmp_path: Path) -> None:
    """A fifth member; an audit without them has four, and none can be added later."""
    log, given = closed_audit(tmp_path)
    kept = replace(given, records={"log_review": {"entries": 7}})
    with small_parts():
        assert "records.json" not in checked.split_zip(building.build(log, given))[0]
        with pytest.raises(building.IntegrityError, match="not the one whose verdict was logged"):
            building.build(log, kept)
        kept = closed_again(log, kept)
        members = checked.split_zip(building.build(log, kept))[0]
        assert members["records.json"] == b'{"format":"gradaudit-records-1","log_review":{"entries":7}}'
        withheld = building.build(log, kept, withhold=["records.json"])
    assert "withheld 2 of 2 leaves of records.json" in checked.check_pack(withheld).lines


def signed_again(log: EvidenceLog, members: dict[str, bytes]) -> bytes:
    """The pack of a forger who has the log's key."""
    return checked.build_zip(small_pack.signed_again(log, members))


def test_nothing_committed_can_be_exchanged_even_with_the_key(case: Case) -> None:
    """Who signs the manifest anew is caught by the entry that closed the audit, whatever form he takes."""
    whole = checked.split_zip(building.build(*case))[0]
    part = checked.split_zip(building.build(*case, withhold=[EXPOSURE]))[0]
    data = dict(whole, **{"data.json": whole["data.json"].replace(b"46", b"47")})
    assert problem_of(signed_again(case[0], data)) == "data.json: not what disclosure.json lists"
    shown = part["results.disclosed.json"].replace(b'"target"],46]', b'"target"],47]')
    assert shown != part["results.disclosed.json"]
    bent = signed_again(case[0], dict(part, **{"results.disclosed.json": shown}))
    assert problem_of(bent) == "results.disclosed.json: not what disclosure.json lists"
    disclosure = json.loads(whole["disclosure.json"])
    other = Document.of(bytes(32), "data.json", data["data.json"])
    disclosure["members"]["data.json"] = {**other.root(), "seed": other.seed.hex()}
    listed = signed_again(case[0], dict(data, **{"disclosure.json": checked.canonical(disclosure)}))
    assert "closed the audit over other bytes" in problem_of(listed)
    fewer = json.loads(whole["disclosure.json"])
    del fewer["members"]["data.json"]
    left = {name: value for name, value in whole.items() if name != "data.json"}
    left["disclosure.json"] = checked.canonical(fewer)
    assert problem_of(signed_again(case[0], left)) == "disclosure.json: says nothing of data.json"
    both = dict(part, **{"results.json": whole["results.json"]})
    assert "is there as well" in problem_of(signed_again(case[0], both))
    plain = {name: value for name, value in whole.items() if name != "disclosure.json"}
    assert problem_of(signed_again(case[0], plain)) == "disclosure.json: missing"
    manifest = json.loads(plain["manifest.json"])
    plain["manifest.json"] = checked.canonical({**manifest, "format": "gradaudit-pack-1"})
    assert problem_of(signed_again(case[0], plain)) == "figures/one.svg: no member of gradaudit-pack-1"
    del plain["figures/one.svg"]
    assert "closed the audit over other bytes" in problem_of(signed_again(case[0], plain))


def test_a_pack_that_hides_a_page_must_say_so(case: Case) -> None:
    """Without the verdict's page and without a word about it, a pack is not whole."""
    whole = checked.split_zip(building.build(*case))[0]
    del whole["verdict.html"]
    assert problem_of(signed_again(case[0], whole)) == "verdict.html: missing"


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "nothing.json",
        "verdict.html",
        "results.json#/result/nothing",
        "results.json#/result/histogram/edges/0",
    ],
)
def test_what_is_not_there_cannot_be_withheld(case: Case, reference: str) -> None:
    """A misspelt name is refused, not passed over: nobody believes something withheld that is not."""
    with pytest.raises(UsageError):
        building.build(*case, withhold=[reference])


def test_of_an_older_audit_whole_members_are_withheld(tmp_path: Path) -> None:
    """Its entry commits to digests of four members; a part of one cannot be told apart."""
    log, given = closed_audit(tmp_path)
    older = closed_again(log, replace(given, salt_seed=b""))
    with small_parts():
        assert problem_of(building.build(log, older)) == ""
        report = checked.check_pack(building.build(log, older, withhold=["results.json"]))
        with pytest.raises(UsageError, match="before parts of a member"):
            building.build(log, older, withhold=[EXPOSURE])
        vendor = checked.check_pack(building.build(log, older, "vendor"))
    assert "withheld 1 of 1 leaves of results.json" in report.lines
    named = older.view.row.audit_id
    assert f"audit    withheld; only the manifest says {named}, verdict FAIL" in report.lines
    assert [line for line in vendor.lines if line.startswith("withheld")] == [
        f"withheld 1 of 1 leaves of {name}"
        for name in ("data.json", "model.json", "policy.toml", "results.json")
    ]
