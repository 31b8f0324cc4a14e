"""Gaps, masks and weights over slices for many training sets at once.

Letters: S training sets, F folds, K slices, N pairs, n reference pairs. Each training set has its own mean
gradient, that of its members alone, and its own cosines of the reference pairs with it: a held-out member
that was in the mean would have helped to choose the slices it is scored on. Where a table has no fold sums,
all training sets share its cosines, and held-out members score too high.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from audit_core.cosines import Cosines, blocks
from audit_core.detectors.published.masks import released_mask
from audit_core.detectors.seam import Floats, Ints, Labelled
from audit_core.fold_sums import FoldSums
from audit_core.samples import Settings
from audit_core.signals import Matrix, SignalTable

CHUNK = 1 << 15
"""Slices worked on at a time, so that a 7B model's slices never exist in float64 all at once."""

OWN_CHUNK = 1 << 11
"""The same where every training set has its own cosines: worked on in cache, many times over."""


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


def gaps(cosines: Cosines, refs: Labelled, inside: NDArray[np.bool_], sums: FoldSums | None = None) -> Gaps:
    """Sensitivity gaps of every training set (METHOD §1 step 3, §2 Welch z).

    Args:
        cosines: [N, K], NaN where a slice was dropped for a pair; used where there are no fold sums.
        refs: reference rows, labels and folds.
        inside: [S, F] from `held_out_sets`.
        sums: of the table; with them every training set sees cosines with its own mean.

    Raises:
        ValueError: the fold sums belong to other folds than `refs`.
    """
    groups = _group_indicator(refs)
    own = None if sums is None else _Own.of(sums, refs, inside)
    step = CHUNK if own is None else OWN_CHUNK
    parts = []
    for start in range(0, cosines.shape[1], step):
        part = slice(start, start + step)
        if own is None:
            moments = _shared_moments(cosines[refs.rows, part], groups, inside)
        else:
            moments = own.moments(part, groups)
        parts.append(_gaps_of_chunk(*moments))
    delta, welch, variance = (np.concatenate(columns, axis=1) for columns in zip(*parts, strict=True))
    sizes = np.einsum("cfn,sf->cs", groups, inside.astype(np.float64))
    return Gaps(delta, welch, variance, np.maximum(sizes.min(axis=0) - 1.0, 1.0))


@dataclass(frozen=True, slots=True)
class _Own:
    """Cosines of the reference pairs with each training set's own mean.

    `inside` [S, F] counts the folds of the sums, `place` [n] is where each reference lies in them.
    """

    sums: FoldSums
    inside: NDArray[np.bool_]
    place: Ints

    @classmethod
    def of(cls, sums: FoldSums, refs: Labelled, inside: NDArray[np.bool_]) -> Self:
        """Match references to sums; a fold of the sums that has no scored reference stays in every mean."""
        places = {int(row): place for place, row in enumerate(sums.rows)}
        place = np.array([places.get(int(row), -1) for row in refs.rows], dtype=np.int64)
        if (place < 0).any() or not np.array_equal(sums.folds[place], refs.folds):
            raise ValueError("gradients were summed under other folds than the references have")
        beyond = np.ones((inside.shape[0], sums.gram.shape[0] - inside.shape[1]), dtype=np.bool_)
        return cls(sums, np.hstack([inside, beyond]), place)

    def moments(self, part: slice, groups: Floats) -> tuple[Floats, Floats, Floats]:
        """As `_shared_moments`, each training set with its own cosines: one pass over the pairs for each."""
        placed = np.zeros((*groups.shape[:2], self.sums.rows.size))
        placed[:, :, self.place] = groups
        found = []
        for folds, cosines in zip(self.inside, self.sums.cosines(self.inside, part), strict=True):
            chosen = placed[:, folds[: groups.shape[1]]].sum(axis=1)  # [2, n]
            found.append([chosen @ what for what in _powers(cosines)])
        total, squares, count = (np.stack(of_sets, axis=1) for of_sets in zip(*found, strict=True))
        return total, squares, count

    def means(self, weights: Floats) -> Floats:
        """[W, S, n] weighted means of the references under each training set, for W kinds of weights."""
        scores = np.zeros((*weights.shape[:2], self.sums.rows.size))
        scale = np.zeros_like(scores)
        for start in range(0, weights.shape[2], OWN_CHUNK):
            part = slice(start, start + OWN_CHUNK)
            for row, cosines in enumerate(self.sums.cosines(self.inside, part)):
                _add_weighted(cosines, weights[:, row, part], scores[:, row], scale[:, row])
        return _ratio(scores, scale)[:, :, self.place]


