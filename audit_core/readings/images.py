"""Mild corruptions of an image that a radiologist would read the same way (Wu 2025, ICIMIA; METHOD §4).

Letters: H height, W width.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from audit_core.samples import Sample

Pixels = NDArray[np.uint8]

CONTRAST, BRIGHTNESS = 1.1, 12.0
QUALITY = 75
SIGMA = 2.0


def window_shifted(image: Pixels) -> Pixels:
    """A tenth more contrast about the middle, a twentieth of the range brighter: another window."""
    moved = (image.astype(np.float64) - 127.5) * CONTRAST + 127.5 + BRIGHTNESS
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def compressed(image: Pixels) -> Pixels:
    """There and back through JPEG of quality 75."""
    held = io.BytesIO()
    Image.fromarray(image).save(held, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(held).convert("RGB"))


def blurred(image: Pixels) -> Pixels:
    """A Gaussian of σ = 2 pixels."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(SIGMA)))


CORRUPTIONS: Final[Mapping[str, Callable[[Pixels], Pixels]]] = {
    "window": window_shifted,
    "jpeg": compressed,
    "blur": blurred,
}


def corrupted(sample: Sample, how: str) -> Sample:
    """The same pair with its image uint8 [H, W, 3] corrupted."""
    return replace(sample, image=CORRUPTIONS[how](sample.image))
