"""A folder in memory for the small files of a model, while a worker needs them.

Loaders of tokenizers and image processors insist on a folder with names, so for as long as the worker lives
there is one: `run-<random>` in $XDG_RUNTIME_DIR/gradaudit, or in /dev/shm/gradaudit-<uid> where there is no
such directory; each is used only when the kernel says that it is memory and it belongs to this account alone.
Weights never lie there. Whoever made the folder holds a lock on it, which the kernel lets go of when the
process dies: what nobody holds is a leftover, and the next one to make a folder removes it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from appliance.errors import ApplianceError, IntegrityError
from appliance.workspace.durable import DIRECTORY_MODE, FILE_MODE
from appliance.workspace.session import is_memory

SHARED_MEMORY: Final = Path("/dev/shm")
PREFIX: Final = "run-"
_TRIES: Final = 100


class RunFolder:
    """One folder in memory, locked by this process until it is removed.

    Attributes:
        path: absolute; what a worker may be allowed to read.

    Raises:
        ApplianceError: this machine has no folder in memory that is this account's alone.
    """

    def __init__(self) -> None:
        home = _home()
        sweep(home)
        for _ in range(_TRIES):  # a sweeper may take a new folder for a leftover before it is locked
            path = home / f"{PREFIX}{secrets.token_hex(16)}"
            path.mkdir(mode=DIRECTORY_MODE)
            held = _held(path)
            if held is not None:
                self.path, self._lock = path, held
                return
        raise ApplianceError("no folder in memory could be kept", "try again")

    def filled(self, part: str, files: Iterable[tuple[str, bytes]]) -> Path:
        """A new folder inside, with these files.

        Args:
            part: what it is called inside.
            files: names as the vendor's, with `/` between folders, and contents.

        Raises:
            IntegrityError: a name leads elsewhere.
            ApplianceError: the memory is full.
        """
        place = self.path / secrets.token_hex(8) / part
        try:
            place.mkdir(mode=DIRECTORY_MODE, parents=True)
            for name, content in files:
                _write(place, name, content)
        except OSError as error:
            shutil.rmtree(place.parent, ignore_errors=True)
            raise ApplianceError(
                f"a model's settings cannot be kept in memory: {error.strerror}", "free some memory"
            ) from None
        return place

    def emptied(self, place: Path) -> None:
        """Remove one that was `filled`."""
        shutil.rmtree(place.parent, ignore_errors=True)

    def remove(self) -> None:
        """Remove the folder and all in it, and let go of the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


def sweep(home: Path) -> int:
    """Remove what processes that are gone have left behind; returns how many folders."""
    found = 0
    for path in home.glob(f"{PREFIX}*"):
        held = _held(path)
        if held is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)
            found += 1
    return found


def _held(path: Path) -> int | None:
    """A lock on a folder that is still there and that nobody else holds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _write(place: Path, name: str, content: bytes) -> None:
    inside = PurePosixPath(name)
    if inside.is_absolute() or ".." in inside.parts or not inside.parts:
        raise IntegrityError("a sealed model names a file outside its folder", "Register the model again.")
    path = place / inside
    path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, FILE_MODE), "wb") as file:
        file.write(content)


def _home() -> Path:
    candidates = [SHARED_MEMORY / f"gradaudit-{os.getuid()}"]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        candidates.insert(0, Path(runtime) / "gradaudit")
    for candidate in candidates:
        with suppress(OSError):
            if is_memory(candidate.parent):
                candidate.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
                facts = candidate.lstat()
                mine = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()
                if mine and stat.S_IMODE(facts.st_mode) == DIRECTORY_MODE and is_memory(candidate):
                    return candidate
    raise ApplianceError(
        "no folder in memory to open a model in: neither $XDG_RUNTIME_DIR nor /dev/shm is tmpfs",
        "mount a tmpfs on /dev/shm; see `gradaudit doctor`",
    )
