"""A full disk: the log says so with its last entry, and nothing happens afterwards until there is room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import LogUnwritable
from appliance.evidence import files
from appliance.evidence.log import EvidenceLog
from tests.appliance.evidence_case import small_log

ROOT = Path(__file__).parent.parent.parent
FULL = """
import json, os, pathlib, sys
from appliance.errors import LogUnwritable
from appliance.evidence import files
from appliance.evidence.log import EvidenceLog

disk, ballast = pathlib.Path(sys.argv[1]), sys.argv[2] == "with"
if not ballast:
    files.release_reserve = lambda directory: None  # the control: nothing to give back
log = EvidenceLog.open(disk / "log")
log.append("a.before")
with open(disk / "images", "wb", buffering=0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError:
        pass
accepted, refused = 0, ""
for _ in range(200):
    try:
        log.append("a.act")
        accepted += 1
    except LogUnwritable as error:
        refused = str(error)
        break
try:
    EvidenceLog.open(disk / "log").append("a.act")
    later = "accepted"
except LogUnwritable:
    later = "refused"
(disk / "images").unlink()
third = EvidenceLog.open(disk / "log")
acts = [entry.act for entry in third.entries(0, 999)]
third.append("a.after")
print(json.dumps({
    "accepted": accepted, "refused": refused, "logged": acts.count("a.act"), "full": acts.count("log.full"),
    "later": later, "intact": third.verify().intact, "last": third.entries(-1)[0].act,
    "reserve": files.holds_reserve(disk / "log"),
}))
"""


def on_a_small_disk(ballast: str) -> dict[str, Any]:
    """What happens on a file system of its own with 1200 KiB."""
    script = (
        'mount -t tmpfs -o size=1200k tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'  # seen by this process alone
    )
    folder = Path("/tmp")
    disk = folder / f"gradaudit-small-{os.getpid()}-{ballast}"
    disk.mkdir()
    try:
        done = subprocess.run(
            ["unshare", "-Urm", "sh", "-c", script, "sh", str(disk), sys.executable, FULL, ballast],
            cwd=ROOT, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    finally:
        disk.rmdir()
    if "unshare" in done.stderr.splitlines()[-1:] or "mount:" in done.stderr:
        pytest.skip("not shown: needs a user namespace with a file system of its own")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(autouse=True)
def _needs_unshare() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("not shown: needs unshare")


def test_a_full_disk_is_the_last_entry() -> None:
    """On a disk that is really full the refusal is logged, and no act passes until there is room."""
    seen = on_a_small_disk("with")
    assert seen["refused"] == "the log cannot be written (No space left on device): nothing was done"
    assert seen["accepted"] == seen["logged"]
    assert seen["full"] == 2  # one for each act that was refused, before and after the restart
    assert ("refused", True, "a.after", True) == (
        seen["later"],
        seen["intact"],
        seen["last"],
        seen["reserve"],
    )


def test_without_ballast_there_is_no_such_entry() -> None:
    """The control: with nothing to give back, the same disk has no room for the entry."""
    seen = on_a_small_disk("without")
    assert (0, True) == (seen["full"], seen["intact"])


@pytest.mark.parametrize("call", ["pwrite", "fsync", "rename"])
def test_whichever_call_finds_the_disk_full(tmp_path: Path, call: str) -> None:
    """ENOSPC from the first write, sync or rename of an append: refused, told, closed, whole."""
    log = small_log(tmp_path / "log")
    size, failed = log.size, []

    def full(*arguments: Any, **named: Any) -> Any:
        if not failed:
            failed.append(call)
            raise OSError(28, "No space left on device")
        return real(*arguments, **named)

    real = getattr(os, call)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(LogUnwritable, match="nothing was done"):
            log.append("findings.reveal")
    assert ("log.full", "refused") == (log.entries(-1)[0].act, log.entries(-1)[0].outcome)
    assert log.size == size + 1
    with pytest.raises(LogUnwritable):
        log.append("findings.reveal")
    assert not files.holds_reserve(tmp_path / "log")
    again = EvidenceLog.open(tmp_path / "log")
    again.append("a.b")
    assert files.holds_reserve(tmp_path / "log")
    assert again.verify().intact


def test_a_checkpoint_that_got_through_is_not_written_over(tmp_path: Path) -> None:
    """When the disk already holds the new checkpoint, no other entry may take its place."""
    log = small_log(tmp_path / "log")
    size, real, calls = log.size, os.fsync, []

    def full_at_the_directory(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full_at_the_directory)
        with pytest.raises(LogUnwritable):
            log.append("findings.reveal")
    again = EvidenceLog.open(tmp_path / "log")
    assert (size + 1, "findings.reveal") == (again.size, again.entries(-1)[0].act)
    assert again.verify().intact


def test_the_reserve_is_allocated_not_only_long(tmp_path: Path) -> None:
    """A file of the right length without blocks is no ballast, and the next append fills it."""
    log = small_log(tmp_path / "log")
    assert files.holds_reserve(tmp_path / "log")
    reserve = tmp_path / "log" / "reserve"
    reserve.unlink()
    with reserve.open("wb") as stream:
        stream.truncate(files.RESERVE_BYTES)
    assert not files.holds_reserve(tmp_path / "log")
    log.append("a.b")
    assert files.holds_reserve(tmp_path / "log")
