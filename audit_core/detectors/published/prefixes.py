"""ReCaLL (Xie 2024) and Con-ReCall (Wang 2025): how reports read before change a report's likelihood.

With LL the mean log-likelihood of the report's tokens, N a prefix of non-members' reports and M one of
members': recall = LL(x|N) / LL(x), con_recall = (LL(x|N) − γ·LL(x|M)) / LL(x), γ = ½. A text that is known
loses more likelihood behind foreign text than one that is not.
"""

from __future__ import annotations

import numpy as np

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
from audit_core.samples import Settings

GAMMA = 0.5
LEAST = 1e-9
WHERE = "it needs known members, fitting controls, and a model that predicts a report's tokens"
CONTROLS, MEMBERS = "neg_loss_after_controls", "neg_loss_after_members"


def recall(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """LL(x|N) / LL(x)."""
    scalars = signals.table.scalars
    return unfitted(scalars[CONTROLS] / _own(signals), refs)


def con_recall(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """(LL(x|N) − γ·LL(x|M)) / LL(x), γ = ½."""
    scalars = signals.table.scalars
    return unfitted((scalars[CONTROLS] - GAMMA * scalars[MEMBERS]) / _own(signals), refs)


def _own(signals: Signals) -> Floats:
    return np.asarray(np.minimum(signals.table.scalars["neg_loss"], -LEAST))


register(
    __name__,
    Detector(
        "recall", "Xie 2024", False, needs_scalar(CONTROLS, WHERE), recall, readings=("after_controls",)
    ),
)
register(
    __name__,
    Detector(
        "con_recall",
        "Wang 2025",
        False,
        needs_scalar(MEMBERS, WHERE),
        con_recall,
        readings=("after_controls", "after_members"),
    ),
)
