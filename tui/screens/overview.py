"""Overview: what needs a person, every model with its last verdict and why, and the log's health."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content

from appliance.evidence.report.wording import MEANING
from appliance.views import LogHealth, OverviewRow, OverviewView
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.drawing import Heading, Lines
from tui.widgets.rows import Column, Rows
from tui.widgets.verdict import badge
from tui.words import ORDER, day

_COLUMNS = (
    Column("Verdict", 14),
    Column("Model", 12, flex=True),
    Column("Why", 22, flex=True, drop=1),
    Column("Vendor", 14, drop=3),
    Column("Audited", 10, drop=2),
)


def log_line(health: LogHealth, passed: str, failed: str) -> Content:
    """The log's state in one line."""
    if health.intact:
        head = Content.styled(f"{passed} log intact", "bold $pass")
    else:
        head = Content.assemble((f"{failed} LOG BROKEN: ", "bold $fail"), foreign(health.problem, "bold"))
    root = line(health.root)[:16]
    return Content.assemble(
        head, f", {health.entries:,} entries", (f", root {root}…" if root else "", "$muted")
    )


class OverviewScreen(Section):
    """The first screen."""

    TITLE = "Overview"
    HELP_TEXT = (
        "Every registered model with its last verdict, why, and when. The line under the table says in full "
        "why the model under the cursor stands where it stands. Enter opens its result."
    )
    BINDINGS = navigation("overview", Binding("enter", "open", "Open", key_display="enter"))

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[OverviewRow, ...] = ()

    def body(self) -> ComposeResult:
        """Needs you, models, detail, log and data."""
        with VerticalScroll(id="page"):
            yield Heading("Needs you")
            yield Lines(Content.styled("reading the workspace …", "$muted"), id="needs")
            yield Heading("Models", id="tally")
            yield Rows(
                _COLUMNS, self._cells, empty="No model yet: gradaudit models add NAME FOLDER", id="models"
            )
            yield Lines(id="detail")
            yield Heading("Log and data")
            yield Lines(id="health")

    async def load(self) -> None:
        """Read the overview."""
        view = await self.ask(self.app.backend.overview)
        self.app.known = view
        self.rows = view.models
        self.frame()
        self._needs(view)
        table = self.query_one("#models", Rows)
        table.fill(len(self.rows))
        table.focus()
        self.query_one("#tally", Heading).add(self._tally())
        self._detail(table.cursor)
        self._health(view)

    def _needs(self, view: OverviewView) -> None:
        glyph = self.app.glyphs.point
        needs = [Content.assemble((f"{glyph} ", "bold $review"), foreign(need)) for need in view.needs_me]
        nothing = Content.styled(f"{self.app.glyphs.passed} Nothing needs you now.", "$muted")
        self.query_one("#needs", Lines).show(*(needs or [nothing]))

    def _tally(self) -> Content:
        """How many models stand at each verdict."""
        stands = [row.verdict for row in self.rows]
        words = [word for word in (*ORDER, None) if word in stands]
        counted = [Content.assemble(f"{stands.count(word)} ", badge(word, self.app.glyphs)) for word in words]
        return Content("   ").join(counted)

    def _health(self, view: OverviewView) -> None:
        glyphs = self.app.glyphs
        counts = (
            f"{view.studies:,} studies, {view.reports:,} reports, {view.pairs:,} pairs, "
            f"{view.quarantined:,} files in quarantine"
        )
        words = Content.assemble(("signed by ", "$muted"), foreign(view.log.key_words, "$muted"))
        self.query_one("#health", Lines).show(
            log_line(view.log, glyphs.passed, glyphs.failed), words, Content(counts)
        )

    def _cells(self, index: int) -> tuple[Content, ...]:
        row = self.rows[index]
        why = foreign(row.why) if row.verdict else Content.styled("press r to run an audit", "$muted")
        return (
            badge(row.verdict, self.app.glyphs),
            foreign(row.model, "bold"),
            why,
            foreign(row.vendor),
            foreign(day(row.audited_utc)),
        )

    def _detail(self, index: int) -> None:
        detail = self.query_one("#detail", Lines)
        if not self.rows:
            detail.show()
            return
        row = self.rows[index]
        if row.verdict is None:
            detail.show(
                Content.assemble(
                    foreign(row.model, "bold"),
                    ": not audited yet. ",
                    ("r", "bold $accent"),
                    " runs an audit.",
                )
            )
            return
        detail.show(
            Content.assemble(foreign(row.model, "bold"), ": ", MEANING[row.verdict]),
            Content.assemble(("Why: ", "$muted"), foreign(row.why)),
        )

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Say in full why; the last row brings the rest of the page into sight on a small terminal."""
        self._detail(message.index)
        page = self.query_one("#page", VerticalScroll)
        if message.index == len(self.rows) - 1 and message.index > 0:
            page.scroll_end(animate=False)
        elif message.index == 0:
            page.scroll_home(animate=False)

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Open the model's last audit."""
        self._open(message.index)

    def action_open(self) -> None:
        """Open the model under the cursor."""
        self._open(self.query_one("#models", Rows).cursor)

    def _open(self, index: int) -> None:
        if not self.rows:
            return
        row = self.rows[index]
        if row.audit_id:
            self.app.open_result(row.audit_id)
        else:
            self.app.action_run_dialog(row.model)
