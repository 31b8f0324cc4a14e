"""zlib ratio (Carlini 2021): −NLL per token over the bytes zlib needs for the text.

A text that is repetitive in itself has a small loss in any model; dividing by its compressed length takes
some of that away. Both are of what reaches the model, after the limit of text tokens.
"""

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


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Mean ℓ_t over bytes."""
    scalars = signals.table.scalars
    return unfitted(scalars["neg_loss"] / scalars["text_bytes"], refs)


missing = needs_scalar("text_bytes", "only models that predict a report's tokens have it")
register(
    __name__,
    Detector("zlib", "Carlini 2021", False, missing, score, readings=("compressed_text",)),
)
