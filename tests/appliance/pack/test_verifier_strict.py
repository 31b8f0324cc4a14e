"""What the holder of the key makes nobody believe: members and rows against what the log committed to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.pack import building
from appliance.pack.facts import PackInput
from appliance.pack.records import members as records
from appliance.views import VerdictWord
from tests.appliance import evidence_case
from tests.appliance.pack import answer_case as case
from tests.appliance.pack.small_pack import pages, problem_of, signed_again, small_parts
from tests.appliance.pack.test_answer import Members, document, resigned

Kept = tuple[EvidenceLog, PackInput, Members]
RECORDS = {
    "utc": "2026-09-21T14:13:20Z",
    "log_entries": 12,
    "access": {"users": {"officer": 2}},
    "retention": {"kept_years": 6},
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A small pack with records."""
    log, given = evidence_case.closed_audit(tmp_path_factory.mktemp("kept") / "log")
    given = evidence_case.closed_again(log, replace(given, records=RECORDS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "PARTS", (records.members, pages))
        yield log, given, checked.split_zip(building.build(log, given))[0]


def forged(kept: Kept, changed: Members, *without: str) -> str:
    """What is said of the pack with other members, signed anew."""
    members = {name: data for name, data in kept[2].items() if name not in without}
    return problem_of(checked.build_zip(signed_again(kept[0], members | changed)))


# -- a pack ---------------------------------------------------------------------------------------------


def test_the_pack_itself_is_right(kept: Kept) -> None:
    """Or the rest would show nothing."""
    assert forged(kept, {}) == ""
    assert {"records/access.json", checked.RETENTION, checked.RETENTION_NOTE} <= set(kept[2])


@pytest.mark.parametrize("name", ["records/access.json", checked.RETENTION])
@pytest.mark.parametrize("key", ["audit", "record", "utc", "log_entries", "from"])
def test_a_record_says_what_the_log_committed_to(kept: Kept, name: str, key: str) -> None:
    """Each of its facts; an empty document as well, and one without the committed member beside it."""
    data = checked.canonical(json.loads(kept[2][name]) | {key: {}})
    note = {checked.RETENTION_NOTE: kept[0].sign_retention(data)} if name == checked.RETENTION else {}
    assert forged(kept, {name: data, **note}) == f"{name}: says something else than records.json"


@pytest.mark.parametrize(
    ("key", "value"), [("closing_entry", 1), ("closed_utc", "2020-01-01T00:00:00.000Z"), ("key", "other")]
)
def test_the_certificate_is_of_this_closing(kept: Kept, key: str, value: object) -> None:
    """Another entry, time or key is another certificate."""
    data = checked.canonical(json.loads(kept[2][checked.RETENTION]) | {key: value})
    change = {checked.RETENTION: data, checked.RETENTION_NOTE: kept[0].sign_retention(data)}
    assert forged(kept, change) == "records/retention.json: of another audit than the one that was closed"


def test_the_certificate_is_what_was_signed(kept: Kept) -> None:
    """Its note is over it, and neither is there alone."""
    note = {checked.RETENTION_NOTE: kept[0].sign_manifest(b"{}")}
    assert forged(kept, note) == "records/retention.json: not the certificate that was signed"
    assert forged(kept, {}, checked.RETENTION_NOTE) == "records/retention.note: missing"


@pytest.mark.parametrize("name", ["verdict2.html", "disclosed.json", "extra/results.json", "packs/a.zip"])
def test_a_member_that_no_pack_has_is_refused(kept: Kept, name: str) -> None:
    """So that nothing beside what is known is taken for evidence."""
    assert forged(kept, {name: b"PASS"}) == f"{name}: no member of gradaudit-pack-2"


def test_nothing_is_left_out_of_a_pack_that_withholds_nothing(kept: Kept) -> None:
    """The verdict's pages cannot be hidden behind a word."""
    disclosure = json.loads(kept[2][checked.DISCLOSURE]) | {"left_out": list(checked.VERDICTS)}
    change = {checked.DISCLOSURE: checked.canonical(disclosure)}
    assert forged(kept, change, *checked.VERDICTS).endswith("were left out, and nothing is withheld")


def test_the_edition_is_the_disclosure_s(kept: Kept) -> None:
    """A vendor's pack is not called a full one."""
    log, given, _ = kept
    vendor = checked.split_zip(building.build(log, given, "vendor"))[0]
    manifest = json.loads(vendor["manifest.json"]) | {"edition": "full"}
    members = signed_again(log, {**vendor, "manifest.json": checked.canonical(manifest)})
    said = problem_of(checked.build_zip(members))
    assert said == "manifest.json: of another edition than disclosure.json"


def test_an_audit_that_only_the_manifest_names_is_not_proven(kept: Kept) -> None:
    """Where the results are withheld, the name of the audit is the signer's word."""
    log, given, _ = kept
    pack = building.build(log, given, withhold=["results.json"])
    (line,) = [line for line in checked.check_pack(pack).lines if line.startswith("audit ")]
    assert line.startswith("audit    withheld; only the manifest says A-")


def test_two_closings_of_one_audit_are_refused(tmp_path: Path) -> None:
    """FAIL, then PASS: no pack of the second, whoever wrote the entries."""
    log, given = evidence_case.closed_audit(tmp_path / "log")
    kinder = evidence_case.given(VerdictWord.PASS)
    with pytest.raises(building.IntegrityError, match="closed this audit already, with FAIL"):
        building.close_audit(log, kinder)
    again(log, given.view.row.audit_id, kinder)
    with small_parts(), pytest.raises(building.IntegrityError, match="both close one audit"):
        building.build(log, kinder)


def again(log: EvidenceLog, audit_id: str, given: PackInput) -> None:
    """Close an audit once more, as an earlier version could."""
    committed = building.committed_members(given)
    root = building.commitment(committed, building.documents(given.salt_seed, committed))
    word = str(given.view.verdict.word)
    log.append_all(
        [Act("audit.close", log.identifier(audit_id), word, "officer", given.view.policy_digest, "", root)]
    )


def test_an_older_audit_has_four_members_and_no_leaves(kept: Kept) -> None:
    """Its log committed to digests: neither invented leaves nor records are believed."""
    log = kept[0]
    old = evidence_case.closed_again(log, replace(evidence_case.given(), salt_seed=b""))
    with small_parts():
        members = checked.split_zip(building.build(log, old, withhold=["results.json", "model.json"]))[0]
    older = (log, old, members)
    assert forged(older, {}) == ""
    shown = [[0, "0" * 32, ["model", "name"], "ANOTHER"], [1, "0" * 32, ["result", "exposure", "flagged"], 0]]
    invented = {"format": "gradaudit-disclosed-1", "leaves": 2, "member": "results.json", "shown": shown}
    said = forged(older, {"results.disclosed.json": checked.canonical({**invented, "withheld": []})})
    assert said == "results.disclosed.json: the log committed to nothing of that name"
    disclosure, more = json.loads(members[checked.DISCLOSURE]), b'{"forged":"records"}'
    disclosure["members"]["records.json"] = {"digest": checked.sha256(more).hex()}
    change = {checked.DISCLOSURE: checked.canonical(disclosure), "records.json": more}
    assert forged(older, change) == "records.json: the log committed to nothing of that name"
    for version in (True, 3, "1", 0):
        other = checked.canonical(json.loads(members[checked.DISCLOSURE]) | {"commitment": version})
        assert "a commitment that this verifier does not know" in forged(older, {checked.DISCLOSURE: other})


def test_an_unpacked_pack_is_no_broken_log(kept: Kept, tmp_path: Path, capsys: Any) -> None:
    """The ZIP has to be named; nothing is called broken."""
    for name, data in kept[2].items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(data)
    assert checked.main([str(tmp_path)]) == 2
    assert capsys.readouterr().out == "unreadable: an unpacked pack; name the ZIP\n"


def test_a_long_value_is_not_cut_in_the_middle_without_a_sign() -> None:
    """A line is far longer than a name and a digest, and one that is cut ends in dots."""
    line = f"model    {'m' * 120}, {'d' * 64}"
    assert checked._printable(line) == line
    assert checked._printable("x" * 900).endswith("x...")


# -- an answer ------------------------------------------------------------------------------------------


def test_another_model_or_span_is_refused(made: case.Quarterly, answer: bytes) -> None:
    """The packs are of the model and the days that the answer speaks of."""
    members = checked.split_zip(answer)[0]
    said = problem_of(resigned(made, members, model="some-other-model"))
    assert said.endswith("is no version of the model that it answers about")
    earlier = resigned(made, members, **{"from": "2020-01-01", "to": "2020-03-31"})
    assert problem_of(earlier).endswith("closed no audit in the span")
    one = [{**document(answer)["versions"][0]}]
    assert problem_of(resigned(made, members, versions=one)).startswith(
        "answer.json: lists an audit of another"
    )


def test_no_closing_of_the_model_goes_unlisted(made: case.Quarterly, answer: bytes) -> None:
    """A FAIL left out with its pack; with its count as well; and a count that fits no entries."""
    members, said = checked.split_zip(answer)[0], document(answer)
    less = {name: data for name, data in members.items() if name != f"packs/{case.FAILED}.zip"}
    left = said["audits"][1:]
    assert problem_of(resigned(made, less, audits=left)).startswith("answer.json: counts other audits")
    fewer = said["closings"] | {"of_this_model": 1}
    refused = problem_of(resigned(made, less, audits=left, closings=fewer))
    assert refused.startswith("answer.json: counts other closings than log/entries.jsonl")


def test_one_pack_is_not_listed_twice(made: case.Quarterly, answer: bytes) -> None:
    """A PASS under two names in place of a FAIL."""
    members, said = checked.split_zip(answer)[0], document(answer)
    (_, good), proofs = said["audits"], json.loads(members["log/proofs.json"])
    twice = {**good, "pack": "packs/again.zip"}
    proofs["packs"]["packs/again.zip"] = proofs["packs"][good["pack"]]
    change = {"packs/again.zip": members[good["pack"]], "log/proofs.json": checked.canonical(proofs)}
    less = {name: data for name, data in members.items() if name != f"packs/{case.FAILED}.zip"}
    forgery = resigned(made, {**less, **change}, audits=[good, twice])
    assert problem_of(forgery) == "answer.json: lists one closing of an audit twice"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("exposure", {"flagged": 0, "patients": 40}),
        ("exposure", {}),
        ("tier", "E0"),
        ("model", case.SECOND),
        ("closed_utc", "2026-09-01T00:00:00.000Z"),
        ("policy_digest", "00" * 32),
        ("verdict", "PASS"),
        ("audit", "A-00000000000f"),
    ],
)
def test_a_row_says_what_its_pack_and_its_entry_say(
    made: case.Quarterly, answer: bytes, key: str, value: object
) -> None:
    """Whatever of it is another."""
    first, second = document(answer)["audits"]
    assert first[key] != value
    said = problem_of(resigned(made, checked.split_zip(answer)[0], audits=[first | {key: value}, second]))
    assert said.startswith("answer.json: says something else of")


