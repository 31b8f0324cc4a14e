"""Pixel data -> stored values, one frame at a time, as pydicom's `pixel_array` gives them by default.

pydicom and its plugins decode nearly everything. What they leave out is decoded here with the same libraries:
JPEG of more than 8 bits by gdcm, and the syntaxes that keep each frame plain or deflated in a fragment of its
own. Every decoder is permissively licensed and optional; without it the frame is refused by name.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames, get_frame
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit

from medio.dicom import wall
from medio.errors import NotReadable, NotSupported
from medio.layout import (
    DEFLATED_FRAMES,
    ENCAPSULATED_UNCOMPRESSED,
    PixelLayout,
    check_codestream,
    codestream_precision,
    needs_decoder,
)

_JPEG = "1.2.840.10008.1.2.4."
JPEG_EXTENDED = f"{_JPEG}51"
JPEG_SPECTRAL, JPEG_PROGRESSIVE = f"{_JPEG}53", f"{_JPEG}55"  # retired in 2001, still in archives
_JPEG_LOSSLESS = (f"{_JPEG}57", f"{_JPEG}70")
_CODESTREAMS = frozenset(
    f"{_JPEG}{number}" for number in (50, 51, 53, 55, 57, 70, 80, 81, 90, 91, 201, 202, 203)
)
# pydicom would try gdcm first. These give the same values in half the time, and answer damaged frames with
# errors where gdcm may end the process.
_PREFERRED = {
    f"{_JPEG}50": "pillow",
    JPEG_EXTENDED: "pillow",
    f"{_JPEG}80": "pyjpegls",
    f"{_JPEG}81": "pyjpegls",
    f"{_JPEG}90": "pylibjpeg",
    f"{_JPEG}91": "pylibjpeg",
}
_ABSENT = ("missing dependencies", "does not support")  # how pydicom says that a plugin is not installed

Decode = Callable[[Any, PixelLayout, bytes], NDArray[Any]]


def decoded_frame(dataset: Any, layout: PixelLayout, index: int) -> NDArray[Any]:
    """Stored values of one frame, [H, W] or [H, W, 3]; not always writeable.

    Args:
        index: of the frame, counted from 0.

    Raises:
        NotReadable: the pixels are damaged or contradict the header.
        NotSupported: no installed decoder reads them.
    """
    with wall("bad-pixel-data"):
        if not layout.encapsulated:
            if layout.bits_allocated == layout.samples == 1:
                return _single_bits(dataset.PixelData, layout, index)
            return _by_pydicom(dataset, layout, index)
        coded = get_frame(
            dataset.PixelData, index, number_of_frames=layout.frames, extended_offsets=_offsets(dataset)
        )
        return _uncoded(dataset, layout, coded)


def check_frames(dataset: Any, layout: PixelLayout) -> None:
    """Refuse an object of several frames if what any of them says about itself is wrong; none is decoded.

    Raises:
        NotReadable: a frame is missing, cut short or has another size than the header says.
    """
    if layout.frames == 1 or layout.transfer_syntax not in _CODESTREAMS:
        return
    with wall("bad-pixel-data"):
        coded = _coded_frames(dataset, layout)
        for _ in range(layout.frames):
            check_codestream(next(coded), layout)


def decoded_frames(dataset: Any, layout: PixelLayout) -> Iterator[NDArray[Any]]:
    """Every frame in turn; memory holds one.

    Raises:
        NotReadable, NotSupported: as `decoded_frame`.
    """
    if not layout.encapsulated:
        for index in range(layout.frames):
            yield decoded_frame(dataset, layout, index)
        return
    with wall("bad-pixel-data"):
        coded = _coded_frames(dataset, layout)
    for _ in range(layout.frames):
        with wall("bad-pixel-data"):
            frame = _uncoded(dataset, layout, next(coded))
        yield frame


def _coded_frames(dataset: Any, layout: PixelLayout) -> Iterator[bytes]:
    coded: Iterator[bytes] = generate_frames(
        dataset.PixelData, number_of_frames=layout.frames, extended_offsets=_offsets(dataset)
    )
    return coded


def _offsets(dataset: Any) -> tuple[bytes, bytes] | None:
    """The extended offset table (PS3.3 C.7.6.3.1.8), where both halves are there and agree."""
    starts, lengths = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    return (starts, lengths) if starts and lengths and len(starts) == len(lengths) else None


def _single_bits(packed: bytes, layout: PixelLayout, index: int) -> NDArray[np.uint8]:
    """Packed from the lowest bit on, frames without a gap between them (PS3.5 §8.1.1, Annex D)."""
    pixels = layout.rows * layout.columns
    first, last = index * pixels, (index + 1) * pixels
    held = np.frombuffer(packed, np.uint8)[first // 8 : (last + 7) // 8]
    bits = np.unpackbits(held, bitorder="little")[first % 8 :][:pixels]
    return bits.reshape(layout.rows, layout.columns)


def _uncoded(dataset: Any, layout: PixelLayout, coded: bytes) -> NDArray[Any]:
    if layout.transfer_syntax in _CODESTREAMS:
        check_codestream(coded, layout)
    own = _own_decoder(layout, coded)
    if own is not None:
        return _sized(own(dataset, layout, coded), layout)
    alone = dataset if layout.frames == 1 else _single(dataset, layout.transfer_syntax, encapsulate([coded]))
    return _by_pydicom(alone, layout, 0)


def _by_pydicom(dataset: Any, layout: PixelLayout, index: int) -> NDArray[Any]:
    """One frame; uncompressed, it may be a view into the pixel data."""
    options = _plugin(layout.transfer_syntax) if layout.encapsulated else {"view_only": True}
    spare = 8 - layout.bits_stored if _ends_gdcm(layout) else 0
    if spare:
        options = {"bits_stored": 8}
    try:
        frame: NDArray[Any] = pixel_array(dataset, index=index, **options)
    except NotImplementedError as error:
        raise needs_decoder(layout) from error
    except RuntimeError as error:
        if any(words in str(error) for words in _ABSENT):
            raise needs_decoder(layout) from error
        raise
    return _sized(frame << spare >> spare if spare else frame, layout)


def _ends_gdcm(layout: PixelLayout) -> bool:
    """gdcm asserts that lossless JPEG fills its bytes, and ends the process where it does not."""
    return layout.transfer_syntax in _JPEG_LOSSLESS and layout.bits_allocated == 8


@cache
def _plugin(syntax: str) -> dict[str, Any]:
    preferred = _PREFERRED.get(syntax, "")
    installed = preferred and preferred in get_decoder(UID(syntax)).available_plugins
    return {"decoding_plugin": preferred} if installed else {}


def _sized(frame: NDArray[Any], layout: PixelLayout) -> NDArray[Any]:
    if frame.shape[:2] != (layout.rows, layout.columns):
        raise NotReadable("pixel-size-mismatch", "the decoded frame has another size than stated")
    return frame


def _own_decoder(layout: PixelLayout, coded: bytes) -> Decode | None:
    """What decodes a compressed frame where pydicom does not; None where it does.

    Raises:
        NotSupported: JPEG of 12 bits in colour.
    """
    syntax = layout.transfer_syntax
    if syntax in (JPEGBaseline8Bit, JPEG_EXTENDED, JPEG_SPECTRAL, JPEG_PROGRESSIVE):
        precision = codestream_precision(coded) or 8
        if precision > 8:
            is_beyond = min(precision, layout.bits_stored) > 12  # gdcm would keep the lowest twelve bits
            if is_beyond or layout.samples > 1 or layout.bits_allocated != 16:
                raise needs_decoder(layout)
            return _jpeg_12bit
        is_usual = (layout.bits_stored, layout.bits_allocated) == (8, 8)
        return None if is_usual and syntax in (JPEGBaseline8Bit, JPEG_EXTENDED) else _jpeg_8bit
    return {DEFLATED_FRAMES: _deflated, ENCAPSULATED_UNCOMPRESSED: _native}.get(syntax)


def _single(dataset: Any, syntax: str, data: bytes) -> Any:
    """A dataset with one frame's bytes as its whole pixel data, in that transfer syntax."""
    alone = Dataset()
    for element in dataset.group_dataset(0x0028):
        if element.keyword != "NumberOfFrames":
            alone[element.tag] = element
    alone.file_meta = FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = syntax
    alone.PixelData = data
    return alone


