"""The evidence pack: the same bytes each time, nothing that acts, and any change is named."""

from __future__ import annotations

import io
import json
import random
import re
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify import verify
from appliance.pack import building as pack
from appliance.pack.leaves import commitment, documents
from appliance.pack.pages import wording
from appliance.views import VerdictWord
from tests.appliance import evidence_case
from tests.appliance.evidence_case import AUDIT, closed_again, closed_audit, renamed, small_log, view

Case = tuple[EvidenceLog, pack.PackInput, bytes]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    log, given = closed_audit(tmp_path_factory.mktemp("pack") / "log")
    return log, given, pack.build(log, given)


def run_verifier(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The verifier as an auditor runs it: bare interpreter, no site packages."""
    command = [sys.executable, "-I", "-S", checked.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_auditor_gets_three_answers(case: Case, tmp_path: Path) -> None:
    """Bare Python says: intact, signed by these words; known or other key by exit status."""
    log, _, data = case
    path = tmp_path / "pack.zip"
    path.write_bytes(data)
    plain = run_verifier(path)
    assert plain.returncode == 0, plain.stdout + plain.stderr
    assert plain.stdout.startswith(f"valid: intact; signed by <{log.key_words}>: compare them")
    assert "verdict FAIL" in plain.stdout
    known = run_verifier("--key", log.key_words.upper().replace(" ", "-"), path)
    assert (known.returncode, "the key you know" in known.stdout) == (0, True)
    other = run_verifier("--key", checked.ten_words(bytes(32)), path)
    assert (other.returncode, other.stdout.startswith("valid")) == (3, False)
    assert run_verifier("--key", "some words", path).returncode == 2


def test_the_copy_in_the_pack_verifies_the_pack(case: Case, tmp_path: Path) -> None:
    """Unpacked with a plain unzip, the verifier inside checks the pack it came in; so does the checkout's."""
    data = case[2]
    (tmp_path / "pack.zip").write_bytes(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")
    root = Path(__file__).parent.parent.parent
    for script in (tmp_path / "out" / "verify_evidence.py", root / "verify_evidence.py"):
        command = [sys.executable, "-I", "-S", script, tmp_path / "pack.zip"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout.startswith("valid: intact"), done.stdout + done.stderr


def test_same_audit_same_bytes(case: Case, tmp_path: Path) -> None:
    """Built again, later, after further entries, the pack has the same bytes."""
    log, given, data = case
    log.append("evidence.export", log.identifier(AUDIT), "done")
    path = pack.write(log, given, tmp_path / "again.zip")
    assert path.read_bytes() == data
    assert ["again.zip"] == [item.name for item in tmp_path.iterdir()]


def test_members_hold_no_floats_and_no_timings(case: Case) -> None:
    """results.json is canonical, its fractions are strings, and what changes from run to run is elsewhere."""
    members, problems = checked.split_zip(case[2])
    assert [] == problems
    results = json.loads(members["results.json"])
    assert results["result"]["exposure"]["rank_test_p"] == "0.0000002"
    assert results["result"]["exposure"]["flagged_ci"] == {"high": "0.61", "level": "0.95", "low": "0.309"}
    assert results["result"]["timings"] == []
    assert results["verdict"]["word"] == "FAIL"
    assert json.loads(members["manifest.json"])["run"]["timings"] == {"signals": "4.2"}
    assert members["policy.toml"] == case[1].policy_text


def test_the_extract_is_the_audits_own(case: Case) -> None:
    """The entries are those of the audit and its model, from registration to the closing, and no others."""
    lines = checked.split_zip(case[2])[0]["log/entries.jsonl"].splitlines()
    assert ["models.add", "audit.run", "audit.close"] == [json.loads(line)["act"] for line in lines]


def regions(data: bytes) -> dict[str, list[int]]:
    """Byte places by what they belong to: each member's content, its header, its directory line, the end."""
    found: dict[str, list[int]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        line = archive.start_dir
        for info in archive.infolist():
            content = info.header_offset + 30 + len(info.filename)
            found[f"{info.filename} header"] = list(range(info.header_offset, content))
            found[f"{info.filename} content"] = list(range(content, content + info.file_size))
            found[f"{info.filename} line"] = list(range(line, line + 46 + len(info.filename)))
            line += 46 + len(info.filename)
        found["pack end"] = list(range(line, len(data)))
    assert sum(map(len, found.values())) == len(data)
    return found


def problem_of(data: bytes) -> str:
    try:
        checked.check_pack(data)
    except checked.Broken as broken:
        return str(broken)
    return ""


def test_any_changed_byte_is_seen_and_its_member_named(
    case: Case,
) -> None:
    """A byte in every region of the ZIP: each change is reported under the member it is in.

    Every byte of a small pack: pack/test_hostile.py. Every byte of a whole one: benchmarks/pack.py --flips.
    """
    data = case[2]
    rng = random.Random(3)
    for region, places in regions(data).items():
        member, kind = region.split(" ")
        for place in rng.sample(places, min(len(places), 22 if kind == "end" else 1)):
            damaged = bytearray(data)
            damaged[place] ^= 1 << rng.randrange(8)
            problem = problem_of(bytes(damaged))
            assert member in problem, f"{region}, byte {place}: {problem!r}"


def test_every_cut_and_every_added_byte_is_seen(case: Case) -> None:
    """A pack cut at 57 places, or with a byte before or behind it, is broken."""
    data = case[2]
    rng = random.Random(4)
    for length in [1, 2, 3, 29, 30, len(data) - 22, len(data) - 1, *rng.sample(range(len(data)), 50)]:
        assert problem_of(data[:length]), f"cut to {length}"
    assert problem_of(data + b"\0")
    assert problem_of(data[:-22] + b"x" + data[-22:])
    with pytest.raises((checked.Broken, checked.Unreadable)):
        checked.check_pack(b"x" + data)


def repacked(data: bytes, **changes: bytes) -> bytes:
    """The pack with members replaced, spelled as a pack should be; keys use __ for / and _ for the dot."""
    members = dict(checked.split_zip(data)[0])
    names = {re.sub(r"[./-]", "_", name): name for name in members}
    members.update({names[key]: value for key, value in changes.items()})
    return checked.build_zip(members)


def test_a_rewritten_member_is_seen(case: Case) -> None:
    """A forger who writes a flawless ZIP with other content is caught by the signature over the manifest."""
    log, _, data = case
    members = checked.split_zip(data)[0]
    better = members["results.json"].replace(b'"FAIL"', b'"PASS"')
    assert problem_of(repacked(data, results_json=better)).startswith("results.json")
    page = members["verdict.html"].replace(b"FAIL", b"PASS")
    assert problem_of(repacked(data, verdict_html=page)).startswith("verdict.html")
    manifest = json.loads(members["manifest.json"])
    manifest["members"]["results.json"] = checked.sha256(better).hex()
    both = repacked(data, results_json=better, manifest_json=checked.canonical(manifest))
    assert problem_of(both).startswith("manifest.json")
    resigned = repacked(
        data,
        results_json=better,
        manifest_json=checked.canonical(manifest),
        manifest_note=log.sign_manifest(checked.canonical(manifest)),
    )
    assert problem_of(resigned) == "results.json: not what disclosure.json lists"


def test_entries_cannot_be_left_out_or_swapped(case: Case) -> None:
    """An extract with lines missing, swapped, doubled or changed names the line."""
    data = case[2]
    lines = checked.split_zip(data)[0]["log/entries.jsonl"].splitlines(keepends=True)
    for changed in (lines[1:], lines[:-1], [lines[1], lines[0], lines[2]], [*lines, lines[2]]):
        assert problem_of(repacked(data, log_entries_jsonl=b"".join(changed))).startswith("log/entries.jsonl")
    lie = [lines[0], lines[1].replace(b'"officer"', b'"system"').replace(b"begins", b"failed"), lines[2]]
    assert "line 2: entry " in problem_of(repacked(data, log_entries_jsonl=b"".join(lie)))


def test_foreign_members_and_signed_nonsense_are_refused(
    case: Case,
) -> None:
    """A member the manifest does not list, or a manifest without its parts, gives an answer, not a crash."""
    log, _, data = case
    members = dict(checked.split_zip(data)[0])
    assert "extra.txt" in problem_of(checked.build_zip({**members, "extra.txt": b"x"}))
    for nonsense in ({}, {"members": []}, {"members": 1}, []):
        manifest = checked.canonical(nonsense)
        note = log.sign_manifest(manifest)
        assert problem_of(repacked(data, manifest_json=manifest, manifest_note=note))


def test_an_audit_changed_after_its_closing_is_not_packed(
    case: Case,
) -> None:
    """A verdict or policy edited after the log closed the audit cannot become evidence."""
    log, given, _ = case
    with pytest.raises(IntegrityError, match="not the one whose verdict was logged"):
        pack.build(log, replace(given, view=replace(given.view, verdict=view(VerdictWord.PASS).verdict)))
    with pytest.raises(IntegrityError, match="policy"):
        pack.build(log, replace(given, policy_text=given.policy_text + b"\n"))


def test_an_open_audit_has_no_pack(tmp_path: Path) -> None:
    """Before the log has closed an audit there is no evidence of it."""
    _, given = closed_audit(tmp_path / "log")
    empty = EvidenceLog.open(tmp_path / "other")
    with pytest.raises(UsageError, match="not closed"):
        pack.build(empty, given)
    with pytest.raises(UsageError, match="cannot be written"):
        pack.write(*closed_audit(tmp_path / "third"), tmp_path / "missing" / "pack.zip")


def test_a_closing_inside_a_batch_is_covered(tmp_path: Path) -> None:
    """The pack's checkpoint is the one that acknowledged the closing, also for one of several entries."""
    log, given = small_log(tmp_path / "log"), evidence_case.given()
    audit, committed = log.identifier(AUDIT), pack.committed_members(given)
    root = commitment(committed, documents(given.salt_seed, committed))
    log.append("audit.run", audit, "begins")
    closing = Act("audit.close", audit, "FAIL", "officer", given.view.policy_digest, "", root)
    log.append_all([closing, Act("a.b")])
    log.append("a.c")
    assert problem_of(pack.build(log, given)) == ""


class Links(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [
            name for name, _ in attrs if name in ("src", "href", "action") or name.startswith("on")
        ]


def test_the_page_is_self_contained_and_inert(tmp_path: Path) -> None:
    """No link, no script, no handler, and hostile names neither act nor break out of their place."""
    log, given = closed_audit(tmp_path / "log")
    hostile = '<script>alert(1)</script>"><img src=x onerror=y>\x1b]52;c;eA==\x07\u202e'
    for variant in (given, renamed(replace(given, site=hostile), hostile)):
        variant = closed_again(log, variant)
        page = checked.split_zip(pack.build(log, variant))[0]["verdict.html"].decode()
        links = Links()
        links.feed(page)
        assert [] == links.found
        assert not links.tags & {"script", "img", "link", "iframe", "object", "form"}
        assert not re.search(r"url\(|@import|https?:", page.replace('xmlns="http://www.w3.org/2000/svg"', ""))
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", page)


@pytest.mark.parametrize("word", list(VerdictWord))
def test_every_verdict_has_its_page(tmp_path: Path, word: VerdictWord) -> None:
    """Each verdict states its word, its note, its key and what it does not prove; VOID prints no result."""
    log, given = closed_audit(tmp_path / "log", word)
    members = checked.split_zip(pack.build(log, given))[0]
    page, text = members["verdict.html"].decode(), members["verdict.txt"].decode()
    for shown in (word.value, "DEMO", "not prove", "Reason 3."):
        assert shown in page
        assert shown in text
    assert log.key_words in page
    assert ("No result. The void" in page) == (word is VerdictWord.VOID)
    assert "21 of 46 patients" in text
    for shown in ("As sets they differ", "Epsilon is at least 1.82"):
        beside = members["results.html"].decode()
        assert (shown in beside, shown in text) == (word is not VerdictWord.VOID,) * 2


def test_unreadable_is_told_from_broken(tmp_path: Path) -> None:
    """What is no pack, no log, or not there at all gives exit 2 and a sentence, never a traceback."""
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff" * 100)
    (tmp_path / "empty.zip").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for name in ("photo.jpg", "empty.zip", "folder", "missing.zip"):
        done = run_verifier(tmp_path / name)
        assert (done.returncode, done.stderr) == (2, ""), name
        assert done.stdout.startswith("unreadable: ")
        with pytest.raises(UsageError):
            verify(tmp_path / name)


def test_verify_names_the_damage(case: Case, tmp_path: Path) -> None:
    """The same answer inside the appliance: intact with its key, or an integrity error with the place."""
    log, _, data = case
    path = tmp_path / "pack.zip"
    path.write_bytes(data)
    assert verify(path).key_words == log.key_words
    assert verify(log.directory).entries == log.size
    path.write_bytes(data.replace(b"Reason 2.", b"Reason 5."))
    with pytest.raises(IntegrityError, match=r"results\.json|verdict"):
        verify(path)


def test_a_pack_is_small_and_quick(case: Case) -> None:
    """Far below 5 MB, and checked in well under a second."""
    began = time.perf_counter()
    checked.check_pack(case[2])
    assert time.perf_counter() - began < 1.0
    assert len(case[2]) < 600_000


def test_the_controls_that_are_missing_are_told() -> None:
    """Where no single patient can be flagged alone, the number of further controls stands with the share."""
    result = view().result
    assert result.exposure is not None
    assert "further controls" not in wording.share_bounds(result, VerdictWord.REVIEW)
    short = replace(result, exposure=replace(result.exposure, missing_controls=1419))
    assert "1,419 further controls needed" in wording.share_bounds(short, VerdictWord.REVIEW)
    assert wording.share_bounds(short, VerdictWord.VOID) == ""
