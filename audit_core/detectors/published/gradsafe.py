"""Unmasked slice mean, in the way of GradSafe (Xie 2024, gradient analysis), ancestor of GradAudit.

Mean cosine with the reference mean over all rows and columns: nothing is chosen. References are read with the
mean of their fold model's own members, as in GradAudit.
"""

from __future__ import annotations

import numpy as np

from audit_core.detectors.seam import (
    Detector,
    FoldScores,
    Labelled,
    Signals,
    needs_references,
    register,
)
from audit_core.detectors.slice_model import held_out_sets, set_means
from audit_core.samples import Settings


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Mean over all slices under every fold model."""
    folds = refs.fold_count
    inside, rows = held_out_sets(folds)
    inside = inside[[rows[frozenset({fold})] for fold in range(folds)] + [rows[frozenset()]]]
    total = signals.table.cosines.shape[1]
    (scores,) = set_means(signals.table, refs, inside, (np.ones((folds + 1, total)),))
    return FoldScores(scores, kept=total, total=total)


def missing(signals: Signals, refs: Labelled) -> str:
    """References, and cosines that are honest for them."""
    if signals.table.as_published:
        return "reference members are in the mean they are compared with"
    return needs_references(signals, refs)


register(__name__, Detector("gradsafe", "Xie 2024", fitted=True, missing=missing, score=score))
