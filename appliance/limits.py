"""What one foreign file may cost, and how an ingest is cut into batches (docs/decisions/intake.md).

Processor time is counted by the kernel and kills the parser; the clock on the wall only catches one that
sleeps, so a busy machine condemns no file.
"""

from __future__ import annotations

import os
from typing import Final

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


def cpu_seconds(size: int) -> int:
    """Processor time that reading a file of `size` bytes may take."""
    return _CPU_S + size // _CPU_BYTES_PER_S


def wall_seconds(size: int) -> float:
    """Longest wait for the same."""
    return float(_PATIENCE * cpu_seconds(size))


def workers() -> int:
    """How many parsers run side by side unless the officer says otherwise: one a core."""
    return len(os.sched_getaffinity(0))
