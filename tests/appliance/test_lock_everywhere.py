"""Lock finds what was kept, wherever the environment of `unlock` said to keep it, or says that it may not."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.errors import NotNow
from appliance.evidence.log import EvidenceLog
from appliance.workspace import session
from appliance.workspace.workspace import Workspace

PASSPHRASE = "correct horse battery"


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """Three folders in memory: of the login, shared, and one that only an environment names."""
    if not session.is_memory(Path("/dev/shm")):
        pytest.skip("not shown: lock, because this machine has no tmpfs at /dev/shm")
    home = Path(tempfile.mkdtemp(prefix="gradaudit-test-", dir="/dev/shm"))
    found = {"login": home / "user" / str(os.getuid()), "shared": home / "shm", "elsewhere": home / "other"}
    for place in found.values():
        place.mkdir(parents=True)
    monkeypatch.setattr(session, "LOGINS", home / "user")
    monkeypatch.setattr(session, "SHARED_MEMORY", found["shared"])
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    yield found
    shutil.rmtree(home)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with a log."""
    made = Workspace.create(tmp_path / "ws", PASSPHRASE, "s", unsafe_fast_kdf=True)
    Appliance(made).close()
    return tmp_path / "ws"


def unlock(root: Path) -> None:
    """As `gradaudit unlock` does."""
    with Appliance.unlock(root, PASSPHRASE) as opened:
        opened.remember()


def kept_in(places: dict[str, Path]) -> list[Path]:
    """Files with keys in them."""
    found = (path for place in places.values() for path in place.rglob("*"))
    whole = (path for path in found if path.is_file() and not path.is_symlink())
    return [path for path in whole if path.read_bytes().strip(b"\0")]


def last(root: Path) -> tuple[str, str]:
    """Act and outcome of the last entry."""
    entry = EvidenceLog.open(root / "log", create=False).entries(-1)[0]
    return entry.act, entry.outcome


@pytest.mark.parametrize("unlocked_with", ["login", "shared", "elsewhere", ""])
@pytest.mark.parametrize("locked_with", ["login", "elsewhere", ""])
def test_lock_finds_every_session(
    root: Path, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, unlocked_with: str, locked_with: str
) -> None:
    """Unlocked with one XDG_RUNTIME_DIR and locked with another or none: no key stays in memory."""
    for name in unlocked_with, locked_with:
        if name:
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(places[name]))
        else:
            monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        if not kept_in(places):
            unlock(root)
            assert len(kept_in(places)) == 1
    Appliance.forget(root)
    assert ([], ("workspace.lock", "done")) == (kept_in(places), last(root))
    for place in places.values():
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
        assert Appliance.resume(root) is None


@pytest.mark.parametrize("order", [("", "elsewhere"), ("elsewhere", ""), ("elsewhere", "login")])
def test_unlocked_twice_is_locked_once(
    root: Path, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, order: tuple[str, str]
) -> None:
    """Unlocked again with another variable, the later session takes the place of the earlier."""
    for name in order:
        if name:
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(places[name]))
        else:
            monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
        unlock(root)
        assert len(kept_in(places)) == 1
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert Workspace.lock(root)
    assert kept_in(places) == []


def test_lock_says_where_it_cannot_look(
    root: Path, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a fixed place in memory nobody knows where a key is kept: it fails, and the log says so."""
    monkeypatch.setattr(session, "LOGINS", Path("/sys"))
    monkeypatch.setattr(session, "SHARED_MEMORY", Path("/sys"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(places["elsewhere"]))
    unlock(root)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    with pytest.raises(NotNow, match="may still be unlocked"):
        Appliance.forget(root)
    assert (1, ("workspace.lock", "failed")) == (len(kept_in(places)), last(root))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(places["elsewhere"]))
    Appliance.forget(root)
    assert ([], ("workspace.lock", "done")) == (kept_in(places), last(root))


def test_lock_of_what_was_locked(root: Path, places: dict[str, Path]) -> None:
    """Nothing to forget, and nothing that could be elsewhere: it is locked."""
    Appliance.forget(root)
    assert ("workspace.lock", "done") == last(root)


def test_lock_clears_a_folder_that_is_not_private_any_more(root: Path, places: dict[str, Path]) -> None:
    """A folder that was opened to others is not read from, and still cleared."""
    unlock(root)
    (kept,) = kept_in(places)
    kept.parent.chmod(0o755)
    assert Appliance.resume(root) is None
    Appliance.forget(root)
    assert kept_in(places) == []
