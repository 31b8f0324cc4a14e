"""Power cuts at every step of appends, and of the end of a year, on a disk that forgets what was not synced.

    python benchmarks/soak/log_powercut.py [--count 20000] [--seed 0]

The file operations of appends are recorded once; then disks are laid out as a cut after each step in turn
may leave them, and the log is verified, opened, and asked for everything that had been acknowledged. Each
mutant has one fsync less: at least one of its disks must be found wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from disk_model import Disk, Operation, Recorder
from log_states import MEMORY, EvidenceLog, Outcome, SteadyClock, after_crash


def recorded(folder: Path) -> Recorder:
    """A log is opened, appended to, carried over the end of a year, and appended to again."""
    base = folder / "base"
    base.mkdir()
    clock = SteadyClock.in_year(2026)
    log = EvidenceLog.open(base / "log", clock=clock)
    log.append("before.all")
    recorder = Recorder(base)
    recorder.told((log.size, log.root))
    with recorder.recording():
        for year in (2026, 2027):
            clock.utc = SteadyClock.in_year(year).utc
            for number in range(2):
                log.append("cut.step", log.identifier(str(number)))
                recorder.told((log.size, log.root))
    return recorder


def run(count: int = 300, seed: int = 0, *, mutants: bool = True, per_mutant: int = 4000) -> dict[str, Any]:
    """So many power cuts, and every mutant until it is caught; counts of what went wrong.

    Args:
        per_mutant: disks that a mutant is given before it counts as missed.
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        folder = Path(name)
        recorder = recorded(folder)
        steps = recorder.steps
        outcomes = [_cut(recorder, steps, rng, folder, 1 + number % len(steps)) for number in range(count)]
        syncs = [place for place, step in enumerate(recorder.steps) if step.kind == "sync"] if mutants else []
        missed = [
            f"{number}: fsync of {recorder.steps[place].name or '/'}"
            for number, place in enumerate(syncs)
            if not _caught(recorder, place, rng, folder, per_mutant)
        ]
    alarms = [outcome.alarm for outcome in outcomes if outcome.alarm]
    return {
        "tried": count, "lost": sum(outcome.lost for outcome in outcomes), "false_alarms": len(alarms),
        "torn_tails": sum(outcome.cut for outcome in outcomes), "mutants": len(syncs),
        "missed_mutants": len(missed), "missed": missed, "alarms": alarms[:5],
    }  # fmt: skip


def _caught(recorder: Recorder, place: int, rng: random.Random, folder: Path, tries: int) -> bool:
    """Whether the program without this one fsync is found out; cuts come soon after it."""
    steps = recorder.steps[:place] + recorder.steps[place + 1 :]
    for _ in range(tries):
        outcome = _cut(recorder, steps, rng, folder, rng.randint(place, min(len(steps), place + 24)))
        if outcome.lost or outcome.alarm:
            return True
    return False


def _cut(
    recorder: Recorder, steps: Sequence[Operation], rng: random.Random, folder: Path, end: int
) -> Outcome:
    """One disk after a cut behind so many steps."""
    disk = Disk(recorder)
    for step in steps[:end]:
        disk.play(step)
    told = [step.fact for step in steps[:end] if step.kind == "told"]
    place = folder / "cut"
    disk.after_a_cut(rng, place)
    year = 2027 if rng.random() < 0.5 else 2026
    try:
        return after_crash(place / "log", told, SteadyClock.in_year(year))
    finally:
        shutil.rmtree(place)


def main() -> int:
    """Run at length and print one JSON object."""
    parser = argparse.ArgumentParser(description="Cut the power under the log.")
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = run(options.count, options.seed)
    print(json.dumps(found))
    return int(bool(found["lost"] or found["false_alarms"] or found["missed_mutants"]))


if __name__ == "__main__":
    sys.exit(main())
