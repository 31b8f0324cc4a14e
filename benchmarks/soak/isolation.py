"""Every way out of the box, tried from inside it, and first from a process without one.

    python benchmarks/soak/isolation.py [--count 200] [--seed 0] [--json]

An attempt counts only if it gets out where there is no box; what does not (no root, no such kernel module) is
listed as no evidence. Inside, layers come off in turn: what is missing must be said, what is on must hold.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

from listening import Listeners  # noqa: E402 - after the path

from appliance.isolation import LAYERS, ON, broken_promises  # noqa: E402

_PROBE = """
import json, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from appliance.isolation import box, close_box, probe
from appliance.isolation.attempts import Targets
order = json.loads(sys.argv[1])
def missing(*arguments):
    raise OSError(38, "taken away")
for name in order["without"]:
    part = getattr(box, "namespace" if name == "network_namespace" else name)
    setattr(part, dict(network_namespace="enter", seccomp="install", landlock="restrict")[name], missing)
layers = close_box([Path(path) for path in order["read"]]) if order["box"] else {{}}
print(json.dumps([layers, probe(Targets(**order["targets"]))]))
"""


def run(count: int = 12, seed: int = 0, *, box: bool = True) -> dict[str, Any]:
    """Probe `count` processes from inside the box, every fourth with a layer taken away.

    Args:
        seed: which layers come off when.
        box: False for the control: the same count without a box, where all that counts gets out.

    Returns:
        tried (attempts in whole boxes), egress (of those, how many got out or were heard), counted and
        no_evidence (names of attempts), lies (a layer that said it was on did not hold, or the reverse).
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as room:
        listeners = Listeners(Path(room))
        _, outside = _probed(listeners, box=False)
        listeners.heard()
        counted = sorted(name for name, blocked in outside.items() if not blocked)
        tried = egress = lies = 0
        for number in range(count):
            without = [rng.choice(LAYERS)] if box and number % 4 == 3 else []
            layers, blocked = _probed(listeners, box=box, without=without)
            heard = listeners.heard()
            lies += bool(broken_promises(layers, blocked)) or any(
                (layers.get(layer) == ON) is (layer in without) for layer in LAYERS if box
            )
            if not without:
                tried += len(counted)
                egress += max(sum(not blocked[name] for name in counted), len(heard))
        listeners.close()
    return {
        "tried": tried, "egress": egress, "lies": lies, "counted": counted,
        "no_evidence": sorted(set(outside) - set(counted)),
    }  # fmt: skip


def _probed(
    listeners: Listeners, *, box: bool, without: list[str] | None = None
) -> tuple[dict[str, str], dict[str, bool]]:
    readable = [str(path) for path in (ROOT, Path(sys.prefix), Path(sys.base_prefix))]
    order = {"box": box, "without": without or [], "read": readable, "targets": asdict(listeners.targets)}
    code = _PROBE.format(root=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(order)], capture_output=True, text=True, check=True
    )
    layers, blocked = json.loads(done.stdout)
    return layers, blocked


def main() -> int:
    """Run from the command line."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--count", type=int, default=200)
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--json", action="store_true")
    asked = given.parse_args()
    found = run(asked.count, asked.seed)
    open_ = run(1, asked.seed, box=False)
    found |= {"mutants": 1, "missed_mutants": int(open_["egress"] < len(open_["counted"]))}
    sys.stdout.write(json.dumps(found, indent=None if asked.json else 1) + "\n")
    return 1 if found["egress"] or found["lies"] or found["missed_mutants"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
