"""Rank average (METHOD §3, §7): what decides without members or with fewer than 60 references. Fits nothing.

The list is fixed beforehand: base-referenced, Min-K%++, loss, task vector, word rows, each where it exists,
with equal weights. Ranks are taken over all pairs of the table at once, so the score treats controls and
targets alike and conformal p-values stay exact.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from audit_core.detectors.base_referenced import differences
from audit_core.detectors.seam import (
    Detector,
    Floats,
    FoldScores,
    Labelled,
    Signals,
    needs_scalar,
    register,
    unfitted,
)
from audit_core.detectors.task_vector import task_mean
from audit_core.detectors.word_rows import word_rows
from audit_core.samples import Settings


def parts(signals: Signals) -> dict[str, Floats]:
    """The pre-registered detectors present, name -> [N]."""
    found = {}
    if signals.base is not None:
        found["base_referenced"] = differences(signals)["neg_loss"]
    found["minkpp"] = signals.table.scalars["minkpp"]
    found["loss"] = signals.table.scalars["neg_loss"]
    if signals.table.task_cosines.shape[1]:
        found["task_vector"] = task_mean(signals)
    if moved := word_rows(signals):
        found["word_rows"] = moved["word_rows"]
    return found


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Mean of the ranks, scaled to (0, 1)."""
    ranks = [rankdata(values) / (values.size + 1) for values in parts(signals).values()]
    return unfitted(np.mean(ranks, axis=0), refs)


register(
    __name__,
    Detector(
        "rank_average",
        "ours",
        fitted=False,
        missing=needs_scalar("minkpp"),
        score=score,
        readings=("word_rows",),
    ),
)
