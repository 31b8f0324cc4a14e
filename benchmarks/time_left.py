"""How right is the time left that an audit in the queue is said to take?

    python benchmarks/time_left.py FOLDER MODEL COHORT POLICY [--json]

FOLDER is a workspace without other runs; its passphrase is read from GRADAUDIT_PASSPHRASE_FILE. The audit is
asked for as on the screens, and what any other terminal is told is compared with when it ended. An audit of
under ten minutes says little: starting the worker and judging are then as long as the pairs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from appliance.api import Appliance
from appliance.config import passphrase_given
from appliance.runs import progress

LOOK_S = 0.25
GOAL_S, GOAL_SHARE = 30.0, 0.2


def followed(folder: Path, model: str, cohort: str, policy: str) -> tuple[float, list[tuple[float, float]]]:
    """Seconds to the first estimate; then at every look seconds gone, and the total as it was said."""
    with Appliance.unlock(folder, passphrase_given() or "") as appliance:
        began = time.monotonic()
        run = appliance.queue_audit(model, cohort, policy)
        said: list[tuple[float, float]] = []
        first = 0.0
        while any(one.run_id == run.run_id for one in appliance.runs()):
            told = progress.read(folder)
            left = told.still_left_s() if told is not None else None
            if told is not None and left is not None:
                first = first or time.monotonic() - began
                said.append((told.elapsed_s(), told.elapsed_s() + left))
            time.sleep(LOOK_S)
    return first, said


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("folder", "model", "cohort", "policy"):
        parser.add_argument(name)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    first, said = followed(Path(given.folder), given.model, given.cohort, given.policy)
    whole = said[-1][0]
    off = [(gone / whole, abs(total - whole) / whole) for gone, total in said]
    rows: list[dict[str, object]] = [
        {"name": "first_estimate_s", "value": round(first, 2), "unit": "s", "goal": GOAL_S}
    ]
    rows.append({"name": "audit_s", "value": round(whole, 1), "unit": "s", "goal": None})
    for after in (0.05, 0.25, 0.5):
        worst = max(error for share, error in off if share >= after)
        name = f"eta_off_after_{after * 100:.0f}_percent"
        rows.append({"name": name, "value": round(worst, 3), "unit": "share", "goal": GOAL_SHARE})
    if given.json:
        print(json.dumps({"rows": rows}))
        return
    for row in rows:
        print(f"{row['name']:28} {row['value']:8} {row['unit']}  goal {row['goal']}")


if __name__ == "__main__":
    main()
