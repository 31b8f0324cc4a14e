"""One writer at a time, across processes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from appliance.errors import Busy, IntegrityError

_PATIENCE_S = 10.0
_PAUSE_S = 0.005


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the lock on a directory; the kernel frees it when the process ends, however it ends.

    Raises:
        Busy: somebody else held it for ten seconds.
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
