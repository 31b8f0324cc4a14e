"""Gradient norm of one part (Nasr 2019 line), −log ‖∇L‖₂; both parts are fixed beforehand.

gradnorm_projector: what joins image and text, the part that every fine-tune of such models moves.
gradnorm_last: the last audited block in forward order, where gradients are least mixed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from audit_core.detectors.seam import (
    Detector,
    Floats,
    FoldScores,
    Labelled,
    Signals,
    register,
    unfitted,
)
from audit_core.samples import Settings
from audit_core.signals import Matrix

Part = Callable[[tuple[Matrix, ...]], list[int]]


def projector(matrices: tuple[Matrix, ...]) -> list[int]:
    """Numbers of the matrices that belong to no numbered block."""
    return [number for number, matrix in enumerate(matrices) if not matrix.layer[-1:].isdecimal()]


def last_block(matrices: tuple[Matrix, ...]) -> list[int]:
    """Numbers of the matrices of the last numbered block."""
    blocks = [matrix.layer for matrix in matrices if matrix.layer[-1:].isdecimal()]
    return [number for number, matrix in enumerate(matrices) if blocks and matrix.layer == blocks[-1]]


def neg_log_norm(signals: Signals, chosen: list[int]) -> Floats:
    """[N] −log of the norm over some matrices, from the logarithms of their own norms."""
    squares = 2.0 * signals.table.norms[:, chosen].astype(np.float64)
    return np.asarray(-0.5 * np.logaddexp.reduce(squares, axis=1))


def _detector(name: str, part: Part, said: str) -> Detector:
    def missing(signals: Signals, refs: Labelled) -> str:
        if signals.table.norms.shape[1] == 0:
            return "no gradients were read"
        return "" if part(signals.table.matrices) else f"no {said} is audited"

    def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
        return unfitted(neg_log_norm(signals, part(signals.table.matrices)), refs)

    return Detector(name, "Nasr 2019", fitted=False, missing=missing, score=score)


register(__name__, _detector("gradnorm_projector", projector, "projector"))
register(__name__, _detector("gradnorm_last", last_block, "block"))
