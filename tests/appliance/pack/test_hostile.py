"""Hostile packs: whatever is done to the bytes is refused with file and place, by verifier and appliance."""

from __future__ import annotations

import base64
import io
import json
import random
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify import verify
from appliance.pack import building
from tests.appliance import evidence_case
from tests.appliance.pack.small_pack import DEEP, problem_of, signed_again, small_parts

Case = tuple[EvidenceLog, bytes, dict[str, bytes]]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    log, given = evidence_case.closed_audit(tmp_path_factory.mktemp("hostile") / "log")
    with small_parts():
        pack = building.build(log, given)
        yield log, pack, checked.split_zip(pack)[0]


def refused(data: bytes) -> str:
    """What is said of bytes that are no intact pack; "" when they pass."""
    try:
        checked.check_pack(data)
    except (checked.Broken, checked.Unreadable) as wrong:
        return str(wrong)
    return ""


def places(data: bytes) -> Iterator[tuple[str, int, int]]:
    """Every stretch of a pack: the member whose content, header or directory line it is; the end."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        line = archive.start_dir
        for info in archive.infolist():
            content = info.header_offset + 30 + len(info.filename)
            yield info.filename, info.header_offset, content + info.file_size
            yield info.filename, line, line + 46 + len(info.filename)
            line += 46 + len(info.filename)
        yield "pack", line, len(data)


def test_a_flip_of_any_byte_is_refused_and_its_member_named(case: Case) -> None:
    """Every byte of the pack, one bit each: the ZIP's own reading names the member for all but a few.

    What the reading lets pass is put before the whole check. `benchmarks/pack.py --flips` does the same to a
    pack with all its pages.
    """
    data, rng, whole = case[1], random.Random(5), 0
    for member, start, end in places(data):
        for place in range(start, end):
            damaged = bytearray(data)
            damaged[place] ^= 1 << rng.randrange(8)
            members, problems = checked.split_zip(bytes(damaged))
            if not members or not problems or not any(member in problem for problem in problems):
                problems, whole = [refused(bytes(damaged))], whole + 1
            assert any(member in problem for problem in problems), f"{member}, byte {place}: {problems}"
    assert whole < len(data) // 10


def test_a_cut_at_any_length_is_refused(case: Case) -> None:
    """From no byte to all but the last, and with one more."""
    data = case[1]
    for length in range(len(data)):
        assert refused(data[:length]), length
    assert refused(data + b"\0") and refused(b"\0" + data)
    assert refused(data) == ""


def zipped(members: list[tuple[str, bytes]]) -> bytes:
    """A ZIP as packs are spelled, of any names in any order."""
    body, directory = b"", b""
    for name, data in members:
        directory += checked._central(name, len(data), zlib.crc32(data), len(body))
        body += checked._local(name, len(data), zlib.crc32(data)) + data
    return body + directory + checked._end(len(members), len(directory), len(body))


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "a\\b",
        "a//b",
        "dir/",
        ".",
        "..",
        "a/../b",
        "C:x",
        "\u00fc",
        "a b",
        "",
        "x" * 300 + "/..",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(case: Case, name: str) -> None:
    """Traversal, absolute, backslashes, folders, drives, signs beyond ASCII: named, even when signed."""
    log, _, members = case
    raw = name.encode("latin-1")
    listed = signed_again(log, {**members, "extra": b"x"})
    manifest = json.loads(listed["manifest.json"])
    manifest["members"][name] = manifest["members"].pop("extra")
    text = checked.canonical(manifest)
    forged = {
        **members, raw.decode("latin-1"): b"x", "manifest.json": text,
        "manifest.note": log.sign_manifest(text),
    }  # fmt: skip
    said = refused(zipped(sorted(forged.items())))
    assert "a name that is not allowed" in said or "pack: cut" in said
    assert said.isascii() and "\\x00" not in said


def test_names_twice_or_out_of_order_are_refused(case: Case) -> None:
    """A second member of a name, or two exchanged, whichever a reader would take."""
    members = sorted(case[2].items())
    for change in (
        [*members, ("README.txt", b"other")],
        [members[0], ("README.txt", b"other"), *members[1:]],
        [members[1], members[0], *members[2:]],
        members[::-1],
    ):
        assert "repeated or out of order" in refused(zipped(change))
    assert refused(zipped(members)) == ""


def with_zipfile(
    members: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None], comment: bytes = b""
) -> bytes:
    """The pack as Python's own writer spells it, with one property of one member changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.comment = comment
        for name in sorted(members):
            info = zipfile.ZipInfo(name)
            info.external_attr, info.create_system = 0o100644 << 16, 3
            if name == "results.json":
                change(info)
            archive.writestr(info, members[name])
    return stream.getvalue()


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("compress_type", zipfile.ZIP_DEFLATED),
        ("extra", b"\x99\x99\x04\x00abcd"),
        ("comment", b"note"),
        ("date_time", (2026, 11, 22, 1, 2, 4)),
        ("external_attr", 0o120777 << 16),
        ("external_attr", 0o100755 << 16),
        ("create_system", 0),
        ("create_version", 45),
        ("extract_version", 45),
        ("internal_attr", 1),
    ],
)
def test_another_spelling_of_a_zip_is_refused(case: Case, what: str, value: object) -> None:
    """Compression, extra fields, comments, dates, modes, a link, flags: the member is named or the place."""
    said = refused(with_zipfile(case[2], lambda info: setattr(info, what, value)))
    assert "results.json" in said or (what == "comment" and "(byte " in said)
    assert refused(with_zipfile(case[2], lambda info: None)) == ""


