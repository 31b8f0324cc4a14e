"""The study of a data set from its first bytes, without a parser: which files belong together, no more.

It walks the elements of PS3.5 §7 in order and skips every value. Whatever it meets, it moves on or gives up;
what the file really is, a boxed worker says later.
"""

from __future__ import annotations

import re
import struct
from typing import Final

HEAD_BYTES: Final = 128 << 10  # StudyInstanceUID comes after group 0008, which may hold sequences
_STUDY: Final = 0x0020000D
_IMPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_LONG: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED: Final = 0xFFFFFFFF
_UID: Final = re.compile(r"[0-9.]{1,64}")


def study_of(head: bytes, transfer_syntax: str) -> str:
    """The StudyInstanceUID; "" where the first bytes do not say one.

    Args:
        head: the beginning of the encoded data set.
        transfer_syntax: as agreed.
    """
    try:
        value = _found(head, transfer_syntax == _IMPLICIT, ">" if transfer_syntax == _BIG else "<")
    except struct.error:  # the head ends inside an element
        return ""
    text = value.decode("ascii", "replace").strip("\0 ")
    return text if _UID.fullmatch(text) else ""


def _found(head: bytes, implicit: bool, order: str) -> bytes:
    place, depth = 0, 0
    while place + 8 <= len(head):
        group, element = struct.unpack_from(f"{order}HH", head, place)
        tag = group << 16 | element
        if tag in (_ITEM, _ITEM_END, _SEQUENCE_END):
            (length,) = struct.unpack_from(f"{order}I", head, place + 4)
            place += 8
            if tag == _ITEM and length != _UNDEFINED:
                place += length
            else:
                depth += 1 if tag == _ITEM else -1
            continue
        if depth <= 0 and tag > _STUDY:
            return b""
        place, length = _value(head, place, implicit, order)
        if length == _UNDEFINED:
            depth += 1
        elif depth <= 0 and tag == _STUDY:
            return head[place : place + length]
        else:
            place += length
    return b""


def _value(head: bytes, place: int, implicit: bool, order: str) -> tuple[int, int]:
    """Where the value of an element begins, and its length."""
    if implicit:
        return place + 8, struct.unpack_from(f"{order}I", head, place + 4)[0]
    if head[place + 4 : place + 6] in _LONG:
        return place + 12, struct.unpack_from(f"{order}I", head, place + 8)[0]
    return place + 8, struct.unpack_from(f"{order}H", head, place + 6)[0]
