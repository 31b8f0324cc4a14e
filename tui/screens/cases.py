"""Cases: every FAIL and REVIEW, who owns it, how long is left, what was decided and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content

from appliance.cases.views import CaseRow, CaseState, CaseView, StepView
from appliance.errors import ApplianceError
from appliance.words.table import tell
from tui.screens.case_steps import DecideDialog, OwnerDialog, ReopenDialog, StepDialog
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.clocks import TICK_S, clock_cell, clock_line, state_cell
from tui.widgets.drawing import Facts, Heading
from tui.widgets.rows import Column, Rows
from tui.widgets.verdict import badge
from tui.words import moment

CASE_COLUMNS = (
    Column(tell("column.verdict"), 8, drop=2),
    Column(tell("column.model"), 9, flex=True),
    Column(tell("column.state"), 10, drop=1),
    Column(tell("column.72h"), 21),
    Column(tell("column.60d"), 21),
    Column(tell("column.owner"), 10, drop=3),
    Column(tell("column.known"), 16, drop=4),
)


def case_cells(row: CaseRow, screen: Section) -> tuple[Content, ...]:
    """One case for a table with `CASE_COLUMNS`."""
    glyphs = screen.app.glyphs
    gdpr, hipaa = row.clocks
    return (
        badge(row.verdict, glyphs),
        foreign(row.model, "bold"),
        state_cell(row.state, glyphs),
        clock_cell(gdpr, glyphs),
        clock_cell(hipaa, glyphs),
        foreign(row.owner) if row.owner else Content.styled(tell("case.nobody"), "$muted"),
        foreign(moment(row.known_utc)),
    )


class CasesScreen(Section):
    """All cases, the most urgent first."""

    TITLE = "Cases"
    HELP_TEXT = tell("cases.help")
    NEEDS: ClassVar = {"decide": "decide_case", "assign": "assign_case", "reopen": "reopen_case"}
    DEFAULT_CSS = """
    CasesScreen Rows { height: auto; max-height: 40%; margin: 0 1; }
    CasesScreen Heading { margin: 0 1; }
    """
    BINDINGS = navigation(
        "cases",
        Binding("enter", "open", "The verdict's result", show=False),
        Binding("d,f6", "decide", "Decide"),
        Binding("o,f7", "assign", "Owner"),
        Binding("u", "reopen", "Take a decision back", show=False),
        run=False,
    )

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[CaseRow, ...] = ()
        self.view: CaseView | None = None

    def body(self) -> ComposeResult:
        """Table, and the case under the cursor in full."""
        yield Rows(
            CASE_COLUMNS,
            lambda index: case_cells(self.rows[index], self),
            empty=tell("cases.none"),
            id="cases",
        )
        yield Heading(tell("cases.which"), id="which")
        with VerticalScroll(id="page"):
            yield Facts(11, id="facts")

    def on_mount(self) -> None:
        """Read again every minute: the clocks go on. The base reads the first time."""
        self.set_interval(TICK_S, self.reload)

    async def load(self) -> None:
        """Read all cases; the one under the cursor stays there, at first the one that was looked at last."""
        rows = await self.ask(self.app.backend.cases)
        before, self.rows = self.rows, rows
        audits = [row.audit_id for row in self.rows]
        table = self.query_one(Rows)
        looked = before[table.cursor].audit_id if before else self.app.last_result
        table.fill(len(self.rows), audits.index(looked) if looked in audits else None)
        if not before:
            table.focus()
        still_open = sum(row.state is not CaseState.CLOSED for row in self.rows)
        self.query_one("#which", Heading).add(
            Content(tell("cases.count", open=f"{still_open:,}", all=f"{len(self.rows):,}"))
        )
        self._look(table.cursor)

    def _look(self, index: int) -> None:
        """Show what the row says, then ask for its steps."""
        if not self.rows:
            self.query_one(Facts).show()
            return
        row = self.rows[index]
        self.app.last_result = row.audit_id
        if self.view is None or self.view.row.audit_id != row.audit_id:
            self.view = None
            self.query_one("#page", VerticalScroll).scroll_home(animate=False)
        self.query_one(Facts).show(*self._facts(row))
        self._read(row.audit_id)

    @work(exclusive=True, group="case")
    async def _read(self, audit_id: str) -> None:
        try:
            self.view = await self.ask(self.app.backend.case, audit_id)
        except ApplianceError as error:
            self.complain(error)
        else:
            self.query_one(Facts).show(*self._facts(self.view.row))

    def _facts(self, row: CaseRow) -> Iterator[tuple[str, Content]]:
        """Label and content, clocks first."""
        glyphs = self.app.glyphs
        for clock in row.clocks:
            yield line(clock.name), clock_line(clock, glyphs)
        yield tell("cases.fact.why"), Content.assemble(badge(row.verdict, glyphs), "  ", foreign(row.why))
        known = {"moment": moment(line(row.known_utc)), "audit": line(row.audit_id)}
        if row.entry is not None:
            yield tell("cases.fact.known"), Content(tell("case.known.entry", entry=f"{row.entry:,}", **known))
        else:
            yield tell("cases.fact.known"), Content(tell("case.known", **known))
        if row.policy:
            yield tell("cases.fact.policy"), foreign(row.policy)
        owner = foreign(row.owner, "bold") if row.owner else Content(tell("cases.press"))
        yield tell("cases.fact.owner"), owner
        yield tell("cases.fact.state"), state_cell(row.state, glyphs)
        if self.view is None:
            return
        for step in self.view.steps:
            yield from self._step(step)
        for note in self.view.notes:
            yield tell("cases.fact.note"), foreign(note, "$muted")

    def _step(self, step: StepView) -> Iterator[tuple[str, Content]]:
        what = Content.styled(tell(f"case.step.{step.what}", owner=line(step.owner)), "bold")
        answers = (
            f", {tell('case.answers', clocks=', '.join(map(line, step.answers)))}" if step.answers else ""
        )
        by = tell("case.by", moment=moment(line(step.done_utc)), who=line(step.by))
        yield tell("cases.fact.step"), Content.assemble(what, answers, "  ", (by, "$muted"))
        if step.reason:
            yield "", foreign(step.reason)

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Show the case in full."""
        self._look(message.index)

    def on_rows_chosen(self) -> None:
        """Open its result."""
        self.action_open()

    def action_open(self) -> None:
        """The result of the verdict that opened the case."""
        if self.rows:
            self.app.open_result(self.rows[self.query_one(Rows).cursor].audit_id)

    def action_assign(self) -> None:
        """Ask who owns it."""
        self._take(OwnerDialog)

    def action_decide(self) -> None:
        """Ask what was decided, and why."""
        self._take(DecideDialog)

    def action_reopen(self) -> None:
        """Ask why a decision is taken back."""
        self._take(ReopenDialog)

    def _take(self, dialog: type[StepDialog]) -> None:
        if self.view is not None:
            self.query_one(Notice).clear()
            self.app.push_screen(dialog(self.view), self._taken)

    def _taken(self, view: CaseView | None) -> None:
        if view is not None:
            state = tell(f"case.state.{view.row.state.value}")
            self.query_one(Notice).confirm(tell("cases.written", model=view.row.model, state=state))
            self.reload()
