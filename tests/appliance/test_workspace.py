"""Creating, opening, unlocking and sharing a workspace."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, Busy, IntegrityError, Locked, UsageError
from appliance.workspace import session
from appliance.workspace.keyring_file import read_keyring
from appliance.workspace.keys import SecretKey
from appliance.workspace.workspace import Workspace

PASSPHRASE = "correct horse battery"


def make(root: Path, site_name: str = "St. Anna") -> Workspace:
    return Workspace.create(root, PASSPHRASE, site_name, unsafe_fast_kdf=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path / "ws").close()
    return tmp_path / "ws"


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_create_open_close(tmp_path: Path) -> None:
    """A created workspace opens again with its passphrase and remembers who it is."""
    with make(tmp_path / "ws") as created:
        object_id = created.vault.put("report-text", b"No acute finding.")
        identity = created.workspace_id
    with Workspace.open(tmp_path / "ws", PASSPHRASE) as opened:
        assert opened.workspace_id == identity
        assert (opened.site_name, opened.demo) == ("St. Anna", False)
        assert opened.vault.get("report-text", object_id) == b"No acute finding."
        assert opened.log_dir == tmp_path / "ws" / "log"


def test_demo_is_remembered(tmp_path: Path) -> None:
    """A demo workspace says so for ever."""
    Workspace.create(tmp_path / "ws", PASSPHRASE, "Demo", demo=True, unsafe_fast_kdf=True).close()
    with Workspace.open(tmp_path / "ws", PASSPHRASE) as opened:
        assert opened.demo


def test_only_the_owner_may_look(root: Path) -> None:
    """Every directory is 0700 and every file 0600, under any umask."""
    before = os.umask(0)
    try:
        with Workspace.open(root, PASSPHRASE) as opened, opened.writing():
            opened.vault.put("frame", b"x")
            opened.catalogue.set_setting("a", "b")
            paths = [root, *root.rglob("*")]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
    finally:
        os.umask(before)
    expected = {path.name: 0o700 if path.is_dir() else 0o600 for path in paths}
    assert modes == expected


def test_the_real_passphrase_cost(tmp_path: Path) -> None:
    """Without the test switch a slot costs at least 256 MiB and three passes, and still opens."""
    Workspace.create(tmp_path / "ws", PASSPHRASE, "St. Anna").close()
    kdf = json.loads((tmp_path / "ws" / "keyring.json").read_text())["slots"][0]["kdf"]
    assert (kdf["name"], kdf["passes"], kdf["lanes"]) == ("argon2id", 3, 4)
    assert kdf["memory_kib"] >= 256 * 1024
    with Workspace.open(tmp_path / "ws", PASSPHRASE) as opened:
        assert not opened.unsafe_fast_kdf


def test_cheap_slots_show(root: Path) -> None:
    """A workspace made with the test switch says so."""
    with Workspace.open(root, PASSPHRASE) as opened:
        assert opened.unsafe_fast_kdf


@pytest.mark.parametrize(
    "wrong", ("", "correct horse batter", "Correct horse battery", PASSPHRASE + " ", "\udc80" * 9)
)
def test_wrong_passphrase(root: Path, wrong: str) -> None:
    """A wrong passphrase is refused with exit code 21 and a hint, and changes nothing."""
    before = contents(root)
    with pytest.raises(Locked) as raised:
        Workspace.open(root, wrong)
    assert raised.value.exit_code == 21 and raised.value.hint
    assert contents(root) == before


def test_the_same_words_typed_elsewhere(tmp_path: Path) -> None:
    """Composed and decomposed umlauts are the same passphrase."""
    Workspace.create(tmp_path / "ws", "Grüße aus München", "x", unsafe_fast_kdf=True).close()
    Workspace.open(tmp_path / "ws", "Gru\u0308ße aus Mu\u0308nchen").close()


@pytest.mark.parametrize("passphrase", ("", "seven77"))
def test_short_passphrase(tmp_path: Path, passphrase: str) -> None:
    """A passphrase under eight characters is refused before anything is written."""
    with pytest.raises(UsageError, match="shorter"):
        Workspace.create(tmp_path / "ws", passphrase, "x", unsafe_fast_kdf=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ("workspace", "file", "empty directory", "dangling link"))
def test_create_refuses_what_exists(tmp_path: Path, kind: str) -> None:
    """Nothing that exists is overwritten, whatever it is."""
    target = tmp_path / "ws"
    if kind == "workspace":
        make(target).close()
    elif kind == "file":
        target.write_text("mine")
    elif kind == "empty directory":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="already exists"):
        make(target)
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["ws"]


def test_create_without_parent(tmp_path: Path) -> None:
    """A parent that does not exist is a usage error with a hint."""
    with pytest.raises(UsageError, match="cannot create") as raised:
        make(tmp_path / "no" / "ws")
    assert raised.value.hint


def test_create_that_fails_midway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure at the last file leaves nothing behind and the next attempt succeeds."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("appliance.workspace.workspace.write_keyring", full)
        with pytest.raises(UsageError, match="No space left"):
            make(tmp_path / "ws")
    assert list(tmp_path.iterdir()) == []
    make(tmp_path / "ws").close()


_CREATE = """
import sys, time
from pathlib import Path
from appliance.workspace.workspace import Workspace
print("ready", flush=True)
Workspace.create(Path(sys.argv[1]), "correct horse battery", "x", unsafe_fast_kdf=True)
time.sleep(30)
"""


@pytest.mark.parametrize("delay_ms", (0, 5, 15, 40))
def test_create_that_is_killed(tmp_path: Path, delay_ms: int) -> None:
    """Kill -9 during creation leaves a whole workspace or none, and the next attempt clears what is left."""
    target = tmp_path / "ws"
    process = subprocess.Popen([sys.executable, "-c", _CREATE, str(target)], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    time.sleep(delay_ms / 1000)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    if target.exists():
        Workspace.open(target, PASSPHRASE).close()
    else:
        make(target).close()
        assert [path.name for path in tmp_path.iterdir()] == ["ws"]


def test_no_workspace(tmp_path: Path) -> None:
    """Where there is no workspace, every way in says so with exit code 21."""
    for way in (
        lambda: Workspace.open(tmp_path, PASSPHRASE),
        lambda: Workspace.resume(tmp_path),
        lambda: Workspace.lock(tmp_path),
    ):
        with pytest.raises(Locked, match="no workspace"):
            way()


def test_damaged_keyring(root: Path) -> None:
    """Damage to the keyring is called damage, not a wrong passphrase."""
    path = root / "keyring.json"
    genuine = path.read_bytes()
    last_digit = genuine.rindex(b'"', 0, genuine.rindex(b'"', 0, len(genuine) - 4)) - 8
    flips = [bytes([*genuine[:at], genuine[at] ^ 1, *genuine[at + 1 :]]) for at in (10, 200, 400, last_digit)]
    for bad in (b"", b"[]", b"3", b"\xff", b"[" * 5000, genuine[:-30], b'{"version": 1}', *flips):
        path.write_bytes(bad)
        with pytest.raises(IntegrityError, match="keyring"):
            Workspace.open(root, PASSPHRASE)


def rewritten(path: Path, **slot_changes: object) -> None:
    """What an attacker with the disk can do: change the keyring and correct its digest."""
    document = json.loads(path.read_text())
    document.pop("sha256")
    document["slots"][0].update(slot_changes)
    plain = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    path.write_text(json.dumps(document | {"sha256": hashlib.sha256(plain).hexdigest()}))


def test_manipulated_keyring(root: Path) -> None:
    """A slot with another salt or cost does not open; one that asks for a terabyte is refused unasked."""
    path = root / "keyring.json"
    genuine = path.read_bytes()
    rewritten(path)
    Workspace.open(root, PASSPHRASE).close()
    for changes in (
        {"salt": "00" * 16},
        {"kdf": {"name": "argon2id", "memory_kib": 64, "passes": 2, "lanes": 1}},
    ):
        rewritten(path, **changes)
        with pytest.raises(Locked):
            Workspace.open(root, PASSPHRASE)
        path.write_bytes(genuine)
    for kdf in (
        {"name": "argon2id", "memory_kib": 1 << 30, "passes": 1, "lanes": 1},
        {"name": "argon2id", "memory_kib": 8, "passes": 1, "lanes": 4},
        {"name": "scrypt", "memory_kib": 64, "passes": 1, "lanes": 1},
    ):
        rewritten(path, kdf=kdf)
        with pytest.raises(IntegrityError):
            Workspace.open(root, PASSPHRASE)
        path.write_bytes(genuine)


def test_renamed_slot(root: Path) -> None:
    """A slot given another role's name does not open as that role."""
    assert read_keyring(root / "keyring.json").identify(PASSPHRASE)
    genuine = (root / "keyring.json").read_bytes()
    for changes in ({"name": "operator"}, {"role": "auditor"}, {"public": "11" * 32}):
        rewritten(root / "keyring.json", **changes)
        with pytest.raises(Locked):
            read_keyring(root / "keyring.json").identify(PASSPHRASE)
        (root / "keyring.json").write_bytes(genuine)


