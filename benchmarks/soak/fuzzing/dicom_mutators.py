"""Ways to damage a DICOM file. Each takes a random source, the file and another; damaged bytes come out."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

from fuzzing.edits import (
    LENGTHS,
    PHOTOMETRIC,
    TEXT_NUMBERS,
    any_place,
    inserted,
    place_at,
    repeated,
    with_element,
    with_length,
    with_value,
)
from fuzzing.pixel_mutators import codestream, fragment, pixel_module, pixel_words, pixels_of_another
from fuzzing.places import UNDEFINED, places, syntax_place

Mutator = Callable[[Random, bytes, bytes], bytes]

_CHARSETS = (
    *(b"ISO_IR 100", b"ISO_IR 192", b"GB18030", b"ISO 2022 IR 87", b"\\ISO 2022 IR 149", b"utf-7", b"rot13"),
    *(b"\\" * 40, b"ISO_IR 6", b"ISO 2022 IR 6\\ISO 2022 IR 58", b"unicode_escape", b"\xff\xff", b"hex"),
)
_VRS = (
    *b"AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ".split(),
    *b"SS ST SV TM UC UI UL UN UR US UT ZZ ?? \xff\xff".split(),
)
_SYNTAXES = tuple(
    b"1.2.840.10008.1.2" + end
    for end in (
        b"",
        b".1",
        b".1.99",
        b".2",
        b".5",
        b".1.98",
        b".8.1",
        b".6.1",
        b".4.50",
        b".4.51",
        b".4.53",
        b".4.55",
    )
) + tuple(
    b"1.2.840.10008.1.2.4." + str(n).encode()
    for n in (57, 70, 80, 81, 90, 91, 92, 100, 102, 107, 110, 201, 202, 203)
)
_SOP_CLASSES = tuple(
    b"1.2.840.10008." + end
    for end in (
        b"1.3.10",
        b"5.1.4.1.1.2",
        b"5.1.4.1.1.88.11",
        b"5.1.4.1.1.88.59",
        b"5.1.4.1.1.104.1",
        b"5.1.4.1.1.9.1.1",
    )
)


def flip_bits(rng: Random, data: bytes, other: bytes) -> bytes:
    """Single bits anywhere, more often in the header."""
    damaged = bytearray(data)
    reach = len(damaged) if rng.random() < 0.4 else min(len(damaged), 3000)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        damaged[rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def overwrite(rng: Random, data: bytes, other: bytes) -> bytes:
    """A run of bytes by zeros, ones or noise."""
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 4, 8, 64, 1024))
    new = rng.choice((b"\0" * size, b"\xff" * size, rng.randbytes(size)))
    return data[:at] + new + data[at + size :]


def truncate(rng: Random, data: bytes, other: bytes) -> bytes:
    """The end missing: anywhere, or at an element's edge."""
    found = places(data)
    if found and rng.random() < 0.5:
        one = rng.choice(found)
        return data[: rng.choice((one.start, one.length_at, one.value, one.end))]
    return data[: rng.randrange(len(data))]


def insert(rng: Random, data: bytes, other: bytes) -> bytes:
    """Bytes too many: noise, or a piece of the file again."""
    at, size = rng.randrange(len(data)), rng.choice((1, 2, 3, 8, 100, 5000))
    start = rng.randrange(len(data))
    return data[:at] + rng.choice((rng.randbytes(size), data[start : start + size])) + data[at:]


def delete(rng: Random, data: bytes, other: bytes) -> bytes:
    """Bytes too few."""
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 2, 3, 8, 100, 5000)) :]


def length_field(rng: Random, data: bytes, other: bytes) -> bytes:
    """A length that is not the value's."""
    one = any_place(rng, data)
    if one is None:
        return overwrite(rng, data, other)
    true = one.end - one.value
    length = rng.choice((*LENGTHS, true + 1, max(0, true - 1), true + 2, len(data), rng.getrandbits(32)))
    return with_length(data, one, length)


def value_representation(rng: Random, data: bytes, other: bytes) -> bytes:
    """Another VR, or one that is none."""
    one = any_place(rng, data)
    if one is None or not one.vr:
        return overwrite(rng, data, other)
    return data[: one.start + 4] + rng.choice(_VRS) + data[one.start + 6 :]


def tag(rng: Random, data: bytes, other: bytes) -> bytes:
    """Another tag, also one of another element of the file or of the group of files, items and delimiters."""
    one, model = any_place(rng, data), any_place(rng, data)
    if one is None or model is None:
        return overwrite(rng, data, other)
    groups = (2, 4, 8, 9, 0x10, 0x20, 0x28, 0x40, 0x5200, 0x6000, 0x7FE0, 0xFFFC, 0xFFFE, 0xFFFF)
    new = rng.choice(
        (model.tag, (rng.choice(groups), rng.choice((0, 1, 2, 0x10, 0x13, 0xE000, 0xE00D, 0xE0DD))))
    )
    return data[: one.start] + struct.pack(f"{one.order}HH", *new) + data[one.start + 4 :]


def elements_about(rng: Random, data: bytes, other: bytes) -> bytes:
    """An element twice, gone, or two in each other's place."""
    found = places(data)
    if len(found) < 3:
        return insert(rng, data, other)
    first, second = sorted(rng.sample(found, 2), key=lambda place: place.start)
    one, two = data[first.start : first.end], data[second.start : second.end]
    way = rng.randrange(3)
    if way == 0:
        return data[: second.start] + repeated(one, rng.choice((1, 2, 500))) + data[second.start :]
    if way == 1:
        return data[: first.start] + data[first.end :]
    return (
        data[: first.start] + two + data[first.end : second.start] + one + data[max(first.end, second.end) :]
    )


