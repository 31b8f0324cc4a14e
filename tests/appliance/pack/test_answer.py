"""The answer to an auditor: what of a quarter goes along, what is refused of it, and what it never says."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.verify import SOURCE, verify
from appliance.pack.answer import quarter
from appliance.pack.answer.asked import Asked, dated
from appliance.pack.answer.at_work import missed
from appliance.views import Progress
from appliance.words.en.pack import MESSAGES
from tests.appliance.pack import answer_case as case
from tests.appliance.pack.small_pack import problem_of, small_parts

Members = dict[str, bytes]


def document(answer: bytes) -> dict[str, Any]:
    """What it says to programs."""
    found: dict[str, Any] = json.loads(checked.split_zip(answer)[0]["answer.json"])
    return found


def resigned(made: case.Quarterly, members: Members, **changed: Any) -> bytes:
    """The same answer with other members, signed anew by the site's own key."""
    members = dict(members)
    if changed:
        members["answer.json"] = checked.canonical(json.loads(members["answer.json"]) | changed)
    listed = {name: sha256(data).hexdigest() for name, data in members.items() if name not in checked.SEALS}
    members["manifest.json"] = checked.canonical({"format": checked.ANSWER_FORMAT, "members": listed})
    members["manifest.note"] = made.log.sign_answer(members["manifest.json"])
    return checked.build_zip(members)


def test_every_audit_of_the_model_in_the_span_goes_along(answer: bytes) -> None:
    """Both versions, not the other model, not the audit of October; each pack verifies alone."""
    members, said = checked.split_zip(answer)[0], document(answer)
    assert [(one["audit"], one["verdict"], one["model"]) for one in said["audits"]] == [
        (case.FAILED, "FAIL", case.LINE),
        (case.PASSED, "PASS", case.SECOND),
    ]
    packs = sorted(name for name in members if name.startswith("packs/"))
    assert packs == [f"packs/{case.FAILED}.zip", f"packs/{case.PASSED}.zip"]
    assert [problem_of(members[name]) for name in packs] == ["", ""]
    assert said["closings"] == {"of_others": 1, "of_this_model": 2, "unknown": 0}
    assert not said["log"]["window_open"]


def test_one_version_alone_can_be_asked_for(made: case.Quarterly) -> None:
    """NAME@2 is that version; the audit of the first one does not go along."""
    found = made.quarter(replace(case.Q3, model=case.SECOND), 0, case.SECOND)
    assert [one.audit_id for one in found.closings] == [case.PASSED]


def test_what_has_no_verdict_or_was_missed_is_said_first(answer: bytes) -> None:
    """A failed audit, late and passed-over runs, a case that is open: in the sentences that lead the page."""
    said, lines = document(answer), checked.split_zip(answer)[0]["index.txt"].decode().split("\n")
    (unfinished,) = said["not_finished"]
    assert (unfinished["audit"], unfinished["last_outcome"], unfinished["tries"]) == (
        case.CUT_OFF,
        "failed",
        1,
    )
    (nightly,) = said["schedules"]
    assert (nightly["begun"], nightly["late"], nightly["passed_over"], nightly["not_all_begun"]) == (
        1,
        1,
        2,
        1,
    )
    assert nightly["not_begun_utc"][0] == "2026-09-23T02:00:00+00:00", "due since the last run that was begun"
    assert lines[2:6] == [
        "2 audits of this model finished in this span: 1 FAIL, 1 PASS.",
        "1 more was begun and has no verdict.",
        f"{missed(said)} scheduled runs were late, passed over or failed.",
        "1 case about this model is open.",
    ]
    assert missed(said) == 1 + 2 + len(nightly["not_begun_utc"])
    told = " ".join(" ".join(lines).split())
    assert "The day of discovery is for a person to fix. If it were the day on which" in told
    assert "limits run from the moment" not in told


def test_the_readmes_tell_every_exit_and_every_file(answer: bytes) -> None:
    """Exit 3 is another key or a witness that has not seen it; the file of cosignatures is named."""
    readme = checked.split_zip(answer)[0]["README.txt"].decode()
    exits = ("0 intact", "1 broken", "2 unreadable", "3 intact but signed by another key or, with --witness")
    for data in (readme, MESSAGES["pack.readme"]):
        assert isinstance(data, str)
        told = " ".join(data.split())
        assert all(exit_of in told for exit_of in exits)
    assert "log/cosigned.json" in readme


