"""`gradaudit ingest --dry-run`: one line a file, without a workspace, equal to what an ingest makes of it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from typer.testing import CliRunner, Result

from appliance.api import Appliance
from appliance.cli import app
from appliance.dry_run import dry_run
from appliance.errors import UsageError
from appliance.workspace.workspace import Workspace
from tests.medio.objects import dataset, image, part10

ROOT = Path(__file__).parents[2]
KEYS = [
    *(
        "path",
        "outcome",
        "reason",
        "message",
        "transfer_syntax",
        "sop_class",
        "modality",
        "frames",
        "frame_rule",
    ),
    *("shape", "dtype", "min", "max", "mean", "reports", "skipped", "warnings", "bytes"),
]
PIXELS = np.arange(-1000, 3096, dtype=np.int16).reshape(64, 64)
ORDER = b"MSH|^~\\&|A|B|||202401020304||ORM^O01|1|P|2.4\rPID|||PAT1\rORC|NW|1\rOBR|1|1||X^CHEST\r"


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """One file of several kinds, with names in this order."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(part10(image(PIXELS)))
    (folder / "b.txt").write_text("Chest radiograph. The heart is of normal size. No effusion.")
    with zipfile.ZipFile(folder / "c.zip", "w") as archive:
        archive.writestr(
            "inner/plan.dcm", part10(dataset("1.2.840.10008.5.1.4.1.1.481.5", Modality="RTPLAN"))
        )
    (folder / "d.hl7").write_bytes(ORDER)
    (folder / "e.dcm").write_bytes(part10(image(PIXELS))[:-100])
    (folder / "f.bin").write_bytes(b"\x00\x01nothing")
    return folder


def ran(*arguments: object) -> Result:
    """The command as typed, stdout and stderr apart."""
    return CliRunner().invoke(app, ["ingest", "--dry-run", *map(str, arguments)])


def test_every_file_gives_one_line(inbox: Path) -> None:
    """In the order of paths, with all keys, and the outcome of its kind."""
    result = ran("--json", inbox)
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(list(line) == KEYS for line in lines)
    names = ["a.dcm", "b.txt", "c.zip!/inner/plan.dcm", "d.hl7", "e.dcm", "f.bin"]
    assert [str(inbox / name) for name in names] == [line["path"] for line in lines]
    outcomes = ["image", "report", "document", "order", "rejected", "rejected"]
    assert outcomes == [line["outcome"] for line in lines]
    assert all(line["reason"] for line in lines if line["outcome"] in ("order", "rejected"))


def test_an_image_is_described_by_its_stored_values(inbox: Path) -> None:
    """Shape, type and statistics are those of pydicom's `pixel_array`."""
    (line,) = (json.loads(text) for text in ran("--json", inbox / "a.dcm").stdout.splitlines())
    assert {"shape": [64, 64], "dtype": "int16", "min": -1000.0, "max": 3095.0, "mean": 1047.5} == {
        key: line[key] for key in ("shape", "dtype", "min", "max", "mean")
    }
    assert ("1.2.840.10008.1.2.1", "CT", 1, "only frame") == tuple(
        line[key] for key in ("transfer_syntax", "modality", "frames", "frame_rule")
    )


def test_a_refused_image_still_says_what_its_header_said(tmp_path: Path) -> None:
    """An object set aside for its pixels is named by syntax and modality, and by nothing else."""
    film = image(PIXELS, Modality="CT")
    film.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    film.PixelData = encapsulate([bytes(64)])
    film["PixelData"].is_undefined_length = True
    (tmp_path / "a.dcm").write_bytes(part10(film))
    (line,) = dry_run([tmp_path], 1)
    assert ("unsupported", "video") == (line.outcome, line.reason)
    assert ("1.2.840.10008.1.2.4.100", "CT") == (line.transfer_syntax, line.modality)
    assert line.shape is None and line.frames is None


def test_an_archive_is_opened_once_for_all_its_members(tmp_path: Path) -> None:
    """Thousands of members take seconds, not the square of them."""
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(3000):
            archive.writestr(f"{number:04}.txt", f"Chest radiograph {number}. No effusion.")
    begun = time.process_time() + sum(os.times()[2:4])
    lines = list(dry_run([tmp_path / "many.zip"]))
    assert [f"{number:04}.txt" for number in range(3000)] == [line.path[-8:] for line in lines]
    assert {"report"} == {line.outcome for line in lines}
    assert time.process_time() + sum(os.times()[2:4]) - begun < 20


