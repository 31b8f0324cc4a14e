"""Train the demo's models from the shipped studies and write them where the demo looks for them.

    python -m appliance.demo.train_models [OUT]

One CPU thread, about a minute, the same weights each time on the same kind of machine. Only CC0 pairs of the
demo and synthetic pairs are used; which ones, `appliance.demo.training` says.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from appliance.demo.build_studies import ASSETS
from appliance.demo.roles import SHIPPED_SEED, split
from audit_core.adapters.loading import OFFLINE_SWITCHES


def main(arguments: Sequence[str]) -> int:
    """Train all models into the folder named (default: the shipped assets)."""
    if len(arguments) > 1:
        sys.stderr.write("usage: python -m appliance.demo.train_models [OUT]\n")
        return 2
    out = Path(arguments[0]) if arguments else ASSETS / "models"
    quiet_single_thread()
    from appliance.demo.material import read_material, read_organs
    from appliance.demo.training import MODELS, train_all

    for name in MODELS:
        shutil.rmtree(out / name, ignore_errors=True)
    lots = split(SHIPPED_SEED, read_organs(ASSETS))
    train_all(SHIPPED_SEED, out, lots, read_material(ASSETS), say=print_step)
    return 0


def quiet_single_thread() -> None:
    """Set switches that libraries read when they are imported: offline, one thread, no progress bars."""
    os.environ.update(OFFLINE_SWITCHES)
    os.environ.update({"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"})
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def print_step(line: str) -> None:
    """One line of narration."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
