"""The folder in memory where a model's small files lie while a worker needs them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from appliance import run_folder
from appliance.errors import ApplianceError, IntegrityError, WorkerFailed
from appliance.run_folder import RunFolder
from appliance.worker import Worker
from appliance.workspace.session import is_memory


def test_it_is_memory_of_one_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernel's list of mounts; folders 0700, files 0600, whatever the umask allows."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    before = os.umask(0)
    try:
        folder = RunFolder()
        place = folder.filled("model", [("config.json", b"{}"), ("templates/a.jinja", b"a")])
    finally:
        os.umask(before)
    assert is_memory(folder.path)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in folder.path.rglob("*")}
    assert modes == {True: 0o700, False: 0o600}
    assert (place / "templates" / "a.jinja").read_bytes() == b"a"
    folder.emptied(place)
    assert list(folder.path.iterdir()) == []
    folder.remove()
    assert not folder.path.exists()


def test_a_disk_is_never_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no place is memory, no model is opened; a runtime folder on a disk is passed over."""
    assert not is_memory(tmp_path) or pytest.skip("not shown: needs a temporary folder on a disk")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    other = RunFolder()
    assert other.path.is_relative_to("/dev/shm")
    other.remove()
    monkeypatch.setattr(run_folder, "SHARED_MEMORY", tmp_path)
    with pytest.raises(ApplianceError, match="no folder in memory") as refused:
        RunFolder()
    assert "tmpfs" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../config.json", "/etc/passwd", "a/../../b", "."])
def test_names_never_lead_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A record's names are the vendor's."""
    monkeypatch.setattr(run_folder, "is_memory", lambda path: True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # a place that no other process writes to
    folder = RunFolder()
    assert folder.path.is_relative_to(tmp_path)
    try:
        with pytest.raises((IntegrityError, ApplianceError)):
            folder.filled("model", [(name, b"x")])
        assert not any(path.is_file() for path in tmp_path.rglob("*"))
    finally:
        folder.remove()


def test_only_a_worker_for_models_has_one() -> None:
    """It can read its folder and goes with it; a parser has none."""
    with Worker([], "read-weights", threads=1) as reader, pytest.raises(WorkerFailed):
        _ = reader.folder
    with Worker([], "audit", threads=1) as worker:
        path = worker.folder.path
        assert path.is_dir()
    assert not path.exists()
