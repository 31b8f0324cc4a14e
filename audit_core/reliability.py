"""Are the leak probabilities right? Members and controls, each judged by a fit that has not seen it.

A reliability diagram (DeGroot & Fienberg 1983; Niculescu-Mizil & Caruana 2005): of the references that were
given about the same probability, the share that really are members should be that probability. METHOD §7.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from audit_core.blind import stratified_folds
from audit_core.calibration import clopper_pearson, likelihood_ratio
from audit_core.results import ReliabilityBin

Floats = NDArray[np.float64]

FOLDS = 5
BINS = 10
LEAST = 5  # references of a bin; fewer go to the next one


def reliability(members: Floats, controls: Floats, rng: np.random.Generator) -> tuple[ReliabilityBin, ...]:
    """Bins of predicted probability with the share of members observed in each.

    The prior is the members' share of the references, so that the predicted and the observed share speak of
    the same people; the ratio is the one behind the leak probabilities, fitted anew without each fold. Bins
    are tenths of the probability; one with fewer than `LEAST` references is joined with its neighbour.

    Args:
        members: deciding scores of known members, [m].
        controls: of calibration controls, [n].
        rng: deals out the folds, each group evenly.

    Returns:
        By probability; none where a fold would hold no member or no control.
    """
    if min(members.size, controls.size) < FOLDS:
        return ()
    scores = np.concatenate([members, controls])
    known = np.arange(scores.size) < members.size
    folds = stratified_folds(known, FOLDS, rng)
    predicted = np.empty(scores.size)
    for fold in range(FOLDS):
        fitted, asked = folds != fold, folds == fold
        ratio = likelihood_ratio(scores[fitted & known], scores[fitted & ~known])
        predicted[asked] = ratio.posterior(scores[asked], float(known[fitted].mean()))
    order = np.argsort(predicted, kind="stable")
    edges = _edges(np.minimum((predicted[order] * BINS).astype(np.int64), BINS - 1))
    return tuple(_bin(predicted[order][a:b], known[order][a:b]) for a, b in pairwise(edges))


def _edges(tenths: NDArray[np.int64]) -> list[int]:
    """Where bins begin in ascending tenths [n], and n; each bin holds `LEAST` or all."""
    edges = [0]
    for start in np.flatnonzero(np.diff(tenths)) + 1:
        if start - edges[-1] >= LEAST:
            edges.append(int(start))
    if len(edges) > 1 and tenths.size - edges[-1] < LEAST:
        edges.pop()
    return [*edges, tenths.size]


def _bin(predicted: Floats, known: NDArray[np.bool_]) -> ReliabilityBin:
    members, total = int(known.sum()), int(known.size)
    return ReliabilityBin(float(predicted.mean()), members, total, clopper_pearson(members, total))