def test_what_people_typed_and_patients_stay_out(answer: bytes) -> None:
    """No reason, owner, finding of a review or cause of a failure; no entry about a patient."""
    members = checked.split_zip(answer)[0]
    assert [] == [name for name, data in members.items() if case.CANARY.encode() in data]
    assert b"patient.erase" not in members["log/entries.jsonl"]
    (one,) = document(answer)["cases"]
    assert (one["state"], one["steps"][0]["what"], one["steps"][0]["answers"]) == (
        "referred",
        "referred",
        ["72h"],
    )
    assert document(answer)["reviews"]["rows"][0]["by"] == "auditor"


def test_the_log_s_own_acts_go_along(answer: bytes) -> None:
    """Who examined the log, every closing whichever the model, and counts of all acts of the span."""
    lines = checked.split_zip(answer)[0]["log/entries.jsonl"].decode().splitlines()
    acts = [json.loads(line)["act"] for line in lines]
    assert "log.review" in acts
    assert acts.count("audit.close") == 3
    assert acts[-1] == "audit.run", "the last entry is the state's, whatever it is about"
    counted = {(one["act"], one["outcome"]): one["number"] for one in document(answer)["activity"]}
    assert (counted["patient.erase", "done"], counted["audit.close", "FAIL"]) == (1, 2)


def test_a_span_without_an_audit_is_no_pass(made: case.Quarterly) -> None:
    """It says that nothing was measured; page, lines and verifier agree."""
    answer = made.answer(replace(case.Q3, since="2026-01-01", until="2026-03-31"))
    members = checked.split_zip(answer)[0]
    for page in ("index.html", "index.txt"):
        assert b"That is not a pass: nothing was measured" in members[page]
        assert b"PASS" not in members[page].rpartition(b"<main>")[2]
    assert "audits   none finished in this span" in "\n".join(checked.check_pack(answer).lines)


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also after the case was closed and the log opened anew: what came later is not in it."""
    with small_parts():
        made = case.built(tmp_path / "log")
        before, size = made.answer(), made.log.size
        content, digest = case.steps.record(
            made.log, "officer", case.steps.DECIDE, case.FAILED, decision="closed", reason="no breach found"
        )
        made.kept[digest] = content
        about = made.log.identifier(f"case\0{case.FAILED}")
        made.log.append(case.steps.DECIDE, about, "done", actor="officer", detail_digest=digest)
        made.log = case.EvidenceLog.open(made.log.directory, clock=made.clock)
        assert made.answer(size=size) == before
        now = document(made.answer())
    assert document(before)["cases"][0]["state"] == "referred"
    assert now["log"]["entries"] == size + 1
    assert now["cases"][0]["state"] == "closed"


def test_bare_python_checks_it(answer: bytes, tmp_path: Path) -> None:
    """The script alone, isolated: the answer, every verdict, and the ten words."""
    path = tmp_path / "answer.zip"
    path.write_bytes(answer)
    ran = subprocess.run(
        [sys.executable, "-I", str(SOURCE), str(path)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"audit    {case.FAILED}, verdict FAIL, packs/{case.FAILED}.zip" in ran.stdout
    assert "2 packs intact, every byte accounted for" in ran.stdout
    found = verify(path)
    assert (found.intact, found.size, found.withheld) == (True, len(answer), ())


def test_any_flip_and_any_cut_is_refused(answer: bytes) -> None:
    """Bytes of all regions, and lengths of all kinds; the member is named."""
    step = max(1, len(answer) // 150)
    for at in range(0, len(answer), step):
        changed = bytearray(answer)
        changed[at] ^= 1 << at % 8
        with pytest.raises((checked.Broken, checked.Unreadable)) as refused:
            checked.check_pack(bytes(changed))
        assert str(refused.value)
    for length in range(0, len(answer), step * 7):
        with pytest.raises((checked.Broken, checked.Unreadable)):
            checked.check_pack(answer[:length])


def test_a_false_answer_is_refused_even_when_it_is_signed(made: case.Quarterly, answer: bytes) -> None:
    """The holder of the key still cannot leave a pack out, mix packs, or state another verdict."""
    members = checked.split_zip(answer)[0]
    audits = document(answer)["audits"]
    first, second = (f"packs/{name}.zip" for name in (case.FAILED, case.PASSED))
    assert problem_of(resigned(made, members)) == "", "or the rest would show nothing"

    kinder = [audits[0] | {"verdict": "PASS"}, audits[1]]
    assert problem_of(resigned(made, members, audits=kinder)).startswith("answer.json: says something else")
    assert problem_of(resigned(made, members, audits=audits[1:])).startswith("answer.json: lists other packs")
    swapped = members | {first: members[second], second: members[first]}
    assert problem_of(resigned(made, swapped)).startswith(f"{first}: not from an earlier state")
    proofs = json.loads(members["log/proofs.json"])
    proofs["packs"] = {first: proofs["packs"][second], second: proofs["packs"][first]}
    swapped["log/proofs.json"] = checked.canonical(proofs)
    assert problem_of(resigned(made, swapped)).startswith("answer.json: says something else of packs/")
    less = {name: data for name, data in members.items() if name != first}
    assert problem_of(resigned(made, less)).startswith("answer.json: lists other packs")
    state = document(answer)["log"] | {"entries": 3}
    assert problem_of(resigned(made, members, log=state)).startswith("answer.json: speaks of another state")
    nested = members | {first: answer}
    assert problem_of(resigned(made, nested)) == f"{first}: an answer, not the pack of an audit"


def test_that_a_page_is_no_more_than_signed_is_said(made: case.Quarterly, answer: bytes) -> None:
    """A page that says something else than the log passes the verifier, and the README says that it may."""
    members = checked.split_zip(answer)[0]
    assert problem_of(resigned(made, members | {"index.html": b"2 audits: 2 PASS."})) == ""
    told = " ".join(members["README.txt"].decode().split())
    assert (
        "index.html, index.txt and the rest of answer.json are signed by the site and not made anew" in told
    )


def test_a_pack_of_another_log_is_refused(made: case.Quarterly, answer: bytes, tmp_path: Path) -> None:
    """The same audit, closed in a log with another key: intact alone, and not of this answer."""
    other = case.built(tmp_path / "log")
    members = checked.split_zip(answer)[0]
    name = f"packs/{case.FAILED}.zip"
    foreign = checked.split_zip(other.answer())[0][name]
    assert problem_of(foreign) == ""
    said = problem_of(resigned(made, members | {name: foreign}))
    assert said == f"{name}: not from an earlier state of the log that log/checkpoint signs"


def test_neither_is_taken_for_the_other(made: case.Quarterly, answer: bytes) -> None:
    """A manifest signed as a pack's is none of an answer, and the other way round."""
    members = checked.split_zip(answer)[0]
    members["manifest.note"] = made.log.sign_manifest(members["manifest.json"])
    assert problem_of(checked.build_zip(members)) == "manifest.json: not the manifest that was signed"
    pack = checked.split_zip(members[f"packs/{case.FAILED}.zip"])[0]
    pack["manifest.note"] = made.log.sign_answer(pack["manifest.json"])
    assert problem_of(checked.build_zip(pack)).startswith("manifest.json: not the manifest that was signed")


