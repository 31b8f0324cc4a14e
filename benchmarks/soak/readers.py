"""One scanner and three readers at once, again and again: readers see whole states and no state twice.

    python benchmarks/soak/readers.py [--count 20] [--seed 0]

Four processes a turn. The mutant is a scanner that calls an audit done before it has stored what the audit
rests on: a reader must notice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.appliance import test_scanner_and_readers as case  # noqa: E402 - after the path
from tests.appliance import whole_site  # noqa: E402

READERS = 3
_FIRST = "            appliance._workspace.catalogue.add_cohort"
HASTY = "import time\n" + "\n".join(
    line
    for line in case.SCANNER.replace(
        'put("weights", bytes([number]) * 30_000)', 'put("weights", b"x")'
    ).splitlines()
    if not line.startswith(_FIRST)
)
"""The mutant: another object than the reader expects, and no cohort."""


def run(count: int = 1, seed: int = 0, *, scanner: str = case.SCANNER) -> dict[str, Any]:
    """So many turns; looks of all readers, and torn states among them.

    Args:
        seed: of the moments at which readers begin.
        scanner: the program that writes.
    """
    rng = random.Random(seed)
    looks = lost = 0
    said: list[str] = []
    for _ in range(count):
        with tempfile.TemporaryDirectory() as name:
            seen, wrong = _turn(Path(name), rng, scanner)
            looks, lost = looks + seen, lost + len(wrong)
            said += wrong
    return {"tried": looks, "turns": count, "lost": lost, "said": said[:5]}


def _turn(folder: Path, rng: random.Random, scanner: str) -> tuple[int, list[str]]:
    """Looks, and what was wrong."""
    root = whole_site.build(folder / "workspace")
    programs = [scanner, *[case.READER] * READERS]
    order = rng.sample(range(len(programs)), len(programs))
    processes = {}
    for place in order:
        further = [str(folder / "stop")] if place else []
        processes[place] = subprocess.Popen(
            [sys.executable, "-c", programs[place], str(root), *further],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
        )  # fmt: skip
    _, err = processes[0].communicate()
    (folder / "stop").touch()
    wrong = [f"scanner: {err[-200:]}"] if err else []
    looks = 0
    for place in range(1, len(programs)):
        out, err = processes[place].communicate()
        if err:
            wrong.append(f"reader: {err[-200:]}")
            continue
        seen, torn, last, intact = json.loads(out.splitlines()[-1])
        looks += seen
        if torn or last != case.AUDITS or not intact:
            wrong.append(f"reader: {torn} torn of {seen}, {last} audits, log intact: {intact}")
    return looks, wrong


def main() -> int:
    """Run at length and print one JSON object."""
    parser = argparse.ArgumentParser(description="One scanner, three readers.")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    found = run(asked.count, asked.seed)
    mutant = run(1, asked.seed, scanner=HASTY)
    found |= {"mutants": 1, "missed_mutants": int(mutant["lost"] == 0)}
    print(json.dumps(found))
    return int(bool(found["lost"] or found["missed_mutants"]))


if __name__ == "__main__":
    sys.exit(main())
