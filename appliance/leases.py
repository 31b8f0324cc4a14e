"""Whose turn a run of a schedule is: a lease that ends by the machine's own clock, and with its process.

A lease keeps two services from doing the same work at the same time. It is not what keeps a run from being
started twice: whoever queues an audit looks again, as the only writer, whether it is queued already.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.runs.progress import started

LASTS_S: Final = 3600.0  # how long a process that stands still keeps others from going on with its run
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Lease:
    """A run is somebody's.

    Attributes:
        boot: id of the machine's start.
        process: id of a process.
        began: when that was started, in ticks since the machine was: ids are used again.
        until_s: seconds since the machine's start, sleep included; no clock that people set.
    """

    boot: str
    process: int
    began: int
    until_s: float


class Machine:
    """The machine as leases see it; tests put another one in its place."""

    def boot(self) -> str:
        """Id of its start; empty where the kernel does not tell."""
        try:
            return _BOOT.read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def process(self) -> tuple[int, int]:
        """Id and start time of this process."""
        return os.getpid(), started(os.getpid())

    def lives(self, process: int, began: int) -> bool:
        """Whether a process of this start is still there, as far as can be told.

        One that is there and hidden, as those of another unit are, counts as still there.
        """
        return began != 0 and (started(process) == began or _hidden(process))

    def lease(self, now_s: float) -> Lease:
        """A new one of this process.

        Args:
            now_s: seconds since the machine's start.
        """
        return Lease(self.boot(), *self.process(), now_s + LASTS_S)

    def is_free(self, lease: Lease, now_s: float) -> bool:
        """Whether this process may go on: it is its own, it has ended, or whose it was is surely gone."""
        if lease.boot != self.boot() or (lease.process, lease.began) == self.process():
            return True
        return now_s >= lease.until_s or not self.lives(lease.process, lease.began)


def _hidden(process: int) -> bool:
    """Whether a process is there that /proc does not show: kill(2) finds it (proc(5), `hidepid`)."""
    if Path(f"/proc/{process}").exists():
        return False
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True
