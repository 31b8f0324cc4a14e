"""Compare: choose two finished audits, and see what differs and what may not be compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from appliance.compared import ComparedRow, ComparisonView, Standing, compared
from appliance.views import AuditRow
from tui.screens.section import Section, navigation
from tui.text import foreign
from tui.widgets.comparison import MARKS, Comparison
from tui.widgets.drawing import Heading, Lines
from tui.widgets.rows import Column, Rows
from tui.widgets.verdict import badge
from tui.words import moment

_COLUMNS = (
    Column("Choice", 6),
    Column("Verdict", 14),
    Column("Model", 12, flex=True),
    Column("Cohort", 12, flex=True, drop=2),
    Column("Policy", 10, drop=3),
    Column("Started (UTC)", 16, drop=1),
)
_HELP = (
    "Two audits property by property: model, cohort, policy, verdict, exposure. A number is only compared "
    "where both audits asked the same question: about the same patients, by the same detector, with controls "
    "that held. What may not be compared says why below it, and is never counted as a difference. That an "
    "audit is newer does not make it right. n chooses two others."
)


class CompareScreen(Section):
    """Chooses two audits, one after the other."""

    TITLE = "Compare"
    HELP_TEXT = f"Enter takes the first audit, enter on another one compares the two. {_HELP}"
    DEFAULT_CSS = """
    CompareScreen Rows { height: 1fr; min-height: 4; margin: 0 1; }
    CompareScreen #asked { padding: 0 1; }
    """
    BINDINGS = navigation(
        "compare",
        Binding("enter", "choose", "Pick", key_display="enter"),
        Binding("n", "anew", "Choose anew", show=False),
    )

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[AuditRow, ...] = ()
        self.first = ""

    def body(self) -> ComposeResult:
        """What to choose, and from what."""
        yield Lines(id="asked")
        yield Rows(
            _COLUMNS, self._cells, empty="No audit has finished yet: press r to run one", id="finished"
        )

    async def load(self) -> None:
        """Finished audits."""
        rows = await self.ask(self.app.backend.audits)
        self.rows = tuple(row for row in rows if row.verdict is not None)
        table = self.query_one(Rows)
        table.fill(len(self.rows))
        table.focus()
        self._ask_for()

    def _ask_for(self) -> None:
        step = "Choose the second audit; n begins anew." if self.first else "Choose the first audit."
        if len(self.rows) < 2:
            step = "Two finished audits are needed: press r to run one."
        self.query_one("#asked", Lines).show(Content.styled(step, "bold"))

    def _cells(self, index: int) -> tuple[Content, ...]:
        row = self.rows[index]
        return (
            Content.styled("first" if row.audit_id == self.first else "", "bold $review"),
            badge(row.verdict, self.app.glyphs),
            foreign(row.model, "bold"),
            foreign(row.cohort),
            foreign(row.policy),
            foreign(moment(row.started_utc)),
        )

    def on_rows_chosen(self) -> None:
        """A click on the row under the cursor."""
        self.action_choose()

    def action_choose(self) -> None:
        """Take the audit under the cursor."""
        if len(self.rows) < 2:
            return
        chosen = self.rows[self.query_one(Rows).cursor].audit_id
        if self.first in ("", chosen):
            self.first = chosen
            self._ask_for()
            self.query_one(Rows).refresh()
        else:
            self.app.switch_screen(ComparisonScreen(self.first, chosen))

    def action_anew(self) -> None:
        """Forget the first choice."""
        self.first = ""
        self._ask_for()
        self.query_one(Rows).refresh()


class ComparisonScreen(Section):
    """Two audits side by side."""

    TITLE = "Compare"
    HELP_TEXT = _HELP
    BINDINGS = navigation("compare", Binding("n", "app.go('compare')", "Anew"))

    def __init__(self, first: str, second: str) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.view: ComparisonView | None = None

    def body(self) -> ComposeResult:
        """A page that scrolls."""
        with VerticalScroll(id="page"):
            yield Lines(Content.styled("reading two audits …", "$muted"))

    async def load(self) -> None:
        """Read both and build the page."""
        one = await self.ask(self.app.backend.audit, self.first)
        other = await self.ask(self.app.backend.audit, self.second)
        self.view = compared(one, other)
        page = self.query_one("#page", VerticalScroll)
        await page.remove_children()
        await page.mount_all(self._page(self.view))
        page.focus()

    def _page(self, view: ComparisonView) -> Iterator[Widget]:
        yield Lines(self._tally(view.rows), *(self._which(word, row) for word, row in _both(view)))
        for part, rows in groupby(view.rows, key=lambda row: row.part):
            yield Heading(part.capitalize())
            yield Comparison(tuple(rows))

    def _tally(self, rows: tuple[ComparedRow, ...]) -> Content:
        """How many properties stand how; the signs are those of the rows below."""
        counts = [(standing, sum(row.standing is standing for row in rows)) for standing in Standing]
        told = [
            Content.assemble((f"{MARKS[standing][0]} {standing.value}", MARKS[standing][1]), f" {number}")
            for standing, number in counts
            if number
        ]
        return Content("   ").join(told)

    def _which(self, word: str, row: AuditRow) -> Content:
        when = f"{row.model}, {moment(row.started_utc)} UTC, audit {row.audit_id}"
        given = badge(row.verdict, self.app.glyphs)
        return Content.assemble((word.ljust(8), "$muted"), given, "  ", foreign(when))


def _both(view: ComparisonView) -> tuple[tuple[str, AuditRow], ...]:
    return (("first", view.first), ("second", view.second))
