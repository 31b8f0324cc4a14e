"""One writer at a time, across processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import Busy, IntegrityError

_PATIENCE_S = 30.0
_PAUSE_S = 0.001  # the lock of whoever appends without a pause is free for moments only


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the lock on a directory; the kernel frees it when the process ends, however it ends.

    Raises:
        Busy: somebody else held it for thirty seconds.
        IntegrityError: the directory is gone.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as gone:
        raise IntegrityError("the log's directory cannot be opened", f"look at {directory}") from gone
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise Busy("another process keeps the log locked", "wait until it has finished")
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
