"""Ways to damage what a DICOM file says of its pixels, and the pixels: sizes, fragments, codestreams."""

from __future__ import annotations

import struct
from random import Random

from fuzzing.edits import LENGTHS, PHOTOMETRIC, TEXT_NUMBERS, repeated, with_element, with_value
from fuzzing.places import PIXEL_DATA, fragments, places

_PIXEL_MODULE = {
    **{(0x0028, element): "H" for element in (2, 4, 6, 0x10, 0x11, 0x100, 0x101, 0x102, 0x103, 0x120, 0x121)},
    **{(0x0028, 0x1101 + colour): "HHH" for colour in range(3)},
    (0x0028, 0x3002): "HHH",
}
_NUMBERS = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 24, 32, 33, 64, 255, 256, 4096, 32767, 32768, 65534, 65535)


def pixel_module(rng: Random, data: bytes, other: bytes) -> bytes:
    """Giant, empty or contradictory numbers where pixels are described; several at once."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        found = [one for one in places(data) if one.tag in _PIXEL_MODULE]
        if not found:
            return data
        one = rng.choice(found)
        form = _PIXEL_MODULE[one.tag]
        numbers = struct.pack(one.order + form, *(rng.choice(_NUMBERS) for _ in form))
        data = with_value(data, one, numbers)
    return data


def pixel_words(rng: Random, data: bytes, other: bytes) -> bytes:
    """Frames, windows, slopes, aspect and photometric interpretation as text that is absurd."""
    for element, words in (
        ((0x0028, 0x0008), TEXT_NUMBERS),
        ((0x0028, 0x0004), PHOTOMETRIC),
        *(((0x0028, low), TEXT_NUMBERS) for low in (0x1050, 0x1051, 0x1052, 0x1053)),
    ):
        one = next((place for place in places(data) if place.tag == element), None)
        if one is not None and rng.random() < 0.5:
            data = with_value(data, one, rng.choice(words))
        elif one is None and rng.random() < 0.2:
            data = with_element(rng, data, element, b"IS" if element[1] == 8 else b"DS", rng.choice(words))
    return data


def fragment(rng: Random, data: bytes, other: bytes) -> bytes:
    """Offset table, fragment lengths and delimiters of encapsulated pixel data."""
    found = fragments(data)
    if not found:
        return pixel_module(rng, data, other)
    start, end = rng.choice(found[:1] + found)
    way = rng.randrange(6)
    if way == 0:
        return (
            data[: start - 4] + struct.pack("<L", rng.choice((*LENGTHS, rng.getrandbits(32)))) + data[start:]
        )
    if way == 1:
        return data[: start - 8] + data[end:]
    if way == 2:
        return data[:end] + repeated(data[start - 8 : end], rng.choice((1, 3, 2000))) + data[end:]
    if way == 3:
        table = struct.pack("<4L", *(rng.choice((*LENGTHS, rng.randrange(len(data)))) for _ in range(4)))
        return data[: found[0][0] - 4] + struct.pack("<L", 16) + table + data[found[0][1] :]
    if way == 4:
        return data[: found[-1][1]] + rng.choice(
            (b"", b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\1\0\0\0")
        )
    cut = rng.randrange(start, end + 1)
    return data[: start - 4] + struct.pack("<L", cut - start) + data[start:cut] + data[end:]


def codestream(rng: Random, data: bytes, other: bytes) -> bytes:
    """The start of a compressed frame, where its size and tables stand; also its body."""
    found = [one for one in fragments(data)[1:] if one[1] - one[0] > 4]
    if not found:
        return pixel_module(rng, data, other)
    start, end = rng.choice(found)
    damaged = bytearray(data)
    reach = min(end, start + rng.choice((64, 64, 200, 700, end - start)))
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(start, reach)
        if rng.random() < 0.5:
            damaged[at] = rng.choice((0, 1, 2, 3, 4, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))
        else:
            size = rng.choice((2, 4))
            damaged[at : at + size] = rng.choice(LENGTHS).to_bytes(4, "big")[-size:]
    return bytes(damaged)


def pixels_of_another(rng: Random, data: bytes, other: bytes) -> bytes:
    """The pixel data of another file, under this file's header and sometimes its syntax."""
    mine = next((one for one in places(data) if one.tag == PIXEL_DATA), None)
    theirs = next((one for one in places(other) if one.tag == PIXEL_DATA), None)
    if mine is None or theirs is None:
        return data
    return data[: mine.start] + other[theirs.start :]
