"""Backup and restore: one file, whole or refused; a restored workspace is the one that was backed up."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from appliance.api import Appliance
from appliance.errors import ApplianceError, Busy, CannotWrite, IntegrityError, Locked, UsageError
from appliance.evidence.log import EvidenceLog
from appliance.workspace import archive
from appliance.workspace.keys import SecretKey
from appliance.workspace.workspace import Workspace
from tests.appliance import whole_site
from tests.appliance.whole_site import PASSPHRASE, content

ROOT = Path(__file__).parents[2]


def silent(done: int, total: int) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a workspace `ws` and its backup `b.tar`; tests copy what they change."""
    folder = tmp_path_factory.mktemp("made")
    whole_site.build(folder / "ws")
    with Appliance.unlock(folder / "ws", PASSPHRASE) as appliance:
        appliance.backup(folder / "b.tar", silent)
    return folder


def restored(file: Path, into: Path) -> Any:
    """Restore with the right passphrase."""
    return Appliance.restore(file, into, PASSPHRASE, "", silent)


def test_a_restored_workspace_is_the_one_that_was_backed_up(made: Path, tmp_path: Path) -> None:
    """Objects, rows, steps and log are there; the log goes on, and names the backup."""
    told = restored(made / "b.tar", tmp_path / "new")
    before, after = content(made / "ws"), content(tmp_path / "new")
    assert {name for name in before if name.startswith(("objects", "steps", "keyring"))} <= set(after)
    assert all(after[name] == before[name] for name in after if not name.startswith("catalogue"))
    with (
        Appliance.unlock(made / "ws", PASSPHRASE) as old,
        Appliance.unlock(tmp_path / "new", PASSPHRASE) as new,
    ):
        assert new._workspace.catalogue.instances() == old._workspace.catalogue.instances()
        assert new._workspace.catalogue.audits() == old._workspace.catalogue.audits()
        assert new._workspace.steps(whole_site.AUDIT_ID).get("ab" * 32) == b"signals"
        assert new.verify_workspace().damages == ()
        entries = [(entry.act, entry.outcome, entry.detail_digest) for entry in new._log.entries()]
        assert ("workspace.restore", "done", told.digest) in entries
        logged = [(entry.act, entry.outcome, entry.detail_digest) for entry in old._log.entries()]
        assert ("workspace.backup", "done", told.digest) in logged


def test_nothing_in_a_backup_is_readable_without_the_passphrase(made: Path, tmp_path: Path) -> None:
    """No text, no log key, no plain catalogue; in the workspace the log key is seen, so this can fail."""
    data = (made / "b.tar").read_bytes()
    seed = (made / "ws" / "log" / "signing.key").read_bytes()
    for secret in (
        b"The heart is of normal size",
        b"SQLite format",
        seed.splitlines()[1],
        PASSPHRASE.encode(),
    ):
        assert secret not in data
    assert seed.splitlines()[1] in b"".join(
        path.read_bytes() for path in (made / "ws").rglob("*") if path.is_file()
    )
    with pytest.raises(Locked):
        Appliance.restore(made / "b.tar", tmp_path / "new", "not the passphrase", "", silent)
    assert list(tmp_path.iterdir()) == []


def test_any_tar_program_can_look_inside(made: Path) -> None:
    """The file is a plain tar archive with the manifest first."""
    with tarfile.open(made / "b.tar") as file:
        names = file.getnames()
    assert (names[0], names[-1]) == ("manifest.json", "seal.json")
    assert "log/signing.key" not in names and "log/signing.key.ga1" in names


def test_every_change_of_a_byte_is_refused(made: Path, tmp_path: Path) -> None:
    """One byte in each block, and 300 drawn anywhere: headers, padding, members, manifest, seal, end."""
    whole = (made / "b.tar").read_bytes()
    draw = random.Random(7)
    places = [*range(100, len(whole), 512 * 7), *(draw.randrange(len(whole)) for _ in range(300))]
    path = tmp_path / "changed.tar"
    for place in places:
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :]
        )
        with pytest.raises((IntegrityError, UsageError)):
            archive.read_archive(path, None, silent)
    path.write_bytes(whole)
    archive.read_archive(path, None, silent)


