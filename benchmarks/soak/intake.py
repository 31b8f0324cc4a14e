"""Hostile model folders taken in: nothing of them is run, and each is refused with a reason or does no harm.

    python benchmarks/soak/intake.py [--count 62] [--seed 0] [--whole]

Without `--whole` the folders are looked at and opened in this very process, without a box around it: a gadget
that ran would leave its mark. With it each goes through `models add` of a workspace, worker and box included.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT)]

from hostile_models import BUNDLES  # noqa: E402 - after the path

from appliance.errors import ApplianceError  # noqa: E402
from audit_core.errors import AuditError  # noqa: E402

TakeIn = Callable[[Path], object]
HARMLESS = "harmless"


def run(
    count: int = len(BUNDLES), seed: int = 0, *, whole: bool = False, take_in: TakeIn | None = None
) -> dict[str, Any]:
    """Take in `count` folders, each kind in turn.

    Args:
        seed: which of them come first.
        whole: through `models add`, worker and box included.
        take_in: what is done with a folder instead; a control that runs what it finds.

    Returns:
        tried, refused, harmless, executions and unexplained (errors that are no refusal), and what became of
        each kind.
    """
    names = sorted(BUNDLES)
    random.Random(seed).shuffle(names)
    outcomes: dict[str, str] = {}
    executions: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        room = Path(made)
        _sound_model(room / "sound")
        act = take_in or (_added(room) if whole else _opened)
        for number in range(count):
            name = names[number % len(names)]
            folder, mark = room / f"model{number}", room / f"mark{number}"
            shutil.copytree(room / "sound", folder)
            BUNDLES[name](folder, mark)
            outcomes[name] = _outcome(act, folder)
            if mark.exists():
                executions.append(name)
            shutil.rmtree(folder)
    told = list(outcomes.values())
    harmless = told.count(HARMLESS)
    unexplained = [name for name, what in outcomes.items() if what.startswith("unexplained")]
    return {
        "tried": count, "refused": len(told) - harmless - len(unexplained), "harmless": harmless,
        "executions": len(executions), "executed": executions, "unexplained": len(unexplained),
        "outcomes": outcomes,
    }  # fmt: skip


def _outcome(act: TakeIn, folder: Path) -> str:
    try:
        act(folder)
    except (AuditError, ApplianceError) as refused:
        return str(refused) if refused.hint else f"unexplained: no hint: {refused}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and named
        return f"unexplained: {type(error).__name__}"
    return HARMLESS


def _opened(folder: Path) -> None:
    """What registration does with a folder, in this process."""
    from audit_core.adapters.folder import inspect_folder
    from audit_core.adapters.loading import open_model
    from audit_core.adapters.pickled import read_tensors

    facts = inspect_folder(folder)
    if facts.pickled:
        for name in facts.weights:
            read_tensors(folder / name)
    else:
        open_model(folder, facts.family)


def _added(room: Path) -> TakeIn:
    """Registration in a workspace of its own."""
    from appliance.api import Appliance
    from appliance.workspace.workspace import Workspace

    workspace = Workspace.create(room / "workspace", "four random words", "Soak", unsafe_fast_kdf=True)
    appliance = Appliance(workspace)
    return lambda folder: appliance.add_model(folder.name, folder)


def _sound_model(folder: Path) -> None:
    from tests.audit_core.engine_models import write_llava

    write_llava(folder)


def main() -> int:
    """Run from the command line."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--count", type=int, default=len(BUNDLES))
    given.add_argument("--seed", type=int, default=0)
    given.add_argument("--whole", action="store_true")
    asked = given.parse_args()
    found = run(asked.count, asked.seed, whole=asked.whole)
    for name, what in sorted(found.pop("outcomes").items()):
        sys.stderr.write(f"{name}: {what}\n")
    sys.stdout.write(json.dumps(found) + "\n")
    return 1 if found["executions"] or found["unexplained"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
