"""Lower-case ratio (Carlini 2021): NLL of the report in lower case over its NLL as written.

Who remembers the report remembers how it was written. A tokenizer that knows no capitals gives 1 for all.
"""

from __future__ import annotations

import numpy as np

from audit_core.detectors.seam import (
    Detector,
    FoldScores,
    Labelled,
    Signals,
    needs_scalar,
    register,
    unfitted,
)
from audit_core.samples import Settings

LEAST = 1e-9


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """NLL(lower) / NLL."""
    scalars = signals.table.scalars
    return unfitted(-scalars["neg_loss_lower_case"] / np.maximum(-scalars["neg_loss"], LEAST), refs)


missing = needs_scalar("neg_loss_lower_case", "only models that predict a report's tokens have it")
register(
    __name__,
    Detector("lower_case", "Carlini 2021", False, missing, score, readings=("lower_case",)),
)
