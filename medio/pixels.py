"""One image -> one display-ready frame, or a description of all its stored values.

Letters: H rows, W columns, C planes (1 grey, 3 colour), T tables, K levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medio.decoders import check_frames, decoded_frame, decoded_frames
from medio.dicom import wall
from medio.errors import NotReadable, NotSupported
from medio.layout import check_layout, codestream_size
from medio.records import PixelStatistics
from medio.remarks import pixel_remarks
from medio.tones import Tone, toning_of, windowed

__all__ = [
    "DisplayFrame",
    "chosen_frame",
    "codestream_size",
    "display_frame",
    "looked_up",
    "pixel_statistics",
    "stored_frames",
    "windowed",
]

TOO_MANY_FRAMES = "too-many-frames"  # to describe them all in time
FRAME_UNREADABLE = "frame-unreadable"  # another one than the frame that is shown
MAX_LEVELS = 1 << 16
_BLOCK = 1 << 17  # values computed at a time: what a processor keeps close
MAX_DESCRIBED_BYTES = 1 << 33  # decoded, of all frames together


@dataclass(frozen=True, slots=True)
class DisplayFrame:
    """One frame as shown, and how it was chosen.

    Attributes:
        planes_CHW: places in the tables, whole numbers, negative ones counted from the end; without tables
            the shown values themselves, float32 in 0..1.
        tables_TK: float32 in 0..1; one table for all planes, or three for one plane of palette indices.
        warnings: codes of what the header said and was not followed, or did not say.
    """

    planes_CHW: NDArray[Any]
    tables_TK: NDArray[np.float32] | None
    frame_rule: str
    warnings: tuple[str, ...] = ()

    def iter_planes(self) -> Iterator[NDArray[np.float32]]:
        """The shown values plane by plane, float32 in 0..1, [1, H, W] each: one of grey, or three of RGB."""
        tables_TK, planes_CHW = self.tables_TK, self.planes_CHW
        if tables_TK is None:
            yield from planes_CHW[:, np.newaxis]
            return
        for number in range(max(len(tables_TK), len(planes_CHW))):
            table, plane = min(number, len(tables_TK) - 1), min(number, len(planes_CHW) - 1)
            yield looked_up(tables_TK[table : table + 1], planes_CHW[plane : plane + 1])

    @property
    def values(self) -> NDArray[np.float32]:
        """The shown values as [H, W] grey or [H, W, 3] RGB."""
        planes = [plane[0] for plane in self.iter_planes()]
        return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def display_frame(dataset: Any) -> DisplayFrame:
    """Decode the frame that stands for the instance and take it through the display pipeline.

    Raises:
        NotReadable: the pixels are damaged, cut short or contradict the header.
        NotSupported: no installed decoder reads them.
    """
    layout = check_layout(dataset)
    check_frames(dataset, layout)
    index, rule = chosen_frame(layout.frames)
    stored = decoded_frame(dataset, layout, index)
    with wall("bad-display-attributes"):
        left_out = _left_out(stored)
        toning = toning_of(dataset, stored, index, layout)
        levels = _levels(stored)
        warnings = (*pixel_remarks(dataset, layout), *left_out, *toning.warnings)
        colour_last = layout.samples > 1
        if levels is None:
            return DisplayFrame(
                _planes(_shown_by_block(toning.tone, stored), colour_last), None, rule, warnings
            )
        tables_TK = np.atleast_2d(_shown(toning.tone, levels))
        return DisplayFrame(_planes(stored, colour_last), tables_TK, rule, warnings)


def looked_up(tables_TK: NDArray[Any], planes_CHW: NDArray[Any]) -> NDArray[Any]:
    """Each plane through its table; either may be one for all three."""
    count = max(len(tables_TK), len(planes_CHW))
    found = np.empty((count, *planes_CHW.shape[1:]), tables_TK.dtype)
    for number in range(count):
        table = tables_TK[min(number, len(tables_TK) - 1)]
        plane = planes_CHW[min(number, len(planes_CHW) - 1)]
        for rows in _blocks(plane):  # numpy widens all places it is given to 64 bits
            np.take(table, plane[rows], mode="wrap", out=found[number, rows])
    return found


def stored_frames(dataset: Any) -> Iterator[NDArray[Any]]:
    """Every frame as pydicom's `pixel_array` gives it: YBR as RGB, palette as indices, before any LUT.

    Raises:
        NotReadable, NotSupported: as `display_frame`.
    """
    yield from decoded_frames(dataset, check_layout(dataset))


def pixel_statistics(dataset: Any) -> PixelStatistics:
    """Describe all stored values that are numbers; frames are decoded one by one: memory holds one at a time.

    Raises:
        NotReadable, NotSupported: as `display_frame`; also `too-many-frames` to describe in time.
    """
    layout = check_layout(dataset)
    if layout.frame_bytes * layout.frames > MAX_DESCRIBED_BYTES:
        raise NotSupported(TOO_MANY_FRAMES, f"more than {MAX_DESCRIBED_BYTES} bytes of pixels")
    low, high, total, count = np.inf, -np.inf, 0.0, 0
    shape: tuple[int, ...] = ()
    dtype = ""
    for frame in decoded_frames(dataset, layout):
        shape, dtype = frame.shape, str(frame.dtype)
        numbers = frame if frame.dtype.kind in "iu" else frame[np.isfinite(frame)]
        if numbers.size:
            low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
            total, count = total + float(numbers.sum(dtype=np.float64)), count + numbers.size
    if not count or not np.isfinite(total):
        raise NotReadable("bad-pixel-values", "no pixel values that are numbers")
    whole = shape if layout.frames == 1 else (layout.frames, *shape)
    return PixelStatistics(whole, dtype, low, high, total / count)


def chosen_frame(frames: int) -> tuple[int, str]:
    """Which frame stands for an instance, counted from 0, and the rule in words."""
    if frames == 1:
        return 0, "only frame"
    return frames // 2, f"middle frame of {frames}"


def _levels(stored: NDArray[Any]) -> NDArray[Any] | None:
    """The values a look-up table would need: 0 up, then the negative ones up to -1.

    Both ends are powers of two, so that images of a series share one table. None where the frame is real
    numbers, or has fewer pixels than that: computing each is then cheaper.
    """
    if stored.dtype.kind not in "iu":
        return None
    low, high = int(stored.min()), int(stored.max())
    above = 1 << high.bit_length() if high > 0 else 1
    below = 1 << (-1 - low).bit_length() if low < 0 else 0
    if above + below > min(MAX_LEVELS, stored.size):
        return None
    return np.concatenate([np.arange(above), np.arange(-below, 0)]).astype(stored.dtype)


def _left_out(stored: NDArray[Any]) -> tuple[str, ...]:
    """Maps of real numbers mark pixels without a value by NaN or infinity; they are shown as 0."""
    if stored.dtype.kind in "iu" or (finite := np.isfinite(stored)).all():
        return ()
    if not finite.any():
        raise NotReadable("bad-pixel-values", "no pixel values that are numbers")
    return ("values-left-out",)


def _shown(tone: Tone, values: NDArray[Any]) -> NDArray[np.float32]:
    shown = np.where(np.isfinite(values), tone(values), 0.0) if values.dtype.kind == "f" else tone(values)
    if not np.isfinite(shown).all():
        raise NotReadable("bad-pixel-values", "pixel values that are not numbers")
    return np.clip(shown, 0.0, 1.0).astype(np.float32)


def _shown_by_block(tone: Tone, stored: NDArray[Any]) -> NDArray[np.float32]:
    """The same of a whole frame; the pipeline holds several wide copies of what it is given."""
    before = tone(stored[:1]).shape[: -stored.ndim]  # (3,) of a palette, else nothing
    found = np.empty((*before, *stored.shape), np.float32)
    for rows in _blocks(stored):
        found[(*(slice(None) for _ in before), rows)] = _shown(tone, stored[rows])
    return found


def _blocks(values: NDArray[Any]) -> Iterator[slice]:
    """Rows, some at a time."""
    step = max(1, _BLOCK * len(values) // values.size)
    return (slice(start, start + step) for start in range(0, len(values), step))


def _planes(values: NDArray[Any], colour_last: bool) -> NDArray[Any]:
    if colour_last:
        return values.transpose(2, 0, 1)
    return values if values.ndim == 3 else values[np.newaxis]
