"""GradAudit (Zhu, Tang, Yang, Abbasi, arXiv 2606.24774, 2026), with the corrections of METHOD §2.

Score: pooled mean of the slice cosines over the slices whose reference gap passes the mask. The cosines are
leave-one-out, and those of reference pairs are taken with the mean of each fold model's own members; the mask
also asks for a Welch z, unless a published variant is selected. A table read as published holds cosines with
a mean that every reference member is in; those are scored the published way, the same for every fold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audit_core.detectors.published.gradaudit import published_scores
from audit_core.detectors.seam import (
    Detector,
    Floats,
    FoldScores,
    Labelled,
    Signals,
    needs_references,
    register,
)
from audit_core.detectors.slice_model import gaps, held_out_sets, mask, set_means
from audit_core.samples import Settings
from audit_core.signals import Matrix

NOT_HELD_OUT = "as published, a reference pair is not scored: it chose the slices"
EMPTY = "no slice separates members from controls, so the mask is empty"


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Mean of kept cosines under every fold model; NaN with a reason where no slice passes the mask."""
    if signals.table.as_published:
        return _as_published(signals, refs, settings)
    folds = refs.fold_count
    inside, rows = held_out_sets(folds)
    order = [rows[frozenset({fold})] for fold in range(folds)] + [rows[frozenset()]]
    inside = inside[order]
    found = gaps(signals.table.cosines, refs, inside, signals.table.fold_sums)
    kept = mask(found, signals.table.matrices, settings)
    (scores,) = set_means(signals.table, refs, inside, (kept.astype(np.float64),))
    empty = ~kept.any(axis=1)
    return FoldScores(
        scores,
        reason=EMPTY if empty.any() else "",
        by_layer=layer_gaps(found.delta[-1], signals.table.matrices),
        kept_by_layer=kept_by_layer(kept[-1], signals.table.matrices),
        kept=int(kept[-1].sum()),
        total=kept.shape[1],
    )


def _as_published(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    scores, found, kept = published_scores(signals, refs, settings)
    scores[:, refs.rows] = np.nan
    return FoldScores(
        np.tile(scores, (refs.fold_count + 1, 1)),
        reason=NOT_HELD_OUT if kept.any() else EMPTY,
        by_layer=layer_gaps(found.delta[0], signals.table.matrices),
        kept_by_layer=kept_by_layer(kept[0], signals.table.matrices),
        kept=int(kept.sum()),
        total=kept.shape[1],
    )


def kept_by_layer(kept: NDArray[np.bool_], matrices: tuple[Matrix, ...]) -> dict[str, tuple[int, int]]:
    """Layer -> slices that pass the mask, and slices it has; in the model's order."""
    found: dict[str, tuple[int, int]] = {}
    for matrix in matrices:
        part = kept[matrix.offset : matrix.offset + matrix.rows + matrix.cols]
        passed, total = found.get(matrix.layer, (0, 0))
        found[matrix.layer] = (passed + int(part.sum()), total + part.size)
    return found


def layer_gaps(delta: Floats, matrices: tuple[Matrix, ...]) -> dict[str, float]:
    """Mean sensitivity gap per layer, largest first."""
    sums: dict[str, list[float]] = {}
    for matrix in matrices:
        part = delta[matrix.offset : matrix.offset + matrix.rows + matrix.cols]
        entry = sums.setdefault(matrix.layer, [0.0, 0.0])
        entry[0] += float(part.sum())
        entry[1] += part.size
    means = {layer: total / max(count, 1.0) for layer, (total, count) in sums.items()}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


register(__name__, Detector("gradaudit", "Zhu 2026", fitted=True, missing=needs_references, score=score))
