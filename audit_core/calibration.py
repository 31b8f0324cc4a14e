"""From scores to p-values and probabilities: conformal, Benjamini-Hochberg, mixture, likelihood ratio.

Scores are larger = more member-like. Nothing here knows roles or patients; it takes arrays of one score per
patient. METHOD §7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv
from scipy.stats import betabinom, false_discovery_control

from audit_core.results import Interval

Floats = NDArray[np.float64]

PRIORS = ("0.001", "0.01", "0.1")
HEADLINE_CONTROLS = 10.0
ROUGH_CONTROLS = 1.0


def conformal_p(controls: Floats, scores: Floats) -> Floats:
    """p_j = (1 + #{controls ≥ s_j}) / (n + 1), METHOD §7; exact for scores exchangeable with the controls."""
    ordered = np.sort(controls)
    at_least = ordered.size - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1.0 + at_least) / (ordered.size + 1.0), dtype=np.float64)


def benjamini_hochberg(p_values: Floats, q: float) -> NDArray[np.bool_]:
    """Which hypotheses the step-up procedure rejects at rate q (Benjamini & Hochberg 1995).

    Conformal p-values against the same controls depend on each other positively, which the procedure allows
    (Bates et al. 2023, *Testing for outliers with conformal p-values*, Theorem 2).
    """
    if not p_values.size:
        return np.zeros(0, dtype=np.bool_)
    adjusted = false_discovery_control(p_values, method="bh")
    return np.asarray(adjusted <= q * (1.0 + 1e-12), dtype=np.bool_)  # p on its line counts as under it


def missing_controls(controls: int, targets: int, q: float, flagged: int = 1) -> int:
    """How many more controls are needed before `flagged` of the targets can be flagged: n ≥ m/(qk) − 1."""
    return max(0, math.ceil(targets / (q * flagged) - 1.0 - 1e-9) - controls)


def clopper_pearson(count: int, total: int, level: float = 0.95) -> Interval:
    """Exact two-sided interval of a binomial share (Clopper & Pearson 1934).

    By scipy's inverse of the incomplete beta function, which its `binomtest` searches for, far more slowly;
    simulated audits need tens of thousands of bounds.
    """
    tail = (1.0 - level) / 2.0
    return Interval(binomial_lower(count, total, tail), binomial_upper(count, total, tail), level)


def binomial_lower(count: int, total: int, alpha: float) -> float:
    """Exact one-sided lower bound at error `alpha`."""
    return 0.0 if count == 0 else float(betaincinv(count, total - count + 1, alpha))


def binomial_upper(count: int, total: int, alpha: float) -> float:
    """Exact one-sided upper bound at error `alpha`."""
    return 1.0 if count == total else float(betaincinv(count + 1, total - count, 1.0 - alpha))


def exceedance_p(controls: Floats, scores: Floats, alpha: float) -> tuple[int, float]:
    """Are too many scores beyond the level-α threshold of the controls?

    p-values against one set of controls are dependent, so a binomial law is too narrow. With the k-th
    largest control as threshold, the count beyond it is beta-binomial under exchangeability.

    Returns:
        How many conformal p-values are ≤ α, and the probability of at least that many by chance.
    """
    n, m = controls.size, scores.size
    k = math.floor(alpha * (n + 1) + 1e-9)  # p ≤ α means fewer than k controls at or above the score
    if k == 0:
        return 0, 1.0
    count = int((conformal_p(controls, scores) <= alpha + 1e-12).sum())
    if not count:
        return 0, 1.0
    return count, min(1.0, float(betabinom.pmf(np.arange(count, m + 1), m, k, n - k + 1).sum()))


@dataclass(frozen=True, slots=True)
class Mixture:
    """(1−π)·N(μ0, σ0²) + π·N(μ1, σ1²) with the clean component fixed on controls (METHOD §1 step 5)."""

    share: float
    clean_mean: float
    clean_sd: float
    leaked_mean: float
    leaked_sd: float
    statistic: float  # twice the log-likelihood gain over π = 0

    def leak_probability(self, scores: Floats) -> Floats:
        """Posterior of the leaked component, made non-decreasing in the score.

        A ratio of normals with unequal spread turns round once; beyond that point the value there is kept.
        """
        clean, leaked = 1.0 / self.clean_sd**2, 1.0 / self.leaked_sd**2
        at = scores
        if abs(leaked - clean) > 1e-9:
            turn = (leaked * self.leaked_mean - clean * self.clean_mean) / (leaked - clean)
            at = np.minimum(scores, turn) if leaked > clean else np.maximum(scores, turn)
        gain = (
            -0.5 * leaked * (at - self.leaked_mean) ** 2
            + 0.5 * clean * (at - self.clean_mean) ** 2
            + math.log(self.clean_sd / self.leaked_sd)
        )
        share = min(max(self.share, 1e-12), 1.0 - 1e-12)
        odds = np.clip(gain + math.log(share / (1.0 - share)), -700.0, 700.0)
        return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float64)


