"""A directory, or a file, that appears whole or not at all, whatever happens while it is built."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from appliance.workspace.durable import sync_directory


@contextmanager
def building_up(root: Path) -> Iterator[Path]:
    """A directory beside `root` that takes its name when the block succeeds and vanishes when it fails."""
    with scaffold(root) as building:
        yield building
        sync_directory(building)
        building.rename(root)
        sync_directory(root.parent)


@contextmanager
def scaffold(root: Path) -> Iterator[Path]:
    """A directory beside `root` for building it, gone afterwards unless it was renamed; its owner's alone.

    What processes that were killed have left of theirs is removed first.
    """
    prefix = f".{root.name}.building-"
    _remove_abandoned(root.parent, prefix)
    building = Path(tempfile.mkdtemp(prefix=prefix, dir=root.parent))
    descriptor = os.open(building, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # says "not abandoned" for as long as this process lives
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    for left in parent.glob(f"{glob.escape(prefix)}*"):
        with suppress(OSError):  # another account's, or still being built: not ours to remove
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(descriptor)
