"""Slice cosines of a table: one array where they fit, read block by block from the store where they do not.

Detectors index either form alike, `cosines[rows, part]`. Whoever needs every row asks `blocks`, so that a
table of ten thousand pairs is never whole in memory. Torch-free.

Letters: N pairs, K slices, n rows of one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a table.

    Attributes:
        rows: [n] their numbers in the table.
        places: [n] where they lie in what `load` gives.
        load: reads them, float32 [≥ n, K].
    """

    rows: Ints
    places: Ints
    load: Callable[[], Floats32]


@dataclass(frozen=True, slots=True)
class StreamedCosines:
    """Cosines that lie in a store; every row is in exactly one block. Reading costs a read of its block."""

    parts: tuple[Block, ...]
    shape: tuple[int, int]

    def __getitem__(self, where: tuple[Ints | slice, slice]) -> Floats32:
        """Rows and a range of slices as one array; blocks without any of the rows are not read."""
        rows, part = where
        wanted = np.arange(self.shape[0])[rows]
        found = np.empty((wanted.size, len(range(*part.indices(self.shape[1])))), np.float32)
        for block in self.parts:
            inside = np.isin(wanted, block.rows)
            if inside.any():
                order = np.argsort(block.rows)
                place = order[np.searchsorted(block.rows, wanted[inside], sorter=order)]
                found[inside] = block.load()[block.places[place], part]
        return found

    def blocks(self) -> Iterator[tuple[Ints, Floats32]]:
        """Row numbers and cosines [n, K], block by block."""
        for block in self.parts:
            if block.rows.size:
                yield block.rows, block.load()[block.places]

    def take(self, rows: Ints) -> StreamedCosines:
        """The same cosines for these rows only, in this order."""
        new = np.full(self.shape[0], -1, dtype=np.int64)
        new[rows] = np.arange(rows.size)
        parts = []
        for block in self.parts:
            kept = new[block.rows] >= 0
            parts.append(Block(new[block.rows[kept]], block.places[kept], block.load))
        return StreamedCosines(tuple(parts), (rows.size, self.shape[1]))

    def moved(self, by: int) -> tuple[Block, ...]:
        """Its blocks for a table in which these rows come `by` rows later."""
        return tuple(replace(block, rows=block.rows + by) for block in self.parts)


Cosines = Floats32 | StreamedCosines


def blocks(cosines: Cosines) -> Iterator[tuple[Ints, Floats32]]:
    """Row numbers and cosines of all rows; an array is one block."""
    if isinstance(cosines, StreamedCosines):
        yield from cosines.blocks()
    else:
        yield np.arange(cosines.shape[0]), cosines


def taken(cosines: Cosines, rows: Ints) -> Cosines:
    """Cosines of these rows, in this order."""
    return cosines.take(rows) if isinstance(cosines, StreamedCosines) else cosines[rows]


def stacked(first: Cosines, second: Cosines) -> Cosines:
    """The rows of one table, then those of another."""
    if not isinstance(first, StreamedCosines) and not isinstance(second, StreamedCosines):
        return np.concatenate([first, second])
    one, other = streamed(first), streamed(second)
    rows = one.shape[0]
    return StreamedCosines(one.parts + other.moved(rows), (rows + other.shape[0], one.shape[1]))


def streamed(cosines: Cosines) -> StreamedCosines:
    """Either form as blocks."""
    if isinstance(cosines, StreamedCosines):
        return cosines
    every = np.arange(cosines.shape[0])
    return StreamedCosines((Block(every, every, lambda: cosines),), (cosines.shape[0], cosines.shape[1]))


def held(rows: Sequence[int] | Ints, values: Floats32) -> Block:
    """A block that stays in memory."""
    where = np.asarray(rows, dtype=np.int64)
    return Block(where, np.arange(where.size), lambda: values)
