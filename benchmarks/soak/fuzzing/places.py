"""A DICOM file as places to damage: where its elements, fragments and codestreams stand.

Best effort over healthy seeds and tolerant of everything: no pydicom, so that what the harness damages is not
chosen by the parser under test.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

UNDEFINED = 0xFFFFFFFF
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_IMPLICIT = b"1.2.840.10008.1.2\0"
_BIG_ENDIAN = b"1.2.840.10008.1.2.2\0"
_SYNTAX = b"\x02\x00\x10\x00UI"
PIXEL_DATA = (0x7FE0, 0x0010)


@dataclass(frozen=True, slots=True)
class Place:
    """One element, item or delimiter as it stands in the file.

    Attributes:
        start: of its tag.
        length_at: where the length field stands, `length_size` bytes wide.
        value: first byte of the value; `end` is behind it (the same for undefined lengths).
        order: `<` or `>`, how numbers are written here.
    """

    start: int
    tag: tuple[int, int]
    vr: bytes
    length_at: int
    length_size: int
    value: int
    end: int
    order: str


def places(data: bytes) -> list[Place]:
    """Every element that can be found in order, those inside sequences and items too."""
    start = 132 if data[128:132] == b"DICM" else 0
    meta = list(_walk(data, start, "<", explicit=True, group=2))
    after = meta[-1].end if meta else start
    order = ">" if _BIG_ENDIAN in data[:2048] else "<"
    explicit = not _implicit(data[:2048])
    return meta + list(_walk(data, after, order, explicit=explicit, group=None))


def syntax_place(data: bytes) -> tuple[int, int] | None:
    """Where the transfer syntax stands: first byte and length."""
    place = data.find(_SYNTAX, 0, 2048)
    return (place + 8, int.from_bytes(data[place + 6 : place + 8], "little")) if place >= 0 else None


def fragments(data: bytes) -> list[tuple[int, int]]:
    """Start and end of each fragment of encapsulated pixel data, the offset table first."""
    found: list[tuple[int, int]] = []
    place = data.find(b"\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff")
    place = place + 12 if place >= 0 else len(data)
    while data[place : place + 4] == b"\xfe\xff\x00\xe0" and place + 8 <= len(data):
        end = place + 8 + int.from_bytes(data[place + 4 : place + 8], "little")
        found.append((place + 8, min(end, len(data))))
        place = end
    return found


def _implicit(head: bytes) -> bool:
    place = syntax_place(head)
    return place is not None and head[place[0] : sum(place)] == _IMPLICIT


def _walk(data: bytes, at: int, order: str, *, explicit: bool, group: int | None) -> Iterator[Place]:
    """Elements one after another; containers are entered, so that what they hold follows at once."""
    while at + 8 <= len(data):
        tag = struct.unpack_from(f"{order}HH", data, at)
        if group is not None and tag[0] != group:
            return
        one = _place(data, at, tag, order, explicit=explicit and tag[0] != 0xFFFE)
        if one is None:
            return
        yield one
        inside = tag[0] == 0xFFFE or one.vr == b"SQ" or one.end == one.value
        if tag == PIXEL_DATA:
            return
        at = one.value if inside else one.end


def _place(data: bytes, at: int, tag: tuple[int, int], order: str, *, explicit: bool) -> Place | None:
    vr = data[at + 4 : at + 6] if explicit else b""
    if explicit and not (vr.isalpha() and vr.isupper()):
        return None
    wide = vr in _LONG or not explicit
    length_at = at + (8 if explicit and wide else 6 if explicit else 4)
    size = 4 if wide else 2
    raw = data[length_at : length_at + size]
    if len(raw) < size:
        return None
    length = int.from_bytes(raw, "big" if order == ">" else "little")
    value = length_at + size
    end = value if length == UNDEFINED else min(value + length, len(data))
    return Place(at, tag, vr, length_at, size, value, end, order)