def test_a_table_with_too_many_words_is_too_large(tmp_path: Path) -> None:
    """What one answer cannot hold is a reason, not a dead parser; the file after it is read."""
    row = "P{},A{},No effusion. " + "öäü " * 10_000  # three times as long on its way
    rows = [row.format(number, number) for number in range(400)]
    (tmp_path / "a.csv").write_text("\n".join(["PatientID,AccessionNumber,report", *rows]))
    (tmp_path / "b.txt").write_text("Chest radiograph. No effusion.")
    large, small = dry_run([tmp_path], workers=1)
    assert (large.reason, large.message, small.outcome) == (
        "too-large",
        "too much text for one file",
        "report",
    )


def test_relative_paths_stay_relative(inbox: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the file as the officer would."""
    monkeypatch.chdir(inbox.parent)
    assert "inbox/a.dcm" == next(dry_run([Path("inbox")])).path


def test_a_name_that_is_no_text_can_be_told(inbox: Path) -> None:
    """JSON gives back the very bytes of a name in an old character set."""
    name = os.fsdecode(b"M\xfcller.txt")
    (inbox / name).write_text("Chest radiograph. No effusion.")
    (line,) = map(json.loads, ran("--json", inbox / name).stdout.splitlines())
    assert os.fsencode(line["path"]).endswith(b"M\xfcller.txt")
    assert 0 == ran(inbox / name).exit_code


def test_an_ingest_makes_the_same_of_it(inbox: Path, tmp_path: Path) -> None:
    """Taken in are exactly those that the dry run said would be, and the reasons are the same."""
    lines = list(dry_run([inbox]))
    workspace = Workspace.create(tmp_path / "workspace", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as site:
        view = site.ingest([inbox], lambda step: None)
        aside = sorted(row.reason for row in site.quarantine(each=True))
    assert (view.files, view.images, view.documents, view.orders, view.reports) == (6, 1, 1, 1, 1)
    assert sorted(line.reason for line in lines if line.outcome == "rejected") == aside


def test_a_missing_path_is_usage(inbox: Path) -> None:
    """Nothing is printed for the others either."""
    with pytest.raises(UsageError):
        next(dry_run([inbox, inbox / "absent"]))


def test_when_nothing_can_be_read_the_exit_code_says_so(inbox: Path) -> None:
    """Set-aside files beside others are data; alone they are a failure."""
    assert 0 == ran(inbox / "a.dcm", inbox / "f.bin").exit_code
    result = ran(inbox / "f.bin")
    assert 1 == result.exit_code
    assert "1 × rejected" in result.stderr


def test_lines_for_a_reader_hold_no_control_characters(inbox: Path) -> None:
    """A file name may be an attack on a terminal."""
    (inbox / "x\x1b]52;c;QQ==\x07.txt").write_text("Chest radiograph. No effusion.")
    shown = ran(inbox).stdout
    assert "\x1b" not in shown
    assert 7 == len(shown.splitlines())


def test_the_real_corpus_costs_little(real_data: Path, tmp_path: Path) -> None:
    """Some thousand files in one run: below 1 GiB, all processes together, and below three minutes."""
    command = [sys.executable, "-m", "appliance.cli", "ingest", "--dry-run", "--json", "--workers", "2"]
    folders = [real_data / "dicom" / "files", real_data / "reports"]
    begun = time.monotonic()
    with (tmp_path / "lines").open("wb") as lines:
        running = subprocess.Popen([*command, *folders], cwd=ROOT, stdout=lines, stderr=subprocess.DEVNULL)
        peak = 0
        while running.poll() is None:
            peak = max(peak, resident_bytes(running.pid))
            time.sleep(0.1)
    assert running.returncode == 0
    assert time.monotonic() - begun < 180
    assert 100 << 20 < peak < 1 << 30
    assert len((tmp_path / "lines").read_bytes().splitlines()) > 1000


def resident_bytes(pid: int) -> int:
    """Memory of a process and of its children; pages they share are counted in each."""
    total = 0
    for one in (str(pid), *children(pid)):
        with suppress(OSError):  # it ended meanwhile
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * resource.getpagesize()
    return total


def children(pid: int) -> list[str]:
    """Those of all its threads."""
    found: list[str] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += file.read_text().split()
    return found
