"""What every harness of the log asks after a crash: is all there that was acknowledged, is nobody accused?"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from appliance.errors import IntegrityError  # noqa: E402 - after the path
from appliance.evidence import verify_evidence as checked  # noqa: E402
from appliance.evidence.log import EvidenceLog  # noqa: E402

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where waiting for a disk shows nothing


@dataclass
class SteadyClock:
    """Time passes by one millisecond a look, from July of a year on."""

    utc: int
    boot: int = 5_000_000_000

    @classmethod
    def in_year(cls, year: int) -> SteadyClock:
        """Standing in July of `year`."""
        return cls(round(datetime(year, 7, 1, tzinfo=UTC).timestamp() * 1000))

    def utc_ms(self) -> int:
        """Wall-clock time."""
        self.utc += 1
        return self.utc

    def boot_ns(self) -> int:
        """Time since the start."""
        self.boot += 1_000_000
        return self.boot


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a log looked like after a crash.

    Attributes:
        lost: acknowledged states that are not there.
        alarm: what an undamaged log was accused of; "" when nothing.
        cut: a torn tail was there.
    """

    lost: int
    alarm: str
    cut: bool = False


def after_crash(directory: Path, acknowledged: list[tuple[int, str]], clock: SteadyClock) -> Outcome:
    """Verify, open, append and verify again.

    Args:
        acknowledged: size and root (hex) of states that the writer was told of.
        clock: of the program that starts now.
    """
    try:
        checked.check_log(directory)
        log = EvidenceLog.open(directory, create=False, clock=clock)
    except (checked.Broken, IntegrityError, OSError) as alarm:
        return Outcome(0, str(alarm))
    lost = sum(size > log.size or log._subtree(0, size).hex() != root for size, root in acknowledged)
    cut = log.entries(-1)[0].act == "log.cut"
    log.append("after.crash")
    health = log.verify()
    return Outcome(lost, health.problem, cut)
