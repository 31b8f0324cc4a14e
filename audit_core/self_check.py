"""The self-check pairs: made up, the same for ever, and what a model says of them (METHOD §6).

Their losses are stored when a model is registered and computed again when an audit begins. Digests tell
whether files have changed; these losses tell whether what the files are turned into has: preprocessing,
tokens, converted weights, libraries, arithmetic. Each pair is read alone, so that no batch has a say.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from audit_core.adapters.base import Anchors, ModelAdapter
from audit_core.errors import BadSample
from audit_core.results import Role
from audit_core.samples import Sample, SelfCheck

TOKENS = 64
_SIZES = ((224, 160), (96, 128), (160, 160), (128, 200))  # height, width: none is what a network asks for
_REPORTS = (
    "The heart is normal in size. The lungs are clear. No pleural effusion or pneumothorax.",
    "Patchy opacity in the left lower lobe, 12 mm. Follow-up in 6 weeks is recommended.",
    "Status post cholecystectomy. Liver and spleen are unremarkable. Mild degenerative change.",
    "Fracture of the distal radius with dorsal angulation. Soft tissue swelling.",
)


def self_check_pairs() -> tuple[Sample, ...]:
    """The pairs: whole-number patterns with edges, slopes and colour, no two alike, nothing of a patient."""
    return tuple(
        Sample(f"self-check-{number}", f"self-check-{number}", Role.BANK, _image(number, *size), report)
        for number, (size, report) in enumerate(zip(_SIZES, _REPORTS, strict=True))
    )


def self_check(adapter: ModelAdapter, base: ModelAdapter | None) -> SelfCheck | None:
    """What model and base say of the self-check pairs now; None where it is no number or no answer."""
    losses = _losses(adapter)
    base_losses = () if base is None else _losses(base)
    if losses is None or base_losses is None:
        return None
    return SelfCheck(losses, base_losses, str(adapter.dtype).removeprefix("torch."), adapter.device.type)


def _losses(adapter: ModelAdapter) -> tuple[float, ...] | None:
    pairs = self_check_pairs()
    try:
        anchors = adapter.anchors(pairs, TOKENS, 1)
        found = tuple(_loss(adapter, pair, anchors) for pair in pairs)
    except BadSample:
        return None
    return found if all(map(math.isfinite, found)) else None


def _loss(adapter: ModelAdapter, pair: Sample, anchors: Anchors | None) -> float:
    with torch.no_grad():
        return float(adapter.forward(adapter.encode([pair], TOKENS), anchors).losses_B[0])


def _image(number: int, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 [height, width, 3], by whole numbers alone: the same bits on every machine."""
    row, column = np.arange(height)[:, None], np.arange(width)[None, :]
    slope = (row * (3 + number) + column * (5 - number)) // 4
    edge = 90 * ((row // 17 + column // (11 + 2 * number)) % 2)
    disc = 70 * ((row - height // 2) ** 2 + (column - width // 3) ** 2 < (height // 4) ** 2)
    planes = [slope + edge, slope // 2 + disc + 20 * number, 255 - slope + edge // 2 + disc]
    return (np.stack(planes, axis=2) % 256).astype(np.uint8)
