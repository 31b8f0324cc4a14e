"""What a compressed frame says before its first scan, checked as strictly as the decoders need it.

gdcm ends the whole process where the IJG library warns while it reads the header: at bytes between segments,
at four components, at versions and transforms unknown to it. pydicom never leaves a JP2 box without length.
"""

from __future__ import annotations

from collections.abc import Iterator

from medio.errors import NotReadable

_JP2, _JP2_BYTES = b"\0\0\0\x0cjP  ", 12  # start and length of the first box
_BOX_HEADER = 8  # bytes
_SOI, _SOS = b"\xff\xd8", 0xDA
_ALONE = (0x01, *range(0xD0, 0xD8))  # TEM and RSTn have no length
_FRAME_HEADERS = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_ADOBE_TRANSFORMS = (b"\0", b"\1", b"")  # RGB, YCbCr; a shorter segment says nothing


def check_jpeg_header(frame: bytes, samples: int) -> None:
    """Refuse a JPEG whose header is broken or has another number of components (ITU-T T.81 B.2, T.871).

    Args:
        frame: a compressed frame of any JPEG process but JPEG-LS.
        samples: per pixel, as the DICOM header says.

    Raises:
        NotReadable: `bad-codestream`.
    """
    if not frame.startswith(_SOI):
        raise NotReadable("bad-codestream", "a compressed frame that does not start as JPEG")
    described = False
    for marker, segment in _segments(frame):
        if marker in _FRAME_HEADERS:
            described = True
            if segment[5:6] != bytes([samples]):
                raise NotReadable("bad-codestream", "a JPEG frame with another number of components")
            if not 2 <= segment[0] <= 16:
                raise NotReadable("bad-codestream", "a JPEG frame with more bits than JPEG has")
        if marker == 0xE0 and segment.startswith(b"JFIF\0") and segment[5:6] != b"\1":
            raise NotReadable("bad-codestream", "a JPEG frame of an unknown JFIF version")
        if marker == 0xEE and segment.startswith(b"Adobe") and segment[11:12] not in _ADOBE_TRANSFORMS:
            raise NotReadable("bad-codestream", "a JPEG frame with an unknown colour transform")
    if not described:
        raise NotReadable("bad-codestream", "a JPEG frame without its description")


def check_jp2_boxes(frame: bytes) -> None:
    """Refuse a JPEG 2000 frame in a JP2 file whose boxes do not lead to the codestream (ITU-T T.800 I.4).

    Such a wrapping is against PS3.5 A.4.4 and met all the same; a frame without it passes.

    Raises:
        NotReadable: `bad-codestream`.
    """
    place = _JP2_BYTES if frame.startswith(_JP2) else len(frame)
    while place < len(frame) and frame[place + 4 : place + 8] != b"jp2c":
        length = int.from_bytes(frame[place : place + 4], "big")
        if length < _BOX_HEADER or place + length >= len(frame):
            raise NotReadable("bad-codestream", "a JPEG 2000 file without a codestream")
        place += length


def _segments(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and what belongs to them, from behind SOI to the first scan."""
    place, marker = 2, 0
    while marker != _SOS:
        start = place
        while frame[place : place + 1] == b"\xff":
            place += 1
        if place == start or place >= len(frame) or frame[place] == 0:
            raise NotReadable("bad-codestream", "a JPEG frame whose segments do not follow one another")
        marker = frame[place]
        place += 1
        if marker not in _ALONE:
            length = int.from_bytes(frame[place : place + 2], "big")
            if length < 2 or place + length > len(frame):
                raise NotReadable("bad-codestream", "a JPEG segment longer than its frame")
            yield marker, frame[place + 2 : place + length]
            place += length
