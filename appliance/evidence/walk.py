"""A walk through the log that goes on where the index ends, and never takes the index's word for it.

The tree's state that the index names has to lead to the signed checkpoint, over everything that came since:
no other state does. What a walk leaves out is read again by `verify`, and entry by entry when it is shown.
"""

from __future__ import annotations

from pathlib import Path

from appliance.evidence import making
from appliance.evidence import verify_evidence as checked
from appliance.evidence.index import Index
from appliance.evidence.journal import Journal
from appliance.evidence.pieces import End


class Walk(checked.Walk):
    """The verifier's walk, which may stand at the index's end instead of at the beginning."""

    def stand(self, end: End, live: checked.Start, origin: checked.Checkpoint) -> None:
        """Stand where the index ends, in the open segment or right before it.

        Raises:
            Broken: the open segment does not begin there.
        """
        self.origin, self.pruned = origin, set(end.pruned)
        self.tree.size, self.tree.frontier = end.size, list(end.frontier)
        if end.size == live.checkpoint.size:
            self.begin(live)
            return
        self._header, self.year = live.header, end.year
        self.place, self.history_place, self._line = end.place, end.history, end.lines
        self._batch, self._trusted = end.size, (end.size, end.place)


def resumed(
    directory: Path, index: Index, key: checked.Key, live: checked.Start
) -> tuple[Walk, Journal] | None:
    """A walk at the end of the index, with what it knows; None where it spares too little.

    Raises:
        Broken: a closed segment does not begin as the log's key has signed.
    """
    starts = []
    for folder in checked.closed_segments(directory):
        with (folder / "journal").open("rb") as journal:
            place = f"segments/{folder.name}/journal"
            starts.append((checked.read_start(journal, key, place), folder.name))
    starts.append((live, ""))
    origin = starts[0][0].checkpoint
    index.load(origin.size)
    if index.size - origin.size < making.PIECE:
        return None
    end = index.pieces[-1].end
    if live.checkpoint.size not in (end.segment, end.size):
        return None
    known = Journal(directory, index)
    walk = Walk(known.remember)
    for start, year in starts:
        known.begin(start, year)
    walk.stand(end, live, origin)
    return walk, known


def from_the_beginning(
    directory: Path, index: Index, key: checked.Key, live: checked.Start, learn: int
) -> tuple[Walk, Journal]:
    """A walk at the beginning of the open segment, after every closed one, with the root at size `learn`.

    Raises:
        Broken: something is not what was signed.
    """
    index.pieces = []
    known = Journal(directory, index)
    walk = Walk(known.remember)
    walk.roots = {learn: b""}
    checked.walk_closed(directory, walk, key, live, known.begin)
    walk.begin(live)
    known.begin(live)
    return walk, known
