"""Stored values -> what is shown, 0 to 1, as a function of single values: the display pipeline of PS3.4 N.2.

Modality table or rescale, then VOI table or window, then MONOCHROME1; palettes; colour. Because every step
looks at one value alone, a frame with fewer levels than pixels is computed once a level (`medio.pixels`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from medio.elements import number_of, text_of, texts_of
from medio.errors import NotReadable
from medio.layout import PixelLayout
from medio.tables import has_table, palette_of, table_of

Tone = Callable[[NDArray[Any]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Toning:
    """How one frame's stored values are shown.

    Attributes:
        tone: stored values of any shape -> values in 0..1 of the same shape; of a palette [3, *shape].
        warnings: codes of what the header said and was not followed, or did not say.
    """

    tone: Tone
    warnings: tuple[str, ...] = ()


def toning_of(dataset: Any, stored: NDArray[Any], index: int, layout: PixelLayout) -> Toning:
    """Read the display attributes that hold for one frame.

    Grey without a window is shown from its smallest to its largest value (padding left out); plain 8-bit is
    shown as it is. Of several windows the first is used.

    Args:
        stored: the frame, [H, W] or [H, W, 3].
        index: which frame it is.

    Raises:
        NotReadable: an attribute that pixels need makes no sense.
    """
    if layout.photometric == "PALETTE COLOR":
        tables = palette_of(dataset, _is_little(dataset))
        return Toning(lambda values: np.stack([table.unit(values) for table in tables]))
    if layout.samples > 1:
        return Toning(lambda values: _unit(values, layout.bits_stored))
    return _grey(dataset, stored, index, layout)


def windowed(values: NDArray[np.float64], center: float, width: float, function: str) -> NDArray[np.float64]:
    """Values through a window into 0..1 (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        function: LINEAR, LINEAR_EXACT or SIGMOID; an unknown word is read as LINEAR.
    """
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + np.exp(-4.0 * (values - center) / width)))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width == 1.0:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def _unit(values: NDArray[Any], bits: int) -> NDArray[np.float64]:
    return values.astype(np.float64) / float((1 << bits) - 1)


def _is_little(dataset: Any) -> bool:
    return bool(UID(dataset.file_meta.TransferSyntaxUID).is_little_endian)


def _grey(dataset: Any, stored: NDArray[Any], index: int, layout: PixelLayout) -> Toning:
    modality = _modality(dataset, index)
    voi = _functional(dataset, "FrameVOILUTSequence", index)
    shown, warnings = _voi(dataset, voi, modality, stored, layout)
    shape = text_of(dataset, "PresentationLUTShape")
    negative = layout.photometric == "MONOCHROME1" or shape == "INVERSE"
    if shape in ("IDENTITY", "INVERSE") and (shape == "INVERSE") != (layout.photometric == "MONOCHROME1"):
        warnings = (*warnings, "contradictory-presentation")
    if negative:
        return Toning(lambda values: 1.0 - shown(modality.tone(values)), warnings)
    return Toning(lambda values: shown(modality.tone(values)), warnings)


@dataclass(frozen=True, slots=True)
class _Modality:
    """Stored values -> modality values (PS3.3 C.11.1)."""

    tone: Tone
    is_straight: bool  # the extremes of the values come from the extremes of the stored values
    is_identity: bool


def _modality(dataset: Any, index: int) -> _Modality:
    if has_table(dataset, "ModalityLUTSequence"):
        table = table_of(dataset, "ModalityLUTSequence", _is_little(dataset))
        return _Modality(lambda stored: table.of(stored).astype(np.float64), False, False)
    holder = _functional(dataset, "PixelValueTransformationSequence", index)
    slope, intercept = number_of(holder, "RescaleSlope", 1.0), number_of(holder, "RescaleIntercept", 0.0)
    if slope == 0.0:
        raise NotReadable("bad-display-attributes", "RescaleSlope is zero")
    is_identity = (slope, intercept) == (1.0, 0.0)
    return _Modality(lambda stored: stored.astype(np.float64) * slope + intercept, True, is_identity)


def _functional(dataset: Any, sequence: str, index: int) -> Any:
    """The functional group that holds for this frame (PS3.3 C.7.6.16), else the dataset itself."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in (*per_frame[index : index + 1], *shared[:1]):
        if group.get(sequence):
            return group[sequence][0]
    return dataset


def _voi(
    dataset: Any, voi: Any, modality: _Modality, stored: NDArray[Any], layout: PixelLayout
) -> tuple[Tone, tuple[str, ...]]:
    """Modality values -> 0..1, and what there is to say about it (PS3.3 C.11.2)."""
    if has_table(voi, "VOILUTSequence"):
        table = table_of(voi, "VOILUTSequence", _is_little(dataset))
        return lambda values: table.unit(np.rint(values)), ()
    window = _window(voi)
    if window is not None:
        several = ("first-of-several-windows",) if len(texts_of(voi, "WindowCenter")) > 1 else ()
        return lambda values: windowed(values, *window), several
    ignored = ("window-ignored",) if any(texts_of(voi, "WindowCenter")) else ()
    if layout.bits_stored == 8 and modality.is_identity and stored.min() >= 0:
        return lambda values: _unit(values, 8), ignored
    extent = _extent(dataset, modality, stored)
    return lambda values: _stretched(values, extent), (*ignored, "no-window")


def _window(holder: Any) -> tuple[float, float, str] | None:
    center, width = number_of(holder, "WindowCenter", np.nan), number_of(holder, "WindowWidth", np.nan)
    function = text_of(holder, "VOILUTFunction") or "LINEAR"
    if not np.isfinite(center) or not width > 0 or (function == "LINEAR" and width < 1):
        return None
    return center, width, function


def _extent(dataset: Any, modality: _Modality, stored: NDArray[Any]) -> tuple[float, float] | None:
    """Smallest and largest modality value of the frame, padding left out; None when there is no range."""
    seen = _not_padding(dataset, stored)
    if stored.dtype.kind in "iu" and modality.is_straight and seen.size:
        seen = np.array([seen.min(), seen.max()])
    values = modality.tone(seen)
    values = values[np.isfinite(values)]
    if values.size == 0 or values.min() == values.max():
        return None
    return float(values.min()), float(values.max())


def _not_padding(dataset: Any, stored: NDArray[Any]) -> NDArray[Any]:
    """The values that are pixels (PS3.3 C.7.5.1.1.2)."""
    padding = number_of(dataset, "PixelPaddingValue", np.nan)
    if not np.isfinite(padding):
        return stored
    limit = number_of(dataset, "PixelPaddingRangeLimit", padding)
    return stored[(stored < min(padding, limit)) | (stored > max(padding, limit))]


def _stretched(values: NDArray[np.float64], extent: tuple[float, float] | None) -> NDArray[np.float64]:
    if extent is None:
        return np.zeros(values.shape)
    low, high = extent
    shown = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.where(np.isfinite(shown), shown, 0.0)
