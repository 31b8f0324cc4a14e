"""An unlocked workspace: a user's keys in memory-backed storage until `lock`, a pause, or a restart.

It never holds the evidence key: findings ask for the passphrase again.

The file lies in $XDG_RUNTIME_DIR/gradaudit, or /dev/shm/gradaudit-<uid> where there is no such directory;
each is used only when it really is tmpfs and belongs to this account alone. Its name is a digest of the
workspace id, which only says whether a workspace is open. (tmpfs may be swapped: encrypt the swap.)
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.errors import Locked
from appliance.workspace.durable import DIRECTORY_MODE, FILE_MODE, write_atomically
from appliance.workspace.keys import SecretKey

SHARED_MEMORY: Final = Path("/dev/shm")
_HINT: Final = "Give the passphrase to each command instead of `gradaudit unlock`."
_MAXIMUM: Final = 4096  # bytes


@dataclass(frozen=True, slots=True)
class Remembered:
    """What later commands open a workspace with.

    Attributes:
        user: name of who unlocked.
        run: the RUN key; None for an auditor.
        catalogue: the SQLCipher key.
        idle_s: seconds without a command after which the workspace is locked again; 0 for never.
    """

    user: str
    run: SecretKey | None
    catalogue: SecretKey
    idle_s: int


def remember(workspace_id: bytes, kept: Remembered) -> Path:
    """Keep a user's keys for later commands; returns the file.

    Raises:
        Locked: no memory-backed directory of this account's own was found.
    """
    directory = _directory(create=True)
    if directory is None:
        raise Locked("no memory-backed directory to keep the workspace unlocked in", _HINT)
    path = directory / _name(workspace_id)
    write_atomically(path, _written(kept))
    return path


def recall(workspace_id: bytes) -> Remembered | None:
    """The keys of an unlocked workspace, or None when it is locked; counts as use of it."""
    directory = _directory(create=False)
    if directory is None:
        return None
    path = directory / _name(workspace_id)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        private = facts.st_uid == os.getuid() and stat.S_IMODE(facts.st_mode) == FILE_MODE
        raw = file.read(_MAXIMUM)
    try:
        kept, used_ns = _read(raw)
    except (ValueError, TypeError, KeyError):
        return None
    if not private:
        return None
    if kept.idle_s and not 0 <= _boot_ns() - used_ns <= kept.idle_s * 10**9:
        forget(workspace_id)
        return None
    with suppress(OSError):
        write_atomically(path, _written(kept))
    return kept


def _written(kept: Remembered) -> bytes:
    document = {
        "user": kept.user,
        "run": kept.run.raw.hex() if kept.run is not None else "",
        "catalogue": kept.catalogue.raw.hex(),
        "idle_s": kept.idle_s,
        "used_ns": _boot_ns(),
    }
    return json.dumps(document).encode("ascii")


def _read(raw: bytes) -> tuple[Remembered, int]:
    document = json.loads(raw)
    run = SecretKey(bytes.fromhex(document["run"])) if document["run"] else None
    catalogue = SecretKey(bytes.fromhex(document["catalogue"]))
    kept = Remembered(str(document["user"]), run, catalogue, int(document["idle_s"]))
    return kept, int(document["used_ns"])


def _boot_ns() -> int:
    """Time since the machine started: nobody sets it back, and a pause of the machine counts."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def forget(workspace_id: bytes) -> bool:
    """Delete the kept key; False when there was none."""
    directory = _directory(create=False)
    if directory is None:
        return False
    path = directory / _name(workspace_id)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.pwrite(
            descriptor, bytes(os.fstat(descriptor).st_size), 0
        )  # tmpfs writes in place, so the page itself is cleared
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    return True


def _name(workspace_id: bytes) -> str:
    return hashlib.sha256(b"gradaudit session v1\x00" + workspace_id).hexdigest()[:32]


def _directory(*, create: bool) -> Path | None:
    candidates = [SHARED_MEMORY / f"gradaudit-{os.getuid()}"]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        candidates.insert(0, Path(runtime) / "gradaudit")
    for candidate in candidates:
        if _usable(candidate, create=create):
            return candidate
    return None


def _usable(directory: Path, *, create: bool) -> bool:
    """Whether this is a directory in memory that only this account can enter."""
    try:
        if create and is_memory(directory.parent):
            directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        facts = directory.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
    return mine and stat.S_IMODE(facts.st_mode) == DIRECTORY_MODE and is_memory(directory)


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
