"""What sensitivity costs: the smallest share of exposed patients that even perfect separation can show.

    python benchmarks/detectable.py [--alpha 0.001]

For equal numbers of calibration controls and targets, and a detector whose exposed scores all lie above all
clean ones: the share at which the FAIL test fires in 80 % of simulated audits; policies/README.md prints it.
"""

from __future__ import annotations

import argparse

import numpy as np

from audit_core.detectable import detectable_effect
from audit_core.samples import Settings
from audit_core.shares import percent

SIZES = (40, 100, 170, 200, 500, 1000)


def smallest_share(size: int, alpha: float) -> float | None:
    """The share at `size` controls and `size` targets."""
    clean = np.random.default_rng(size).standard_normal(size)
    settings = Settings(alpha_fail=alpha, simulations=2000)
    return detectable_effect(clean + 100.0, clean, size, settings, "members", 1).share


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="smallest detectable share by number of patients")
    parser.add_argument("--alpha", type=float, default=0.001, help="level of the FAIL test")
    asked = parser.parse_args()
    print("| controls and targets | smallest share that is found |\n|---|---|")
    for size in SIZES:
        share = smallest_share(size, asked.alpha)
        print(f"| {size} | {'none' if share is None else percent(share)} |")


if __name__ == "__main__":
    main()
