"""Min-K%++ difference (METHOD §4, base-referenced, ours): Min-K%++ of the model minus that of its base."""

from __future__ import annotations

from audit_core.detectors.base_referenced import differences
from audit_core.detectors.seam import (
    Detector,
    FoldScores,
    Labelled,
    Signals,
    needs_base,
    register,
    unfitted,
)
from audit_core.samples import Settings


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """How much further up the unlikeliest tokens lie than in the base model."""
    return unfitted(differences(signals)["minkpp"], refs)


register(__name__, Detector("minkpp_difference", "ours", fitted=False, missing=needs_base, score=score))