def _native(dataset: Any, layout: PixelLayout, coded: bytes) -> NDArray[Any]:
    needed = (layout.rows * layout.columns * layout.samples * layout.bits_allocated + 7) // 8
    if len(coded) < needed:
        raise NotReadable("truncated-pixels", "fewer bytes than Rows x Columns need")
    alone = _single(dataset, ExplicitVRLittleEndian, coded[: needed + needed % 2])
    return np.asarray(pixel_array(alone, index=0))


def _deflated(dataset: Any, layout: PixelLayout, coded: bytes) -> NDArray[Any]:
    """Raw deflate (RFC 1951), a fragment a frame (PS3.5 A.4.13); inflated no further than a frame is long."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    return _native(dataset, layout, stream.decompress(coded, layout.frame_bytes + 1))


def _jpeg_8bit(dataset: Any, layout: PixelLayout, coded: bytes) -> NDArray[Any]:
    """The libraries behind the baseline syntax read spectral selection and progression as well.

    Fewer bits, or bytes in words, make no difference to them, only to the plugins in between.
    """
    alone = _single(dataset, JPEGBaseline8Bit, encapsulate([coded]))
    frame = pixel_array(alone, index=0, bits_allocated=8, **_plugin(JPEGBaseline8Bit))
    return np.asarray(frame.astype(f"{frame.dtype.kind}{layout.bits_allocated // 8}"))


def _jpeg_12bit(dataset: Any, layout: PixelLayout, coded: bytes) -> NDArray[Any]:
    """One grey JPEG frame of 12 bits by gdcm -> uint16 or int16 [rows, columns]."""
    try:
        import gdcm
    except ImportError as error:
        raise NotSupported("needs-decoder", "12-bit JPEG needs python-gdcm") from error
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(coded)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout.columns, layout.rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(JPEG_EXTENDED)))
    bits = max(layout.bits_stored, 9)  # of fewer, gdcm would expect another codec
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, 0))
    plain = image.GetBuffer()
    if plain is None:
        raise NotReadable("bad-pixel-data", "a 12-bit JPEG that cannot be decoded")
    values = np.frombuffer(plain.encode("utf-8", "surrogateescape"), dtype="<u2")
    if values.size != layout.rows * layout.columns:
        raise NotReadable("pixel-size-mismatch", "the decoded frame has another size than stated")
    values = values.reshape(layout.rows, layout.columns)
    if not dataset.get("PixelRepresentation"):
        return values
    unused = 16 - layout.bits_stored  # bits above the sign, which JPEG does not know
    return (values << unused).view(np.int16) >> unused
