"""Writing so that a power cut leaves the old bytes or the new ones, never a mixture.

Directories are 0700 and files 0600 at most, whatever the umask allows: a workspace has one owner.
"""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


def make_directory(path: Path) -> None:
    """Create `path` for its owner alone; its parent must exist, and it may exist itself."""
    path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def write_new(path: Path, pieces: Iterable[bytes], *, sync: bool = True) -> None:
    """Write a file that must not exist yet, mode 0600; with `sync` its bytes are on disk on return.

    Raises:
        FileExistsError: something, even a dangling link, already has that name.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, FILE_MODE), "wb") as file:
        file.writelines(pieces)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the content of `path`: beside it, fsync, rename, fsync of the directory."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new(beside, (data,))
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names inside a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: Path) -> None:
    """Flush everything on the filesystem that holds `path`: one wait for many files instead of one each.

    Raises:
        OSError: the kernel could not write; nothing since the last success may be believed to be on disk.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
