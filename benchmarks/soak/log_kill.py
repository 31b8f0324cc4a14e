"""Writers of the log killed at random moments.

    python benchmarks/soak/log_kill.py [--count 2000] [--seed 0]

Each writer appends, now and then over the end of a year, and reports what was acknowledged through a pipe.
The control is a writer that reports first and writes afterwards: it must lose something.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from log_states import EvidenceLog, SteadyClock, after_crash

_LONGEST_S = 0.06


def run(count: int = 30, seed: int = 0, *, hasty: bool = False) -> dict[str, Any]:
    """Kill `count` writers; counts of what was tried, lost and wrongly accused.

    Args:
        hasty: the mutant: it acknowledges an entry before it is written.
    """
    rng = random.Random(seed)
    acknowledged_in_all = lost = cuts = 0
    alarms: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            if number % 50 == 0:  # a fresh log now and then: its size costs time
                directory, year = Path(folder) / f"log{number}", 2026
                EvidenceLog.open(directory, clock=SteadyClock.in_year(year))
            year += rng.random() < 0.1
            told = _killed(directory, year, rng, hasty)
            outcome = after_crash(directory, told, SteadyClock.in_year(year))
            acknowledged_in_all += len(told)
            lost, cuts = lost + outcome.lost, cuts + outcome.cut
            if outcome.alarm:
                alarms.append(outcome.alarm)
    return {
        "tried": count, "acknowledged": acknowledged_in_all, "lost": lost, "false_alarms": len(alarms),
        "torn_tails": cuts, "alarms": alarms[:5],
    }  # fmt: skip


def _killed(directory: Path, year: int, rng: random.Random, hasty: bool) -> list[tuple[int, str]]:
    """What one writer was told before it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _write(directory, year, writing, hasty)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        first = told.readline()
        time.sleep(rng.random() * _LONGEST_S)
        os.kill(child, signal.SIGKILL)
        lines = (first + told.read()).splitlines(keepends=True)
    os.waitpid(child, 0)
    whole = [line.split() for line in lines if line.endswith(b"\n")]
    return [(int(size), root.decode()) for size, root in whole if root != b"-"]


def _write(directory: Path, year: int, told: int, hasty: bool) -> None:
    """Append until killed; never returns."""
    try:
        log = EvidenceLog.open(directory, create=False, clock=SteadyClock.in_year(year))
        os.write(told, b"0 -\n")
        number = 0
        while True:
            if hasty:
                os.write(told, b"%d %s\n" % (log.size + 1, b"0" * 64))
            log.append("writer.step", log.identifier(str(number)))
            if not hasty:
                os.write(told, b"%d %s\n" % (log.size, log.root.encode()))
            number += 1
    finally:
        os._exit(1)


def main() -> int:
    """Run at length and print one JSON object."""
    parser = argparse.ArgumentParser(description="Kill writers of the log.")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = run(options.count, options.seed)
    found |= {"mutants": 1, "missed_mutants": int(run(20, options.seed, hasty=True)["lost"] == 0)}
    print(json.dumps(found))
    return int(bool(found["lost"] or found["false_alarms"] or found["missed_mutants"]))


if __name__ == "__main__":
    sys.exit(main())
