"""Makes the pieces of a log's index out of its entries (the form is told in `index`)."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from appliance.evidence.pieces import FORMS, LEAF, WORDS, End, Piece
from appliance.evidence.verify_evidence import Tree, canonical

if TYPE_CHECKING:
    from appliance.evidence.journal import Journal, Segment

PIECE: Final = 16_384  # entries of a piece at least; what is in none is checked at every start
_FIELDS: Final = re.compile(
    rb'\{"act":"(?P<act>[^"]*)","actor":"(?P<actor>[^"]*)",.*,"first":(?P<first>[0-9]+),"id":[0-9]+'
    rb',"object":"(?P<object>[^"]*)","outcome":"(?P<outcome>[^"]*)",.*"result":"(?P<result>[^"]*)"'
    rb',"utc":"(?P<utc>[^"]*)"'
)


class _Columns:
    """A piece in the making."""

    def __init__(self, first: int) -> None:
        self.first = first
        self._leaves = bytearray()
        self._columns = {name: array(form) for name, form in FORMS.items()}
        self._codes: dict[str, dict[str, int]] = {name: {} for name in (*WORDS, "object")}

    def add(self, said: re.Match[bytes], place: int, leaf: bytes) -> None:
        """One entry more."""
        self._leaves += leaf
        columns, thing = self._columns, said["object"].decode()
        columns["place"].append(place)
        columns["utc"].append(int(said["utc"].translate(None, b"-T:.Z")))
        for name in WORDS:
            columns[name].append(self._code(name, said[name].decode()))
        handle = len(thing) >= LEAF
        columns["object"].append(int(thing[:16], 16) if handle else self._code("object", thing))

    def _code(self, name: str, word: str) -> int:
        codes = self._codes[name]
        return codes.setdefault(word, len(codes))

    def written(self, end: End, before: str) -> tuple[bytes, bytes]:
        """First line and columns of the piece that ends here."""
        bodies = {"leaf": bytes(self._leaves)} | {one: held.tobytes() for one, held in self._columns.items()}
        record: dict[str, Any] = {
            "before": before,
            "columns": {name: hashlib.sha256(body).hexdigest() for name, body in bodies.items()},
            "end": asdict(end) | {"frontier": [node.hex() for node in end.frontier]},
            "first": self.first,
            "things": list(self._codes["object"]),
            "v": 1,
        }
        record |= {plural: list(self._codes[name]) for name, plural in WORDS.items()}
        record["end"]["pruned"] = list(end.pruned)
        return canonical(record) + b"\n", b"".join(bodies.values())


class Making:
    """Goes through what is in no piece yet, and cuts it at the ends of steps."""

    def __init__(self, journal: Journal, last: Piece | None) -> None:
        self._journal = journal
        self._digest = last.digest if last else ""
        self._stands = last.end if last else End(journal.origin, journal.frontier, -1, 0, 0, 0, "", ())
        self._tree = Tree()
        self._tree.size, self._tree.frontier = self._stands.size, list(self._stands.frontier)
        self._columns = _Columns(self._stands.size)

    def pieces(self) -> Iterator[tuple[bytes, bytes]]:
        """First line and columns of each piece, oldest first."""
        segments = self._journal.segments()
        for segment, end in segments:
            if end > self._stands.size:
                yield from self._of_segment(segment, end, segment is not segments[-1][0])

    def _of_segment(self, segment: Segment, end: int, closed: bool) -> Iterator[tuple[bytes, bytes]]:
        stands = self._stands
        if stands.segment != segment.first:
            header = len(segment.header)
            stands = replace(
                stands, segment=segment.first, place=header, history=0, lines=0, year=segment.year
            )
        for number, data in enumerate(self._journal.read(stands.size, end), stands.size):
            said = _FIELDS.match(data)
            assert said is not None, "what is in the log has the shape of an entry"
            if int(said["first"]) == number > self._columns.first:
                stands = _after_step(stands, number)
                if number - self._columns.first >= PIECE:
                    yield self._cut(stands)
            leaf = self._journal.leaf(number)
            self._columns.add(said, stands.place, leaf)
            self._tree.push(leaf)
            gone = (said["result"].decode(),) if said["act"] == b"log.prune" else ()
            year = stands.year or said["utc"][:4].decode()
            stands = replace(
                stands, place=stands.place + 4 + len(data), year=year, pruned=stands.pruned + gone
            )
        stands = _after_step(stands, end)
        if closed or end - self._columns.first >= PIECE:
            yield self._cut(stands)

    def _cut(self, stands: End) -> tuple[bytes, bytes]:
        self._stands = replace(stands, frontier=tuple(self._tree.frontier))
        line, body = self._columns.written(self._stands, self._digest)
        self._digest, self._columns = hashlib.sha256(line).hexdigest(), _Columns(stands.size)
        return line, body


def _after_step(stands: End, size: int) -> End:
    """A line of the history of checkpoints follows every step: its size, a blank, a root in base64."""
    return replace(stands, size=size, history=stands.history + len(str(size)) + 46, lines=stands.lines + 1)
