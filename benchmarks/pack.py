"""What an evidence pack costs: made, its size, checked by bare Pythons; and every byte of one flipped.

    OMP_NUM_THREADS=1 python benchmarks/pack.py [--pairs N] [--entries N] [--cpu] [--json]
    OMP_NUM_THREADS=1 python benchmarks/pack.py --flips [--stride N] [--json]

The audit's numbers come of made-up signals through the real judgement, its log through the real writer. The
verifier runs as an auditor runs it, `python3 -I -S verify_evidence.py`, under each Python that is found.
`--cpu` counts processor time, for a machine that has other work.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from appliance.pack import building
from audit_core.results import AuditResult, Role
from tests.appliance import evidence_case
from tests.appliance.pack.test_bare_pythons import interpreter
from tests.audit_core.planted import World, judged

STEP = 5_000  # entries under one checkpoint
GOALS = {"made": 10.0, "size": 5.0, "checked": 5.0}
MINORS = (8, 11, 13)
CLOCK: dict[str, Callable[[], float]] = {"now": time.perf_counter}


def judged_pairs(pairs: int) -> AuditResult:
    """The result of an audit of so many pairs: a fifth in each group, and two in that of the targets."""
    fifth = pairs // 5
    sizes = {Role.MEMBER: fifth, Role.FITTING: fifth, Role.CALIBRATION: fifth, Role.TARGET: pairs - 3 * fifth}
    return judged(World(effect=1.0, sizes=sizes, slices=100), 0, bootstrap=100, simulations=20)[0]


def closed(folder: Path, pairs: int, entries: int) -> tuple[EvidenceLog, building.PackInput]:
    """A log of so many entries in which an audit of so many pairs has closed."""
    log, given = evidence_case.closed_audit(folder)
    given = replace(given, view=replace(given.view, result=judged_pairs(pairs)))
    for begin in range(0, entries, STEP):
        log.append_all(
            [Act("ingest.file", log.identifier(f"study {begin + number}")) for number in range(STEP)]
        )
    return log, evidence_case.closed_again(log, given)


def measured(pairs: int, entries: int) -> Iterator[dict[str, Any]]:
    """Rows of the table: name, value, unit, goal (None where none is set)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, given = closed(folder / "log", pairs, entries)
        yield row("pairs", pairs, "pairs", None)
        yield row("entries", log.size, "entries", None)
        for edition in ("full", "vendor"):
            path = folder / f"{edition}.zip"
            seconds = timed(lambda path=path, edition=edition: building.write(log, given, path, edition))  # type: ignore[misc]
            yield row(f"{edition}_made", seconds, "s", GOALS["made"])
            yield row(f"{edition}_size", path.stat().st_size / 1e6, "MB", GOALS["size"])
        for minor in MINORS:
            python = interpreter(minor)
            if python is None:
                print(f"not shown: needs python3.{minor}", file=sys.stderr)
                continue
            for what, path in (("pack", folder / "full.zip"), ("log", folder / "log")):
                command = [python, "-I", "-S", checked.__file__, str(path)]
                yield row(f"{what}_checked_3_{minor}", timed(lambda: run(command)), "s", GOALS["checked"])  # noqa: B023
        yield row("peak_mib", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB", None)


def run(command: list[str]) -> None:
    """The verifier's answer must be that all is intact."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.startswith("valid: intact"):
        raise SystemExit(done.stdout + done.stderr)


def timed(act: Callable[[], object]) -> float:
    """Seconds of one turn, the better of two."""
    seconds = []
    for _ in range(2):
        began = CLOCK["now"]()
        act()
        seconds.append(CLOCK["now"]() - began)
    return min(seconds)


def processor_time() -> float:
    """Seconds that this process and the verifiers it ran have spent on a processor."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def row(name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    """One line of the table."""
    return {"name": name, "value": round(value, 3), "unit": unit, "goal": goal}


def flipped(stride: int) -> Iterator[dict[str, Any]]:
    """Bytes of a whole pack changed in one bit each: how many were refused, and under the right member.

    Every byte, but of stretches beyond 4 KB only each `stride`-th and the first 200, its header among them.
    """
    with tempfile.TemporaryDirectory() as name:
        pack = building.build(*evidence_case.closed_audit(Path(name) / "log"))
    rng, tried, refused, named = random.Random(7), 0, 0, 0
    for member, start, end in places(pack):
        rare = range(start + 200, end, stride if end - start > 4096 else 1)
        for place in (*range(start, min(end, start + 200)), *rare):
            tried += 1
            problem = problem_of(pack, place, 1 << rng.randrange(8), member)
            refused += bool(problem)
            named += member in problem
    yield row("bytes", len(pack), "bytes", None)
    yield row("tried", tried, "bytes", None)
    yield row("refused", refused, "bytes", tried)
    yield row("refused_and_named", named, "bytes", tried)


def places(pack: bytes) -> Iterator[tuple[str, int, int]]:
    """Every stretch of a pack with the member it belongs to, and the end of the ZIP."""
    members, at = checked.split_zip(pack)[0], 0
    for name, data in members.items():
        end = at + 30 + len(name) + len(data)
        yield name, at, end
        at = end
    for name in members:
        yield name, at, at + 46 + len(name)
        at += 46 + len(name)
    yield "pack", at, len(pack)


def problem_of(pack: bytes, place: int, bit: int, member: str) -> str:
    """What is said of the pack with one bit flipped: by its reading as a ZIP, else by the whole check."""
    damaged = bytearray(pack)
    damaged[place] ^= bit
    members, problems = checked.split_zip(bytes(damaged))
    said = "; ".join(problems)
    if members and member in said:
        return said  # the whole check says this and more
    try:
        checked.check_pack(bytes(damaged))
    except (checked.Broken, checked.Unreadable) as wrong:
        return str(wrong)
    return ""


def main() -> None:
    """Print the table; exit 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--flips", action="store_true")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.cpu:
        CLOCK["now"] = processor_time
    rows = list(flipped(options.stride) if options.flips else measured(options.pairs, options.entries))
    if options.json:
        print(json.dumps(rows))
    else:
        for one in rows:
            goal = "" if one["goal"] is None else f"  (goal {one['goal']:g})"
            print(f"{one['name']:24} {one['value']:>14,} {one['unit']}{goal}")
    missed = [one for one in rows if one["goal"] is not None and options.flips and one["value"] < one["goal"]]
    missed += [
        one for one in rows if one["goal"] is not None and not options.flips and one["value"] > one["goal"]
    ]
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
