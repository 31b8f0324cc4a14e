"""The MONAI chain from a dataset to the uint8 RGB frame an audit sees. The only file that imports monai.

Importing any part of monai imports all of it: its package file loads every submodule, and the submodules
import one another in a circle. So nothing imports this module before a first image has to be read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from medio.dicom import wall
from medio.pixels import DisplayFrame, display_frame
from medio.records import Frame

LONGEST_SIDE = 512  # pixels; no audited vision tower looks at more


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """Make an optional dependency look uninstalled while another package is imported.

    One of monai's network files imports transformers when it can: 1.6 of 2.7 CPU seconds for nothing.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # how Python spells "this import fails"
    try:
        yield
    finally:
        del sys.modules[package]


with _absent("transformers"):
    from monai.transforms import CastToType, Compose, EnsureChannelFirst, Resize, ScaleIntensityRange, ToNumpy


def to_frame(dataset: Any) -> Frame:
    """The instance's frame as uint8 RGB [H, W, 3], longest side at most LONGEST_SIDE.

    Raises:
        NotReadable: the pixels are damaged, cut short or contradict the header.
        NotSupported: no installed decoder reads them.
    """
    shown = display_frame(dataset)
    with wall("bad-pixel-data"):
        pixels_CHW = _CHAIN(shown)
    return Frame(np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0)), shown.frame_rule)


def _load(shown: DisplayFrame) -> torch.Tensor:
    values = shown.values if shown.values.ndim == 3 else shown.values[:, :, None]
    return torch.from_numpy(np.ascontiguousarray(values))


def _repeat_grey(image_CHW: torch.Tensor) -> torch.Tensor:
    return image_CHW.expand(3, -1, -1) if image_CHW.shape[0] == 1 else image_CHW


_SHRINK = Resize(spatial_size=LONGEST_SIDE, size_mode="longest", mode="area")


def _limit_side(image_CHW: torch.Tensor) -> Any:
    """Shrink, never enlarge: enlarging would invent pixels."""
    return _SHRINK(image_CHW) if max(image_CHW.shape[1:]) > LONGEST_SIDE else image_CHW


_CHAIN = Compose(
    [
        _load,
        EnsureChannelFirst(channel_dim=-1),
        _limit_side,
        _repeat_grey,
        ScaleIntensityRange(a_min=0.0, a_max=1.0, b_min=0.0, b_max=255.0, clip=True),
        torch.round,
        CastToType(dtype=torch.uint8),
        ToNumpy(),
    ]
)
