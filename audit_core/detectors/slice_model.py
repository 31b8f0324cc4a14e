"""Gaps, masks and weights over slices for many training sets at once.

Letters: S training sets, F folds, K slices, N pairs. All statistics of a training set are differences of
per-fold sums of c and c², so every fold model, and every fold-of-a-fold model that stacking needs, costs one
small product instead of a pass over the pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from audit_core.detectors.seam import Floats, Labelled
from audit_core.samples import Settings
from audit_core.signals import Matrix

CHUNK = 1 << 15
"""Slices worked on at a time, so that a 7B model's slices never exist in float64 all at once."""

ADAPTIVE_SHARE = 0.20
"""Share of slices that `adaptive_keep` keeps at least, and the top share of `tau_or_topq` and `quantile`."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """Per training set and slice: gap Δ [S, K], Welch z [S, K], pooled variance [S, K]; 0 where undefined.

    `degrees` [S] is the smaller class's size less one: with few references Welch's z has Student's tails.
    """

    delta: Floats
    welch_z: Floats
    variance: Floats
    degrees: Floats


def held_out_sets(folds: int) -> tuple[NDArray[np.bool_], dict[frozenset[int], int]]:
    """All training sets that leave out no fold, one fold or two.

    Returns:
        [S, F] membership of folds in training sets, and left-out folds -> row of that array.
    """
    left_out = [frozenset(c) for size in (0, 1, 2) for c in combinations(range(folds), size)]
    inside = np.array([[fold not in out for fold in range(folds)] for out in left_out])
    return inside, {out: row for row, out in enumerate(left_out)}


def gaps(cosines: NDArray[np.float32], refs: Labelled, inside: NDArray[np.bool_]) -> Gaps:
    """Sensitivity gaps of every training set (METHOD §1 step 3, §2 Welch z).

    Args:
        cosines: [N, K], NaN where a slice was dropped for a pair.
        refs: reference rows, labels and folds.
        inside: [S, F] from `held_out_sets`.
    """
    groups = _group_indicator(refs)
    parts = [
        _gaps_of_chunk(cosines[refs.rows, start : start + CHUNK], groups, inside)
        for start in range(0, cosines.shape[1], CHUNK)
    ]
    delta, welch, variance = (np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True))
    sizes = np.einsum("cfn,sf->cs", groups, inside.astype(np.float64))
    return Gaps(delta, welch, variance, np.maximum(sizes.min(axis=0) - 1.0, 1.0))


def _group_indicator(refs: Labelled) -> Floats:
    """[2, F, n]: 1 where reference i has that class (0 control, 1 member) and that fold."""
    classes = np.stack([~refs.member, refs.member])
    folds = np.arange(refs.fold_count)[:, None] == refs.folds[None, :]
    groups: Floats = (classes[:, None, :] & folds[None, :, :]).astype(np.float64)
    return groups


def _gaps_of_chunk(
    cosines: NDArray[np.float32], groups: Floats, inside: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    known = np.isfinite(cosines)
    values = np.where(known, cosines, 0.0).astype(np.float64)
    sets = inside.astype(np.float64)
    # [2, S, K]: sums over the folds of each training set, per class
    total, squares, count = (
        np.stack([sets @ (group @ what) for group in groups])
        for what in (values, values * values, known.astype(np.float64))
    )
    enough = (count >= 2).all(axis=0)
    safe = np.maximum(count, 2)
    mean = total / safe
    variance = np.maximum(squares - safe * mean * mean, 0.0) / (safe - 1)
    delta = np.where(enough, mean[1] - mean[0], 0.0)
    error = np.sqrt(variance[0] / safe[0] + variance[1] / safe[1])
    welch = np.divide(delta, error, out=np.zeros_like(delta), where=enough & (error > 0))
    return delta, welch, np.where(enough, 0.5 * (variance[0] + variance[1]), 0.0)


def mask(found: Gaps, matrices: tuple[Matrix, ...], settings: Settings) -> NDArray[np.bool_]:
    """[S, K] kept slices. `tau_and_z` is ours; the others are the released code's (METHOD §1)."""
    delta = found.delta
    over: NDArray[np.bool_] = np.asarray(delta > settings.tau)
    if settings.mask == "tau_and_z":
        return over & (found.welch_z > least_z(found.degrees, settings)[:, None])
    if settings.mask == "fixed_tau":
        return over
    if settings.mask == "tau_or_topq":
        return _top_per_matrix_where_empty(delta, over, matrices)
    top: NDArray[np.bool_] = delta >= np.quantile(delta, 1.0 - ADAPTIVE_SHARE, axis=1, keepdims=True)
    return top if settings.mask == "quantile" else over | top


def least_z(degrees: Floats, settings: Settings) -> Floats:
    """[S] value that as few noise slices pass under Student's law as pass `gap_z` under the normal one."""
    return np.asarray(-stdtrit(degrees, ndtr(-settings.gap_z)), dtype=np.float64)


def _top_per_matrix_where_empty(
    delta: Floats, over: NDArray[np.bool_], matrices: tuple[Matrix, ...]
) -> NDArray[np.bool_]:
    kept: NDArray[np.bool_] = np.array(over)
    for matrix in matrices:
        part = slice(matrix.offset, matrix.offset + matrix.rows + matrix.cols)
        empty: NDArray[np.bool_] = np.asarray(~over[:, part].any(axis=1))
        least = np.quantile(delta[:, part], 1.0 - ADAPTIVE_SHARE, axis=1, keepdims=True)
        kept[:, part] |= np.asarray(delta[:, part] >= least) & empty[:, None]
    return kept


def fisher_weights(found: Gaps) -> Floats:
    """[S, K] gap over pooled variance, the best linear weights if slices were independent."""
    floor = np.maximum(np.median(found.variance, axis=1, keepdims=True) * 0.1, 1e-12)
    return found.delta / np.maximum(found.variance, floor)


def weighted_means(cosines: NDArray[np.float32], weights: Floats) -> Floats:
    """[S, N] means of c weighted by [S, K], over the slices a pair has; NaN where all its weights are 0."""
    scores = np.zeros((weights.shape[0], cosines.shape[0]))
    scale = np.zeros_like(scores)
    for start in range(0, cosines.shape[1], CHUNK):
        part = cosines[:, start : start + CHUNK]
        weight = weights[:, start : start + CHUNK].astype(np.float32)
        known = np.isfinite(part)
        if known.all():
            scores += weight @ part.T
            scale += np.abs(weight).sum(axis=1, dtype=np.float64)[:, None]
        else:
            scores += weight @ np.where(known, part, np.float32(0.0)).T
            scale += np.abs(weight) @ known.T.astype(np.float32)
    return np.divide(scores, scale, out=np.full_like(scores, np.nan), where=scale > 0)
