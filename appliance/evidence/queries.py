"""What a log is asked: entries by number, by act, by object, by any filter; and proofs.

The index says where to look, in whole pieces; what is in no piece yet is looked through. What is handed out
is read from the log and compared with the tree, whatever said where it is.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Entry, decode
from appliance.evidence.index import Index, fits
from appliance.evidence.merkle import consistency_path, inclusion_path
from appliance.evidence.pieces import Unfit
from appliance.evidence.views import LogFilter, LogPage
from appliance.views import LogRow

if TYPE_CHECKING:
    from appliance.evidence.journal import Journal
    from appliance.evidence.notes import NoteSigner

P = ParamSpec("P")
T = TypeVar("T")
_WINDOW: Final = 256  # entries read at a time, backwards


def indexed(question: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """A question that is asked again after the index was found unfit and was made anew."""

    @functools.wraps(question)
    def asked(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return question(self, *args, **kwargs)
        except Unfit:
            self.rederive()
            return question(self, *args, **kwargs)

    return asked


class Queries:
    """The reading half of a log."""

    _journal: Journal
    _index: Index
    _signer: NoteSigner

    def __init__(self) -> None:
        self._recent: list[LogRow] = []  # what is in no piece, once a filter has asked
        self._answer: tuple[LogFilter, int, Sequence[int]] | None = None  # the last one, at a size of the log
        self._asked: dict[bytes, tuple[int, list[int]]] = {}  # of what is in no piece: looked through so far

    @property
    def origin(self) -> int:
        """Number of the oldest entry that was not pruned."""
        return self._journal.origin

    @indexed
    def entries(self, offset: int = 0, limit: int = 1000) -> list[Entry]:
        """Up to `limit` entries from number `offset` on; a negative offset counts from the end."""
        size = self._journal.size
        start = max(self.origin, offset + size if offset < 0 else offset)
        return [decode(data) for data in self._journal.read(start, min(size, start + max(0, limit)))]

    def rows(self, offset: int = 0, limit: int = 1000) -> tuple[LogRow, ...]:
        """Up to `limit` entries as rows of a table, oldest first."""
        return tuple(map(_row, self.entries(offset, limit)))

    def about(self, object_: str) -> list[Entry]:
        """All entries about one object, oldest first."""
        return self._told(LogFilter(object=object_), b'"object":"' + object_.encode() + b'"')

    def acts(self, act: str) -> list[Entry]:
        """All entries of one act, oldest first."""
        return self._told(LogFilter(act=act), _needle(act))

    @indexed
    def _told(self, wanted: LogFilter, needle: bytes) -> list[Entry]:
        known = (number for piece in self._index.pieces for number in piece.matching(wanted).tolist())
        found = self._journal.pick(chain(known, self._lately(needle)))
        return [decode(data) for data in found if needle in data]

    def _lately(self, needle: bytes) -> list[int]:
        """Numbers of the entries in no piece that have this in them; each is looked through once."""
        size, known = self._journal.size, max(self._index.size, self.origin)
        until, numbers = self._asked.get(needle, (0, []))
        begin = max(known, until if until <= size else 0)
        numbers = [number for number in numbers if known <= number < begin]
        read = enumerate(self._journal.read(begin, size), begin)
        numbers += [number for number, data in read if needle in data]
        self._asked[needle] = (size, numbers)
        return numbers

    @indexed
    def newest(self, act: str, below: int, limit: int) -> list[Entry]:
        """The last `limit` entries of one act before entry `below`, newest first."""
        needle, found = _needle(act), list[bytes]()
        at, known = min(below, self._journal.size), max(self._index.size, self.origin)
        while at > known and len(found) < limit:
            window = list(self._journal.read(max(known, at - _WINDOW), at))
            found += [data for data in reversed(window) if needle in data]
            at -= len(window)
        for piece in reversed(self._index.pieces):
            if len(found) < limit and piece.first < below:
                numbers = piece.matching(LogFilter(act=act))[::-1].tolist()
                picked = self._journal.pick(number for number in numbers if number < below)
                found += [data for data in picked if needle in data]
        return [decode(data) for data in found[:limit]]

    @indexed
    def find(self, wanted: LogFilter, offset: int, limit: int, newest_first: bool) -> LogPage:
        """Up to `limit` of the entries that a filter lets through, from the `offset`-th on, and how many."""
        numbers = self._numbers(wanted)
        total = len(numbers)
        start, end = min(offset, total), min(offset + limit, total)
        chosen = numbers[total - end : total - start][::-1] if newest_first else numbers[start:end]
        return LogPage(tuple(_row(decode(data)) for data in self._journal.pick(chosen)), total)

    def _numbers(self, wanted: LogFilter) -> Sequence[int]:
        size = self._journal.size
        below = size if wanted.below is None else min(size, wanted.below)
        if wanted == LogFilter(below=wanted.below):
            return range(self.origin, below)
        if self._answer is None or self._answer[:2] != (wanted, size):
            recent = [row.index for row in self._unindexed() if fits(row, wanted)]
            found: Sequence[int] = recent
            if self._index.pieces:
                import numpy as np

                known = [piece.matching(wanted) for piece in self._index.pieces]
                found = np.concatenate([*known, np.array(recent, np.int64)])  # type: ignore[assignment]
            self._answer = wanted, size, found[: bisect_left(found, below)]
        return self._answer[2]

    def _unindexed(self) -> list[LogRow]:
        """The entries in no piece, as rows; read once."""
        start = max(self._index.size, self.origin)
        if self._recent and self._recent[0].index != start:
            self._recent = []
        self._recent += map(
            _row, map(decode, self._journal.read(start + len(self._recent), self._journal.size))
        )
        return self._recent

    @indexed
    def raw(self, index: int) -> bytes:
        """The canonical bytes of entry `index`."""
        return next(self._journal.read(index, index + 1))

    # -- proofs

    def checkpoint_at(self, size: int) -> bytes:
        """The signed checkpoint over the first `size` entries, the same bytes whenever it is asked for."""
        return self._signer.checkpoint(checked.Checkpoint(size, self.root_at(size)))

    def state_words(self, size: int) -> str:
        """The ten words for the state after the first `size` entries: to be written down elsewhere."""
        return checked.state_words(checked.Checkpoint(size, self.root_at(size)).text(self._signer.key))

    def sign_manifest(self, manifest: bytes) -> bytes:
        """The signed note over an evidence pack's manifest."""
        return self._signer.manifest(manifest)

    def sign_answer(self, manifest: bytes) -> bytes:
        """The signed note over the manifest of an answer to an auditor."""
        return self._signer.answer(manifest)

    def sign_retention(self, certificate: bytes) -> bytes:
        """The signed note over a retention certificate."""
        return self._signer.retention(certificate)

    def sign_statement(self, payload_type: str, payload: bytes) -> bytes:
        """The DSSE signature, 64 bytes, over a payload of this type; its key id is `key_id`."""
        return self._signer.statement(payload_type, payload)

    @property
    def key_id(self) -> str:
        """Name of the log's key, as checkpoints begin with it."""
        return self._signer.key.name

    @indexed
    def root_at(self, size: int) -> bytes:
        """Root over the first `size` entries."""
        return self._journal.root_at(size)

    def prove_entry(self, index: int, size: int) -> list[bytes]:
        """Inclusion path of an entry in the tree of the first `size` entries."""
        return inclusion_path(index, size, self._subtree)

    def prove_growth(self, old: int, new: int) -> list[bytes]:
        """Consistency path from the tree of `old` entries to the tree of `new` entries."""
        return consistency_path(old, new, self._subtree)

    @indexed
    def _subtree(self, lo: int, hi: int) -> bytes:
        return self._journal.subtree(lo, hi)


def _needle(act: str) -> bytes:
    return b'{"act":"' + act.encode() + b'"'


def _row(entry: Entry) -> LogRow:
    return LogRow(entry.index, entry.claimed_utc, entry.actor, entry.act, entry.object, entry.outcome)
