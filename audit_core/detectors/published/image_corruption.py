"""Image corruption similarity (Wu 2025, ICIMIA) and augmentation KL (Liu 2021 line).

image_corruption: cos(v(x), v(c(x))); augmentation_kl: KL(p(·|x) ‖ p(·|c(x))); both means over a window shift,
JPEG 75 and a blur of σ = 2. A trained image may be held more firmly, or be remembered to the pixel: which way
the signal points is fixed on the reference pairs, in every fold without the pairs it is applied to.
"""

from __future__ import annotations

from audit_core.detectors.seam import (
    Detector,
    FoldScores,
    Labelled,
    Signals,
    needs_labels,
    needs_scalar,
    oriented,
    register,
)
from audit_core.samples import Settings


def _detector(name: str, signal: str, source: str) -> Detector:
    read = needs_scalar(signal)

    def missing(signals: Signals, refs: Labelled) -> str:
        return read(signals, refs) or needs_labels(signals, refs)

    def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
        return oriented(signals.table.scalars[signal], refs)

    return Detector(name, source, fitted=True, missing=missing, score=score, readings=(signal,))


register(__name__, _detector("image_corruption", "image_similarity", "Wu 2025"))
register(__name__, _detector("augmentation_kl", "augmentation_kl", "Liu 2021"))
