"""How the log's files change: each way is whole or can be told from whole after a crash."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

RESERVE = "reserve"
RESERVE_BYTES = 1 << 20  # a thousand entries and their checkpoints


def overwrite(path: Path, place: int, data: bytes) -> None:
    """Write `data` at `place`, let the file end there, and wait for the disk."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        _write(descriptor, place, data)
        os.ftruncate(descriptor, place + len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes) -> None:
    """Write a whole file and wait for its bytes, not for its name; an empty one has none to wait for."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write(descriptor, 0, data)
        if data:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, place: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], place + written)


def replace(directory: Path, name: str, data: bytes) -> None:
    """Put a whole small file in place, on disk when this returns: all of it or none."""
    temporary = directory / (name + ".tmp")
    write_new(temporary, data)
    temporary.rename(directory / name)
    sync_directory(directory)


def sync_directory(directory: Path) -> None:
    """Wait until the names in a directory are on disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_folder(folder: Path, aside: str) -> None:
    """Take a folder away under another name first: a crash leaves no half of it under its own."""
    beside = folder.with_name(aside)
    shutil.rmtree(beside, ignore_errors=True)
    folder.rename(beside)
    sync_directory(folder.parent)
    shutil.rmtree(beside)


# -- ballast: room for the entry that says that the disk is full


def holds_reserve(directory: Path) -> bool:
    """Whether the reserve is there with all its blocks, not only with its length."""
    try:
        found = (directory / RESERVE).stat()
    except OSError:
        return False
    return found.st_size == RESERVE_BYTES and found.st_blocks * 512 >= RESERVE_BYTES


def fill_reserve(directory: Path) -> None:
    """Allocate the reserve.

    Raises:
        OSError: there is no room; what was taken of it is given back.
    """
    descriptor = os.open(directory / RESERVE, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, 0)
        raise
    finally:
        os.close(descriptor)


def release_reserve(directory: Path) -> None:
    """Give the reserve's blocks back to the disk, and wait until it has them."""
    overwrite(directory / RESERVE, 0, b"")