def test_keyring_of_another_workspace(tmp_path: Path) -> None:
    """A keyring moved beside another catalogue opens nothing."""
    make(tmp_path / "one").close()
    make(tmp_path / "two").close()
    shutil.copy(tmp_path / "one" / "keyring.json", tmp_path / "two" / "keyring.json")
    with pytest.raises(IntegrityError):
        Workspace.open(tmp_path / "two", PASSPHRASE)


def test_session(root: Path, memory: Path) -> None:
    """Unlock, resume, lock: the key lies 0600 in 0700 in memory, and is gone after lock."""
    with pytest.raises(Locked, match="is locked"):
        Workspace.resume(root)
    with Workspace.open(root, PASSPHRASE) as opened:
        opened.keep_unlocked()
    directory = memory / "gradaudit"
    (kept,) = directory.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert opened.workspace_id not in kept.name
    with Workspace.resume(root) as resumed:
        assert resumed.keys.vault == opened.keys.vault and resumed.user == opened.user
    assert Workspace.lock(root)
    assert list(directory.iterdir()) == []
    assert not Workspace.lock(root)
    with pytest.raises(Locked, match="is locked"):
        Workspace.resume(root)


def test_session_of_another_workspace(tmp_path: Path, root: Path, memory: Path) -> None:
    """A kept key opens its own workspace alone, even under another's name."""
    with make(tmp_path / "other") as other, Workspace.open(root, PASSPHRASE) as opened:
        other.keep_unlocked()
        with pytest.raises(Locked):
            Workspace.resume(root)
        (kept,) = (memory / "gradaudit").iterdir()
        opened.keep_unlocked()
        (mine,) = set((memory / "gradaudit").iterdir()) - {kept}
    mine.write_bytes(kept.read_bytes())
    with pytest.raises(Locked):
        Workspace.resume(root)


