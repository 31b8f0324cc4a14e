"""Minimum detectable effect: what this audit could have seen, by simulating line 3 (METHOD §7).

One score per patient everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from audit_core.exposure import prevalence_lower
from audit_core.ranking import rank_test_p_many
from audit_core.results import Design, DetectableEffect
from audit_core.samples import Settings
from audit_core.shares import finely
from audit_core.shift_controls import STRATA

Floats = NDArray[np.float64]

POWER = 0.80
RESOLUTION = 0.005


def detectable_effect(
    leaked: Floats, controls: Floats, targets: int, settings: Settings, basis: str, seed: int
) -> DetectableEffect:
    """Smallest exposed share at which line 3 fires in 80 % of simulated audits (METHOD §7).

    Line 3 asks for a tier as well as for its own test. What E3 asks of the same scores is simulated:
    the rank test at `alpha_review` and the conditional test. Data-only controls are taken as passed, and a
    reference model as gaining where the scores do.

    Args:
        leaked: scores of known members, or of the spike-in's, on the scale of `controls`.
        controls: scores of calibration controls.
        targets: patients asked about, m.
        settings: alpha_fail, exposure_limit, simulations; design, since a convenience cohort cannot FAIL.
        basis: "members" or "spike-in".
        seed: the same draws are used for every share, so that power grows with it.
    """
    fires = _simulated_audit(leaked, controls, targets, settings, seed)
    found = "found it" if settings.design is not Design.CONVENIENCE else "asked for a review of it"
    if fires(1.0) < POWER:
        return DetectableEffect(
            None,
            basis,
            f"Even if all {targets} patients were exposed, the audit would have {found} in only "
            f"{finely(fires(1.0))} of simulated audits (basis: {basis}).",
        )
    low, high = 0.0, 1.0
    while high - low > RESOLUTION:
        middle = (low + high) / 2
        low, high = (low, middle) if fires(middle) >= POWER else (middle, high)
    return DetectableEffect(
        high,
        basis,
        f"If {finely(high)} of the {targets} patients were exposed, the audit would have {found} in 80 % "
        f"of simulated audits (basis: {basis}).",
    )


def _simulated_audit(
    leaked: Floats, controls: Floats, m: int, settings: Settings, seed: int
) -> Callable[[float], float]:
    """Share of simulated audits in which line 3 fires, as a function of the exposed share."""
    rng = np.random.default_rng(seed)
    runs, n = settings.simulations, controls.size
    jitter = 1e-6 * max(float(controls.std()), 1e-12)  # drawn with replacement: break ties at random
    clean = rng.choice(controls, (runs, m)) + jitter * rng.standard_normal((runs, m))
    exposed = rng.choice(leaked, (runs, m)) + jitter * rng.standard_normal((runs, m))
    fresh = rng.choice(controls, (runs, n)) + jitter * rng.standard_normal((runs, n))
    coin = rng.random((runs, m))
    strata = np.array_split(rng.permutation(m + n), STRATA)  # without a shift the blind score deals at random

    def fires(share: float) -> float:
        drawn = np.where(coin < share, exposed, clean)
        p = rank_test_p_many(drawn, fresh)
        if settings.exposure_limit == 0.0:
            above = p < settings.alpha_fail
        else:
            bounds = [prevalence_lower(x, y) for x, y in zip(drawn, fresh, strict=True)]
            above = (np.array(bounds) > settings.exposure_limit) & (p < settings.alpha_review)
        return float((above & (_stratified_p(drawn, fresh, strata) < settings.alpha_review)).mean())

    return fires


def _stratified_p(targets_Bm: Floats, controls_Bn: Floats, strata: Sequence[NDArray[np.int64]]) -> Floats:
    """[B] normal-law p-values of van Elteren's test, the conditional test's statistic; no ties."""
    m = targets_Bm.shape[1]
    both = np.concatenate([targets_Bm, controls_Bn], axis=1)
    excess, variance = np.zeros(len(both)), 1e-12
    for columns in strata:
        chosen, size = columns < m, columns.size
        ranks = both[:, columns].argsort(axis=1).argsort(axis=1) + 1.0
        k = int(chosen.sum())
        excess += ranks[:, chosen].sum(axis=1) / (size + 1.0) - k / 2.0
        variance += k * (size - k) / (12.0 * (size + 1.0))
    return np.asarray(ndtr(-excess / math.sqrt(variance)), dtype=np.float64)
