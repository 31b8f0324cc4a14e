"""Audits: every run, newest first, with its verdict or why it has none."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from appliance.views import AuditRow
from tui.screens.section import Section, navigation
from tui.text import foreign
from tui.widgets.drawing import Lines
from tui.widgets.rows import Column, Rows
from tui.widgets.verdict import badge
from tui.words import moment

_COLUMNS = (
    Column("Verdict", 14),
    Column("Model", 12, flex=True),
    Column("Cohort", 12, flex=True, drop=2),
    Column("Policy", 8, drop=3),
    Column("Started (UTC)", 16, drop=1),
)


class AuditsScreen(Section):
    """The list of runs."""

    TITLE = "Audits"
    HELP_TEXT = (
        "Every audit, newest first. A run that failed says why below the table. Enter opens a finished one."
    )
    BINDINGS = navigation("audits", Binding("enter", "open", "Open", key_display="enter"))

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[AuditRow, ...] = ()

    def body(self) -> ComposeResult:
        """Table and detail."""
        yield Rows(_COLUMNS, self._cells, empty="No audit yet: press r to run one", id="audits")
        yield Lines(id="detail")

    async def load(self) -> None:
        """Read all rows."""
        self.rows = await self.ask(self.app.backend.audits)
        table = self.query_one(Rows)
        table.fill(len(self.rows))
        table.focus()
        self._detail(table.cursor)

    def _cells(self, index: int) -> tuple[Content, ...]:
        row = self.rows[index]
        if row.state == "done":
            state = badge(row.verdict, self.app.glyphs)
        else:
            state = Content.styled(
                f"{self.app.glyphs.dot} {row.state}", "bold $fail" if row.state == "failed" else "$accent"
            )
        return (
            state,
            foreign(row.model, "bold"),
            foreign(row.cohort),
            foreign(row.policy),
            foreign(moment(row.started_utc)),
        )

    def _detail(self, index: int) -> None:
        if not self.rows:
            self.query_one("#detail", Lines).show()
            return
        row = self.rows[index]
        where = (
            f"cohort {row.cohort}, policy {row.policy}, {moment(row.started_utc)} UTC, audit {row.audit_id}"
        )
        self.query_one("#detail", Lines).show(
            Content.assemble(("Why: ", "$muted"), foreign(row.why)), foreign(where, "$muted")
        )

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Say why."""
        self._detail(message.index)

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Open the audit."""
        self._open(message.index)

    def action_open(self) -> None:
        """Open the audit under the cursor."""
        self._open(self.query_one(Rows).cursor)

    def _open(self, index: int) -> None:
        if self.rows and self.rows[index].verdict is not None:
            self.app.open_result(self.rows[index].audit_id)
