"""What two registered models do not share, file by file and fact by fact."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from appliance.views import ModelDifference
from tui.screens.dialog import Dialog
from tui.text import foreign, line
from tui.widgets.drawing import Heading, Lines
from tui.widgets.rows import Column, Rows

_DIGEST = re.compile(r"[0-9a-f]{64}")
_COLUMNS = (
    Column("What", 18, flex=True),
    Column("First", 17, flex=True),
    Column("Second", 17, flex=True),
)


def short(value: str) -> Content:
    """A fact, a digest's first signs, or that there is none."""
    if _DIGEST.fullmatch(value):
        return Content(f"{value[:16]}…")
    return foreign(value) if value else Content.styled("none", "$muted")


class DifferenceDialog(Dialog[None]):
    """Differences of two models in a table; escape closes it."""

    DEFAULT_CSS = "DifferenceDialog Rows { height: auto; max-height: 14; margin-top: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,enter", "leave", "Back", show=False)]

    def __init__(self, first: str, second: str, differences: tuple[ModelDifference, ...]) -> None:
        super().__init__()
        self.first, self.second = line(first), line(second)
        self.differences = differences

    def compose(self) -> ComposeResult:
        """Which two, how many, and the table."""
        with Vertical(classes="dialog wide"):
            yield Heading("What changed")
            files = sum(one.what.startswith("file ") for one in self.differences)
            told = f"files that differ: {files:,}, facts that differ: {len(self.differences) - files:,}"
            yield Lines(
                Content.assemble(
                    ("first ", "$muted"), (self.first, "bold"), ("  second ", "$muted"), (self.second, "bold")
                ),
                Content(told) if self.differences else Content("Nothing: they are the same files."),
            )
            yield Rows(_COLUMNS, self._cells, empty="", id="differences")
            yield Lines(Content.styled("esc closes this page", "$muted"))

    def on_mount(self) -> None:
        """The table has the focus."""
        table = self.query_one(Rows)
        table.fill(len(self.differences))
        table.focus()

    def _cells(self, index: int) -> tuple[Content, ...]:
        row = self.differences[index]
        return foreign(row.what, "bold"), short(row.first), short(row.second)
