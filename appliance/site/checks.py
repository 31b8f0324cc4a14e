"""What a look of `gradaudit health` answers, how it counts files, and how far back it reads the log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from appliance.evidence.verify_evidence import ENTRY

Status = Literal["ok", "warning", "critical"]
STATUSES: Final[tuple[Status, ...]] = ("ok", "warning", "critical")
"""In the order of their exit codes: 0, 1, 2, as monitoring systems take them."""
_MOST_COUNTED: Final = 1_000_000
_TAIL: Final = 1 << 20  # bytes of the journal that are looked at


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that was looked at.

    Attributes:
        name: fixed, for rules of the monitoring system.
        status: `ok`, `warning` or `critical`.
        told: one sentence without names, paths or patient data.
        value: the number it goes by, in `unit`; -1 where there is none.
    """

    name: str
    status: Status
    told: str
    value: int = -1
    unit: str = ""


def files(folder: Path) -> int:
    """How many files lie in a folder; none where there is no folder."""
    with listed(folder) as found:
        return min(_MOST_COUNTED, sum(1 for one in found if not one.name.startswith(".")))


@contextmanager
def listed(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What lies in a folder of the workspace, itself and not what a link in its place, or above, leads to.

    Raises:
        OSError: it is no folder, or cannot be read.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        above = os.open(folder.parent, flags)
    except FileNotFoundError:
        yield iter(())
        return
    try:
        descriptor = os.open(folder.name, flags, dir_fd=above)
    except FileNotFoundError:
        yield iter(())
        return
    finally:
        os.close(above)
    try:
        with os.scandir(descriptor) as found:
            yield found
    finally:
        os.close(descriptor)


def last_entries(journal: Path) -> Iterator[bytes]:
    """The entries that end a journal, oldest first, as they are written."""
    with journal.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _TAIL))
        tail = file.read(_TAIL)
    return (found[0] for found in ENTRY.finditer(tail))
