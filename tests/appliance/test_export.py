"""Export with a real worker: what is written, under which names, and what is not."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.dataset import FileDataset

from appliance.api import Appliance
from appliance.errors import ApplianceError, UsageError, WorkerFailed
from appliance.evidence.log import EvidenceLog
from appliance.exporting import ExportView
from appliance.reading import PARSER_DIED
from appliance.workspace.workspace import Workspace
from tests.medio.objects import image, oru, part10, structured_report

PATIENT = {"PatientName": "Canary^Adelheid", "PatientID": "CAN-0042-77", "PatientBirthDate": "19520229"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    root = tmp_path_factory.mktemp("export") / "workspace"
    with Appliance(Workspace.create(root, "four random words", "Test", unsafe_fast_kdf=True)) as appliance:
        yield appliance


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images of a study, a structured report, an image with writing, a message, and noise."""
    folder = tmp_path_factory.mktemp("disc") / "Canary Adelheid"
    folder.mkdir()
    (folder / "one.dcm").write_bytes(part10(_plain(SOPInstanceUID="1.2.3.5")))
    (folder / "two.dcm").write_bytes(part10(_plain(SOPInstanceUID="1.2.3.6")))
    (folder / "report.dcm").write_bytes(part10(structured_report([], **PATIENT)))
    (folder / "written.dcm").write_bytes(part10(_written()))
    (folder / "message.hl7").write_bytes(oru("OBR|1||ACC1|X"))
    (folder / "noise.dcm").write_bytes(b"CANARY ADELHEID" * 40)
    return folder


def _plain(**attributes: str) -> FileDataset:
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    return image(pixels, **(PATIENT | attributes))


def _written() -> FileDataset:
    picture = Image.new("L", (320, 240))
    pen = ImageDraw.Draw(picture)
    pen.text((10, 10), "CANARY, ADELHEID 29.02.1952", fill=255, font=ImageFont.load_default(16))
    return image(np.asarray(picture), **(PATIENT | {"SOPInstanceUID": "1.2.3.7"}))


def _export(site: Appliance, disc: Path, folder: Path, accept: bool = False) -> ExportView:
    return site.export_studies([disc], folder, lambda step: None, accept_burned_in=accept)


def test_images_leave_without_identity_and_the_rest_stays(
    site: Appliance, disc: Path, tmp_path: Path
) -> None:
    """Two of six files are written; each of the others has its reason, and no name tells whose it was."""
    view = _export(site, disc, tmp_path / "out")
    assert (view.files, view.written) == (6, 2)
    assert {Path(one.path).name: one.reason for one in view.refused} == {
        "message.hl7": "not-dicom",
        "noise.dcm": "not-dicom",
        "report.dcm": "structured-content",
        "written.dcm": "burned-in-text-suspected",
    }
    files = sorted((tmp_path / "out").rglob("*.*"))
    assert len(files) == 2
    for file in files:
        assert re.fullmatch(r"P-[0-9a-f]{24}/[0-9a-f]{32}\.dcm", str(file.relative_to(tmp_path / "out")))
        assert not re.search(rb"canary|adelheid|19520229|0042|1\.2\.3\b", file.read_bytes().lower())
        assert file.stat().st_mode & 0o077 == 0


def test_one_study_stays_one_study(site: Appliance, disc: Path, tmp_path: Path) -> None:
    """Study and patient are replaced alike in all files and exports; instances stay apart."""
    _export(site, disc, tmp_path / "out")
    _export(site, disc, tmp_path / "again")
    objects = [dcmread(file) for file in sorted((tmp_path / "out").rglob("*.dcm"))]
    later = [dcmread(file) for file in sorted((tmp_path / "again").rglob("*.dcm"))]
    assert len({ds.StudyInstanceUID for ds in (*objects, *later)}) == 1
    assert len({ds.PatientID for ds in (*objects, *later)}) == 1
    assert len({ds.SOPInstanceUID for ds in objects}) == 2
    assert objects == later


