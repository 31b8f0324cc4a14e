"""GradAudit as released (Zhu 2026, METHOD §1): one mean, one mask, no folds.

Reference members are in the mean they are compared with and have chosen the slices they are scored on. So
their own scores are too high, and say nothing of what the detector finds among pairs it has not seen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audit_core.detectors.seam import Floats, Labelled, Signals
from audit_core.detectors.slice_model import Gaps, gaps, mask, weighted_means
from audit_core.samples import Settings


def published_scores(signals: Signals, refs: Labelled, settings: Settings) -> tuple[Floats, Gaps, Floats]:
    """Scores [1, N], the gaps and the mask [1, K] they come from; NaN where the mask is empty.

    Every reference pair counts in the gaps: the folds of `refs` are not looked at.
    """
    refs = replace(refs, folds=np.zeros_like(refs.folds))
    found = gaps(signals.table.cosines, refs, np.ones((1, 1), dtype=np.bool_))
    kept = mask(found, signals.table.matrices, settings).astype(np.float64)
    return weighted_means(signals.table.cosines, kept), found, kept
