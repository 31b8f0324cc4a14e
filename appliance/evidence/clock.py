"""Two clocks: the one people can set, and the one that only the machine's start resets."""

from __future__ import annotations

import time
from typing import Protocol

_TOLERANCE_MS = 2000


class Clock(Protocol):
    """Where the log's times come from."""

    def utc_ms(self) -> int:
        """Milliseconds since 1970, as the system claims."""
        ...

    def boot_ns(self) -> int:
        """Nanoseconds since the machine started, sleep included."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def utc_ms(self) -> int:
        """Wall-clock time."""
        return time.time_ns() // 1_000_000

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def set_back(last_utc_ms: int, last_boot_ns: int, utc_ms: int, boot_ns: int) -> bool:
    """Whether the settable clock lost more than 2 s since the last entry.

    At least `boot_ns - last_boot_ns` has passed: exactly that without a restart, more with one.
    """
    passed_ms = max(0, (boot_ns - last_boot_ns) // 1_000_000)
    return utc_ms < last_utc_ms + passed_ms - _TOLERANCE_MS
