"""Properties of two audits in two columns, each with its standing as a word and a sign."""

from __future__ import annotations

import re
from itertools import zip_longest

from textual.content import Content

from appliance.compared import ComparedRow, Standing
from tui.text import foreign
from tui.widgets.drawing import Drawing

_LABEL = 20
_NARROW = 50  # below this many cells a label has a line of its own
_GAP = 2
_DIGEST = re.compile(r"[0-9a-f]{64}")
MARKS = {
    Standing.SAME: ("=", "$muted"),
    Standing.DIFFERS: ("*", "bold $review"),
    Standing.CLOSE: ("~", "$accent"),
    Standing.APART: ("/", "bold $inconclusive"),
}


class Comparison(Drawing):
    """One property a row: label, both values, and below them how they stand where they are not the same."""

    def __init__(self, rows: tuple[ComparedRow, ...]) -> None:
        super().__init__()
        self.rows = rows

    def draw(self, width: int) -> list[Content]:
        """Values wrap in their own columns; what is the same stands once."""
        return [line for row in self.rows for line in self._row(row, width)]

    def _row(self, row: ComparedRow, width: int) -> list[Content]:
        sign, style = MARKS[row.standing]
        label = Content.assemble((f"{sign} ", style), foreign(row.what, "$muted"))
        indent = _LABEL if width >= _NARROW else 2
        room = max(8, width - indent)
        if row.standing is Standing.SAME:
            lines = list(_value(row.first).wrap(room))
        else:
            lines = _beside(_value(row.first), _value(row.second), room) + _standing(row, room)
        if indent < _LABEL:
            return [label, *(line.pad_left(indent) for line in lines)]
        first, *rest = lines
        head = Content.assemble(label.pad_right(indent - label.cell_length), first)
        return [head, *(line.pad_left(indent) for line in rest)]


def _beside(one: Content, other: Content, room: int) -> list[Content]:
    """Two values in two columns of `room` cells."""
    column = max(3, (room - _GAP) // 2)
    lines = []
    for left, right in zip_longest(one.wrap(column), other.wrap(column), fillvalue=Content("")):
        lines.append(Content.assemble(left.pad_right(column - left.cell_length + _GAP), right))
    return lines


def _standing(row: ComparedRow, room: int) -> list[Content]:
    """The standing in words; two values beside each other say themselves that they differ."""
    if row.standing is Standing.SAME or (row.standing is Standing.DIFFERS and not row.why):
        return []
    word = (row.standing.value, MARKS[row.standing][1])
    said = Content.assemble(word, foreign(f": {row.why}" if row.why else "", "$muted"))
    return list(said.wrap(room))


def _value(value: str) -> Content:
    return Content(f"{value[:16]}…") if _DIGEST.fullmatch(value) else foreign(value or "none")