def test_another_workspace_gives_other_handles(site: Appliance, disc: Path, tmp_path: Path) -> None:
    """Nobody can join the exports of two sites."""
    _export(site, disc, tmp_path / "out")
    workspace = Workspace.create(tmp_path / "other", "four random words", "Other", unsafe_fast_kdf=True)
    with Appliance(workspace) as other:
        _export(other, disc, tmp_path / "theirs")
    ours, theirs = (
        {dcmread(file).StudyInstanceUID for file in (tmp_path / name).rglob("*.dcm")}
        for name in ("out", "theirs")
    )
    assert ours.isdisjoint(theirs)


def test_writing_leaves_only_when_accepted(site: Appliance, disc: Path, tmp_path: Path) -> None:
    """An officer who looked at the picture may let it pass."""
    assert _export(site, disc, tmp_path / "out", accept=True).written == 3


def test_a_second_export_writes_nothing_twice(site: Appliance, disc: Path, tmp_path: Path) -> None:
    """Names come from content and key, so a repeated export finds its files."""
    _export(site, disc, tmp_path / "out")
    view = _export(site, disc, tmp_path / "out")
    assert (view.written, view.already_there) == (0, 2)


def test_an_export_is_an_act(site: Appliance, disc: Path, tmp_path: Path) -> None:
    """It is logged before and after, by handles that say nothing."""
    before = site.log_count()
    _export(site, disc, tmp_path / "out")
    rows = [row for row in site.log_entries(before, 10) if row.act != "log.view"]
    assert [(row.act, row.outcome) for row in rows] == [
        ("studies.export", "begins"),
        ("studies.export", "done"),
    ]
    assert "anary" not in str(rows)


def test_nothing_is_exported_into_the_workspace(site: Appliance, disc: Path) -> None:
    """The workspace holds what is sealed, and nothing else."""
    with pytest.raises(UsageError, match="workspace"):
        _export(site, disc, site._workspace.root / "out")


def test_a_file_that_kills_the_worker_costs_itself(
    site: Appliance, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest goes to a new worker."""
    from appliance.worker import Worker

    ask = Worker.ask

    def kill(self: Worker, question: dict[str, str], timeout_s: float) -> object:
        if str(question.get("path", "")).endswith("one.dcm"):
            self.kill()
        return ask(self, question, timeout_s)

    monkeypatch.setattr(Worker, "ask", kill)
    view = _export(site, disc, tmp_path / "out")
    assert view.written == 1
    assert [one.reason for one in view.refused if one.path.endswith("one.dcm")] == [PARSER_DIED]


@pytest.mark.parametrize(
    "said",
    [
        {"reason": "Canary^Adelheid", "message": ""},
        {"reason": "not-dicom", "message": "\x1b[2J"},
        {"reason": "", "message": "", "size": 1 << 60},
        {"reason": "", "message": "", "uids": "1.2.3"},
        {"message": ""},
    ],
)
def test_a_captured_worker_says_nothing(
    site: Appliance, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, object]
) -> None:
    """What is no answer costs the file, under our own words."""
    from appliance.worker import Worker

    monkeypatch.setattr(Worker, "ask", lambda self, question, timeout_s: ({"type": "handles", **said}, b""))
    view = _export(site, disc, tmp_path / "out")
    assert (view.written, {one.reason for one in view.refused}) == (0, {PARSER_DIED})
    assert not any("anary" in one.message for one in view.refused)


def test_a_disk_that_refuses_leaves_no_half_file(
    site: Appliance, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export ends with a reason, and what was under way is gone."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("appliance.exporting.os.fsync", full)
    monkeypatch.setattr(EvidenceLog, "append", lambda self, *given, **named: None)
    with pytest.raises(ApplianceError, match="No space left"):
        _export(site, disc, tmp_path / "out")
    assert [file for file in (tmp_path / "out").rglob("*") if file.is_file()] == []


def test_a_worker_that_cannot_start_is_no_files_fault(
    site: Appliance, disc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The export ends instead of refusing every file."""
    from appliance.worker import Worker

    def dead(self: Worker, job: dict[str, object]) -> None:
        raise WorkerFailed("no worker on this machine")

    monkeypatch.setattr(Worker, "begin", dead)
    with pytest.raises(WorkerFailed, match="on this machine"):
        _export(site, disc, tmp_path / "out")