def test_session_that_others_can_read(root: Path, memory: Path) -> None:
    """A key file or directory open to others, a link or a cut file is not used."""
    with Workspace.open(root, PASSPHRASE) as opened:
        opened.keep_unlocked()
    (kept,) = (memory / "gradaudit").iterdir()
    raw = kept.read_bytes()
    kept.chmod(0o640)
    with pytest.raises(Locked):
        Workspace.resume(root)
    kept.chmod(0o600)
    kept.parent.chmod(0o755)
    with pytest.raises(Locked):
        Workspace.resume(root)
    kept.parent.chmod(0o700)
    kept.write_bytes(raw[:-1])
    with pytest.raises(Locked):
        Workspace.resume(root)
    kept.rename(kept.with_name("moved"))
    kept.symlink_to(kept.with_name("moved"))
    with pytest.raises(Locked):
        Workspace.resume(root)


def test_no_session_on_disk(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no directory is in memory, unlock refuses and writes no key anywhere."""
    for place in ("/proc", "/sys"):
        assert not session.is_memory(Path(place))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc")
    monkeypatch.setattr(session, "SHARED_MEMORY", Path("/sys"))
    with Workspace.open(root, PASSPHRASE) as opened, pytest.raises(Locked, match="memory-backed"):
        opened.keep_unlocked()


def test_one_writer(root: Path) -> None:
    """A second writer, in this process or another, gets exit code 22; the lock ends with its holder."""
    code = """
import sys
from pathlib import Path
from appliance.workspace.workspace import Workspace
with Workspace.open(Path(sys.argv[1]), "correct horse battery").writing():
    print("held", flush=True)
    sys.stdin.read()
"""
    with Workspace.open(root, PASSPHRASE) as one, Workspace.open(root, PASSPHRASE) as two:
        with one.writing(), pytest.raises(Busy) as raised, two.writing():
            pass
        assert raised.value.exit_code == 22 and raised.value.hint
        with one.writing(), pytest.raises(Busy), one.writing():
            pass
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", code, str(root)], stdin=pipe, stdout=pipe) as holder:
            assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
            with pytest.raises(Busy), one.writing():
                pass
            assert one.catalogue.counts().pairs == 0
            holder.kill()
            holder.wait()
        with one.writing():
            pass


def test_waiting_for_the_writer(root: Path) -> None:
    """A writer that may wait gets its turn when the other is done."""
    with Workspace.open(root, PASSPHRASE) as one, Workspace.open(root, PASSPHRASE) as two:
        turns: list[str] = []
        held = threading.Event()

        def first() -> None:
            with one.writing():
                held.set()
                time.sleep(0.1)
                turns.append("first")

        thread = threading.Thread(target=first)
        thread.start()
        held.wait(5)
        with two.writing(wait_s=5):
            turns.append("second")
        thread.join()
    assert turns == ["first", "second"]


def test_looking_for_an_audit_refuses_none(root: Path) -> None:
    """Somebody who asks again and again whether an audit runs keeps nobody from running one."""
    with Workspace.open(root, PASSPHRASE) as one, Workspace.open(root, PASSPHRASE) as two:
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                two.audited()
                one.audited()

        thread = threading.Thread(target=look)
        thread.start()
        try:
            for _ in range(300):
                with one.auditing():
                    pass
        finally:
            over.set()
            thread.join()


def test_whether_somebody_audits(root: Path) -> None:
    """An audit is seen by other processes and by its own, also where there never was one; then no more."""
    with Workspace.open(root, PASSPHRASE) as one, Workspace.open(root, PASSPHRASE) as two:
        (root / "auditing").unlink(missing_ok=True)
        assert not one.audited() and not (root / "auditing").exists()
        with two.auditing():
            assert one.audited() and two.audited()
        assert not one.audited() and not two.audited()


def test_the_writer_sweeps(root: Path) -> None:
    """Taking the writer lock removes what crashed writers left."""
    left = root / "objects" / "incoming" / ("9a" * 16)
    left.write_bytes(b"")
    with Workspace.open(root, PASSPHRASE) as opened, opened.writing():
        assert not left.exists()


def test_secrets_do_not_show(root: Path) -> None:
    """No repr and no pickle gives a key away."""
    with Workspace.open(root, PASSPHRASE) as opened:
        shown = repr((opened, opened.keys, opened.vault, opened.catalogue, opened.keys.vault))
        for key in (opened.keys.vault, opened.keys.catalogue, opened.keys.pseudonym, opened.keys.assignments):
            assert key.raw.hex() not in shown and repr(key.raw) not in shown
            with pytest.raises(TypeError):
                pickle.dumps(key)


def test_purposes_have_different_keys(root: Path) -> None:
    """No two purposes share a key, and handles keep their parts apart."""
    with Workspace.open(root, PASSPHRASE) as opened:
        keys = opened.keys
        raws = {key.raw for key in (keys.vault, keys.catalogue, keys.pseudonym, keys.names, keys.assignments)}
    assert len(raws) == 5
    key = SecretKey(bytes(32))
    assert key.handle("ab", "c") == key.handle("ab", "c") != key.handle("a", "bc")


def test_fast_paths_stay_light() -> None:
    """Opening a workspace imports nothing heavy: unlock must not wait for torch."""
    code = "import sys, appliance.workspace.workspace; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"torch", "transformers", "monai", "peft", "opacus", "sklearn", "numpy", "pydicom", "textual"}
    assert "sqlcipher3" in loaded
    assert not heavy & {name.partition(".")[0] for name in loaded}


def test_exit_codes() -> None:
    """The errors this package raises carry the exit codes of the command line."""
    codes = {error: error.exit_code for error in (ApplianceError, UsageError, IntegrityError, Locked, Busy)}
    assert codes == {ApplianceError: 1, UsageError: 2, IntegrityError: 20, Locked: 21, Busy: 22}
