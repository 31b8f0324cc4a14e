"""Years of a site that looks after itself, with a simulated clock: schedules, watch, policies, claims.

    OMP_NUM_THREADS=1 python benchmarks/soak/year.py [--count 1] [--seed 0] [--days 366] [--mutants] [--json]

Workspace, log, catalogue, schedules, daemons, watch, policies and judgement are the real ones; time is
simulated, and what audits would read off models is planted. An oracle of its own (`simulated.oracle`, minute
by minute) says which runs have to be. A year has clocks put forward and back by zones and by people, power
cuts, daemons killed at any write or two at once, a vendor's disk that is away, five versions of one model, a
leak in the fourth, a swapped adapter, a claimed epsilon that an audit contradicts and one that the vendor's
own parameters do, a policy that becomes stricter. stdout is one JSON object; exit status 1 when anything is
wrong. `--mutants` runs programs with a protection removed instead; each must be found out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).parent)]

from simulated.mutants import MUTANTS  # noqa: E402 - after the path
from simulated.story import Story, story  # noqa: E402
from simulated.vendors import LEAK, LEAKY  # noqa: E402
from simulated.year import Seen, Year  # noqa: E402

MEMORY = Path("/dev/shm")  # a year of fsync on a slow disk takes longer than everything else
_TOLD = 20


def passed(told: Story, without: AbstractContextManager[object] | None = None) -> Seen:
    """What one year came to.

    Args:
        told: the year.
        without: a protection that is taken away while it lasts.
    """
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, without or nullcontext():
        return Year(Path(folder), told).pass_by()


def run(count: int = 1, seed: int = 0, days: int = 366) -> dict[str, Any]:
    """Years with seeds one after the other, and their sum."""
    began, years = time.monotonic(), [passed(story(seed + number, days)) for number in range(count)]
    kinds = Counter(kind for year in years for kind, _ in year.wrong)
    found = {int(year.found_in.partition("@")[2] or 1) if year.found_in else None for year in years}
    delays = [year.found_after_h for year in years if year.found_in]
    leaks_missed = sum(year.found_in != f"{LEAKY}@{LEAK}" for year in years)
    return {
        "tried": count,
        "runs": sum(year.runs for year in years),
        "wrong_runs": kinds["run"] + kinds["audit"],
        "missed": sum(year.missed for year in years),
        "missed_logged": sum(year.missed_logged for year in years),
        "leak_found_in_version": found.pop() if len(found) == 1 else None,
        "leak_found_after_h": round(max(delays), 1) if delays else None,
        "audits": sum(sum(year.verdicts.values()) for year in years),
        "changes": dict(sum((year.changes for year in years), Counter())),
        "claims": {f"{model} {finding}": number for (model, finding), number in _claims(years).items()},
        "killed": sum(year.killed for year in years),
        "entries": sum(year.entries for year in years),
        "failures": sum(kinds.values()) + leaks_missed,
        "wrong": [f"{kind}: {what}" for year in years for kind, what in year.wrong][:_TOLD],
        "seconds": round(time.monotonic() - began, 1),
    }


def _claims(years: Sequence[Seen]) -> Counter[tuple[str, str]]:
    return sum((year.claims for year in years), Counter())


def mutants(seed: int = 0) -> dict[str, Any]:
    """Programs with a protection removed, each in the shortest story that needs it."""
    missed = []
    for one in MUTANTS:
        seen = passed(story(seed, one.days, one.lines, one.schedules), one.without())
        found = [what for kind, what in seen.wrong if kind == one.kind]
        missed += [one.name] * (not found)
        print(f"{one.name}: {found[0] if found else 'not found out'}", file=sys.stderr)
    return {"tried": 0, "mutants": len(MUTANTS), "missed_mutants": len(missed), "missed": missed}


def main(arguments: Sequence[str]) -> int:
    """Run, print, and say by the exit status whether anything was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1, metavar="YEARS")
    parser.add_argument("--seed", type=int, default=0, help="of the first year")
    parser.add_argument(
        "--days", type=int, default=366, help="of a year; fewer bring the same closer together"
    )
    parser.add_argument("--mutants", action="store_true", help="whether removed protections are found out")
    parser.add_argument("--json", action="store_true", help="one line")
    asked = parser.parse_args(arguments)
    found = mutants(asked.seed) if asked.mutants else run(asked.count, asked.seed, asked.days)
    print(json.dumps(found, indent=None if asked.json else 2))
    return int(bool(found.get("failures") or found.get("missed_mutants")))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
