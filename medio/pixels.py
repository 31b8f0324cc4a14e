"""Stored values -> one display-ready frame: modality LUT, window, MONOCHROME1, palette, colour, sign.

The order follows the standard's display pipeline (PS3.4 N.2). pydicom silently pads or ignores pixel data of
the wrong length, so lengths, and the size each compressed frame states itself, are checked before decoding.

Letters: H rows, W columns, C samples.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame, parse_fragments
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, pixel_array
from pydicom.uid import UID

from medio.decoders import HTJ2K, JPEG_EXTENDED, decode_htj2k, decode_jpeg_12bit
from medio.dicom import text_of, wall
from medio.errors import NotReadable, NotSupported
from medio.records import PixelStatistics

MAX_FRAME_BYTES = 1 << 29
_SAMPLES = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
_JPEG_FAMILY = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)
)
_FLOAT_PIXELS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """What the header says about the pixels, checked against how many bytes there are."""

    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    photometric: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class DisplayFrame:
    """One frame as shown: float32 in 0..1, [H, W] grey or [H, W, 3] RGB, and how it was chosen."""

    values: NDArray[np.float32]
    frame_rule: str


def display_frame(dataset: Any) -> DisplayFrame:
    """Decode the frame that stands for the instance and take it through the display pipeline.

    Grey without a window is shown from its smallest to its largest value (padding left out); plain 8-bit is
    shown as it is. Of several windows the first is used.

    Raises:
        NotReadable: the pixels are damaged, cut short or contradict the header.
        NotSupported: no installed decoder reads them.
    """
    layout = check_layout(dataset)
    index, rule = chosen_frame(layout.frames)
    stored = _decoded(dataset, layout, index)
    with wall("bad-display-attributes"):
        if layout.photometric == "PALETTE COLOR":
            colours = apply_color_lut(stored, _palette(dataset))[:, :, :3]
            values = _unit(colours, _palette_bits(dataset, colours))
        elif layout.samples == 3:
            values = _unit(stored, layout.bits_stored)
        else:
            values = _grey(dataset, stored, index, layout)
    if not np.isfinite(values).all():
        raise NotReadable("bad-pixel-values", "pixel values that are not numbers")
    return DisplayFrame(np.clip(values, 0.0, 1.0).astype(np.float32), rule)


def stored_frames(dataset: Any) -> Iterator[NDArray[Any]]:
    """Every frame as pydicom's `pixel_array` gives it: YBR as RGB, palette as indices, before any LUT.

    Raises:
        NotReadable, NotSupported: as `display_frame`.
    """
    layout = check_layout(dataset)
    for index in range(layout.frames):
        yield _decoded(dataset, layout, index)


def pixel_statistics(dataset: Any) -> PixelStatistics:
    """Describe all stored values; frames are decoded one by one, so memory holds one at a time.

    Raises:
        NotReadable, NotSupported: as `display_frame`.
    """
    low, high, total, count = np.inf, -np.inf, 0.0, 0
    frames: list[tuple[tuple[int, ...], str]] = []
    for frame in stored_frames(dataset):
        low, high = min(low, float(frame.min())), max(high, float(frame.max()))
        total, count = total + float(frame.sum(dtype=np.float64)), count + frame.size
        frames.append((frame.shape, str(frame.dtype)))
    shape, dtype = frames[0]
    whole = shape if len(frames) == 1 else (len(frames), *shape)
    return PixelStatistics(whole, dtype, low, high, total / count)


def chosen_frame(frames: int) -> tuple[int, str]:
    """Which frame stands for an instance, counted from 0, and the rule in words."""
    if frames == 1:
        return 0, "only frame"
    return frames // 2, f"middle frame of {frames}"


def check_layout(dataset: Any) -> PixelLayout:
    """Validate the Image Pixel module (PS3.3 C.7.6.3) against the length of the pixel data.

    Raises:
        NotReadable: an attribute is missing or impossible, or there are fewer bytes than pixels.
        NotSupported: one frame is larger than this appliance decodes.
    """
    with wall("bad-pixel-attributes"):
        element = next(name for name in ("PixelData", *_FLOAT_PIXELS) if name in dataset)
        syntax = str(dataset.file_meta.TransferSyntaxUID) if hasattr(dataset, "file_meta") else ""
        allocated = _integer(dataset, "BitsAllocated", 1, 64)
        layout = PixelLayout(
            rows=_integer(dataset, "Rows", 1, 65535),
            columns=_integer(dataset, "Columns", 1, 65535),
            samples=_integer(dataset, "SamplesPerPixel", 1, 3),
            frames=_integer(dataset, "NumberOfFrames", 1, 1 << 31, default=1),
            bits_allocated=allocated,
            bits_stored=_integer(dataset, "BitsStored", 1, allocated)
            if element == "PixelData"
            else allocated,
            photometric=text_of(dataset, "PhotometricInterpretation"),
            transfer_syntax=syntax,
        )
        if _SAMPLES.get(layout.photometric) != layout.samples:
            raise NotReadable("bad-pixel-attributes", "samples contradict the photometric interpretation")
        if not syntax:
            raise NotReadable("no-transfer-syntax", "pixels, but no transfer syntax to read them by")
        _check_length(dataset, element, layout)
    return layout


def _integer(dataset: Any, keyword: str, low: int, high: int, default: int | None = None) -> int:
    text = text_of(dataset, keyword)
    if not text and default is not None:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise NotReadable("bad-pixel-attributes", f"{keyword} is missing or outside {low}..{high}")
    return int(text)


def _check_length(dataset: Any, element: str, layout: PixelLayout) -> None:
    data = dataset.get(element) or b""
    bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated
    if layout.photometric == "YBR_FULL_422":
        bits = bits * 2 // 3  # two pixels share their chroma when stored natively
    if _is_encapsulated(layout):
        _check_frame_bytes(bits)
        fragments, _ = parse_fragments(data)
        if fragments < layout.frames:
            raise NotReadable("truncated-pixels", f"{fragments} fragments for {layout.frames} frames")
        return
    if len(data) < (bits * layout.frames + 7) // 8:
        raise NotReadable("truncated-pixels", "fewer bytes than Rows x Columns x frames need")
    if len(data) * 8 >= bits * (layout.frames + 1):
        raise NotReadable("pixel-length-mismatch", "whole frames more than NumberOfFrames declares")
    _check_frame_bytes(bits)


def _check_frame_bytes(bits: int) -> None:
    if bits // 8 > MAX_FRAME_BYTES:
        raise NotSupported("frame-too-large", "one frame is larger than this appliance decodes")


def _is_encapsulated(layout: PixelLayout) -> bool:
    syntax = UID(layout.transfer_syntax)
    if not syntax.is_transfer_syntax:
        raise _needs_decoder(layout)
    return bool(syntax.is_encapsulated)


def _decoded(dataset: Any, layout: PixelLayout, index: int) -> NDArray[Any]:
    with wall("bad-pixel-data"):
        if layout.transfer_syntax in _JPEG_FAMILY:
            coded = get_frame(dataset.PixelData, index, number_of_frames=layout.frames)
            _check_codestream(coded, layout)
            if layout.transfer_syntax == JPEG_EXTENDED and layout.samples == 1 and layout.bits_stored > 8:
                return decode_jpeg_12bit(coded, layout.rows, layout.columns, layout.bits_stored)
            if layout.transfer_syntax in HTJ2K and not dataset.get("PixelRepresentation"):
                size = (layout.rows, layout.columns, layout.samples)
                return decode_htj2k(coded, *size, layout.bits_allocated)
        frame = _plugin_decoded(dataset, layout, index)
        if frame.shape[:2] != (layout.rows, layout.columns):
            raise NotReadable("pixel-size-mismatch", "the decoded frame has another size than stated")
        return frame


def _plugin_decoded(dataset: Any, layout: PixelLayout, index: int) -> NDArray[Any]:
    try:
        frame: NDArray[Any] = pixel_array(dataset, index=index)
    except NotImplementedError as error:
        raise _needs_decoder(layout) from error
    except RuntimeError as error:
        if "missing dependencies" in str(error) or "does not support" in str(error):
            raise _needs_decoder(layout) from error
        raise
    return frame


def _needs_decoder(layout: PixelLayout) -> NotSupported:
    return NotSupported("needs-decoder", f"no installed decoder for {UID(layout.transfer_syntax).name}")


def _check_codestream(frame: bytes, layout: PixelLayout) -> None:
    """A compressed frame must have an end marker and the header's size: decoders fill the rest with grey."""
    if b"\xff\xd9" not in frame[-64:]:
        raise NotReadable("truncated-pixels", "a compressed frame without its end marker")
    size = codestream_size(frame)
    if size is not None and size != (layout.rows, layout.columns):
        raise NotReadable("pixel-size-mismatch", "the compressed frame has another size than the header says")


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) as a JPEG, JPEG-LS or JPEG 2000 codestream states them; None when it does not say.

    JPEG: SOF marker (ITU-T T.81 B.2.2). JPEG 2000: SIZ marker (ITU-T T.800 A.5.1).
    """
    start = frame.find(b"\xff\x4f\xff\x51", 0, 1024)
    if start >= 0:
        right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
        return bottom - top, right - left
    place = 2
    while place + 9 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack_from(">2H", frame, place + 5)
            return (rows, columns) if rows else None  # 0: stated later by a DNL marker
        place += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", frame, place + 2)[0]
    return None


def _unit(values: NDArray[Any], bits: int) -> NDArray[np.float64]:
    return values.astype(np.float64) / float((1 << bits) - 1)


def _palette(dataset: Any) -> Any:
    """The palette's elements, corrected where pydicom would misread them.

    8-bit tables of odd length come without their padding byte, 16-bit tables of big endian files are swapped.
    """
    tables = Dataset()
    tables.file_meta = dataset.file_meta
    for element in dataset.group_dataset(0x0028):
        tables[element.tag] = element
    little = UID(dataset.file_meta.TransferSyntaxUID).is_little_endian
    for colour in ("Red", "Green", "Blue"):
        keyword = f"{colour}PaletteColorLookupTableData"
        data = tables.get(keyword)
        if not isinstance(data, bytes):
            continue  # segmented tables
        entries = tables[f"{colour}PaletteColorLookupTableDescriptor"].value[0] or 1 << 16
        if len(data) == entries + 1:
            setattr(tables, keyword, data[:-1])
        elif len(data) == 2 * entries and not little:
            setattr(tables, keyword, np.frombuffer(data, ">u2").astype("<u2").tobytes())
    return tables


def _palette_bits(dataset: Any, colours: NDArray[Any]) -> int:
    """Depth of the entries: 8-bit entries may come in 16-bit words, and the other way round."""
    stated = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    fits_8 = colours.dtype.itemsize == 1 or (stated == 8 and int(colours.max()) < 256)
    return 8 if fits_8 else 16


def _grey(dataset: Any, stored: NDArray[Any], index: int, layout: PixelLayout) -> NDArray[np.float64]:
    """Modality LUT, then VOI LUT or window, then MONOCHROME1 (PS3.3 C.11.1, C.11.2, C.7.6.3.1.2)."""
    valid = _not_padding(dataset, stored)
    values, rescaled = _modality(dataset, stored, index)
    voi = _functional(dataset, "FrameVOILUTSequence", index)
    window = _window(voi)
    if _has_lut(voi, "VOILUTSequence"):
        bits = int(voi.VOILUTSequence[0].LUTDescriptor[2])
        shown = _unit(apply_voi(np.rint(values).astype(np.int64), voi), bits)
    elif window is not None:
        shown = windowed(values, *window)
    elif layout.bits_stored == 8 and not rescaled and stored.min() >= 0:
        shown = _unit(stored, 8)
    else:
        shown = _stretched(values, valid)
    return 1.0 - shown if layout.photometric == "MONOCHROME1" else shown


def _modality(dataset: Any, stored: NDArray[Any], index: int) -> tuple[NDArray[np.float64], bool]:
    if _has_lut(dataset, "ModalityLUTSequence"):
        return apply_modality_lut(stored, dataset).astype(np.float64), True
    holder = _functional(dataset, "PixelValueTransformationSequence", index)
    slope, intercept = _number(holder, "RescaleSlope", 1.0), _number(holder, "RescaleIntercept", 0.0)
    if slope == 0.0:
        raise NotReadable("bad-display-attributes", "RescaleSlope is zero")
    return stored.astype(np.float64) * slope + intercept, (slope, intercept) != (1.0, 0.0)


def _has_lut(holder: Any, sequence: str) -> bool:
    items = holder.get(sequence)
    return bool(items) and items[0].get("LUTDescriptor") is not None and items[0].get("LUTData") is not None


def _functional(dataset: Any, sequence: str, index: int) -> Any:
    """The functional group that holds for this frame (PS3.3 C.7.6.16), else the dataset itself."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for group in (*per_frame[index : index + 1], *shared[:1]):
        if group.get(sequence):
            return group[sequence][0]
    return dataset