def test_a_comment_or_a_second_end_is_refused(case: Case) -> None:
    """What stands behind or before the ZIP, a comment, an end record inside the end's comment."""
    data = case[1]
    assert refused(with_zipfile(case[2], lambda info: None, b"note"))
    end = data[-22:]
    for bent in (data + end, data[:-22] + end + end, data[:-2] + struct.pack("<H", 22) + end, b"MZ" + data):
        assert refused(bent)


def patched(data: bytes, member: str, field: int, form: str, value: int, line: bool = True) -> bytes:
    """One field of a member's directory line, or of its header, overwritten."""
    found = bytearray(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        at = archive.start_dir
        for info in archive.infolist():
            if info.filename == member:
                struct.pack_into(form, found, (at if line else info.header_offset) + field, value)
            at += 46 + len(info.filename)
    return bytes(found)


@pytest.mark.parametrize(
    ("field", "form", "value", "line"),
    [
        (8, "<H", 1, True),  # encrypted
        (6, "<H", 1, False),
        (8, "<H", 0x800, True),  # names in UTF-8
        (8, "<H", 8, True),  # data descriptor
        (6, "<H", 8, False),
        (20, "<L", 0xFFFFFFFF, True),  # 4 GiB, or ZIP64
        (24, "<L", 0xFFFFFFFF, True),
        (22, "<L", 0xFFFFFFFF, False),
        (28, "<H", 0xFFFF, True),  # a name of 64 KiB
        (42, "<L", 0, True),  # lies where the first member lies
        (42, "<L", 0xFFFFFFFF, True),
        (34, "<H", 1, True),  # on another disk
    ],
)
def test_a_field_that_lies_is_refused(case: Case, field: int, form: str, value: int, line: bool) -> None:
    """Encryption, descriptors, sizes of 4 GiB, overlapping members, other disks: each with its place."""
    said = refused(patched(case[1], "results.json", field, form, value, line))
    assert "results.json" in said or "byte" in said


def test_too_many_members_are_refused_quickly(case: Case) -> None:
    """A million empty members are not even counted."""
    one = checked._local("a", 0, 0)
    assert "pack: cut" in refused(one * 1_000_000 + checked._end(1, 1, 1))
    line = checked._central("a", 0, 0, 0)
    assert "pack: cut" in refused(one + line * 1_000_000 + checked._end(0xFFFF, 0, len(one)))


BAD_JSON = {
    "twice": b'{"a":1,"a":2}',
    "deep": DEEP,
    "deep, not closed": b'{"a":' * 100_000,
    "below the reader's limit": b"[" * 900 + b"]" * 900,
    "objects below the limit": b'{"a":' * 900 + b"1" + b"}" * 900,
    "huge": b'{"a":' + b"9" * 100_000 + b"}",
    "nan": b'{"a":NaN}',
    "infinite": b'{"a":Infinity}',
    "fraction": b'{"a":0.5}',
    "exponent": b'{"a":1e400}',
    "spaces": b'{ "a":1}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "not UTF-8": b'{"a":"\xff"}',
    "nothing": b"",
    "a list": b"[]",
    "a number": b"0",
    "null": b"null",
}


@pytest.mark.parametrize("name", ["data.json", "disclosure.json", "log/proofs.json", "manifest.json"])
@pytest.mark.parametrize("bad", list(BAD_JSON))
def test_json_of_a_holder_of_the_key_is_no_trouble(case: Case, name: str, bad: str) -> None:
    """Keys twice, depth, huge numbers, NaN, nonsense: refused in words, though every signature is right."""
    log, _, members = case
    forged = {**members, name: BAD_JSON[bad]}
    if name == "manifest.json":
        forged["manifest.note"] = log.sign_manifest(forged[name])
    else:
        forged = signed_again(log, forged)
    said = refused(checked.build_zip(forged))
    assert said and (name in said or said.startswith("pack: ")), said


def test_fields_of_disclosed_documents_bear_any_type(case: Case) -> None:
    """Each value of the tables of leaves replaced by each kind of JSON value: words, never a traceback."""
    log, _, _ = case
    given = evidence_case.given()
    part = checked.split_zip(building.build(log, given, withhold=["results.json#/result/exposure"]))[0]
    for name in ("results.disclosed.json", "disclosure.json"):
        document = json.loads(part[name])
        for key in [*document, "made up"]:
            for value in (None, -1, 1 << 52, "x", [[1, 2, 3]], [[0, "0" * 32, [], 1]], {"a": 1}):
                bent = checked.canonical({**document, key: value})
                if bent != part[name]:
                    forged = signed_again(log, {**part, name: bent})
                    said = refused(checked.build_zip(forged))
                    assert said or key in ("made up", "format", "edition", "left_out", "commitment"), (
                        name,
                        key,
                    )


def test_no_control_sign_reaches_the_terminal(case: Case) -> None:
    """Names and words of a key's holder are told as ASCII, whatever he writes into his tables."""
    log, _, members = case
    escape = "\x1b]52;c;eA==\x07.json"
    disclosure = json.loads(members["disclosure.json"])
    row = {"leaves": 2, "root": "00" * 32}
    for bent in (
        {**disclosure, "members": {**disclosure["members"], escape: row}},
        {**disclosure, "left_out": [escape]},
    ):
        forged = signed_again(log, {**members, "disclosure.json": checked.canonical(bent)})
        pack = checked.build_zip(forged)
        said = refused(pack) or "".join(checked.check_pack(pack).lines)
        assert said.isascii() and said.isprintable()


def test_what_the_key_signs_besides_is_checked(case: Case) -> None:
    """The statement of the run: another text, signature, type or digest, another subject or none."""
    log, _, members = case

    def pack(statement: object, kind: str = checked.STATEMENT_TYPE) -> bytes:
        payload = checked.canonical(statement)
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind,
            "signatures": [
                {"keyid": log.key_id, "sig": base64.b64encode(log.sign_statement(kind, payload)).decode()}
            ],
        }
        signed = {checked.STATEMENT: checked.canonical(envelope)}
        return checked.build_zip(signed_again(log, {**members, **signed}))

    digest = checked.sha256(members["results.json"]).hex()
    right = {"subject": [{"name": "results.json", "digest": {"sha256": digest}}]}
    assert refused(pack(right)) == ""
    wrong = {"subject": [{"name": "results.json", "digest": {"sha256": "00" * 32}}]}
    for subject in (
        wrong["subject"],
        [],
        [{**right["subject"][0], "name": "result.json"}],
        right["subject"] * 2,
    ):
        assert refused(pack({"subject": subject})) == "run.intoto.json: not about the results in this pack"
    assert "not one signature over an in-toto" in refused(pack(right, "text/plain"))
    whole = checked.split_zip(pack(right))[0]
    envelope = whole[checked.STATEMENT]
    other = checked.split_zip(pack(wrong))[0][checked.STATEMENT]
    mixed = json.loads(envelope) | {"signatures": json.loads(other)["signatures"]}
    change = {checked.STATEMENT: checked.canonical(mixed)}
    said = refused(checked.build_zip(signed_again(log, {**whole, **change})))
    assert "the signature does not match the statement" in said


