"""Fused detector (METHOD §3 recipe, §4, ours): ridge logistic model over all kinds of signals.

Fitted on references only. The two slice features (Fisher-weighted mean, masked mean) are themselves fitted,
so the logistic layer sees them out of fold: for a training pair of fold f they come from the references of
neither f nor the fold held out for scoring, and so does the mean gradient they compare with. Fed with in-fold
values the layer would trust them blindly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from audit_core import logistic
from audit_core.detectors.base_referenced import differences
from audit_core.detectors.gradaudit import layer_gaps
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
from audit_core.signals import GRADIENT_SCALAR, LIKELIHOOD_SCALARS

C = 0.3
SIGNALS = (*LIKELIHOOD_SCALARS, "cosine", GRADIENT_SCALAR)
"""What is read whatever detector decides; a reading that another detector asked for has no say here."""
MINIMUM_REFERENCES = 60
"""Under this many references nothing is fitted and the rank average decides (METHOD §4)."""


def plain_features(signals: Signals) -> Mapping[str, Floats]:
    """Signals that need no fitting, name -> [N]: the model's, minus the base's, the task vector's."""
    found = {name: signals.table.scalars[name] for name in SIGNALS if name in signals.table.scalars}
    found |= {
        f"{name} minus base": values for name, values in differences(signals).items() if name in SIGNALS
    }
    found |= word_rows(signals)
    if signals.table.task_cosines.shape[1]:
        found["task_vector"] = task_mean(signals)
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
    weights: Floats = np.zeros(len(names))
    for row, held in enumerate([frozenset({fold}) for fold in range(refs.fold_count)] + [frozenset[int]()]):
        train = np.flatnonzero([fold not in held for fold in refs.folds])
        own_sets = np.array([set_of[held | {int(fold)}] for fold in refs.folds[train]], dtype=np.int64)
        seen = _columns(plain, slices_SN, refs.rows[train], own_sets)
        every = np.arange(signals.pairs)
        asked = _columns(plain, slices_SN, every, np.full(signals.pairs, set_of[held]))
        scores[row], weights = _fit_and_apply(seen, refs.member[train], asked)
    return FoldScores(
        scores,
        weights=dict(zip(names, map(float, weights), strict=True)),
        by_layer=layer_gaps(found.delta[set_of[frozenset()]], signals.table.matrices),
        kept=int(kept[set_of[frozenset()]].sum()),
        total=kept.shape[1],
    )


def _columns(plain: Mapping[str, Floats], slices_SN: Mapping[str, Floats], rows: Ints, sets: Ints) -> Floats:
    """[rows, d] features, the slice features of row i read under training set sets[i]."""
    return np.column_stack(
        [values[rows] for values in plain.values()] + [values[sets, rows] for values in slices_SN.values()]
    )


def _fit_and_apply(seen: Floats, member: np.ndarray, asked: Floats) -> tuple[Floats, Floats]:
    """Standardise on the training pairs, fit, score; a feature that is missing has no vote."""
    known = np.isfinite(seen)
    counts = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, seen, 0.0).sum(axis=0) / counts
    spread = np.sqrt((np.where(known, seen - centre, 0.0) ** 2).sum(axis=0) / counts)
    useful = spread > 1e-12
    scale = np.where(useful, spread, 1.0)

    def standardised(values: Floats) -> Floats:
        return np.where(np.isfinite(values) & useful, (values - centre) / scale, 0.0)

    weights, intercept = logistic.fit(standardised(seen), member, C)
    return standardised(asked) @ weights + intercept, weights


def missing(signals: Signals, refs: Labelled) -> str:
    """References, and cosines that are honest for them."""
    if signals.table.as_published:
        return "reference members are in the mean they are compared with: nothing may be fitted on them"
    return needs_references(signals, refs)


register(
    __name__,
    Detector("fused", "ours", fitted=True, missing=missing, score=score, readings=("word_rows",)),
)