def fit_mixture(controls: Floats, scores: Floats) -> Mixture:
    """EM over (π, μ1, σ1), clean component from the controls (METHOD §1 step 5)."""
    share, mean, sd, statistic = _em(controls[None, :], scores[None, :])
    return Mixture(
        float(share[0]),
        float(controls.mean()),
        float(_spread(controls[None, :])[0, 0]),
        float(mean[0]),
        float(sd[0]),
        float(statistic[0]),
    )


def mixture_null_p(
    controls: Floats, scores: Floats, rng: np.random.Generator, replicates: int = 500
) -> float:
    """Bootstrap test of π = 0 that refits the clean component every time (METHOD §7, Prevalence).

    Two nulls are drawn from and the larger p counts: a normal one, and the observed scores dealt out anew.
    Scores have tails, which under a normal null alone look like a small leaked component; dealing out anew is
    exact whatever their shape.
    """
    observed = fit_mixture(controls, scores).statistic
    n, m = controls.size, scores.size
    sd = float(_spread(controls[None, :])[0, 0])
    normal = rng.normal(controls.mean(), sd, (replicates, n + m))
    dealt = rng.permuted(np.tile(np.concatenate([controls, scores]), (replicates, 1)), axis=1)
    worst = 0.0
    for drawn in (normal, dealt):
        null = _em(drawn[:, :n], drawn[:, n:])[3]
        worst = max(worst, (1.0 + float((null >= observed).sum())) / (replicates + 1.0))
    return worst


def _spread(controls_Bn: Floats) -> Floats:
    """[B, 1] standard deviation, kept off zero."""
    scale = np.abs(controls_Bn).max(axis=1, keepdims=True)
    spread: Floats = np.maximum(controls_Bn.std(axis=1, ddof=1, keepdims=True), 1e-9 * np.maximum(scale, 1.0))
    return spread


def _em(controls_Bn: Floats, scores_Bm: Floats, steps: int = 60) -> tuple[Floats, Floats, Floats, Floats]:
    """B mixtures at once: π, μ1, σ1, statistic, each [B]. In units of the clean component while iterating."""
    centre, spread = controls_Bn.mean(axis=1, keepdims=True), _spread(controls_Bn)
    z = (scores_Bm - centre) / spread
    mean = np.maximum(np.quantile(z, 0.9, axis=1, keepdims=True), 1.0)
    sd = np.ones_like(mean)
    share = np.full_like(mean, 0.3)
    clean = np.exp(-0.5 * np.minimum(z * z, 1400.0))
    for _ in range(steps):
        leaked = np.exp(-0.5 * np.minimum(((z - mean) / sd) ** 2, 1400.0)) / sd
        weight = share * leaked / (share * leaked + (1.0 - share) * clean + 1e-300)
        total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        share = np.minimum(total / z.shape[1], 1.0 - 1e-9)
        mean = np.maximum((weight * z).sum(axis=1, keepdims=True) / total, 0.0)
        variance = (weight * (z - mean) ** 2).sum(axis=1, keepdims=True) / total
        sd = np.clip(np.sqrt(variance), 0.3, 10.0)
    leaked = np.exp(-0.5 * np.minimum(((z - mean) / sd) ** 2, 1400.0)) / sd
    gain = np.log((share * leaked + (1.0 - share) * clean + 1e-300) / (clean + 1e-300)).sum(axis=1)
    flat = (share[:, 0], (mean * spread + centre)[:, 0], (sd * spread)[:, 0])
    return *flat, 2.0 * np.maximum(gain, 0.0)


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A non-decreasing step function: ratio of the chance of a score in members to that in controls."""

    starts: Floats  # ascending; step i covers scores from starts[i] up to starts[i+1]
    ratios: Floats

    def posterior(self, scores: Floats, prior: float) -> Floats:
        """Probability of membership at this prior."""
        step = np.clip(np.searchsorted(self.starts, scores, side="right") - 1, 0, self.ratios.size - 1)
        odds = self.ratios[step] * prior / (1.0 - prior)
        value: Floats = odds / (1.0 + odds)
        return value


def likelihood_ratio(members: Floats, controls: Floats) -> LikelihoodRatio:
    """Isotonic regression of membership on the score, each step with half a pair added on both sides.

    The half pair keeps perfect separation from claiming certainty: n controls can never show a ratio far
    above n.
    """
    from sklearn.isotonic import IsotonicRegression

    starts, place = np.unique(np.concatenate([members, controls]), return_inverse=True)
    counts = np.stack([np.bincount(part, minlength=starts.size) for part in np.split(place, [members.size])])
    weight = counts.sum(axis=0).astype(np.float64)
    share = IsotonicRegression().fit_transform(starts, counts[0] / weight, sample_weight=weight)
    first = np.flatnonzero(np.diff(share, prepend=-1.0) > 1e-12)  # where a step of the fit begins
    member, control = np.add.reduceat(counts, first, axis=1)
    ratio = ((member + 0.5) / (members.size + 1.0)) / ((control + 0.5) / (controls.size + 1.0))
    return LikelihoodRatio(starts[first], np.maximum.accumulate(ratio))
