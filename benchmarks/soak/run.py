"""Every long harness for so many minutes, in rounds with fresh seeds: what was tried, and what went wrong.

    OMP_NUM_THREADS=1 python benchmarks/soak/run.py [--minutes 20] [--json] [--only NAME …] [--page FILE]

A harness is a script of this folder that prints one JSON object with counts and takes `--count` and `--seed`;
each has its own process, so that one that dies is a finding and not the end. `missed_mutants` counts programs
with a protection removed that were not found out, `lost` what had been acknowledged and was not there,
`false_alarms` damage that was reported where there was none, `egress` what got out, `found` canaries that
were found. Exit status 1 when any of these, a failure or a death was seen.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
BAD = ("lost", "false_alarms", "missed_mutants", "egress", "found", "executions", "failures", "deaths")
"""Counts that must be 0."""

MARKS = "<!-- soak -->", "<!-- end of soak -->"


@dataclass(frozen=True, slots=True)
class Harness:
    """One script.

    Attributes:
        name: of the script, without `.py`.
        tries: what its `tried` counts in the totals: kills, cuts, faults, attempts …
        count: tries of one round.
        further: arguments of every round.
    """

    name: str
    tries: str
    count: int
    further: tuple[str, ...] = ()


HARNESSES = (
    Harness("log_kill", "kills", 60),
    Harness("command_kill", "kills", 20),
    Harness("log_powercut", "cuts", 400),
    Harness("log_faults", "faults", 60),
    Harness("workspace_faults", "faults", 40),
    Harness("erasure_kill", "kills", 6),
    Harness("log_verifiers", "logs", 400),
    Harness("damaged_files", "files", 1200),
    Harness("intake", "bundles", 62),
    Harness("isolation", "attempts", 16),
    Harness("egress", "demonstrations", 1),
    Harness("canaries", "canaries", 1),
    Harness("readers", "looks", 1),
    Harness("year", "years", 1),
)

ALONE = {
    "run": "this one",
    "fuzz_dicom": "one kind of file at length; `damaged_files` is its short form for rounds",
}
"""Scripts of this folder that are run by hand, and why."""


@dataclass(slots=True)
class Found:
    """What one harness gave in all its rounds."""

    harness: Harness
    counts: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)  # of a round that ended badly

    def plain(self) -> dict[str, Any]:
        """As printed."""
        counts = {"tried": 0, **dict.fromkeys(BAD, 0), **self.counts}
        return {
            "name": self.harness.name,
            "tries": self.harness.tries,
            **counts,
            "rounds": self.rounds,
            "seconds": round(self.seconds, 1),
            "said": self.said[:3],
        }


def main(arguments: Sequence[str]) -> int:
    """Run, print, and say by the exit status whether anything went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [one.name for one in HARNESSES]
    parser.add_argument("--minutes", type=float, default=20.0, help="in all")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table into docs/reliability.md")
    asked = parser.parse_args(arguments)
    chosen = [one for one in HARNESSES if one.name in asked.only]
    plain = result(soaked(chosen, asked.minutes * 60, asked.seed), asked.minutes)
    print(json.dumps(plain) if asked.json else table(plain))
    if asked.page is not None:
        put(asked.page, f"`--minutes {asked.minutes:g} --seed {asked.seed}`\n\n{table(plain)}")
    return int(any(plain["totals"][bad] for bad in BAD))


def soaked(chosen: Sequence[Harness], seconds: float, seed: int) -> list[Found]:
    """Rounds of every harness in turn until the time is over; each gets one round at least.

    Args:
        seconds: in all; a round that has begun is ended.
        seed: of the first round; each round has the next one.
    """
    found = [Found(harness) for harness in chosen]
    end = time.monotonic() + seconds
    while True:
        for one in found:
            if one.rounds and time.monotonic() >= end:
                continue
            _round(one, seed + one.rounds)
            print(
                f"{one.harness.name}: round {one.rounds}, {max(0.0, end - time.monotonic()):.0f} s left",
                file=sys.stderr,
            )
        if time.monotonic() >= end:
            return found


def _round(found: Found, seed: int) -> None:
    harness = found.harness
    command = [sys.executable, str(FOLDER / f"{harness.name}.py"), "--count", str(harness.count)]
    began = time.monotonic()
    ran = subprocess.run(
        [*command, "--seed", str(seed), *harness.further], capture_output=True, text=True, check=False
    )
    found.seconds += time.monotonic() - began
    found.rounds += 1
    try:
        counts = json.loads(ran.stdout)
    except ValueError:
        found.counts["deaths"] += 1
        found.said.append(f"seed {seed}: status {ran.returncode}: {ran.stderr.strip()[-200:]}")
        return
    found.counts.update({name: value for name, value in counts.items() if type(value) is int})
    if "not_shown" in counts:
        found.said.append(f"not shown: {counts['not_shown']}")
    if ran.returncode or any(counts.get(bad) for bad in BAD):
        found.said.append(f"seed {seed}: {json.dumps(counts)[:300]}")
        found.counts["failures"] += not any(counts.get(bad) for bad in BAD)


def result(found: Sequence[Found], minutes: float) -> dict[str, Any]:
    """Counts by harness and in all: kills, cuts, faults, mutants, attempts …; how many went wrong."""
    totals = Counter(dict.fromkeys(("kills", "cuts", "faults", "mutants", "attempts", *BAD), 0))
    for one in found:
        totals[one.harness.tries] += one.counts["tried"]
        totals["mutants"] += one.counts["mutants"]
        totals.update({bad: one.counts[bad] for bad in BAD})
    return {"minutes": minutes, "harnesses": [one.plain() for one in found], "totals": dict(totals)}


def table(plain: Mapping[str, Any]) -> str:
    """A Markdown table, one line a harness, and the totals."""
    head = ["harness", "tried", "mutants", *(bad.replace("_", " ") for bad in BAD), "rounds", "minutes"]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for one in plain["harnesses"]:
        cells = [
            f"[{one['name']}](../benchmarks/soak/{one['name']}.py)",
            f"{one['tried']:,} {one['tries']}",
            str(one.get("mutants", 0)),
            *(str(one[bad]) for bad in BAD),
            str(one["rounds"]),
            f"{one['seconds'] / 60:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    totals = ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in plain["totals"].items())
    said = [f"{one['name']}: {what}" for one in plain["harnesses"] for what in one["said"]]
    return "\n".join([*lines, "", f"In all: {totals}.", *said])


def put(page: Path, text: str, marks: tuple[str, str] = MARKS) -> None:
    """Replace what stands between two marks of a page.

    Raises:
        SystemExit: the page has no marks.
    """
    first, last = marks
    told = page.read_text(encoding="utf-8")
    if not re.search(f"{first}.*{last}", told, re.DOTALL):
        raise SystemExit(f"{page.name} has no marks {first} … {last}")
    before, _, rest = told.partition(first)
    _, _, after = rest.partition(last)
    page.write_text(f"{before}{first}\n\n{text}\n\n{last}{after}", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
