"""Look-up tables of the display pipeline: modality, VOI, palette (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5, C.7.9).

pydicom's own functions keep positions in as many bits as an entry has, so that a table from 12 bits to 8
wraps around; they also expand segmented tables without limit. Tables are therefore read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medio.errors import NotReadable

_WHOLE = 1 << 16  # entries, written as 0 in a descriptor
_COLOURS = ("Red", "Green", "Blue")


@dataclass(frozen=True, slots=True)
class LookupTable:
    """Entries for the values `first`, `first` + 1 …; values before and after take the first and the last.

    Attributes:
        bits: depth of the entries, 8 to 16.
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int

    def of(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """The entry of each value; values are whole numbers of any type."""
        places = np.clip(values.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return self.entries[places]

    def unit(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The entry of each value, with the largest possible one as 1."""
        return self.of(values).astype(np.float64) / float((1 << self.bits) - 1)


def has_table(holder: Any, sequence: str) -> bool:
    """Whether a modality or VOI table is there and has its two parts."""
    items = holder.get(sequence)
    return bool(items) and items[0].get("LUTDescriptor") is not None and items[0].get("LUTData") is not None


def table_of(holder: Any, sequence: str, little: bool) -> LookupTable:
    """The first table of a modality or VOI LUT sequence.

    Args:
        little: byte order of the file.

    Raises:
        NotReadable: the table contradicts its descriptor.
    """
    item = holder[sequence][0]
    count, first, bits = _descriptor(item["LUTDescriptor"].value)
    return LookupTable(first, _entries(item["LUTData"].value, count, little), _depth(bits))


def palette_of(dataset: Any, little: bool) -> tuple[LookupTable, LookupTable, LookupTable]:
    """Red, green and blue; plain or segmented.

    Raises:
        NotReadable: a table is missing or contradicts its descriptor.
    """
    tables = [_colour(dataset, colour, little) for colour in _COLOURS]
    stated = {table.bits for table in tables}
    # 8-bit entries may come in 16-bit words, and the other way round
    eight = stated == {8} and all(int(table.entries.max()) < 256 for table in tables)
    red, green, blue = (LookupTable(table.first, table.entries, 8 if eight else 16) for table in tables)
    return red, green, blue


def _colour(dataset: Any, colour: str, little: bool) -> LookupTable:
    count, first, bits = _descriptor(dataset[f"{colour}PaletteColorLookupTableDescriptor"].value)
    data = dataset.get(f"{colour}PaletteColorLookupTableData")
    if data is None:
        words = _words(dataset[f"Segmented{colour}PaletteColorLookupTableData"].value, bits == 8, little)
        return LookupTable(first, _expanded(words, count, 4 if bits == 8 else 2), bits)
    if isinstance(data, bytes) and len(data) < 2 * count:
        bits = 8  # whatever the descriptor says
    return LookupTable(first, _entries(data, count, little), bits)


def _descriptor(value: Any) -> tuple[int, int, int]:
    count, first, bits = (int(number) for number in value)
    if not 0 <= count <= _WHOLE:
        raise NotReadable("bad-display-attributes", "a lookup table of impossible length")
    return count or _WHOLE, first, bits


def _depth(bits: int) -> int:
    if not 8 <= bits <= 16:
        raise NotReadable("bad-display-attributes", "a lookup table of other than 8 to 16 bits")
    return bits


def _entries(data: Any, count: int, little: bool) -> NDArray[np.uint16]:
    """Entries as words: bytes hold two or, where they are too short for that, one byte an entry."""
    if isinstance(data, bytes):
        words = _words(data, len(data) < 2 * count, little)[:count]
    else:
        words = _words(data, False, little)[:count]
    if words.size == 0 or words.min() < 0 or words.max() >= _WHOLE:
        raise NotReadable("bad-display-attributes", "a lookup table without entries, or with impossible ones")
    return words.astype(np.uint16)


def _words(data: Any, bytewise: bool, little: bool) -> NDArray[np.int64]:
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data)).astype(np.int64)
    kind = np.dtype("u1" if bytewise else "<u2" if little else ">u2")
    whole = len(data) // kind.itemsize * kind.itemsize
    return np.frombuffer(data[:whole], kind).astype(np.int64)


def _expanded(words: NDArray[np.int64], count: int, offset_words: int) -> NDArray[np.uint16]:
    """Segments to entries (PS3.3 C.7.9.2), no more than the descriptor announces."""
    entries: list[int] = []
    for piece in _segments(words, 0, None, offset_words, entries):
        entries.extend(piece)
        if len(entries) >= count:
            break
    if len(entries) < count:
        raise NotReadable("bad-display-attributes", "a segmented lookup table that ends too early")
    return np.asarray(entries[:count], dtype=np.uint16)


def _segments(
    words: NDArray[np.int64], place: int, limit: int | None, offset_words: int, so_far: list[int]
) -> Iterator[list[int]]:
    """Values of `limit` segments from `place`, or of all; `so_far` ends with the value before."""
    done = 0
    while place + 2 < len(words) and done != limit:
        kind, length = int(words[place]), int(words[place + 1])
        place, done = place + 2, done + 1
        if kind == 0 and length:  # discrete
            yield words[place : place + length].tolist()
            place += length
        elif kind == 1 and so_far and length:  # linear
            steps = np.linspace(so_far[-1], int(words[place]), length + 1)[1:]
            yield np.around(steps).astype(np.int64).tolist()
            place += 1
        elif kind == 2 and limit is None:  # segments that came before, once more
            start = _offset(words[place : place + offset_words])
            yield from _segments(words, start, length, offset_words, so_far)
            place += offset_words
        else:
            raise NotReadable("bad-display-attributes", "a segmented lookup table that makes no sense")


def _offset(words: NDArray[np.int64]) -> int:
    """Place of a segment: a byte offset in two words or four bytes, least significant first."""
    width = 16 if len(words) == 2 else 8
    found = sum(int(word) << (width * position) for position, word in enumerate(words))
    return found // 2 if width == 16 else found