def _group_indicator(refs: Labelled) -> Floats:
    """[2, F, n]: 1 where reference i has that class (0 control, 1 member) and that fold."""
    classes = np.stack([~refs.member, refs.member])
    folds = np.arange(refs.fold_count)[:, None] == refs.folds[None, :]
    groups: Floats = (classes[:, None, :] & folds[None, :, :]).astype(np.float64)
    return groups


def _shared_moments(
    cosines: NDArray[np.float32], groups: Floats, inside: NDArray[np.bool_]
) -> tuple[Floats, Floats, Floats]:
    """Sums of c, of c² and counts, each [2, S, K] per class and training set, from the same cosines for all.

    They are sums over folds, so all training sets together cost one pass over the pairs.
    """
    sets = inside.astype(np.float64)
    total, squares, count = (
        np.stack([sets @ (group @ what) for group in groups]) for what in _powers(cosines)
    )
    return total, squares, count


def _powers(cosines: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
    known = np.isfinite(cosines)
    values = np.where(known, cosines, 0.0).astype(np.float64)
    return values, values * values, known.astype(np.float64)


def _gaps_of_chunk(total: Floats, squares: Floats, count: Floats) -> tuple[Floats, Floats, Floats]:
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
    if settings.mask != "tau_and_z":
        return released_mask(found.delta, matrices, settings.mask, settings.tau)
    over: NDArray[np.bool_] = np.asarray(found.delta > settings.tau)
    return over & (found.welch_z > least_z(found.degrees, settings)[:, None])


def least_z(degrees: Floats, settings: Settings) -> Floats:
    """[S] value that as few noise slices pass under Student's law as pass `gap_z` under the normal one."""
    return np.asarray(-stdtrit(degrees, ndtr(-settings.gap_z)), dtype=np.float64)


def fisher_weights(found: Gaps) -> Floats:
    """[S, K] gap over pooled variance, the best linear weights if slices were independent."""
    floor = np.maximum(np.median(found.variance, axis=1, keepdims=True) * 0.1, 1e-12)
    return found.delta / np.maximum(found.variance, floor)


def weighted_means(cosines: Cosines, weights: Floats) -> Floats:
    """[S, N] means of c weighted by [S, K], over the slices a pair has; NaN where all its weights are 0."""
    means = np.empty((weights.shape[0], cosines.shape[0]))
    for rows, values in blocks(cosines):
        scores = np.zeros((weights.shape[0], rows.size))
        scale = np.zeros_like(scores)
        for start in range(0, values.shape[1], CHUNK):
            part = slice(start, start + CHUNK)
            _add_weighted(values[:, part], weights[:, part], scores, scale)
        means[:, rows] = _ratio(scores, scale)
    return means


def set_means(
    table: SignalTable, refs: Labelled, inside: NDArray[np.bool_], weights: tuple[Floats, ...]
) -> tuple[Floats, ...]:
    """[S, N] weighted means for each kind of weights [S, K], references by each training set's own mean."""
    scores = tuple(weighted_means(table.cosines, kind) for kind in weights)
    if table.fold_sums is not None:
        own = _Own.of(table.fold_sums, refs, inside).means(np.stack(weights))
        for found, of_references in zip(scores, own, strict=True):
            found[:, refs.rows] = of_references
    return scores


def _add_weighted(cosines: NDArray[np.float32], weights: Floats, scores: Floats, scale: Floats) -> None:
    """Add Σ w·c and Σ |w| of some slices, per row of `weights` and pair."""
    weight, known = weights.astype(np.float32), np.isfinite(cosines)
    if known.all():
        scores += weight @ cosines.T
        scale += np.abs(weight).sum(axis=1, dtype=np.float64)[:, None]
    else:
        scores += weight @ np.where(known, cosines, np.float32(0.0)).T
        scale += np.abs(weight) @ known.T.astype(np.float32)


def _ratio(scores: Floats, scale: Floats) -> Floats:
    return np.divide(scores, scale, out=np.full_like(scores, np.nan), where=scale > 0)
