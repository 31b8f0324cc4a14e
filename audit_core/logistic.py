"""Ridge logistic regression by Newton steps: small, deterministic, the same optimum as scikit-learn's.

Minimises C·Σ log(1 + exp(−y f)) + ½‖w‖², intercept not penalised. Twenty permutations times six fold models
are fitted per audit, so starting a general solver each time would cost more than the fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEPS = 50
TOLERANCE = 1e-8


def fit(features: Floats, positive: NDArray[np.bool_], c: float) -> tuple[Floats, float]:
    """Weights [d] and intercept of the ridge logistic model for features [n, d]."""
    n, d = features.shape
    design = np.hstack([features, np.ones((n, 1))])
    penalty = np.append(np.full(d, 1.0 / c), 0.0)
    labels = positive.astype(np.float64)
    beta = np.zeros(d + 1)
    current = _objective(design, labels, penalty, beta)
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -30.0, 30.0)))
        gradient = design.T @ (p - labels) + penalty * beta
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design + np.diag(penalty)
        curvature[-1, -1] += 1e-12  # one class only: the intercept has no optimum, keep the solve finite
        step = np.linalg.solve(curvature, gradient)
        scale = 1.0
        while (new := _objective(design, labels, penalty, beta - scale * step)) > current and scale > 1e-6:
            scale /= 2.0
        beta = beta - scale * step
        current = new
        if np.abs(scale * step).max() < TOLERANCE:
            break
    return beta[:-1], float(beta[-1])


def _objective(design: Floats, labels: Floats, penalty: Floats, beta: Floats) -> float:
    margin = design @ beta
    return float(np.logaddexp(0.0, margin).sum() - labels @ margin + 0.5 * (penalty * beta) @ beta)
