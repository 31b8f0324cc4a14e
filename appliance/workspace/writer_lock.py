"""One writer of a workspace at a time, among processes; whoever only looks for one holds nothing.

An open file description lock (Linux, fcntl(2)) and no flock: the kernel tells who holds one without anybody
having to take it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from appliance.errors import ApplianceError, CannotWrite
from appliance.workspace.durable import FILE_MODE

_FLOCK: Final = "hhqqi4x"  # struct flock: l_type, l_whence, l_start, l_len, l_pid
_WHOLE_FILE: Final = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


@contextmanager
def locked_file(
    path: Path, deadline: float, busy: ApplianceError, waiting: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold an exclusive lock on a file; the kernel lets go of it when the process dies.

    Args:
        waiting: called again and again while somebody else holds it; may raise to give up.

    Raises:
        CannotWrite: it is no file, or the disk refuses.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        hint = "Free some space, or run `gradaudit workspace verify`; nothing was changed."
        raise CannotWrite(f"cannot write to the workspace: {path.name}: {error.strerror}", hint) from None
    try:
        while True:
            try:
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)
                break
            except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: somebody holds it
                if time.monotonic() >= deadline:
                    raise busy from None
                waiting()
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether somebody holds that lock at this moment; nobody is kept from taking it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _WHOLE_FILE)
    finally:
        os.close(descriptor)
    return int(struct.unpack(_FLOCK, found)[0]) != fcntl.F_UNLCK
