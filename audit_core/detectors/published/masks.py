"""The mask rules of GradAudit as released (Zhu 2026, arXiv 2606.24774; code at commit 5c32bd6, METHOD §1).

The rows of a matrix choose among themselves, and so do its columns. A gap that is not a number counts as 0.

Letters: S training sets, K slices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audit_core.signals import Matrix

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TOP_OR_QUANTILE = 0.90
"""`tau_or_topq` falls back to gaps at or above this quantile: what the released runs set."""

QUANTILE = 0.80
"""`quantile` keeps gaps above this quantile, and never looks at τ."""

FEWEST = 16
"""What `quantile` keeps where no gap is above its quantile (they are all alike): the largest so many."""

LEAST_SHARE = 0.20
"""`adaptive_keep` keeps the top of this share where fewer gaps pass τ."""


def released_mask(delta_SK: Floats, matrices: tuple[Matrix, ...], rule: str, tau: float) -> Bools:
    """Kept slices [S, K] under one of the released rules.

    Args:
        delta_SK: sensitivity gaps.
        matrices: where each matrix's rows and columns lie.
        rule: `fixed_tau`, `tau_or_topq`, `adaptive_keep` or `quantile`.
        tau: least gap, exclusive.

    Raises:
        KeyError: another rule.
    """
    choose = _RULES[rule]
    kept = np.zeros(delta_SK.shape, dtype=np.bool_)
    for matrix in matrices:
        middle = matrix.offset + matrix.rows
        for side in (slice(matrix.offset, middle), slice(middle, middle + matrix.cols)):
            kept[:, side] = choose(delta_SK[:, side], tau)
    return kept


def _fixed_tau(delta: Floats, tau: float) -> Bools:
    return np.asarray(delta > tau)


def _tau_or_topq(delta: Floats, tau: float) -> Bools:
    over = _fixed_tau(delta, tau)
    return np.where(over.any(axis=1, keepdims=True), over, delta >= _quantile(delta, TOP_OR_QUANTILE))


def _adaptive_keep(delta: Floats, tau: float) -> Bools:
    over = _fixed_tau(delta, tau)
    enough = over.mean(axis=1, keepdims=True) >= LEAST_SHARE
    return np.where(enough, over, delta >= _quantile(delta, 1.0 - LEAST_SHARE))


def _by_quantile(delta: Floats, tau: float) -> Bools:
    del tau
    over = np.asarray(delta > _quantile(delta, QUANTILE))
    largest = np.zeros_like(over)
    order = np.argsort(-delta, axis=1, kind="stable")[:, :FEWEST]
    np.put_along_axis(largest, order, True, axis=1)
    return np.where(over.any(axis=1, keepdims=True), over, largest)


def _quantile(delta: Floats, q: float) -> Floats:
    return np.asarray(np.quantile(delta, q, axis=1, keepdims=True))


_RULES: dict[str, Callable[[Floats, float], Bools]] = {
    "fixed_tau": _fixed_tau,
    "tau_or_topq": _tau_or_topq,
    "adaptive_keep": _adaptive_keep,
    "quantile": _by_quantile,
}
