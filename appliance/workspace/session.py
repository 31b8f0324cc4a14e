"""An unlocked workspace: a user's keys in memory-backed storage until `lock`, a pause, or a restart.

It never holds the evidence key, nor what it takes to change users: both ask for the passphrase again. Its
first 20 bytes say when it was used last, by the clock of the machine's start, and are written in place: what
`forget` has deleted meanwhile does not come back.

The file lies in $XDG_RUNTIME_DIR/gradaudit, /run/user/<uid>/gradaudit or /dev/shm/gradaudit-<uid>, the first
that really is tmpfs and belongs to this account alone. Every command looks at the last two; if it lies in the
first alone, a link there says where, so that `forget` finds it under any environment. Its name is a digest of
the workspace id, which only says whether a workspace is open. (tmpfs may be swapped: encrypt the swap.)
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.errors import Locked
from appliance.workspace.durable import DIRECTORY_MODE, FILE_MODE, write_atomically
from appliance.workspace.keys import SecretKey
from appliance.workspace.keyslots import User
from appliance.workspace.roles import Role

SHARED_MEMORY: Final = Path("/dev/shm")
LOGINS: Final = Path("/run/user")
_HINT: Final = "Give the passphrase to each command instead of `gradaudit unlock`."
_MAXIMUM: Final = 4096  # bytes
_USED: Final = 20  # digits of the nanoseconds at the start of the file


@dataclass(frozen=True, slots=True)
class Remembered:
    """What later commands open a workspace with.

    Attributes:
        user: who unlocked; a role that keyring.json claims now must be this one.
        run: the RUN key; None for an auditor.
        catalogue: the SQLCipher key.
        idle_s: seconds without a command after which the workspace is locked again; 0 for never.
    """

    user: User
    run: SecretKey | None
    catalogue: SecretKey
    idle_s: int


def remember(workspace_id: bytes, kept: Remembered) -> Path:
    """Keep a user's keys for later commands, in place of any kept before; returns the file.

    Raises:
        Locked: no memory-backed directory of this account's own was found.
    """
    directory = next((one for one in _places() if _usable(one, create=True)), None)
    if directory is None:
        raise Locked("no memory-backed directory to keep the workspace unlocked in", _HINT)
    path = directory / _name(workspace_id)
    forget(workspace_id)  # there is one session, and one link to it
    if directory not in _fixed():
        pointing = (one for one in _fixed() if _usable(one, create=True))
        for place in pointing:
            (place / path.name).symlink_to(path)
    write_atomically(path, _used_now() + packed(kept))
    return path


def recall(workspace_id: bytes) -> Remembered | None:
    """The keys of an unlocked workspace, or None when it is locked; counts as use of it."""
    descriptor = _opened(workspace_id)
    if descriptor is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        facts = os.fstat(descriptor)
        private = facts.st_uid == os.getuid() and stat.S_IMODE(facts.st_mode) == FILE_MODE
        raw = os.pread(descriptor, _MAXIMUM, 0)
        kept, used_ns = unpacked(raw[_USED:]), int(raw[:_USED])
        if private and (not kept.idle_s or 0 <= _boot_ns() - used_ns <= kept.idle_s * 10**9):
            os.pwrite(descriptor, _used_now(), 0)
            return kept
    except (ValueError, TypeError, KeyError):
        return None
    finally:
        os.close(descriptor)
    if private:
        forget(workspace_id)
    return None


def touch(workspace_id: bytes) -> None:
    """Count the end of a command as use, where the workspace is still unlocked: a pause begins only now."""
    descriptor = _opened(workspace_id)
    if descriptor is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.pread(descriptor, _USED, 0).strip(b"\x00"):  # not what `forget` leaves
                os.pwrite(descriptor, _used_now(), 0)
        finally:
            os.close(descriptor)


def _opened(workspace_id: bytes) -> int | None:
    for directory in _places():
        if _usable(directory, create=False):
            with suppress(OSError):
                return os.open(directory / _name(workspace_id), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    return None


def packed(kept: Remembered) -> bytes:
    """A user's keys for a pipe or memory: whoever reads these bytes has them."""
    document = {
        "user": [kept.user.name, str(kept.user.role), kept.user.public.hex()],
        "run": kept.run.raw.hex() if kept.run is not None else "",
        "catalogue": kept.catalogue.raw.hex(),
        "idle_s": kept.idle_s,
    }
    return json.dumps(document).encode("ascii")


def unpacked(raw: bytes) -> Remembered:
    """What `packed` gave.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    document = json.loads(raw)
    run = SecretKey(bytes.fromhex(document["run"])) if document["run"] else None
    catalogue = SecretKey(bytes.fromhex(document["catalogue"]))
    name, role, public = document["user"]
    user = User(str(name), Role(role), bytes.fromhex(public))
    return Remembered(user, run, catalogue, int(document["idle_s"]))


def _used_now() -> bytes:
    return f"{_boot_ns():0{_USED}d}".encode("ascii")


def _boot_ns() -> int:
    """Time since the machine started: nobody sets it back, and a pause of the machine counts."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def forget(workspace_id: bytes) -> bool:
    """Delete the kept keys, wherever they lie; False when there were none. See `sees_all`."""
    found = [_clear(path) for path in _all_of(_name(workspace_id))]
    return any(found)


def sees_all() -> bool:
    """Whether `forget` finds what was kept under any environment: a fixed place is there to tell it."""
    return any(_usable(directory, create=True) for directory in _fixed())


def _all_of(name: str) -> Iterator[Path]:
    """Every file with keys under this name, and the links to them."""
    for directory in _places():
        if _is_mine(directory):
            path = directory / name
            if path.is_symlink():
                pointed = path.readlink()
                if pointed.name == name and _is_mine(pointed.parent):
                    yield pointed
                path.unlink(missing_ok=True)
            yield path


def _clear(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # tmpfs writes in place, so the page itself is cleared
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    return True


def _name(workspace_id: bytes) -> str:
    return hashlib.sha256(b"gradaudit session v1\x00" + workspace_id).hexdigest()[:32]


def _fixed() -> list[Path]:
    """Where every command of this account looks, whatever its environment."""
    uid = os.getuid()
    return [LOGINS / str(uid) / "gradaudit", SHARED_MEMORY / f"gradaudit-{uid}"]


def _places() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    named = [Path(runtime) / "gradaudit"] if runtime.startswith("/") else []
    return list(dict.fromkeys([*named, *_fixed()]))


def _usable(directory: Path, *, create: bool) -> bool:
    """Whether this is a directory in memory that only this account can enter."""
    with suppress(OSError):
        if create and is_memory(directory.parent):
            directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        return _is_mine(directory) and stat.S_IMODE(directory.lstat().st_mode) == DIRECTORY_MODE
    return False


def _is_mine(directory: Path) -> bool:
    """Whether this is a directory in memory that belongs to this account."""
    with suppress(OSError):
        facts = directory.lstat()
        return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and is_memory(directory)
    return False


def is_memory(path: Path) -> bool:
    """Whether `path` lies on tmpfs, by the kernel's own list of mounts.

    Raises:
        OSError: there is no such path.
    """
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        fields, _, filesystem = line.partition(" - ")
        if fields.split(" ")[2] == wanted:
            return filesystem.split(" ")[0] in {"tmpfs", "ramfs"}
    return False
