"""A change of keys that is killed: the old keys or the new ones, never neither."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, Locked
from appliance.workspace import rotation
from appliance.workspace.keyring_file import read_keyring
from appliance.workspace.workspace import Workspace
from tests.appliance import members_site as case

# One process forks a child for every step: Python tells of each file that is opened for writing, renamed or
# removed, and the child kills itself at the n-th, until one gets through.
_KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from appliance.api import Appliance

origin, folder, secrets = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def is_step(event, arguments):
    if event == "open":
        return bool(arguments[2] & WRITING)
    return event in {"os.rename", "os.remove", "os.mkdir", "os.truncate"}

def child(root, fatal):
    opened = Appliance.unlock(root, secrets["officer"], "officer")
    left = [fatal]
    def watch(event, arguments):
        if is_step(event, arguments):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)
    opened.remove_user("second")
    os._exit(0)

fatal, killed = 0, 0
while True:
    root = folder / str(fatal)
    shutil.copytree(origin, root)
    child_id = os.fork()
    if child_id == 0:
        try:
            child(root, fatal)
        finally:
            os._exit(3)
    status = os.waitpid(child_id, 0)[1]
    if os.waitstatus_to_exitcode(status) == 0:
        break
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, status
    killed += 1
    fatal += 1
print(killed)
"""


def killed_at_every_step(tmp_path: Path) -> tuple[list[Path], dict[str, str]]:
    """Copies of a workspace, each with a removal killed at another step; the last one went through."""
    origin = tmp_path / "origin"
    secrets = case.build(origin)
    with case.opened(origin, "officer", secrets) as opened:
        opened._workspace.vault.put("report-text", b"No acute finding.")
    given = [str(origin), str(tmp_path / "killed"), json.dumps(secrets)]
    (tmp_path / "killed").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return sorted((tmp_path / "killed").iterdir(), key=lambda path: int(path.name)), secrets


def test_killed_at_every_step(tmp_path: Path) -> None:
    """Removing an officer changes both keys: whoever should still opens everything, and the log is intact."""
    copies, secrets = killed_at_every_step(tmp_path)
    epochs = []
    for root in copies:
        with case.opened(root, "officer", secrets) as opened:
            workspace = opened._workspace
            epochs.append(workspace.keyring.epoch)
            assert opened.log_verify().intact
            kept = workspace.vault.put("report-text", b"No acute finding.")
            assert workspace.vault.get("report-text", kept) == b"No acute finding."
            assert opened.reveals() == ()  # the evidence key opens what findings lie in
            with workspace.writing():
                pass
            assert [rotation.catalogue_file(root, epochs[-1]).name] == [
                path.name for path in root.glob("catalogue*.db")
            ]
        if epochs[-1] == 2:
            with pytest.raises(Locked):
                case.opened(root, "second", secrets)
        else:
            case.opened(root, "second", secrets).close()
        shutil.rmtree(root)
    assert epochs == sorted(epochs) and set(epochs) == {1, 2}
    assert len(copies) > 20, f"{len(copies)} steps are too few to have shown anything"


def test_the_old_key_opens_no_leftover(tmp_path: Path) -> None:
    """Killed after the step that decides, the old catalogue goes at the next opening, before any act."""
    root = tmp_path / "workspace"
    secrets = case.build(root)
    old = (root / "catalogue.db").read_bytes()
    with case.opened(root, "officer", secrets) as opened:
        opened.rotate_keys()
    (root / "catalogue.db").write_bytes(old)
    assert rotation.leftovers(root, 2)
    case.opened(root, "operator", secrets).close()
    assert not (root / "catalogue.db").exists()


def test_the_order_is_what_saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: with keyring.json written before the catalogue of its epoch, a kill in between loses it."""
    root = tmp_path / "workspace"
    secrets = case.build(root)

    def keyring_first(root_: Path, after: object) -> None:
        rotation.write_keyring(root_ / "keyring.json", after)  # type: ignore[arg-type]
        rotation.catalogue_file(root_, read_keyring(root_ / "keyring.json").epoch).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr("appliance.workspace.workspace.commit", keyring_first)
    stopped = pytest.raises((KeyboardInterrupt, ApplianceError))
    with case.opened(root, "officer", secrets) as opened, stopped:
        opened._workspace.rotate(opened._workspace.keyring, opened._workspace.authority())
    with pytest.raises(ApplianceError):
        case.opened(root, "officer", secrets)


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new catalogue or keyring cannot be written, the old keys go on in this very process."""
    root = tmp_path / "workspace"
    secrets = case.build(root)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("_export", "write_keyring"):
        with case.opened(root, "officer", secrets) as opened:
            with monkeypatch.context() as patch:
                patch.setattr(rotation, step, full)
                with pytest.raises(OSError, match="No space left"):
                    opened.rotate_keys()
            assert opened.models() == ()
            opened.set_auto_lock(7)
        assert read_keyring(root / "keyring.json").epoch == 1
    for name in ("officer", "second", "operator", "auditor", "scanner"):
        case.opened(root, name, secrets).close()


def test_another_program_has_it_open(tmp_path: Path) -> None:
    """A program that was open before the change reads on, and is sent back to unlock before it writes."""
    root = tmp_path / "workspace"
    secrets = case.build(root)
    with Workspace.open(root, secrets["operator"], "operator") as before:
        with case.opened(root, "officer", secrets) as opened:
            opened.rotate_keys()
        assert before.catalogue.models() == ()
        with pytest.raises(Locked, match="keys of this workspace were changed"), before.writing():
            pass
    with case.opened(root, "operator", secrets) as opened:
        assert opened.log_verify().intact


def test_the_keys_change_while_one_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads keyring.json just before the change opens with the keys after it."""
    root = tmp_path / "workspace"
    secrets = case.build(root)
    before = read_keyring(root / "keyring.json")
    with case.opened(root, "officer", secrets) as opened:
        opened.rotate_keys()
    reads = iter([before])
    real = read_keyring
    monkeypatch.setattr(
        "appliance.workspace.workspace.read_keyring", lambda path: next(reads, None) or real(path)
    )
    with Workspace.open(root, secrets["operator"], "operator") as late:
        assert late.keyring.epoch == 2
