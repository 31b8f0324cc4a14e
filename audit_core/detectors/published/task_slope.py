"""Slope along the task vector (METHOD §4, ours): −∂L/∂α at α = 1 of W_base + α·ΔW, summed over matrices.

Of one matrix it is ⟨−G, ΔW⟩: for a layer with a LoRA adapter, how much the loss would still fall if the
adapter were turned up a little. No reference members are needed.
"""

from __future__ import annotations

import numpy as np

from audit_core.detectors.seam import Detector, FoldScores, Labelled, Signals, register, unfitted
from audit_core.samples import Settings


def missing(signals: Signals, refs: Labelled) -> str:
    """Why there is no task vector, or ""."""
    slopes = signals.table.task_slopes
    return "" if slopes is not None and slopes.shape[1] else "no base model is registered"


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Σ over matrices of ⟨−G, ΔW⟩; a matrix that did not move adds nothing."""
    assert signals.table.task_slopes is not None
    return unfitted(np.nansum(signals.table.task_slopes.astype(np.float64), axis=1), refs)


register(__name__, Detector("task_slope", "ours", fitted=False, missing=missing, score=score))
