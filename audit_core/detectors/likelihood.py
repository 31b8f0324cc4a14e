"""Detectors that read one likelihood signal. The engine computes the signal (METHOD §4); larger = member.

loss: Yeom et al. 2018. mink: Shi et al. 2024 (Min-K%, 20 %). minkpp: Zhang et al. 2025 (Min-K%++, 20 %;
contrastive models: own logit standardised against the bank). entropy: Song & Mittal 2021, negated.
cosine: own image and text embedding, contrastive models only.
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

SOURCES = {
    "loss": ("neg_loss", "Yeom 2018"),
    "mink": ("mink", "Shi 2024"),
    "minkpp": ("minkpp", "Zhang 2025"),
    "entropy": ("neg_entropy", "Song & Mittal 2021"),
    "cosine": ("cosine", "own embedding cosine"),
}


def _reader(signal: str, name: str, source: str) -> Detector:
    def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
        return unfitted(signals.table.scalars[signal], refs)

    return Detector(name, source, fitted=False, missing=needs_scalar(signal), score=score)


for _name, (_signal, _source) in SOURCES.items():
    register(__name__, _reader(_signal, _name, _source))
