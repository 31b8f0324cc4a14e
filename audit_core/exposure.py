"""Dataset-level answers: how many patients are exposed, with bounds.

METHOD §7, Prevalence. One score per patient everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.calibration import (
    benjamini_hochberg,
    binomial_lower,
    binomial_upper,
    clopper_pearson,
    conformal_p,
    missing_controls,
    mixture_null_p,
)
from audit_core.ranking import rank_test_p, resampled
from audit_core.results import ControlStatus, Exposure, Interval
from audit_core.samples import Settings

Floats = NDArray[np.float64]

TAILS = (0.0, 0.05, 0.10, 0.25, 0.50)
"""Shares of the calibration controls above the five thresholds, fixed beforehand."""

QUANTIFIER_MINIMUM_AUROC = 0.75
QUANTIFIER_MINIMUM_GAP = 0.15


@dataclass(frozen=True, slots=True)
class Judged:
    """What the patient-level judgement gave for the targets, in their order."""

    p_values: Floats
    flagged: NDArray[np.bool_]
    exposure: Exposure


def judge_exposure(
    targets: Floats,
    controls: Floats,
    members: Floats | None,
    settings: Settings,
    rng: np.random.Generator,
    targets_alike: ControlStatus,
) -> Judged:
    """Flag patients, test the whole set, bound the exposed share.

    Args:
        targets: [m] one score per target patient.
        controls: [n] one score per calibration control.
        members: scores of known members on the same scale, only where they are exchangeable with exposed
            targets; None otherwise. Without them no estimate of the share is given, only a bound.
        settings: q, bootstrap.
        rng: the audit's generator.
        targets_alike: the blind baseline of targets. Bound and estimate compare targets with controls, so
            neither is stated unless it passed.
    """
    p_values = conformal_p(controls, targets)
    flagged = benjamini_hochberg(p_values, settings.q)
    count = int(flagged.sum())
    alike = targets_alike is ControlStatus.PASSED
    estimate, interval = None, None
    if members is not None and alike:
        estimate, interval = quantifier(targets, controls, members, rng, settings.bootstrap)
    exposure = Exposure(
        flagged=count,
        patients=targets.size,
        flagged_ci=clopper_pearson(count, targets.size),
        q=settings.q,
        expected_false=settings.q * count,
        rank_test_p=rank_test_p(targets, controls),
        prevalence_null_p=mixture_null_p(controls, targets, rng),
        prevalence_lower=prevalence_lower(targets, controls) if alike else 0.0,
        prevalence_estimate=estimate,
        prevalence_ci=interval,
        missing_controls=missing_controls(controls.size, targets.size, settings.q),
        targets_alike=targets_alike,
    )
    return Judged(p_values, flagged, exposure)


def prevalence_lower(targets: Floats, controls: Floats, alpha: float = 0.05) -> float:
    """95 % lower bound of the exposed share, whatever exposed scores look like (METHOD §7).

    At each threshold t: S_x ≤ (1−π)·S_0 + π, hence π ≥ (S_x − S_0)/(1 − S_0). Thresholds are order statistics
    of the controls; the true tail above the one with `place` controls over it is Beta(place+1, n−place), so
    the Clopper-Pearson upper bound of `place` in n holds for it exactly.
    """
    n, m = controls.size, targets.size
    ordered = np.sort(controls)[::-1]
    each = alpha / (2 * len(TAILS))
    best = 0.0
    for tail in TAILS:
        place = min(int(tail * n), n - 1)  # controls strictly above the threshold when there are no ties
        threshold = ordered[place]
        clean = binomial_upper(place, n, each)
        seen = binomial_lower(int((targets > threshold).sum()), m, each)
        if clean < 1.0:
            best = max(best, (seen - clean) / (1.0 - clean))
    return float(best)


def quantifier(
    targets: Floats, controls: Floats, members: Floats, rng: np.random.Generator, replicates: int = 10_000
) -> tuple[float | None, Interval | None]:
    """Median over thresholds of (S_x − S_0)/(S_1 − S_0), with a patient bootstrap; None without contrast."""
    cuts = np.unique(np.quantile(np.concatenate([targets, controls, members]), np.linspace(0.02, 0.98, 49)))
    above = [(group[:, None] > cuts[None, :]).astype(np.float32) for group in (targets, controls, members)]
    point = _share(*(indicator.mean(axis=0, keepdims=True) for indicator in above))
    if not np.isfinite(point[0]):
        return None, None
    tails = [resampled(len(group), replicates, rng) @ group / len(group) for group in above]
    drawn = _share(*tails)
    low, high = np.quantile(drawn[np.isfinite(drawn)], [0.025, 0.975])
    return float(point[0]), Interval(float(low), float(high))


def _share(s_x: Floats, s_0: Floats, s_1: Floats) -> Floats:
    """[B] shares from survival functions [B, T]."""
    gap = s_1 - s_0
    ratio = np.where(gap > QUANTIFIER_MINIMUM_GAP, (s_x - s_0) / np.where(gap == 0.0, 1.0, gap), np.nan)
    usable = np.isfinite(ratio).any(axis=1)
    share = np.full(ratio.shape[0], np.nan)
    share[usable] = np.clip(np.nanmedian(ratio[usable], axis=1), 0.0, 1.0)
    return share