@pytest.mark.parametrize("kept", [0, 100, 512, 4000, 100_000, -1, -1024, -2000])
def test_a_cut_backup_is_refused(made: Path, tmp_path: Path, kept: int) -> None:
    """Wherever it ends, and when something follows its end."""
    whole = (made / "b.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:kept])
    (tmp_path / "long.tar").write_bytes(whole + b"\0")
    for name in ("cut.tar", "long.tar"):
        with pytest.raises((IntegrityError, UsageError)):
            restored(tmp_path / name, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.tar", "long.tar"]


def _rewritten(made: Path, target: Path, change: Any) -> None:
    """A backup whose members somebody changed who knows the format and not the keys."""
    folder = target.with_suffix(".members")
    manifest = archive.read_archive(made / "b.tar", folder, silent)
    names = change(folder, [name for name, _, _ in manifest.members])
    sources = [archive.Source(name, folder / name) for name in names]
    archive.write_archive(target, manifest.about, sources, SecretKey(bytes(32)), silent)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder, names: names, "not put together by this workspace"),
        (lambda folder, names: [name for name in names if "objects" not in name], "not put together"),
        (lambda folder, names: [name for name in names if name != "keyring.json"], "no workspace"),
    ],
    ids=["the same members", "without objects", "without keyring"],
)
def test_a_backup_put_together_by_a_stranger_is_refused(
    made: Path, tmp_path: Path, change: Any, said: str
) -> None:
    """Digests alone are no protection: every digest is right here, the seal is not."""
    _rewritten(made, tmp_path / "forged.tar", change)
    archive.read_archive(tmp_path / "forged.tar", None, silent)  # the control: nothing else is wrong with it
    with pytest.raises(ApplianceError, match=said):
        restored(tmp_path / "forged.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/x", "objects/../x", "log/signing.key", "lock", "x.py"])
