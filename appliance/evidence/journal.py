"""Entries by their number, and the hashes over runs of them, across the segments of a log."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.merkle import split

_STRIDE = 256  # entries between remembered places, and in a cached subtree; a power of two


@dataclass(slots=True)
class _Segment:
    header: bytes
    first: int  # number of its first entry
    folder: str  # "" while it is the open one
    places: array[int] = field(default_factory=lambda: array("Q"))  # byte of every _STRIDE-th entry


class Journal:
    """What a walk has vouched for, to be read again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._segments: list[_Segment] = []
        self._runs: dict[int, bytes] = {}  # roots of full runs of _STRIDE entries, filled when a proof asks
        self._kept: dict[tuple[int, int], bytes] = {}  # roots over entries that were pruned
        self.origin = 0  # entries before it were pruned
        self.size = 0

    def begin(self, start: checked.Start, folder: str = "") -> None:
        """A segment follows; the first one may begin where a pruned one ended."""
        if not self._segments:
            self.origin = self.size = start.checkpoint.size
            lo = 0
            for node in start.frontier:  # the largest subtree first
                span = 1 << ((self.origin - lo).bit_length() - 1)
                self._kept[lo, lo + span] = node
                lo += span
        self._segments.append(_Segment(start.header, self.size, folder))

    def remember(self, index: int, place: int, leaf: bytes) -> None:
        """Take note of an entry; called in order."""
        segment = self._segments[-1]
        if (index - segment.first) % _STRIDE == 0:
            segment.places.append(place)
        self.size = index + 1

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The entries start … end-1 as bytes; those that were pruned are left out.

        Raises:
            IntegrityError: a segment is no longer there.
        """
        bounds = [*(segment.first for segment in self._segments[1:]), self.size]
        for segment, bound in zip(self._segments, bounds, strict=True):
            lo, hi = max(start, segment.first), min(end, bound)
            if lo < hi:
                yield from self._read(segment, lo, hi)

    def _read(self, segment: _Segment, start: int, end: int) -> Iterator[bytes]:
        nearest = (start - segment.first) // _STRIDE
        with ExitStack() as stack:
            journal = self._open(segment, stack)
            journal.seek(segment.places[nearest])
            for index in range(segment.first + nearest * _STRIDE, end):
                data = journal.read(int.from_bytes(journal.read(4), "big"))
                if index >= start:
                    yield data

    def _open(self, segment: _Segment, stack: ExitStack) -> BinaryIO:
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
        if hi - lo > _STRIDE or lo < self.origin:
            middle = lo + split(hi - lo)
            return checked.node_hash(self.subtree(lo, middle), self.subtree(middle, hi))
        if hi - lo == _STRIDE and lo % _STRIDE == 0:
            if lo not in self._runs:
                self._runs[lo] = self._hash_run(lo, hi)
            return self._runs[lo]
        return self._hash_run(lo, hi)

    def _hash_run(self, lo: int, hi: int) -> bytes:
        tree = checked.Tree()
        for data in self.read(lo, hi):
            tree.push(checked.leaf_hash(data))
        return tree.root()
