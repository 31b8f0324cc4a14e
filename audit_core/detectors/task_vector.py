"""Task-vector slices (METHOD §4, ours): cosine of −G with ΔW = W − W_base. No members needed."""

from __future__ import annotations

import numpy as np

from audit_core.detectors.seam import Detector, Floats, FoldScores, Labelled, Signals, register, unfitted
from audit_core.samples import Settings


def missing(signals: Signals, refs: Labelled) -> str:
    """Why there is no task vector, or ""."""
    return "" if signals.table.task_cosines.shape[1] else "no base model is registered"


def task_mean(signals: Signals) -> Floats:
    """[N] mean over matrices of the mean slice cosine with ΔW; a matrix without one is left out."""
    cosines = np.asarray(signals.table.task_cosines, dtype=np.float64)
    known = np.isfinite(cosines)
    counts = np.maximum(known.sum(axis=1), 1)
    means: Floats = np.where(known, cosines, 0.0).sum(axis=1) / counts
    return means


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Mean task-vector cosine. Swings between data sets: never to be used alone (METHOD §3)."""
    return unfitted(task_mean(signals), refs)


register(__name__, Detector("task_vector", "ours", fitted=False, missing=missing, score=score))