def test_a_member_that_is_no_part_of_a_workspace_is_refused(made: Path, tmp_path: Path, name: str) -> None:
    """Names never lead outside the folder, and nothing foreign comes along."""
    (tmp_path / "x").write_bytes(b"x")
    about = archive.read_archive(made / "b.tar", None, silent).about
    archive.write_archive(
        tmp_path / "f.tar", about, [archive.Source(name, tmp_path / "x")], SecretKey(bytes(32)), silent
    )
    with pytest.raises(IntegrityError, match="no part of a workspace"):
        restored(tmp_path / "f.tar", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.tar", "x"]


def test_nothing_is_overwritten(made: Path, tmp_path: Path) -> None:
    """A backup over a file, into its own workspace, and a restore over anything are refused."""
    (tmp_path / "there").write_bytes(b"mine")
    with Appliance.unlock(made / "ws", PASSPHRASE) as appliance:
        for target in (tmp_path / "there", made / "ws" / "b.tar", tmp_path / "missing" / "b.tar"):
            with pytest.raises(ApplianceError):
                appliance.backup(target, silent)
        assert appliance._log.entries(-1)[0].outcome == "failed"
    for into in (tmp_path / "there", made / "ws"):
        with pytest.raises(UsageError, match="already exists"):
            restored(made / "b.tar", into)
    assert (tmp_path / "there").read_bytes() == b"mine"
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_damaged_workspace_is_not_restored_as_a_whole_one(made: Path, tmp_path: Path) -> None:
    """A backup keeps damage as it found it; the restore opens every object and names the file."""
    root = Path(shutil.copytree(made / "ws", tmp_path / "ws"))
    victim = next(path for path in (root / "objects").rglob("*.ga1") if path.stat().st_size > 30_000)
    sound = victim.read_bytes()
    victim.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        appliance.backup(tmp_path / "b.tar", silent)
    with pytest.raises(IntegrityError, match=victim.name):
        restored(tmp_path / "b.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_is_no_part_of_a_workspace_stops_a_backup(made: Path, tmp_path: Path) -> None:
    """An unknown file is named, not left out silently."""
    root = Path(shutil.copytree(made / "ws", tmp_path / "ws"))
    (root / "notes.txt").write_bytes(b"?")
    with Appliance.unlock(root, PASSPHRASE) as appliance, pytest.raises(IntegrityError, match=r"notes\.txt"):
        appliance.backup(tmp_path / "b.tar", silent)
    assert not (tmp_path / "b.tar").exists()


def test_an_object_that_goes_away_meanwhile_ends_the_backup(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Erasure between list and copy: no backup that misses a file it names."""
    root = Path(shutil.copytree(made / "ws", tmp_path / "ws"))
    whole = archive._add_file

    def erased(file: Any, one: Any, size: int) -> str:
        if one.name.startswith("objects"):
            one.path.unlink(missing_ok=True)
        return whole(file, one, size)

    monkeypatch.setattr(archive, "_add_file", erased)
    with Appliance.unlock(root, PASSPHRASE) as appliance, pytest.raises(Busy, match="changed while"):
        appliance.backup(tmp_path / "b.tar", silent)
    assert [path.name for path in tmp_path.iterdir()] == ["ws"]


def test_readers_and_a_writer_go_on_while_objects_are_copied(made: Path, tmp_path: Path) -> None:
    """The writer's lock is free again when members are copied; what is written then is not in the backup."""
    root = Path(shutil.copytree(made / "ws", tmp_path / "ws"))
    with Appliance.unlock(root, PASSPHRASE) as one, Workspace.open(root, PASSPHRASE) as other:

        def write(done: int, total: int) -> None:
            if done == 1:
                with other.writing():
                    other.vault.put("weights", b"later")
                assert other.catalogue.counts().instances == 1

        one.backup(tmp_path / "b.tar", write)
    restored(tmp_path / "b.tar", tmp_path / "new")
    objects = {path.name for path in (root / "objects").rglob("*.ga1")}
    assert len(objects - {path.name for path in (tmp_path / "new" / "objects").rglob("*.ga1")}) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_leaves_nothing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Backup and restore end with an error that says so, and take away what they had written."""
    real = os.fsync

    def full(descriptor: int) -> None:
        if ".building-" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with Appliance.unlock(made / "ws", PASSPHRASE) as appliance, pytest.raises(CannotWrite):
        appliance.backup(tmp_path / "b.tar", silent)
    with pytest.raises(ApplianceError):
        restored(made / "b.tar", tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from appliance.api import Appliance
what, source, target, turn = sys.argv[1:]
def step(done, total):
    if done == int(turn):
        os.kill(os.getpid(), signal.SIGKILL)
if what == "backup":
    with Appliance.unlock(Path(source), "four random words") as appliance:
        appliance.backup(Path(target), step)
else:
    Appliance.restore(Path(source), Path(target), "four random words", "", step)
"""


@pytest.mark.parametrize("what", ["backup", "restore"])
@pytest.mark.parametrize("turn", [1, 9])
def test_a_kill_leaves_nothing_that_looks_whole(made: Path, tmp_path: Path, what: str, turn: int) -> None:
    """kill -9 in the middle: nothing of that name; the next attempt removes the rest and succeeds."""
    root = Path(shutil.copytree(made / "ws", tmp_path / "ws"))
    source = root if what == "backup" else made / "b.tar"
    command = [sys.executable, "-c", KILLED, what, str(source), str(tmp_path / "target"), str(turn)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    assert not (tmp_path / "target").exists()
    if what == "backup":
        with Appliance.unlock(root, PASSPHRASE) as appliance:
            appliance.backup(tmp_path / "target", silent)
    else:
        restored(source, tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["target", "ws"]


def test_a_restored_log_forks_from_the_original(made: Path, tmp_path: Path) -> None:
    """Both go on from the same entry: whoever saw the later original can tell the two apart."""
    told = restored(made / "b.tar", tmp_path / "new")
    old, new = (EvidenceLog.open(root / "log", create=False) for root in (made / "ws", tmp_path / "new"))
    size = min(old.size, new.size)
    assert size > told.log_entries
    assert old.checkpoint_at(told.log_entries) == new.checkpoint_at(told.log_entries)
    assert old.checkpoint_at(size) != new.checkpoint_at(size)


def test_the_commands_say_what_they_did(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """backup, backup --verify, restore, workspace verify: exit 0, and 20 for a damaged file."""
    run = whole_site.run
    file, new = str(tmp_path / "b.tar"), str(tmp_path / "new")
    assert run(monkeypatch, made / "ws", "backup", file).code == 0
    assert "intact" in run(monkeypatch, made / "ws", "backup", "--verify", file).out
    said = run(monkeypatch, made / "ws", "restore", file, new)
    assert said.code == 0 and "fork" in said.err
    assert run(monkeypatch, tmp_path / "new", "workspace", "verify").out.startswith("whole")
    (tmp_path / "b.tar").write_bytes((tmp_path / "b.tar").read_bytes()[:-600])
    refused = run(monkeypatch, made / "ws", "backup", "--verify", file)
    assert refused.code == 20 and "error:" in refused.err and "Traceback" not in refused.err
