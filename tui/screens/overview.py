"""Overview: open cases with their clocks, every model with its last verdict and why, log, what needs you."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import zip_longest

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content

from appliance.cases.views import CaseRow
from appliance.pack.pages.wording import meaning
from appliance.views import LogHealth, OverviewRow, OverviewView
from appliance.words.table import count, tell
from tui.keys import key_name, keyed
from tui.screens.cases import CASE_COLUMNS, case_cells
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.clocks import TICK_S
from tui.widgets.drawing import Heading, Lines
from tui.widgets.rows import Column, Rows
from tui.widgets.verdict import badge
from tui.words import ORDER, day, moment

_COLUMNS = (
    Column(tell("column.verdict"), 14),
    Column(tell("column.model"), 12, flex=True),
    Column(tell("column.why"), 22, flex=True, drop=1),
    Column(tell("column.vendor"), 14, drop=3),
    Column(tell("column.audited"), 10, drop=4),
    Column(tell("column.due"), 10, drop=2),
)


def log_line(health: LogHealth, passed: str, failed: str, spell: Callable[[str], str] = str) -> Content:
    """The log's state in one line; `intact` is said of what was re-derived as a whole.

    Args:
        spell: puts the keys of this site into a hint.
    """
    since = health.entries - health.verified_entries
    if not health.intact:
        head = Content.assemble(
            (f"{failed} {tell('log.broken')} ", "bold $fail"), foreign(health.problem, "bold")
        )
    elif not health.verified_utc:
        head = Content.styled(spell(tell("log.unverified")), "bold $review")
    elif since:
        up_to = {"moment": moment(health.verified_utc), "entry": f"{health.verified_entries:,}"}
        head = Content.styled(f"{passed} {count('log.verified', since, **up_to)}", "bold $pass")
    else:
        head = Content.styled(f"{passed} {tell('log.intact')}", "bold $pass")
    root = tell("log.root", root=line(health.root)[:16]) if health.root else ""
    return Content.assemble(head, ", ", count("log.entries", health.entries), (root, "$muted"))


class OverviewScreen(Section):
    """The first screen."""

    TITLE = "Overview"
    HELP_TEXT = tell("overview.help")
    DEFAULT_CSS = "OverviewScreen #cases { max-height: 8; }"
    BINDINGS = navigation("overview", Binding("enter", "open", "Open", key_display="enter"))

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[OverviewRow, ...] = ()
        self.cases: tuple[CaseRow, ...] = ()

    def body(self) -> ComposeResult:
        """Open cases, models, detail, log and data, needs you."""
        with VerticalScroll(id="page"):
            yield Heading(tell("overview.cases"), id="open")
            yield Rows(
                CASE_COLUMNS,
                lambda index: case_cells(self.cases[index], self),
                empty=tell("overview.no_case"),
                id="cases",
            )
            yield Heading(tell("overview.models"), id="tally")
            yield Rows(_COLUMNS, self._cells, empty=tell("overview.no_model"), id="models")
            yield Lines(id="detail")
            yield Heading(tell("overview.log"))
            yield Lines(id="health")
            yield Heading(tell("overview.needs"))
            yield Lines(Content.styled(tell("overview.reading"), "$muted"), id="needs")

    def on_mount(self) -> None:
        """Read again every minute: the clocks go on. The base reads the first time."""
        self.set_interval(TICK_S, self.reload)

    async def know(self) -> None:
        """Nothing: `load` reads it."""

    async def load(self) -> None:
        """Read the overview."""
        view = await self.ask(self.app.backend.overview)
        self.app.known = view
        begins = not (self.rows or self.cases)
        self.rows, self.cases = view.models, view.cases
        self.frame()
        self._needs(view)
        cases, table = self.query_one("#cases", Rows), self.query_one("#models", Rows)
        cases.fill(len(self.cases))
        table.fill(len(self.rows))
        if begins:
            (cases if self.cases else table).focus()
        self.query_one("#tally", Heading).add(self._tally())
        self._detail(table.cursor)
        self._health(view)

    def _needs(self, view: OverviewView) -> None:
        needs = [self._need(*one) for one in zip_longest(view.needs_me, view.needs_at, fillvalue="")]
        nothing = Content.styled(f"{self.app.glyphs.passed} {tell('overview.nothing')}", "$muted")
        self.query_one("#needs", Lines).show(*(needs or [nothing]))
        more = Content.styled(count("overview.more", len(needs)), "$review") if needs else Content("")
        self.query_one("#open", Heading).add(more)

    def _need(self, need: str, place: str) -> Content:
        """What needs somebody, and the key of the place where it is seen to."""
        said = Content.assemble((f"{self.app.glyphs.point} ", "bold $review"), foreign(need))
        if not place:
            return said
        press = tell("overview.go", pressed=key_name(self.app, place))
        return Content.assemble(said, ("  ", "$muted"), foreign(press, "$muted"))

    def _tally(self) -> Content:
        """How many models stand at each verdict."""
        stands = [row.verdict for row in self.rows]
        words = [word for word in (*ORDER, None) if word in stands]
        counted = [Content.assemble(f"{stands.count(word)} ", badge(word, self.app.glyphs)) for word in words]
        return Content("   ").join(counted)

    def _health(self, view: OverviewView) -> None:
        glyphs = self.app.glyphs
        numbers = {"studies": view.studies, "reports": view.reports, "pairs": view.pairs}
        numbers["files"] = view.quarantined
        counts = tell("overview.data", **{name: f"{number:,}" for name, number in numbers.items()})
        words = foreign(tell("log.signed_by", words=view.log.key_words), "$muted")
        self.query_one("#health", Lines).show(
            log_line(view.log, glyphs.passed, glyphs.failed, partial(keyed, self)), words, Content(counts)
        )

    def _cells(self, index: int) -> tuple[Content, ...]:
        row = self.rows[index]
        press = keyed(self, tell("overview.press"))
        told = row.verdict or row.why not in ("", tell("overview.never"))
        why = foreign(row.why) if told else Content.styled(press, "$muted")
        return (
            badge(row.verdict, self.app.glyphs),
            foreign(row.model, "bold"),
            why,
            foreign(row.vendor),
            foreign(day(row.audited_utc)),
            foreign(day(row.due)),
        )

    def _detail(self, index: int) -> None:
        detail = self.query_one("#detail", Lines)
        if not self.rows:
            detail.show()
            return
        row = self.rows[index]
        if row.verdict is None:
            said = [foreign(row.why)] if row.why not in ("", tell("overview.never")) else []
            never = Content.assemble(foreign(row.model, "bold"), ": ", tell("overview.not_audited"))
            detail.show(never, *said)
            return
        detail.show(
            Content.assemble(foreign(row.model, "bold"), ": ", meaning(row.verdict, row.why)),
            Content.assemble((tell("overview.why"), "$muted"), " ", foreign(row.why)),
        )

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Say in full why; the last row brings the rest of the page into sight on a small terminal."""
        page = self.query_one("#page", VerticalScroll)
        if message.rows.id == "cases":
            if message.index == 0:
                page.scroll_home(animate=False)
            return
        self._detail(message.index)
        if message.index == len(self.rows) - 1 and message.index > 0:
            page.scroll_end(animate=False)
        elif message.index == 0 and not self.cases:
            page.scroll_home(animate=False)

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Open the case, or the model's last audit."""
        self._open(message.rows)

    def action_open(self) -> None:
        """Open what is under the cursor of the table with the focus."""
        cases = self.query_one("#cases", Rows)
        self._open(cases if cases.has_focus else self.query_one("#models", Rows))

    def _open(self, table: Rows) -> None:
        index = table.cursor
        if table.id == "cases":
            if self.cases:
                self.app.last_result = self.cases[index].audit_id
                self.app.action_go("cases")
            return
        if not self.rows:
            return
        row = self.rows[index]
        if row.audit_id:
            self.app.open_result(row.audit_id)
        else:
            self.app.action_run_dialog(row.model)
