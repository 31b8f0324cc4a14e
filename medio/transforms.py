"""The MONAI chain from a dataset to the uint8 RGB frame an audit sees. The only file that imports monai.

Importing any part of monai imports all of it: its package file loads every submodule, and the submodules
import one another in a circle. So nothing imports this module before a first image has to be read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medio.dicom import wall
from medio.pixels import display_frame, looked_up
from medio.records import Frame

LONGEST_SIDE = 512  # pixels; no audited vision tower looks at more


@contextmanager
def _absent(package: str) -> Iterator[None]:
    """Make an optional dependency look uninstalled while another package is imported.

    One of monai's network files imports transformers when it can: 1.6 of 2.7 CPU seconds for nothing. A
    metric imports sklearn: 0.2 s and 22 MiB in each parser.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # how Python spells "this import fails"
    try:
        yield
    finally:
        del sys.modules[package]


with _absent("transformers"), _absent("sklearn"):
    from monai.transforms import CastToType, Compose, Resize, ScaleIntensityRange, ToNumpy


def to_frame(dataset: Any) -> Frame:
    """The instance's frame as uint8 RGB [H, W, 3], longest side at most LONGEST_SIDE.

    Raises:
        NotReadable: the pixels are damaged, cut short or contradict the header.
        NotSupported: no installed decoder reads them.
    """
    shown = display_frame(dataset)
    with wall("bad-pixel-data"):
        if max(shown.planes_CHW.shape[1:]) > LONGEST_SIDE:
            planes_CHW = _TO_BYTES(torch.cat([_shrunk(plane_1HW) for plane_1HW in shown.iter_planes()]))
        elif shown.tables_TK is None:
            planes_CHW = _TO_BYTES(torch.from_numpy(np.ascontiguousarray(shown.planes_CHW)))
        else:  # nothing mixes pixels, so each level goes through the chain once
            tables_TK = _levels_as_bytes(shown.tables_TK.tobytes(), len(shown.tables_TK))
            planes_CHW = looked_up(tables_TK, shown.planes_CHW)
        return Frame(_interleaved(planes_CHW), shown.frame_rule, shown.warnings)


def _shrunk(plane_1HW: NDArray[np.float32]) -> torch.Tensor:
    is_strip = max(plane_1HW.shape) > LONGEST_SIDE * min(plane_1HW.shape[1:])  # else rounded away
    shrink = _SHRINK if not is_strip else _strip(*plane_1HW.shape[1:])
    shrunk: torch.Tensor = shrink(torch.from_numpy(np.ascontiguousarray(plane_1HW)))
    return shrunk


def _strip(rows: int, columns: int) -> Resize:
    """For a scout line or a curve of pixels: one pixel across."""
    return Resize(spatial_size=(1, LONGEST_SIDE) if rows < columns else (LONGEST_SIDE, 1), mode="area")


def _interleaved(planes_CHW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[1 or 3, H, W] -> [H, W, 3]; grey lies there once and is seen three times."""
    if len(planes_CHW) == 1:
        return np.broadcast_to(planes_CHW[0][..., np.newaxis], (*planes_CHW.shape[1:], 3))
    return np.ascontiguousarray(planes_CHW.transpose(1, 2, 0))


@lru_cache(maxsize=64)  # images of a series share window and range
def _levels_as_bytes(tables: bytes, count: int) -> NDArray[np.uint8]:
    tables_TK = np.frombuffer(bytearray(tables), np.float32).reshape(count, -1)
    levels_TK: NDArray[np.uint8] = _TO_BYTES(torch.from_numpy(tables_TK))
    return levels_TK


_SHRINK = Resize(spatial_size=LONGEST_SIDE, size_mode="longest", mode="area")  # never enlarges: that invents
_TO_BYTES = Compose(
    [
        ScaleIntensityRange(a_min=0.0, a_max=1.0, b_min=0.0, b_max=255.0, clip=True),
        torch.round,
        CastToType(dtype=torch.uint8),
        ToNumpy(),
    ]
)
