"""M4I (Hu 2022): how close what the model makes of the image comes to the true report.

Generative: ROUGE-L of the greedily generated text. Contrastive: the features themselves, −‖v − t‖ of the unit
embeddings, which orders pairs as their cosine does.
"""

from __future__ import annotations

import numpy as np

from audit_core.detectors.seam import Detector, FoldScores, Labelled, Signals, register, unfitted
from audit_core.samples import Settings


def missing(signals: Signals, refs: Labelled) -> str:
    """Why there is neither text of the model's own nor an embedding, or ""."""
    if {"rouge_l", "cosine"} & set(signals.table.scalars):
        return ""
    return "the signal rouge_l was not read (only models that write text have it), nor are there embeddings"


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """ROUGE-L, or minus the distance."""
    scalars = signals.table.scalars
    if "rouge_l" in scalars:
        return unfitted(scalars["rouge_l"], refs)
    return unfitted(-np.sqrt(np.maximum(0.0, 2.0 - 2.0 * scalars["cosine"])), refs)


register(
    __name__,
    Detector("m4i", "Hu 2022", False, missing, score, readings=("generated_text",)),
)
