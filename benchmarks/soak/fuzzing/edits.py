"""Edits that keep the rest of a file in order, and the values that parsers like least."""

from __future__ import annotations

import struct
from random import Random

from fuzzing.places import PIXEL_DATA, UNDEFINED, Place, places

LENGTHS = (0, 1, 2, 3, 7, 0x7F, 0xFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, UNDEFINED)
TEXT_NUMBERS = (
    *(b"0", b"-1", b"1", b"2147483647", b"4294967296", b"9" * 12, b"1e308", b"-1e-308", b"nan", b"inf"),
    *(b"1\\2", b"\\", b"", b" ", b"1.5", b"0x10", b"1" * 64, b"\xff\xfe", b"1\0"),
)
PHOTOMETRIC = (
    *(b"MONOCHROME1", b"MONOCHROME2", b"PALETTE COLOR", b"RGB", b"YBR_FULL", b"YBR_FULL_422", b"YBR_RCT"),
    *(b"YBR_ICT", b"YBR_PARTIAL_420", b"CMYK", b"XYB", b""),
)


def any_place(rng: Random, data: bytes) -> Place | None:
    """Some element of the file; None when it has none."""
    found = places(data)
    return rng.choice(found) if found else None


def place_at(found: list[Place], element: tuple[int, int]) -> Place:
    """The element with this tag, else the last one."""
    return next((one for one in found if one.tag == element), found[-1])


def with_length(data: bytes, one: Place, length: int) -> bytes:
    """The file with another number in one length field."""
    length &= (1 << 8 * one.length_size) - 1
    raw = length.to_bytes(one.length_size, "big" if one.order == ">" else "little")
    return data[: one.length_at] + raw + data[one.value :]


def with_value(data: bytes, one: Place, new: bytes) -> bytes:
    """The file with another value in one element, padded, its length field following."""
    new += b" " * (len(new) % 2)
    return with_length(data[: one.value], one, len(new)) + new + data[one.end :]


def with_element(rng: Random, data: bytes, element: tuple[int, int], vr: bytes, text: bytes) -> bytes:
    """The file with one more element."""
    text += b" " * (len(text) % 2)
    return inserted(rng, data, struct.pack("<HH2sH", *element, vr, len(text)) + text)


def inserted(rng: Random, data: bytes, block: bytes) -> bytes:
    """The block before the pixels half of the time, else between any two elements."""
    found = places(data)
    at = next((one.start for one in found if one.tag == PIXEL_DATA), len(data))
    if found and rng.random() < 0.5:
        at = rng.choice(found).end
    return data[:at] + block + data[at:]


def repeated(block: bytes, count: int) -> bytes:
    """A block many times, a few megabytes at most."""
    return block * max(1, min(count, (4 << 20) // max(1, len(block))))
