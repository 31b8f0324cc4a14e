"""Fused detector (METHOD §3, §4, ours): ridge logistic model over normal scores of all kinds of signals.

Fitted on references only. The two slice features (Fisher-weighted mean, masked mean) are themselves fitted,
so the logistic layer sees them out of fold: for a training pair of fold f they come from the references of
neither f nor the fold held out for scoring, and so does the mean gradient they compare with. Fed with in-fold
values the layer would trust them blindly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from audit_core import logistic
from audit_core.detectors.base_referenced import differences
from audit_core.detectors.gradaudit import kept_by_layer, layer_gaps
from audit_core.detectors.seam import (
    Detector,
    Floats,
    FoldScores,
    Ints,
    Labelled,
    Signals,
    needs_references,
    register,
)
from audit_core.detectors.slice_model import fisher_weights, gaps, held_out_sets, mask, set_means
from audit_core.detectors.task_vector import task_mean
from audit_core.detectors.word_rows import word_rows
from audit_core.samples import Settings
from audit_core.signals import GRADIENT_SCALAR

C = 0.3
SIGNALS = {
    "neg_loss": "loss",
    "mink": "hardest tokens",
    "minkpp": "hardest tokens, scaled",
    "neg_entropy": "certainty",
    "max_logp": "easiest guesses",
    "cosine": "image-text cosine",
    GRADIENT_SCALAR: "gradient norm",
}
"""Read whatever detector decides, named as an officer reads it; readings for other detectors have no say."""
WORD_ROWS = {
    "word_rows": "word rows",
    "word_rows_touched": "word rows touched",
    "word_rows_faint": "word rows, faint half",
}
MINIMUM_REFERENCES = 60
"""Under this many references nothing is fitted and the rank average decides (METHOD §4)."""


def plain_features(signals: Signals) -> Mapping[str, Floats]:
    """Signals that need no fitting, name -> [N]: the model's, minus the base's, the task vector's."""
    scalars = signals.table.scalars
    found = {said: scalars[name] for name, said in SIGNALS.items() if name in scalars}
    found |= {
        f"{SIGNALS[name]}, to base": values
        for name, values in differences(signals).items()
        if name in SIGNALS
    }
    found |= {WORD_ROWS[name]: values for name, values in word_rows(signals).items()}
    if signals.table.task_cosines.shape[1]:
        found["task vector"] = task_mean(signals)
    return found


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Log-odds of membership under every fold model."""
    inside, set_of = held_out_sets(refs.fold_count)
    found = gaps(signals.table.cosines, refs, inside, signals.table.fold_sums)
    kept = mask(found, signals.table.matrices, settings)
    means = set_means(signals.table, refs, inside, (fisher_weights(found), kept.astype(np.float64)))
    slices_SN = dict(zip(("slices, Fisher-weighted", "slices, masked"), means, strict=True))
    plain = plain_features(signals)
    names = [*plain, *slices_SN]
    scores = np.empty((refs.fold_count + 1, signals.pairs))
    parts, weights = np.empty((signals.pairs, len(names))), np.zeros(len(names))
    for row, held in enumerate([frozenset({fold}) for fold in range(refs.fold_count)] + [frozenset[int]()]):
        train = np.flatnonzero([fold not in held for fold in refs.folds])
        own_sets = np.array([set_of[held | {int(fold)}] for fold in refs.folds[train]], dtype=np.int64)
        seen = _columns(plain, slices_SN, refs.rows[train], own_sets)
        every = np.arange(signals.pairs)
        asked = _columns(plain, slices_SN, every, np.full(signals.pairs, set_of[held]))
        parts, intercept, weights = _fit_and_apply(seen, refs.member[train], asked)
        scores[row] = parts.sum(axis=1) + intercept
    return FoldScores(
        scores,
        weights=dict(zip(names, map(float, weights), strict=True)),
        parts=dict(zip(names, parts.T, strict=True)),
        by_layer=layer_gaps(found.delta[set_of[frozenset()]], signals.table.matrices),
        kept_by_layer=kept_by_layer(kept[set_of[frozenset()]], signals.table.matrices),
        kept=int(kept[set_of[frozenset()]].sum()),
        total=kept.shape[1],
    )


def _columns(plain: Mapping[str, Floats], slices_SN: Mapping[str, Floats], rows: Ints, sets: Ints) -> Floats:
    """[rows, d] features, the slice features of row i read under training set sets[i]."""
    return np.column_stack(
        [values[rows] for values in plain.values()] + [values[sets, rows] for values in slices_SN.values()]
    )


def _fit_and_apply(seen: Floats, member: np.ndarray, asked: Floats) -> tuple[Floats, float, Floats]:
    """Fit on normal scores of the training pairs.

    Returns:
        What every feature adds to the log-odds of each asked pair [N, d], the intercept, the weights [d].
    """
    columns = [np.sort(values[np.isfinite(values)]) for values in seen.T]
    weights, intercept = logistic.fit(_normal_scores(columns, seen), member, C)
    return _normal_scores(columns, asked) * weights, intercept, weights


def _normal_scores(columns: list[Floats], values: Floats) -> Floats:
    """Every feature as the normal quantile of its rank among the training pairs (van der Waerden).

    Likelihood and gradient signals have long tails, which would outshout the rest of a linear model. A
    feature that is missing, or the same for all, has no vote: 0.

    Args:
        columns: d features of the training pairs, sorted, finite ones only.
        values: [n, d].
    """
    found = np.zeros_like(values)
    for number, column in enumerate(columns):
        ranks = np.searchsorted(column, values[:, number], "left").astype(np.float64)
        ranks += np.searchsorted(column, values[:, number], "right")
        scores = ndtri((0.5 * ranks + 0.5) / (column.size + 1.0))
        varied = column.size > 0 and column[0] < column[-1]
        found[:, number] = np.where(np.isfinite(values[:, number]) & varied, scores, 0.0)
    return found


def missing(signals: Signals, refs: Labelled) -> str:
    """References, and cosines that are honest for them."""
    if signals.table.as_published:
        return "reference members are in the mean they are compared with: nothing may be fitted on them"
    return needs_references(signals, refs)


register(
    __name__,
    Detector("fused", "ours", fitted=True, missing=missing, score=score, readings=("word_rows",)),
)
