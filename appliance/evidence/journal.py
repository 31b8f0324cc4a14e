"""Entries by their number, and the hashes over runs of them, across the segments of a log.

Of every entry its place and its leaf hash are known, from the walk that vouched for it or from the index;
what is read is compared with the hash, so nothing is shown that the signed tree does not hold.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.index import Index
from appliance.evidence.merkle import split

_RUN = 256  # entries in a cached subtree; a power of two
_LEAF = 32


@dataclass(frozen=True, slots=True)
class Segment:
    """One journal file.

    Attributes:
        header: what it begins with.
        first: number of its first entry.
        year: as its start record says; "" in the first.
        folder: the closed year's name; "" where it was the open one when it was met.
    """

    header: bytes
    first: int
    year: str
    folder: str


class Journal:
    """What a walk has vouched for, to be read again.

    Args:
        directory: the log's.
        index: knows the entries before those of the walk; empty where the walk began at the beginning.

    Attributes:
        origin: entries before it were pruned.
        frontier: of the tree there.
        size: entries there are.
    """

    def __init__(self, directory: Path, index: Index) -> None:
        self._directory = directory
        self._index = index
        self._segments: list[Segment] = []
        self._first = index.size  # of those that are remembered here
        self._leaves = bytearray()
        self._places = array("Q")
        self._runs: dict[int, bytes] = {}  # roots of full runs of _RUN entries, filled when a proof asks
        self._kept: dict[tuple[int, int], bytes] = {}  # roots over entries that were pruned
        self.origin = self.size = 0
        self.frontier: tuple[bytes, ...] = ()

    def begin(self, start: checked.Start, folder: str = "") -> None:
        """A segment follows; the first one may begin where a pruned one ended."""
        if not self._segments:
            self.origin, self.frontier = start.checkpoint.size, start.frontier
            self._first = max(self._first, self.origin)
            self.size = self._first
            lo = 0
            for node in start.frontier:  # the largest subtree first
                span = 1 << ((self.origin - lo).bit_length() - 1)
                self._kept[lo, lo + span] = node
                lo += span
        self._segments.append(Segment(start.header, start.checkpoint.size, start.year, folder))

    def remember(self, index: int, place: int, leaf: bytes) -> None:
        """Take note of an entry; called in order."""
        self._leaves += leaf
        self._places.append(place)
        self.size = index + 1

    def hand_over(self) -> None:
        """Forget what the index knows by now."""
        known = self._index.size - self._first
        if known > 0:
            del self._leaves[: known * _LEAF]
            del self._places[:known]
            self._first += known

    def segments(self) -> list[tuple[Segment, int]]:
        """The segments, oldest first, each with the number after its last entry."""
        ends = [*(segment.first for segment in self._segments[1:]), self.size]
        return list(zip(self._segments, ends, strict=True))

    def leaf(self, number: int) -> bytes:
        """The leaf hash of an entry."""
        if number >= self._first:
            start = (number - self._first) * _LEAF
            return bytes(self._leaves[start : start + _LEAF])
        piece = self._index.holding(number)
        start = (number - piece.first) * _LEAF
        return bytes(piece.column("leaf")[start : start + _LEAF])

    def _place(self, number: int) -> int:
        if number >= self._first:
            return self._places[number - self._first]
        piece = self._index.holding(number)
        return int(piece.column("place")[number - piece.first])

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The entries start … end-1 as bytes; those that were pruned are left out. Raises as `pick`."""
        return self.pick(range(max(start, self.origin), min(end, self.size)))

    def pick(self, numbers: Iterable[int]) -> Iterator[bytes]:
        """These entries as bytes; ascending or descending numbers, and none that was pruned.

        Raises:
            IntegrityError: a segment is no longer there, or an entry is not what was signed.
        """
        with ExitStack() as stack:
            first, end, journal = 0, 0, None
            for number in numbers:
                if journal is None or not first <= number < end:
                    stack.close()
                    segment, end = next(one for one in reversed(self.segments()) if one[0].first <= number)
                    first, journal = segment.first, self._open(segment, stack)
                journal.seek(self._place(number))
                data = journal.read(int.from_bytes(journal.read(4), "big") % (checked.MAX_ENTRY + 1))
                if checked.leaf_hash(data) != self.leaf(number):
                    raise IntegrityError(
                        f"the log was altered: entry {number} is not what was signed",
                        "keep the disk as it is and ask for help",
                    )
                yield data

    def _open(self, segment: Segment, stack: ExitStack) -> BinaryIO:
        """The segment's file: what was the open one may have been closed by another process since."""
        if not segment.folder:
            journal = stack.enter_context((self._directory / "journal").open("rb"))
            if journal.read(len(segment.header)) == segment.header:
                return journal
        for folder in checked.closed_segments(self._directory):
            if segment.folder in ("", folder.name):
                journal = stack.enter_context((folder / "journal").open("rb"))
                if journal.read(len(segment.header)) == segment.header:
                    return journal
        raise IntegrityError("a segment of the log has gone", "run `gradaudit log verify`")

    def root_at(self, size: int) -> bytes:
        """Root over the first `size` entries. Raises as `subtree`."""
        if not 0 < size <= self.size:
            raise ValueError("no such part of the log")
        ends = [one.end for one in self._index.pieces if one.end.size <= size]
        tree = checked.Tree()
        if ends:
            tree.size, tree.frontier = ends[-1].size, list(ends[-1].frontier)
        elif size >= self.origin:
            tree.size, tree.frontier = self.origin, list(self.frontier)
        else:
            return self.subtree(0, size)
        for number in range(tree.size, size):
            tree.push(self.leaf(number))
        return tree.root()

    def subtree(self, lo: int, hi: int) -> bytes:
        """Root over the entries lo … hi-1.

        Raises:
            ValueError: there is no such run of entries.
            UsageError: it needs entries that were pruned.
        """
        if hi > self.size or lo >= hi:
            raise ValueError("no such part of the log")
        if (lo, hi) in self._kept:
            return self._kept[lo, hi]
        if lo < self.origin and hi - lo == 1:
            raise UsageError("the log was pruned: its oldest entries are gone", "name a later entry")
        if hi - lo > _RUN or lo < self.origin:
            middle = lo + split(hi - lo)
            return checked.node_hash(self.subtree(lo, middle), self.subtree(middle, hi))
        if hi - lo == _RUN and lo % _RUN == 0:
            if lo not in self._runs:
                self._runs[lo] = self._hash_run(lo, hi)
            return self._runs[lo]
        return self._hash_run(lo, hi)

    def _hash_run(self, lo: int, hi: int) -> bytes:
        tree = checked.Tree()
        for number in range(lo, hi):
            tree.push(self.leaf(number))
        return tree.root()
