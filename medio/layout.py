"""The Image Pixel module (PS3.3 C.7.6.3), validated against the pixel data before anything is decoded.

pydicom silently pads or ignores pixel data of the wrong length, and decoders fill the missing half of a cut
frame with grey, so lengths, and the size each compressed frame states itself, are checked here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any

from pydicom.encaps import parse_fragments
from pydicom.uid import UID

from medio.codestream import check_jp2_boxes, check_jpeg_header
from medio.dicom import wall
from medio.elements import text_of
from medio.errors import NotReadable, NotSupported
from medio.kinds import PIXELS

MAX_FRAME_BYTES = 1 << 28  # of one decoded frame; file, frame and display values are held together
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
_OTHER_COLOURS = frozenset({"ARGB", "CMYK", "HSV", "XYB", "YBR_PARTIAL_422"})  # retired, or of JPEG XL
_ALLOCATED = (1, 8, 16, 32, 64)
# Younger than pydicom's dictionary of transfer syntaxes.
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
_YOUNGER = {
    ENCAPSULATED_UNCOMPRESSED: "Encapsulated Uncompressed Explicit VR Little Endian",
    DEFLATED_FRAMES: "Deflated Image Frame Compression",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
UNNAMED = frozenset(_YOUNGER) - {ENCAPSULATED_UNCOMPRESSED}
"""Syntaxes that pydicom does not know by itself; other packages, once imported, teach it their names."""
_JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55, 57, 70))
_VIDEO = (*(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109)), "1.2.840.10008.1.2.7.")


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
    encapsulated: bool
    surplus_bytes: int = 0  # of uncompressed pixel data, after the last frame

    @property
    def frame_bytes(self) -> int:
        """Bytes of one decoded frame; single bits become bytes."""
        return self.rows * self.columns * self.samples * max(8, self.bits_allocated) // 8


def check_layout(dataset: Any) -> PixelLayout:
    """Validate the Image Pixel module against the length of the pixel data.

    Raises:
        NotReadable: an attribute is missing or impossible, or there are fewer bytes than pixels.
        NotSupported: one frame is larger than this appliance decodes, or nothing here decodes it.
    """
    with wall("bad-pixel-attributes"):
        element = next(name for name in PIXELS if name in dataset)
        syntax = str(dataset.file_meta.TransferSyntaxUID) if hasattr(dataset, "file_meta") else ""
        allocated = _integer(dataset, "BitsAllocated", 1, 64)
        whole = element != "PixelData"  # real numbers have no spare bits
        layout = PixelLayout(
            rows=_integer(dataset, "Rows", 1, 65535),
            columns=_integer(dataset, "Columns", 1, 65535),
            samples=_integer(dataset, "SamplesPerPixel", 1, 4),
            frames=_integer(dataset, "NumberOfFrames", 0, 1 << 31, default=1) or 1,  # 0 says the same
            bits_allocated=allocated,
            bits_stored=allocated if whole else _integer(dataset, "BitsStored", 1, allocated),
            photometric=text_of(dataset, "PhotometricInterpretation"),
            transfer_syntax=syntax,
            encapsulated=_is_encapsulated(syntax),
        )
        _check_colour(layout)
        surplus = _check_length(dataset.get(element) or b"", layout)
    return replace(layout, surplus_bytes=surplus) if surplus else layout


def syntax_name(uid: str) -> str:
    """The name of a transfer syntax (PS3.6 A.4), else its UID."""
    return _YOUNGER.get(uid) or str(UID(uid).name)


def needs_decoder(layout: PixelLayout) -> NotSupported:
    """The refusal of pixels that no installed package reads."""
    return NotSupported("needs-decoder", f"no installed decoder for {syntax_name(layout.transfer_syntax)}")


def check_codestream(frame: bytes, layout: PixelLayout) -> None:
    """A compressed frame must have an end marker and the header's size.

    Raises:
        NotReadable: it is cut short or has another size.
    """
    if layout.transfer_syntax in _JPEG:
        if layout.bits_allocated not in (8, 16):
            raise NotReadable("bad-pixel-attributes", "JPEG holds 8 or 16 bits a sample")
        check_jpeg_header(frame, layout.samples)
    check_jp2_boxes(frame)
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
    place = _frame_header(frame)
    if place is None:
        return None
    rows, columns = struct.unpack_from(">2H", frame, place + 5)
    return (rows, columns) if rows else None  # 0: stated later by a DNL marker


def codestream_precision(frame: bytes) -> int | None:
    """Bits of a sample as a JPEG or JPEG-LS codestream states them; None when it does not say."""
    place = _frame_header(frame)
    return None if place is None else frame[place + 4]


def _frame_header(frame: bytes) -> int | None:
    """Place of the SOF marker."""
    place = 2
    while place + 9 <= len(frame) and frame[place] == 0xFF:
        marker = frame[place + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return place
        place += 1 if marker == 0xFF else 2 + struct.unpack_from(">H", frame, place + 2)[0]
    return None


def _integer(dataset: Any, keyword: str, low: int, high: int, default: int | None = None) -> int:
    text = text_of(dataset, keyword)
    if not text and default is not None:
        return default
    if not text.isdecimal() or not low <= int(text) <= high:
        raise NotReadable("bad-pixel-attributes", f"{keyword} is missing or outside {low}..{high}")
    return int(text)


def _is_encapsulated(syntax: str) -> bool:
    if not syntax:
        raise NotReadable("no-transfer-syntax", "pixels, but no transfer syntax to read them by")
    if syntax.startswith(_VIDEO):
        raise NotSupported("video", "a video stream; frames of videos are not decoded")
    if syntax in _YOUNGER:
        return True
    if not UID(syntax).is_transfer_syntax:
        raise NotSupported("needs-decoder", "no installed decoder for a transfer syntax unknown here")
    return bool(UID(syntax).is_encapsulated)


def _check_colour(layout: PixelLayout) -> None:
    if layout.photometric in _OTHER_COLOURS:
        raise NotSupported("colour-model", "a colour model that nothing here turns into RGB")
    if _SAMPLES.get(layout.photometric) != layout.samples:
        raise NotReadable("bad-pixel-attributes", "samples contradict the photometric interpretation")
    if layout.bits_allocated not in _ALLOCATED:
        raise NotReadable("bad-pixel-attributes", "BitsAllocated is none of 1, 8, 16, 32 and 64")


def _check_length(data: bytes, layout: PixelLayout) -> int:
    """How many bytes there are beyond those needed."""
    if layout.encapsulated:
        _check_frame_bytes(layout)
        fragments, _ = parse_fragments(data)
        if fragments < layout.frames:
            raise NotReadable("truncated-pixels", f"{fragments} fragments for {layout.frames} frames")
        return 0
    bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated
    if layout.photometric == "YBR_FULL_422":
        bits = bits * 2 // 3  # two pixels share their chroma when stored natively
    needed = (bits * layout.frames + 7) // 8
    surplus = len(data) - needed
    if surplus < 0:
        raise NotReadable("truncated-pixels", "fewer bytes than Rows x Columns x frames need")
    if (surplus - needed % 2) * 8 >= bits:  # one byte may pad to an even length
        raise NotReadable("pixel-length-mismatch", "whole frames more than NumberOfFrames declares")
    _check_frame_bytes(layout)
    return surplus


def _check_frame_bytes(layout: PixelLayout) -> None:
    if layout.frame_bytes > MAX_FRAME_BYTES:
        raise NotSupported("frame-too-large", "one frame is larger than this appliance decodes")