def test_what_a_pack_inside_withholds_is_said(made: case.Quarterly, answer: bytes) -> None:
    """Also in the answer's own lines; and its row states no more than it shows."""
    members, (first, second) = checked.split_zip(answer)[0], document(answer)["audits"]
    vendor = building.build(made.log, made.given[case.FAILED], "vendor")
    members[first["pack"]] = vendor
    first["sha256"] = checked.sha256(vendor).hex()
    assert "says something else of" in problem_of(resigned(made, members, audits=[first, second]))
    bare = {name: value for name, value in first.items() if name not in ("exposure", "tier")}
    shown = checked.stated_results(checked.split_zip(vendor)[0])
    row = bare | {name: value for name, value in shown.items() if name != "model"}
    lines = checked.check_pack(resigned(made, members, audits=[row, second])).lines
    assert any(line.startswith("withheld ") and line.endswith(f"({row['pack']})") for line in lines)


def test_a_member_that_no_answer_has_is_refused(made: case.Quarterly, answer: bytes) -> None:
    """Beside the packs there is what every answer has."""
    members = checked.split_zip(answer)[0]
    assert problem_of(resigned(made, {**members, "verdict.html": b"PASS"})).startswith(
        "verdict.html: no member"
    )


def test_every_closing_is_listed_even_of_one_audit_and_without_a_result(tmp_path: Path) -> None:
    """FAIL, then PASS of one audit, and an audit cut off behind its closing: rows by their entries."""
    with small_parts():
        made = case.built(tmp_path / "log")
        made.clock.utc -= 21 * case.DAY_MS
        kinder = made.given[case.FAILED]
        verdict = replace(kinder.view.verdict, word=VerdictWord.PASS)
        again(made.log, case.FAILED, replace(kinder, view=replace(kinder.view, verdict=verdict)))
        made.audits = [
            replace(one, state="interrupted", verdict="") if one.audit_id == case.PASSED else one
            for one in made.audits
        ]
        answer = made.answer()
    rows = [(one["audit"], one["verdict"], one["pack"]) for one in document(answer)["audits"]]
    assert rows == [(case.FAILED, "FAIL", ""), (case.PASSED, "PASS", ""), (case.FAILED, "PASS", "")]
    assert document(answer)["closings"]["of_this_model"] == 3
    text = checked.split_zip(answer)[0]["index.txt"].decode()
    assert text.count("No pack: the log closed this audit") == 3
    lines = "\n".join(checked.check_pack(answer).lines)
    assert f"audit    {case.FAILED}, verdict FAIL, no pack: only entry" in lines


def test_names_that_the_site_chose_for_cohorts_and_schedules_stay_out(answer: bytes) -> None:
    """A schedule stands there as the log calls it; a cohort not at all."""
    said = document(answer)
    assert all("cohort" not in one for one in said["audits"])
    (schedule,) = said["schedules"]
    assert "name" not in schedule and len(schedule["object"]) >= 32
    for name in ("answer.json", "index.html", "index.txt"):
        assert b"nightly" not in checked.split_zip(answer)[0][name]
