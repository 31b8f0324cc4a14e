"""A look at the folders of a model: every file is read to its end and hashed, whatever its size and age.

Times and sizes are the vendor's to choose, so nothing is skipped because of them. A look reads piece by
piece, follows no link and opens nothing but plain files.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.errors import ModelRejected
from appliance.registry import ModelRecord
from appliance.views import Progress
from audit_core.adapters.contents import MAX_FILES

Step = Callable[[Progress], None]
LOOKING: Final = "looking at files"  # phase
NO_FILE: Final = "no plain file"  # in place of a digest: a link, a device
GONE: Final = "gone"  # listed, and not there when it was to be read
MOVING: Final = "moving"  # written to while it was read
PIECE_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Look:
    """What lay in a model's folders at one moment.

    Attributes:
        digests: folder -> file -> hex SHA-256, or one of the words above.
        absent: folders that are not there, or are empty as the place of a disk that is not mounted.
        unreadable: folders and files that cannot be read, and why.
    """

    digests: Mapping[str, Mapping[str, str]]
    absent: tuple[str, ...]
    unreadable: tuple[str, ...]

    @property
    def moving(self) -> bool:
        """Whether something was written meanwhile."""
        return any(digest in (GONE, MOVING) for files in self.digests.values() for digest in files.values())


def look(record: ModelRecord, step: Step = lambda _: None) -> Look:
    """Read everything in a model's folders.

    Args:
        record: says where they are.
        step: told how much was read; may raise to cancel.

    Raises:
        ModelRejected: there are more files than a model has.
    """
    listed: dict[str, list[tuple[str, os.stat_result]]] = {}
    unreadable: list[str] = []
    for part in record.parts():
        try:
            listed[part.name] = list(_listed(Path(part.path)))
        except (FileNotFoundError, NotADirectoryError):
            listed[part.name] = []
        except OSError as error:
            unreadable.append(f"{part.name}: {error.strerror}")
    reading = _Reading(sum(status.st_size for files in listed.values() for _, status in files), step)
    digests: dict[str, Mapping[str, str]] = {}
    for part in record.parts():
        found: dict[str, str] = {}
        for name, status in listed.get(part.name, []):
            try:
                found[name] = reading.digest(Path(part.path) / name, status)
            except OSError as error:
                unreadable.append(f"{name}: {error.strerror}")
        digests[part.name] = found
    return Look(digests, tuple(name for name, files in listed.items() if not files), tuple(unreadable))


def _listed(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Everything below a folder that is no folder, by name."""
    counted, waiting = 0, [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                counted += 1
                if counted > 2 * MAX_FILES:
                    raise ModelRejected(f"more than {MAX_FILES} files", "give the folder of one model")
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                else:
                    name = Path(entry.path).relative_to(folder).as_posix()
                    yield name, entry.stat(follow_symlinks=False)


class _Reading:
    """Files of one look, read one after the other into one piece of memory."""

    def __init__(self, size_bytes: int, step: Step) -> None:
        self._piece = memoryview(bytearray(PIECE_BYTES))
        self._size, self._done, self._step = size_bytes, 0, step

    def digest(self, path: Path, listed: os.stat_result) -> str:
        """Hex SHA-256, or a word for what has none.

        Raises:
            OSError: it cannot be read.
        """
        if not stat.S_ISREG(listed.st_mode):
            return NO_FILE
        try:
            opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return GONE
        with os.fdopen(opened, "rb", buffering=0) as file:
            before = os.fstat(opened)
            found, left = hashlib.sha256(), before.st_size
            while left > 0 and (size := file.readinto(self._piece[: min(left, PIECE_BYTES)])):
                found.update(self._piece[:size])
                left -= size
                self._done += size
                self._step(Progress(LOOKING, self._done >> 20, max(self._done, self._size) >> 20, "MiB"))
            whole = left == 0 and _same(listed, before) and _same(before, os.fstat(opened))
        return found.hexdigest() if whole else MOVING


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether nobody wrote between; equal times alone would not say so, but these bytes were just read."""
    facts = ("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
    return all(getattr(one, fact) == getattr(other, fact) for fact in facts)
