from __future__ import annotations

import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medio.errors import MedioError
from medio.ingest import read_content, read_file, walk
from medio.records import Outcome
from tests.medio.documents import as_json, diagnostic_report, pdf
from tests.medio.objects import content, image, oru, part10, structured_report

DICOM = part10(image(np.arange(64, dtype=np.uint8).reshape(8, 8)))
SR = part10(structured_report([content("TEXT", "Finding", TextValue="Clear.")]))
HL7 = oru("OBR|1|P|ACC1|1^CHEST^L|||20240101||||||||||||||||RAD|F", "OBX|1|TX|||Clear.||||||F")


def refused(path: Path) -> str:
    """The reason code with which a file is set aside."""
    with pytest.raises(MedioError) as caught:
        read_file(path)
    return caught.value.reason


def test_content_decides_what_a_file_is(tmp_path: Path) -> None:
    """Names and endings do not matter, except that free text must say it is text."""
    for name, data, outcome in (
        ("a.txt", DICOM, Outcome.IMAGE),
        ("b.dcm", HL7, Outcome.REPORT),
        ("c", SR, Outcome.DOCUMENT),
    ):
        (tmp_path / name).write_bytes(data)
        assert read_file(tmp_path / name).outcome is outcome


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (b"Clear.", ".txt"),
        (b"report\nClear.\n", ".csv"),
        (b"report\nClear.\n", ".tsv"),
        (pdf("Clear."), ""),
        (as_json(diagnostic_report(conclusion="Clear.")), ".dat"),
        (HL7, ".txt"),
        (SR, ".pdf"),
    ],
)
def test_every_format_gives_its_report(data: bytes, ending: str) -> None:
    """The same words from each; the ending only tells tables and free text from unknown bytes."""
    (report,) = read_content(data, ending).reports
    assert report.text == "Clear."


@pytest.mark.parametrize(
    ("data", "ending", "outcome", "reason"),
    [
        (pdf(""), "", Outcome.EMPTY_REPORT, "no-text-layer"),
        (b"...", ".txt", Outcome.EMPTY_REPORT, "empty-report"),
        (b"report\n...\n", ".csv", Outcome.EMPTY_REPORT, "empty-report"),
        (HL7.replace(b"ORU^R01", b"ORM^O01"), "", Outcome.ORDER, "order-not-report"),
        (as_json(diagnostic_report(presentedForm=[{"url": "x"}])), "", Outcome.REPORT, "text-elsewhere"),
    ],
)
def test_what_gives_no_report_says_what_it_is(
    data: bytes, ending: str, outcome: Outcome, reason: str
) -> None:
    """Valid files without words are taken in with a reason."""
    found = read_content(data, ending)
    assert (found.outcome, found.reason, found.reports) == (outcome, reason, ())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7\n", "pdf-damaged"),
        (b'{"name": "x"}', "json"),
        (b"<html>", "xml"),
        (b"<\x93\x07\0", "unknown-format"),
        (b'<?xml version="1.0"?><Patient xmlns="http://hl7.org/fhir"/>', "fhir-xml"),
        (b"{\\rtf1 Clear.}", "rtf"),
        (b"Impression: clear.", "unknown-format"),
        (b"", "empty-file"),
        (b"OBX|1|TX|||Clear.||||||F\r", "hl7-no-msh"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, data: bytes, reason: str) -> None:
    """What is not read says what it is."""
    (tmp_path / "file").write_bytes(data)
    assert refused(tmp_path / "file") == reason


def test_links_and_special_files_are_refused(tmp_path: Path) -> None:
    """A link could lead anywhere, a pipe could block for ever."""
    (tmp_path / "real.dcm").write_bytes(DICOM)
    (tmp_path / "link.dcm").symlink_to(tmp_path / "real.dcm")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder link").symlink_to(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    found = {path.name: path for path in walk([tmp_path])}
    assert sorted(found) == ["folder link", "link.dcm", "pipe", "real.dcm", "socket"]
    assert [refused(found[name]) for name in ("folder link", "link.dcm", "pipe", "socket")] == [
        "link",
        "link",
        "not-a-file",
        "not-a-file",
    ]
    assert refused(tmp_path / "absent") == "unreadable-file"


def test_folders_and_archives_are_walked_in_order(tmp_path: Path) -> None:
    """Members of an archive are read as files are."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.hl7").write_bytes(HL7)
    (tmp_path / "c.dcm").write_bytes(DICOM)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sub/z.dcm", SR)
        archive.writestr("m.dcm", DICOM)
    found = list(walk([tmp_path]))
    assert [path.name for path in found] == ["m.dcm", "z.dcm", "2.hl7", "c.dcm"]
    assert [str(read_file(path).outcome) for path in found] == ["image", "document", "report", "image"]


def _archive(path: Path, members: dict[str, bytes], links: tuple[str, ...] = ()) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name in links else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def test_a_folder_that_may_not_be_listed_is_told_and_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder of another account must not stop the ingest of an export."""
    closed, beside = tmp_path / "closed", tmp_path / "b.txt"
    closed.mkdir()
    beside.write_text("Impression: clear.")
    listing = Path.iterdir

    def guarded(folder: Path) -> Iterator[Path]:
        if folder == closed:
            raise PermissionError(13, "Permission denied")
        return listing(folder)

    monkeypatch.setattr(Path, "iterdir", guarded)
    assert list(walk([tmp_path])) == [beside, closed]


def test_archives_beyond_the_limits_are_refused_whole(tmp_path: Path) -> None:
    """Bombs, crowds, links and names that climb out give one reason and no member."""
    cases = {
        "archive-limits": _archive(tmp_path / "bomb.zip", {"zeros": bytes(1 << 22)}),
        "archive-names": _archive(tmp_path / "climb.zip", {"../out.dcm": DICOM}),
        "archive-damaged": tmp_path / "cut.zip",
    }
    cases["archive-damaged"].write_bytes(_archive(tmp_path / "whole.zip", {"a": DICOM}).read_bytes()[:-30])
    linked = _archive(tmp_path / "linked.zip", {"a": b"/etc/passwd"}, links=("a",))
    for reason, path in [*cases.items(), ("archive-names", linked)]:
        assert list(walk([path])) == [path]
        assert refused(path) == reason


def test_archives_in_archives_are_refused(tmp_path: Path) -> None:
    """Nesting multiplies every limit."""
    inner = _archive(tmp_path / "inner.zip", {"a.dcm": DICOM}).read_bytes()
    (member,) = walk([_archive(tmp_path / "outer.zip", {"inner.zip": inner})])
    assert refused(member) == "archive-nested"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("medio.sources", ("numpy", "pydicom", "torch")),
        ("medio.pairing", ("pydicom", "torch", "monai")),
        ("medio.cohort", ("pydicom", "torch", "monai")),
        ("medio.reports.hl7v2", ("torch", "monai")),
        ("medio.ingest", ("transformers", "sklearn.ensemble", "pypdf", "fhir")),
    ],
)
def test_light_modules_stay_light(module: str, absent: tuple[str, ...]) -> None:
    """Listing, pairing and freezing cost no heavy import; reading pays for monai alone."""
    look = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
