"""What an ingest finds to read; archives and file-sets are opened up by a real boxed worker."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.errors import UsageError, WorkerFailed
from appliance.listing import REFERENCED_FILES_MISSING, Listing, readable
from appliance.worker import Worker
from appliance.workspace.workspace import Workspace
from tests.medio.test_directory import directory


def listing(*paths: Path) -> Listing:
    """The files below these paths, as an ingest finds them."""
    return Listing(paths, lambda: Worker(readable(paths), "list", memory_bytes=2 << 30, threads=1))


def no_worker() -> Worker:
    """A site on which nothing has to be opened."""
    raise AssertionError("a worker for folders only")


def disc(folder: Path, *names: str) -> Path:
    """Files of these names, some bytes in each."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_folders_need_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but names is looked at, and a relative path stays one."""
    disc(tmp_path, "b/2", "a", "b/1")
    found = Listing([tmp_path], no_worker)
    assert found.total == 3
    assert [path.name for path in found] == ["a", "1", "2"]
    monkeypatch.chdir(tmp_path)
    assert list(Listing([Path("b")], no_worker)) == [Path("b/1"), Path("b/2")]


def test_a_path_that_is_not_there_and_an_empty_folder_are_usage(tmp_path: Path) -> None:
    """Said before anything is read."""
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(UsageError):
            Listing([path], no_worker)


def test_members_are_found_in_the_box(tmp_path: Path) -> None:
    """An archive gives its members in its place; a refused one stands for itself."""
    disc(tmp_path, "a", "c")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("two", b"2")
        archive.writestr("ä\n1", b"1")
    (tmp_path / "b2.zip").write_bytes((tmp_path / "b.zip").read_bytes()[:40])
    found = listing(tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == ["a", "b.zip!/two", "b.zip!/ä\n1", "b2.zip", "c"]
    assert found.total == 5


def test_a_file_set_gives_what_is_there_of_it(tmp_path: Path) -> None:
    """Lower case, versions and final points are found; what is missing is told, what leads out is missing."""
    disc(tmp_path / "cd", "pt1/im1", "pt1/IM2.;1", "pt1/IM3", "pt1/beside")
    disc(tmp_path, "outside/secret")
    (tmp_path / "cd" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "cd" / "DICOMDIR").write_bytes(
        directory(
            *(["PT1", name] for name in ("IM1", "IM2", "IM3", "IM4")),
            ["..", "outside", "secret"],
            ["LINK", "SECRET"],
            "PT1",
            "/etc/passwd",
            "DICOMDIR",
        )
    )
    found = listing(tmp_path / "cd" / "DICOMDIR")
    names = [str(path.relative_to(tmp_path / "cd")) for path in found]
    assert names == ["DICOMDIR", "pt1/IM2.;1", "pt1/IM3", "pt1/im1"]
    assert found.warnings == {tmp_path / "cd" / "DICOMDIR": (REFERENCED_FILES_MISSING,)}


def test_a_folder_with_a_file_set_is_walked(tmp_path: Path) -> None:
    """Every file comes once, whether or not the DICOMDIR inside or beside names it."""
    disc(tmp_path, "IM1", "IM2")
    (tmp_path / "DICOMDIR").write_bytes(directory("IM1"))
    assert [path.name for path in Listing([tmp_path], no_worker)] == ["DICOMDIR", "IM1", "IM2"]
    twice = listing(tmp_path / "DICOMDIR", tmp_path / "IM1")
    assert [path.name for path in twice] == ["DICOMDIR", "IM1"]
    assert twice.warnings == {}


def test_what_kills_the_worker_stands_for_itself(tmp_path: Path) -> None:
    """The reading worker meets the same file and says why it cannot be used; the next one is listed again."""
    for name in ("1.zip", "2.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("a", b"1")
    started: list[Worker] = []

    def fragile() -> Worker:
        worker = Worker([tmp_path], "list")
        if not started:
            _ = worker.isolation
            worker.kill()
        started.append(worker)
        return worker

    found = list(Listing([tmp_path], fragile))
    assert [path.name for path in found] == ["1.zip", "a"] and len(started) == 2


def test_a_worker_that_cannot_start_is_no_files_fault(tmp_path: Path) -> None:
    """The ingest stops with the worker's own words."""
    with zipfile.ZipFile(tmp_path / "1.zip", "w") as archive:
        archive.writestr("a", b"1")

    def dead() -> Worker:
        worker = Worker([tmp_path], "list")
        worker.kill()
        return worker

    with pytest.raises(WorkerFailed):
        list(Listing([tmp_path], dead))


def test_names_that_are_no_text_go_through_an_ingest(tmp_path: Path) -> None:
    """The reader finds the file, and the quarantine takes note of it, whatever bytes its name is made of."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in (b"r\xf6ntgen.txt", b"\xff\xfe.bin", b"new\nline.txt"):
        Path(os.fsdecode(os.fsencode(inbox) + b"/" + name)).write_bytes(b"Impression: clear. " + name)
    workspace = Workspace.create(tmp_path / "workspace", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as site:
        view = site.ingest([inbox], lambda step: None)
    assert (view.reports, view.quarantined) == (2, (("unknown-format", 1),))