def test_texts_of_one_purpose_are_never_those_of_another() -> None:
    """What the key signs begins differently for each purpose, so no signature serves for two."""
    key = checked.Key("gradaudit/log-0123456789abcdef", bytes(32))
    texts = [
        checked.Checkpoint(1, bytes(32)).text(key),
        checked.manifest_text(b""),
        checked.answer_text(b""),
        checked.retention_text(b""),
        checked.statement_text("a", b""),
    ]
    for one in texts:
        assert [other for other in texts if other.split(b"\n")[0] == one.split(b"\n")[0]] == [one]


def test_two_audits_of_one_site_cannot_be_mixed(case: Case, tmp_path: Path) -> None:
    """Each member of one audit's pack put into another's, same log and key: refused under its name.

    With both seals of the other audit, or signed anew with the log's key, what the log committed to refuses.
    """
    log, given = evidence_case.closed_audit(tmp_path / "log")
    second = replace(given, view=replace(given.view, row=replace(given.view.row, audit_id="A-ba9876543210")),
                     data={"counts": {"target": 47}}, salt_seed=bytes(32))  # fmt: skip
    log.append("audit.run", log.identifier("A-ba9876543210"), "begins")
    building.close_audit(log, second, "officer")
    ours, theirs = (checked.split_zip(building.build(log, one))[0] for one in (given, second))
    mixed = 0
    for name in ours:
        if theirs[name] != ours[name]:
            said = problem_of(checked.build_zip({**ours, name: theirs[name]}))
            assert name.partition(".")[0] in said or (name[:4] == said[:4] == "log/"), (name, said)
            mixed += 1
    assert mixed >= 8
    seals = {name: theirs[name] for name in checked.SEALS}
    assert "not what the signed manifest lists" in problem_of(checked.build_zip({**ours, **seals}))
    for name in ("data.json", "results.json", "disclosure.json", "log/entries.jsonl"):
        said = problem_of(checked.build_zip(signed_again(log, {**ours, name: theirs[name]})))
        assert said, name
    of_the_log = {name: data for name, data in theirs.items() if name.startswith("log/")}
    said = problem_of(checked.build_zip(signed_again(log, {**ours, **of_the_log})))
    assert "closed the audit over other bytes" in said


