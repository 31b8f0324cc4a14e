"""Two clocks: the one people can set, and the one that only the machine's start resets."""

from __future__ import annotations

import time
from typing import Protocol

DAY_MS = 24 * 3600 * 1000
OFF_MS = 31 * DAY_MS  # how long a machine may be off
_TOLERANCE_MS = 2000
BACK = "clock.back"


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


def gained_ms(last_utc_ms: int, last_boot_ns: int, utc_ms: int, boot_ns: int) -> int:
    """By how much the settable clock went on more than the machine has run; below 0 it was set back.

    The machine may have been off as well, also where `boot_ns` has grown since: that gains.
    """
    restarted = boot_ns < last_boot_ns
    passed_ms = (boot_ns if restarted else boot_ns - last_boot_ns) // 1_000_000
    return utc_ms - last_utc_ms - passed_ms


def jumped(last_utc_ms: int, last_boot_ns: int, utc_ms: int, boot_ns: int) -> str:
    """Where somebody set the settable clock since the last entry: `clock.back`, `clock.forward`, or "".

    A month in which the machine may have been off is taken as it is claimed.
    """
    gained = gained_ms(last_utc_ms, last_boot_ns, utc_ms, boot_ns)
    if gained < -_TOLERANCE_MS:
        return BACK
    return "clock.forward" if gained > OFF_MS else ""