def test_foreign_text_is_inert(made: case.Quarterly) -> None:
    """A name that is markup and an escape sequence draws nothing and calls nothing."""
    hostile = "<script>x</script>\x1b]52;c;x\x07"
    site = replace(made.site(), name=hostile)
    found = quarter.collected(made.log, site, case.Q3, made.log.size)
    page = case.answering.index_html({**found.document, "audits": [], "extract": 1}, "w", "w")
    assert "<script" not in page
    assert "\x1b" not in page
    assert "://" not in page
    assert page.count("<h1>") == 1


def test_how_far_it_is_is_told_and_it_can_be_stopped(made: case.Quarterly) -> None:
    """Packs and proofs are counted to their end; what the listener raises goes through."""
    seen: list[Progress] = []
    made.answer(step=seen.append)
    assert {(one.phase, one.done) for one in seen if one.done == one.total} == {
        ("building packs", 2),
        ("proving entries", seen[-1].total),
    }

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.answer(step=stop)


@pytest.mark.parametrize(
    ("since", "until"), [("2026-9-1", "2026-09-30"), ("2026-10-01", "2026-09-30"), ("", ""), ("Q3", "Q3")]
)
def test_days_that_are_none_are_refused(since: str, until: str) -> None:
    """With a hint, before anything is read."""
    with pytest.raises(UsageError):
        dated(Asked(case.LINE, since, until))
