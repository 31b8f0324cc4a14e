"""Base-referenced loss (METHOD §4, ours in this setting): L_base − L. Needs base weights, no members."""

from __future__ import annotations

from collections.abc import Mapping

from audit_core.detectors.seam import (
    Detector,
    Floats,
    FoldScores,
    Labelled,
    Signals,
    needs_base,
    register,
    unfitted,
)
from audit_core.samples import Settings


def differences(signals: Signals) -> Mapping[str, Floats]:
    """Model minus base for every likelihood signal both tables hold, name -> [N]; empty without a base."""
    if signals.base is None:
        return {}
    mine, theirs = signals.table.scalars, signals.base.scalars
    return {name: mine[name] - theirs[name] for name in mine if name in theirs}


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """How much smaller the loss is than the base model's."""
    return unfitted(differences(signals)["neg_loss"], refs)


register(__name__, Detector("base_referenced", "ours", fitted=False, missing=needs_base, score=score))
