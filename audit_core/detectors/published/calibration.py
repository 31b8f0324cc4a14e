"""Scores to leak probabilities as published (Zhu 2026, METHOD §1 step 5); the released code stops before.

Δ = s − median of s over held-out non-members. Then a mixture (1−π)·N(μ0, σ0²) + π·N(μ1, σ1²), its clean part
fitted on the non-members and held fixed, the rest by EM. It finds a leaked fifth where nothing leaked (METHOD
§7): these numbers are printed beside an answer, and decide nothing.

Chosen here, where the paper is silent: maximum-likelihood σ0; EM starts at π = ½, μ1 = μ0 + 2σ0, σ1 = σ0 and
ends when π moves by less than 1e-10; σ1 ≥ σ0/10, or one pair alone could become the leaked part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Floats = NDArray[np.float64]

STEPS = 5000
STILL = 1e-10
LEAST_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class PublishedMixture:
    """Both parts of the mixture, in units of Δ; `median` is what was taken off the scores."""

    median: float
    share: float
    clean_mean: float
    clean_sd: float
    leaked_mean: float
    leaked_sd: float

    def leak_probability(self, scores: Floats) -> Floats:
        """Posterior of the leaked part for each score; not monotone where the two spreads differ."""
        gap = scores - self.median
        return np.asarray(expit(_log_odds(gap, self)), dtype=np.float64)


def published_mixture(held_out: Floats, scores: Floats) -> PublishedMixture:
    """Fit the mixture.

    Args:
        held_out: scores of non-members that chose no slice, at least two different ones.
        scores: scores of the audited pairs.
    """
    median = float(np.median(held_out))
    clean, gap = held_out - median, scores - median
    spread = max(float(clean.std()), np.finfo(np.float64).tiny)
    centre = float(clean.mean())
    found = PublishedMixture(median, 0.5, centre, spread, centre + 2.0 * spread, spread)
    for _ in range(STEPS):
        weight = expit(_log_odds(gap, found))
        total = max(float(weight.sum()), np.finfo(np.float64).tiny)
        mean = float(weight @ gap) / total
        sd = float(np.sqrt(weight @ (gap - mean) ** 2 / total))
        share = float(np.clip(weight.mean(), 1e-12, 1.0 - 1e-12))
        moved = abs(share - found.share)
        found = PublishedMixture(median, share, centre, spread, mean, max(sd, LEAST_SPREAD * spread))
        if moved < STILL:
            break
    return found


def _log_odds(gap: Floats, mixture: PublishedMixture) -> Floats:
    leaked = -0.5 * ((gap - mixture.leaked_mean) / mixture.leaked_sd) ** 2 - np.log(mixture.leaked_sd)
    clean = -0.5 * ((gap - mixture.clean_mean) / mixture.clean_sd) ** 2 - np.log(mixture.clean_sd)
    odds: Floats = logit(mixture.share) + leaked - clean
    return odds