def _number(holder: Any, keyword: str, default: float) -> float:
    """First value of a decimal attribute; a value that is no finite number counts as absent."""
    try:
        value = holder.get(keyword)
        number = float(value[0] if isinstance(value, (list, tuple)) or hasattr(value, "append") else value)
    except (TypeError, ValueError, IndexError):
        return default
    return number if np.isfinite(number) else default


def _window(holder: Any) -> tuple[float, float, str] | None:
    center, width = _number(holder, "WindowCenter", np.nan), _number(holder, "WindowWidth", np.nan)
    function = text_of(holder, "VOILUTFunction") or "LINEAR"
    if not np.isfinite(center) or not width > 0 or (function == "LINEAR" and width < 1):
        return None
    return center, width, function


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


def _not_padding(dataset: Any, stored: NDArray[Any]) -> NDArray[np.bool_]:
    padding = _number(dataset, "PixelPaddingValue", np.nan)
    if not np.isfinite(padding):
        return np.ones(stored.shape, dtype=bool)
    limit = _number(dataset, "PixelPaddingRangeLimit", padding)
    low, high = min(padding, limit), max(padding, limit)
    return np.asarray((stored < low) | (stored > high))


def _stretched(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    seen = values[valid & np.isfinite(values)]
    if seen.size == 0 or seen.min() == seen.max():
        return np.zeros(values.shape)
    low, high = float(seen.min()), float(seen.max())
    shown = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.where(np.isfinite(shown), shown, 0.0)
