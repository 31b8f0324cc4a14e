"""How well one group of scores lies above another: AUROC with intervals, rank test, operating points.

One score per patient everywhere, so resampling scores is resampling patients.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import mannwhitneyu, rankdata

from audit_core.calibration import HEADLINE_CONTROLS, ROUGH_CONTROLS, clopper_pearson
from audit_core.results import Interval, OperatingPoint

Floats = NDArray[np.float64]

EXACT_UP_TO = 10
"""Group size up to which the rank test counts arrangements instead of using the normal law."""
ROWS_AT_ONCE = 500
"""Resamples drawn together, which bounds memory in large cohorts."""


def auroc(positives: Floats, negatives: Floats) -> float:
    """Chance that a positive scores above a negative; ties count one half."""
    ranks = rankdata(np.concatenate([positives, negatives]))
    m, n = positives.size, negatives.size
    return float((ranks[:m].sum() - m * (m + 1) / 2) / (m * n))


class Resampler:
    """Stratified patient bootstrap of two groups; the same draws serve every detector."""

    def __init__(self, positives: int, negatives: int, replicates: int, rng: np.random.Generator) -> None:
        self.up = resampled(positives, replicates, rng)
        self.down = resampled(negatives, replicates, rng)

    def interval(self, positives: Floats, negatives: Floats, level: float = 0.95) -> Interval:
        """Percentile interval of the AUROC.

        Every resample of perfectly separated groups is perfect too, so there the smaller group's exact
        binomial bound replaces the percentile.
        """
        above = (positives[:, None] > negatives[None, :]).astype(np.float32)
        above += 0.5 * (positives[:, None] == negatives[None, :])
        values = ((self.up @ above) * self.down).sum(axis=1) / (positives.size * negatives.size)
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        exact = ((1 - level) / 2) ** (1.0 / min(positives.size, negatives.size))
        mean = float(above.mean())
        if mean == 1.0:
            low = exact
        if mean == 0.0:
            high = 1.0 - exact
        return Interval(float(low), float(high), level)


def resampled(size: int, replicates: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """[B, size] how often each of `size` patients is drawn in B resamples with replacement."""
    counts = np.empty((replicates, size), dtype=np.float32)
    for start in range(0, replicates, ROWS_AT_ONCE):
        part = counts[start : start + ROWS_AT_ONCE]
        drawn = rng.integers(0, size, part.shape) + size * np.arange(len(part))[:, None]
        part[:] = np.bincount(drawn.ravel(), minlength=part.size).reshape(part.shape)
    return counts


def rank_test_p(targets: Floats, controls: Floats) -> float:
    """One-sided Mann-Whitney p that targets score higher; exact for small groups without ties."""
    both = np.concatenate([targets, controls])
    if np.unique(both).size == 1:
        return 1.0
    small = min(targets.size, controls.size) <= EXACT_UP_TO and np.unique(both).size == both.size
    method = "exact" if small else "asymptotic"
    return float(mannwhitneyu(targets, controls, alternative="greater", method=method).pvalue)


def rank_test_p_many(targets_Bm: Floats, controls_Bn: Floats) -> Floats:
    """[B] p-values of the same test for B simulated audits; scores must have no ties."""
    m, n = targets_Bm.shape[1], controls_Bn.shape[1]
    if min(m, n) <= EXACT_UP_TO:
        exact = mannwhitneyu(targets_Bm, controls_Bn, axis=1, alternative="greater", method="exact")
        return np.asarray(exact.pvalue, dtype=np.float64)
    order = np.argsort(np.concatenate([targets_Bm, controls_Bn], axis=1), axis=1)
    place = np.arange(1.0, m + n + 1)
    rank_sum = np.where(order < m, place, 0.0).sum(axis=1)
    u = rank_sum - m * (m + 1) / 2
    z = (u - m * n / 2 - 0.5) / math.sqrt(m * n * (m + n + 1) / 12)
    return np.asarray(ndtr(-z), dtype=np.float64)


def operating_point(
    alpha: float, members: Floats, controls: Floats, held_out: Floats | None = None
) -> OperatingPoint:
    """True-positive rate at a nominal false-positive rate, behind the resolution guard of METHOD §7.

    Args:
        alpha: nominal false-positive rate.
        members: their scores.
        controls: non-members that set the threshold.
        held_out: other non-members, on which the realised false-positive rate is measured.
    """
    headline = math.ceil(HEADLINE_CONTROLS / alpha - 1e-9)
    missing = max(0, headline - controls.size)
    if controls.size < ROUGH_CONTROLS / alpha - 1e-9:
        return OperatingPoint(alpha, None, "not resolvable", missing)
    allowed = math.floor(alpha * controls.size + 1e-9)
    threshold = np.sort(controls)[::-1][allowed]
    tpr = float((members > threshold).mean())
    realised = None
    if held_out is not None and held_out.size:
        realised = clopper_pearson(int((held_out > threshold).sum()), held_out.size)
    return OperatingPoint(alpha, tpr, "rough" if missing else "headline", missing, realised)


def roc_curve(positives: Floats, negatives: Floats) -> tuple[tuple[float, float], ...]:
    """(false-positive rate, true-positive rate) from (0, 0) to (1, 1), one point per distinct score."""
    cuts = np.unique(np.concatenate([positives, negatives]))[::-1]
    up = np.searchsorted(np.sort(-positives), -cuts, side="right") / positives.size
    down = np.searchsorted(np.sort(-negatives), -cuts, side="right") / negatives.size
    return ((0.0, 0.0), *zip(down.tolist(), up.tolist(), strict=True))
