"""Erasures of a patient killed before every step: what whoever holds all keys of today can read afterwards.

    python benchmarks/soak/erasure_kill.py [--count 40] [--seed 0]

Before the deciding transaction the patient must be whole; after it the next opening must finish the erasure
and no canary come back. The mutant is an opening that does not go on with what was cut off.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.erased import Erased
from appliance.workspace import erasing
from tests.appliance import test_erasure as case
from tests.appliance import ward


def run(count: int = 40, seed: int = 0, *, forgetful: bool = False) -> dict[str, Any]:
    """Kill `count` erasures, each before another step, until all steps had their turn.

    Args:
        forgetful: the mutant: an opening leaves an erasure as it was cut off.
    """
    lost, false_alarms, finished = 0, 0, 0
    go_on = Erased._after_opening
    with tempfile.TemporaryDirectory() as folder:
        made, word = case.canary_words()
        root = ward.build(Path(folder) / "workspace", word)
        copy = Path(folder) / "copy"
        shutil.copytree(root, copy)
        steps = int(case.killed_at(copy, -1).stdout)
        turns = random.Random(seed).sample(range(steps), min(count, steps))
        try:
            if forgetful:
                Erased._after_opening = lambda self: None  # type: ignore[method-assign]
            for turn in turns:
                shutil.rmtree(copy)
                shutil.copytree(root, copy)
                if case.killed_at(copy, turn).returncode != -signal.SIGKILL:
                    false_alarms += 1
                    continue
                whole = case.found_in(case.told_by_keys(copy), frozenset(made)) == made
                with case.unlocked(copy) as appliance:
                    catalogue = appliance._workspace.catalogue
                    done = bool(erasing.certificates(catalogue))
                    left = bool(erasing.unfinished(catalogue))
                    false_alarms += not appliance.log_verify().intact
                told = case.found_in(case.told_by_keys(copy), frozenset(made))
                finished += done
                lost += left or (bool(told) if done else not whole)
        finally:
            Erased._after_opening = go_on  # type: ignore[method-assign]
    return {
        "tried": len(turns),
        "steps": steps,
        "finished": finished,
        "lost": lost,
        "false_alarms": false_alarms,
    }


def main() -> int:
    """The real one, then the mutant; one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    counts = run(asked.count, asked.seed)
    mutant = run(asked.count, asked.seed, forgetful=True)
    counts |= {"mutants": 1, "missed_mutants": int(mutant["lost"] == 0)}
    print(json.dumps(counts))
    return int(any(counts[name] for name in ("lost", "false_alarms", "missed_mutants")))


if __name__ == "__main__":
    sys.exit(main())
