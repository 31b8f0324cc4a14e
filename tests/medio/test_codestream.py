from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from medio.codestream import check_jp2_boxes, check_jpeg_header
from medio.errors import NotReadable


def jpeg(mode: str, **options: object) -> bytes:
    """A small JPEG of this colour model."""
    buffer = io.BytesIO()
    Image.fromarray(np.arange(48 * 32, dtype=np.uint32).astype(np.uint8).reshape(32, 48)).convert(mode).save(
        buffer, "JPEG", **options
    )
    return buffer.getvalue()


GREY, COLOUR = jpeg("L"), jpeg("RGB", progressive=True)


@pytest.mark.parametrize(
    ("frame", "samples"), [(GREY, 1), (COLOUR, 3), (jpeg("L", restart_marker_blocks=2), 1)]
)
def test_sound_headers_pass(frame: bytes, samples: int) -> None:
    """Baseline, progressive, restart intervals; fill bytes before a marker are allowed (T.81 B.1.1.2)."""
    check_jpeg_header(frame, samples)
    check_jpeg_header(frame[:2] + b"\xff\xff\xff" + frame[2:], samples)


@pytest.mark.parametrize(
    ("frame", "samples"),
    [
        (GREY, 3),
        (COLOUR, 1),
        (jpeg("CMYK"), 3),
        (b"\xff\x4f\xff\x51" + GREY, 1),
        (GREY[:2] + b"\0\0" + GREY[2:], 1),
        (GREY[:2] + b"\xff\xff\0\x43" + GREY[2:], 1),
        (GREY.replace(b"JFIF\0\1", b"JFIF\0\2"), 1),
        (COLOUR[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\7" + COLOUR[2:], 3),
        (GREY[:4] + b"\xff\xff" + GREY[6:], 1),
        (GREY[:20], 1),
        (GREY.replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x20"), 1),
        (b"\xff\xd8\xff\xda\0\2", 1),
        (b"\xff\xd8", 1),
        (b"", 1),
    ],
)
def test_broken_headers_are_refused(frame: bytes, samples: int) -> None:
    """Each of these would end the process of a decoder, or comes close to one that does."""
    with pytest.raises(NotReadable) as caught:
        check_jpeg_header(frame, samples)
    assert caught.value.reason == "bad-codestream"


JP2, FILE_TYPE, CODES = b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\0\x0cftypjp2 ", b"\0\0\0\0jp2c\xff\x4f\xff\x51"


def test_boxes_lead_to_the_codestream() -> None:
    """A bare codestream passes; in a JP2 file each box has a length that leads to the next."""
    for frame in (CODES[8:], JP2 + CODES, JP2 + FILE_TYPE + CODES, b""):
        check_jp2_boxes(frame)


@pytest.mark.parametrize("length", [0, 1, 7, 13, 0xFFFFFFFF])
def test_boxes_that_lead_nowhere_are_refused(length: int) -> None:
    """Without length pydicom would look at the same box for ever."""
    with pytest.raises(NotReadable) as caught:
        check_jp2_boxes(JP2 + length.to_bytes(4, "big") + FILE_TYPE[4:] + CODES)
    assert caught.value.reason == "bad-codestream"
