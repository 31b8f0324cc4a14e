"""Gradient norm: members have smaller gradients (the line of Nasr et al. 2019); score = −log ‖∇L‖₂."""

from __future__ import annotations

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
from audit_core.signals import GRADIENT_SCALAR


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """−log of the total gradient norm over the audited matrices."""
    return unfitted(signals.table.scalars[GRADIENT_SCALAR], refs)


register(
    __name__,
    Detector("gradnorm", "Nasr 2019", fitted=False, missing=needs_scalar(GRADIENT_SCALAR), score=score),
)