def value(rng: Random, data: bytes, other: bytes) -> bytes:
    """A value replaced by another of any length, the length field following."""
    one = any_place(rng, data)
    if one is None:
        return overwrite(rng, data, other)
    choices = (
        *TEXT_NUMBERS,
        *PHOTOMETRIC,
        *_SOP_CLASSES,
        rng.randbytes(rng.choice((1, 2, 4, 8, 300))),
        b"A" * 70000,
    )
    return with_value(data, one, rng.choice(choices))


def nesting(rng: Random, data: bytes, other: bytes) -> bytes:
    """Sequences in sequences, undefined lengths, with or without their ends."""
    depth = rng.choice((2, 20, 60, 500, 5000, 40000))
    implicit = rng.random() < 0.3
    head = (
        struct.pack("<HH", 0x0040, 0xA730) + (b"" if implicit else b"SQ\0\0") + struct.pack("<L", UNDEFINED)
    )
    down = (head + struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)) * depth
    up = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0) * rng.choice((depth, depth - 1, 0))
    return inserted(rng, data, down + up)


def items(rng: Random, data: bytes, other: bytes) -> bytes:
    """A sequence of very many small items, or of items with wrong lengths."""
    count = rng.choice((3, 1000, 50000))
    length = rng.choice((0, 0, 2, 8, UNDEFINED, 0xFFFFFFF0))
    body = struct.pack("<HHL", 0xFFFE, 0xE000, length) * count
    size = rng.choice((len(body), UNDEFINED, len(body) + 2))
    return inserted(rng, data, struct.pack("<HH4sL", 0x0008, 0x1140, b"SQ\0\0", size) + body)


def deflated(rng: Random, data: bytes, other: bytes) -> bytes:
    """The deflated syntax over the file's own data set, over zeros, or over a stream that is cut."""
    found = syntax_place(data)
    meta = [one for one in places(data) if one.tag[0] == 2]
    if found is None or not meta:
        return overwrite(rng, data, other)
    body = rng.choice((data[meta[-1].end :], bytes(rng.choice((1 << 16, 1 << 24))), rng.randbytes(999)))
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(body) + packer.flush()
    packed = packed[: rng.choice((len(packed), len(packed), len(packed) // 2, 3))]
    head = with_value(data[: meta[-1].end], place_at(meta, (2, 0x10)), b"1.2.840.10008.1.2.1.99")
    return head + packed


def charset(rng: Random, data: bytes, other: bytes) -> bytes:
    """Character sets that are none, or not those of the values."""
    one = next((place for place in places(data) if place.tag == (8, 5)), None)
    word = rng.choice(_CHARSETS)
    return with_value(data, one, word) if one else with_element(rng, data, (8, 5), b"CS", word)


def splice(rng: Random, data: bytes, other: bytes) -> bytes:
    """The start of one file and the end of another, at the edges of elements or anywhere."""
    mine, theirs = places(data), places(other)
    if not mine or not theirs or rng.random() < 0.2:
        return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]
    return data[: rng.choice(mine).end] + other[rng.choice(theirs).start :]


def meta(rng: Random, data: bytes, other: bytes) -> bytes:
    """Another transfer syntax, class or group length; preamble and prefix gone or moved."""
    found = [one for one in places(data) if one.tag[0] == 2]
    way = rng.randrange(5)
    if way == 0 or not found:
        return data[rng.choice((1, 64, 127, 128, 132, 140)) :]
    if way == 1:
        return data[132:] if rng.random() < 0.5 else data[:128] + rng.randbytes(4) + data[132:]
    if way == 2:
        return with_value(data, found[0], struct.pack("<L", rng.choice(LENGTHS)))
    if way == 3:
        one = rng.choice(found)
        return data[: one.start] + data[one.end :]
    return with_value(data, place_at(found, (2, 0x10)), rng.choice(_SYNTAXES))


def private(rng: Random, data: bytes, other: bytes) -> bytes:
    """Private elements without, with two, or with absurd creators."""
    creator = rng.choice((b"", b"MADE UP", b"\xff" * 64, b"A\\B"))
    block = b"".join(
        struct.pack("<HH2sH", 0x0009, element, vr, len(text)) + text
        for element, vr, text in (
            (rng.choice((0x10, 0x11)), b"LO", creator + b" " * (len(creator) % 2)),
            (0x10, b"LO", b"MADE UP "),
            (
                rng.choice((0x1001, 0x1101, 1, 0xFFFF)),
                rng.choice(_VRS),
                rng.randbytes(rng.choice((0, 2, 7, 200))),
            ),
        )
    )
    return inserted(rng, data, block * rng.choice((1, 2, 300)))


MUTATORS: tuple[Mutator, ...] = (
    *(
        flip_bits,
        flip_bits,
        overwrite,
        truncate,
        insert,
        delete,
        length_field,
        length_field,
        value_representation,
    ),
    *(tag, elements_about, value, value, pixel_module, pixel_module, pixel_words, nesting, items, deflated),
    *(
        fragment,
        fragment,
        codestream,
        codestream,
        codestream,
        charset,
        splice,
        pixels_of_another,
        meta,
        private,
    ),
)
