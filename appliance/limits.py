"""What one foreign file may cost, and how an ingest is cut into batches (docs/decisions/intake.md).

Processor time is counted by the kernel and kills the parser; the clock on the wall only catches one that
sleeps, so a busy machine condemns no file.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from audit_core.estimates import Trial

MEMORY_BYTES: Final = 2 << 30  # private memory of a parser; beyond it allocations fail
LOOK_S: Final = 60.0  # wall clock for reading and hashing at most 1 GiB of a file
RESIDENT_BYTES: Final = 500 << 20  # 400 are libraries; a parser that keeps more makes room for a fresh one
BATCH_FILES: Final = 200
BATCH_BYTES: Final = 64 << 20  # of sealed content
BATCH_S: Final = 5.0
AHEAD: Final = 32  # files per worker that may be done before the oldest unfinished one
FILES_PER_WORKER: Final = 16  # a further worker takes two seconds to start

_CPU_S: Final = 10
_CPU_BYTES_PER_S: Final = 4 << 20  # the slowest decoder reads that much in a second
_PATIENCE: Final = 6  # wall clock per processor time


SILENCE_S: Final = 7200.0  # of a child in the middle of a job: opening a large model on a slow disk
_ESTIMATES: Final = 2  # memory of an audit per memory estimated
_LIBRARIES_BYTES: Final = 4 << 30
_TIMES: Final = 50  # processor time of an audit per time estimated: judgement, a spike-in, a busy machine
_JUDGEMENT_S: Final = 6 * 3600
_CGROUP: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def machine_bytes() -> int:
    """Memory of this machine, or what its container may take of it."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in _CGROUP:
        with suppress(OSError, ValueError):  # no such file, or "max"
            found.append(int(Path(limit).read_text(encoding="ascii")))
    return min(found)


def audit_bytes(trial: Trial | None, pairs: int) -> int:
    """Private memory that an audit of so many pairs may take: from its estimate where there is one."""
    whole = machine_bytes()
    return whole if trial is None else min(whole, _ESTIMATES * trial.bytes(pairs) + _LIBRARIES_BYTES)


def audit_seconds(trial: Trial | None, pairs: int, epochs: int = 0) -> float:
    """Processor time that the same may take on all cores together; without end where nothing is known.

    Args:
        epochs: of a spike-in, each of which goes through half of the fitting controls.
    """
    if trial is None:
        return math.inf
    return workers() * (_JUDGEMENT_S + _TIMES * (1 + epochs) * trial.seconds(pairs))


def cpu_seconds(size: int) -> int:
    """Processor time that reading a file of `size` bytes may take."""
    return _CPU_S + size // _CPU_BYTES_PER_S


def wall_seconds(size: int) -> float:
    """Longest wait for the same."""
    return float(_PATIENCE * cpu_seconds(size))


def workers() -> int:
    """How many parsers run side by side unless the officer says otherwise: one a core."""
    return len(os.sched_getaffinity(0))