def test_another_key_inside_is_refused_and_another_key_throughout_is_told(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pack made anew under another key is whole; its words are other words, and --key tells."""
    log, _, members = case
    other, given = evidence_case.closed_audit(tmp_path / "log")
    anew = checked.split_zip(building.build(other, given))[0]
    for name in ("log/verifier-key", "log/checkpoint", "log/opening", "manifest.note"):
        assert problem_of(checked.build_zip({**members, name: anew[name]})), name
    path = tmp_path / "pack.zip"
    path.write_bytes(checked.build_zip(anew))
    assert checked.main([str(path)]) == 0
    assert f"<{other.key_words}>" in capsys.readouterr().out
    assert checked.main(["--key", log.key_words, str(path)]) == 3
    assert capsys.readouterr().out.startswith("other key: intact, but signed by")


def bounded() -> None:
    """Half a gigabyte of memory and 20 s of processor time."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))


@pytest.mark.parametrize("kind", ["members", "deep", "sizes", "cut"])
def test_little_memory_is_enough_and_nothing_is_thrown(case: Case, tmp_path: Path, kind: str) -> None:
    """As an auditor runs it: an answer in words, nothing on stderr; the appliance says the same."""
    log, data, members = case
    hostile = {
        "members": checked._local("a", 0, 0) * 1_000_000,
        "deep": checked.build_zip(signed_again(log, {**members, "disclosure.json": DEEP})),
        "sizes": patched(data, "results.json", 24, "<L", 0xFFFFFFFF),
        "cut": data[: len(data) // 2],
    }[kind]
    path = tmp_path / "pack.zip"
    path.write_bytes(hostile)
    command = [sys.executable, "-I", "-S", checked.__file__, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=bounded)
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    assert done.stdout.startswith("BROKEN: ")
    with pytest.raises((IntegrityError, UsageError)) as caught:
        verify(path)
    assert str(caught.value).startswith("pack.zip is broken: ")
    assert done.stdout.removeprefix("BROKEN: ").strip() in str(caught.value)
