"""System: the self-check of this machine, with what mends each thing that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from tui.screens.section import Section, navigation
from tui.text import foreign
from tui.widgets.drawing import Lines
from tui.widgets.rows import Column, Rows

if TYPE_CHECKING:
    from appliance.doctor import Check

_COLUMNS = (Column("State", 10), Column("Check", 13), Column("Found", 24, flex=True))
_GRAVEST = ("failure", "warning", "ok")
_STYLE = {"failure": "bold $fail", "warning": "bold $review", "ok": "$pass"}


class SystemScreen(Section):
    """What `gradaudit doctor` says."""

    TITLE = "System"
    HELP_TEXT = (
        "Can this machine audit, and safely? A failure keeps audits from running or from being safe; a "
        "warning narrows what can be done. Below the table stands what was found, and the command that mends "
        "it, in full. a checks again, after you have mended something."
    )
    DEFAULT_CSS = """
    SystemScreen Rows { height: 1fr; min-height: 4; margin: 0 1; }
    SystemScreen Lines { padding: 0 1; }
    SystemScreen #detail { min-height: 3; max-height: 8; background: $panel; }
    """
    BINDINGS = navigation("system", Binding("u", "again", "Again"), run=False)

    def __init__(self) -> None:
        super().__init__()
        self.checks: tuple[Check, ...] = ()

    def body(self) -> ComposeResult:
        """One line on all, the table, the check under the cursor in full."""
        yield Lines(id="summary")
        yield Rows(_COLUMNS, self._cells, empty="", id="checks")
        yield Lines(id="detail")

    async def load(self) -> None:
        """Run the checks, the gravest first; this takes seconds."""
        self.query_one("#summary", Lines).show(Content.styled("checking this machine …", "bold"))
        found = await self.ask(self.app.backend.doctor)
        self.checks = tuple(sorted(found, key=lambda check: _GRAVEST.index(check.status)))
        table = self.query_one(Rows)
        table.fill(len(self.checks), cursor=0)
        table.focus()
        self._summary()
        self._detail(0)

    def _mark(self, status: str) -> Content:
        glyphs = self.app.glyphs
        mark = {"failure": glyphs.failed, "warning": glyphs.verdicts["REVIEW"], "ok": glyphs.passed}[status]
        return Content.styled(f"{mark} {status}", _STYLE[status])

    def _summary(self) -> None:
        status = [check.status for check in self.checks]
        counts = [
            Content.assemble(f"{status.count(word)} ", self._mark(word))
            for word in _GRAVEST
            if word in status
        ]
        verdict = (
            "Do not audit here before this is mended. " if "failure" in status else "This machine can audit. "
        )
        self.query_one("#summary", Lines).show(
            Content.assemble((verdict, "bold"), Content("   ").join(counts))
        )

    def _cells(self, index: int) -> tuple[Content, ...]:
        check = self.checks[index]
        return self._mark(check.status), foreign(check.name, "bold"), foreign(check.sentence)

    def _detail(self, index: int) -> None:
        check = self.checks[index]
        mends = Content.assemble(("mend it: ", "$muted"), foreign(check.hint, "bold"))
        self.query_one("#detail", Lines).show(
            Content.assemble(foreign(check.name, "bold"), ": ", foreign(check.sentence)),
            mends if check.hint else Content.styled("nothing to mend", "$muted"),
        )

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Show the check in full."""
        self._detail(message.index)

    def action_again(self) -> None:
        """Check again."""
        self.reload()
