"""Studies: what came in, what was set aside and why, and what found no partner. Counts, never patients."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from appliance.views import OverviewView, PairingView, QuarantineRow
from tui.screens.ingest import IngestDialog
from tui.screens.new_cohort import NewCohortDialog
from tui.screens.section import Section, navigation
from tui.text import foreign
from tui.widgets.drawing import Heading, Lines
from tui.widgets.rows import Column, Rows
from tui.words import moment

_BY_REASON = (
    Column("Reason", 20),
    Column("  Files", 7),
    Column("What was wrong", 20, flex=True, drop=1),
    Column("Latest (UTC)", 16, drop=2),
)
_BY_FILE = (
    Column("Reason", 20),
    Column("File (keyed handle)", 20, flex=True),
    Column("Set aside (UTC)", 16, drop=1),
)
_LONELY = (
    Column("Reason", 23),
    Column(" Images", 7),
    Column("Reports", 7),
    Column("Why", 20, flex=True, drop=1),
)


class StudiesScreen(Section):
    """What the site has collected."""

    TITLE = "Studies"
    HELP_TEXT = (
        "What was taken in, and what was not. A file that cannot be used is set aside with a reason; it is "
        "kept nowhere, and a later ingest of the same file tries again. f lists single files: by a keyed "
        "handle, for file names can hold patients' names. i takes studies and reports in, n freezes a cohort "
        "of pairs for audits. An audit needs pairs of an image and its "
        "report; the second table says what found no partner and why. tab goes to the other table; "
        "docs/reason-codes.md says what helps against each reason."
    )
    DEFAULT_CSS = """
    StudiesScreen #counts, StudiesScreen #detail { padding: 0 1; }
    StudiesScreen Heading { margin: 0 1; }
    StudiesScreen Rows { height: 1fr; min-height: 3; margin: 0 1; }
    StudiesScreen #detail { min-height: 2; max-height: 4; background: $panel; }
    """
    NEEDS: ClassVar[dict[str, str]] = {"ingest": "ingest", "cohort": "create_cohort"}
    BINDINGS = navigation(
        "studies",
        Binding("i", "ingest", "Ingest"),
        Binding("n", "cohort", "Cohort"),
        Binding("f", "each", "Files"),
        run=False,
    )

    def __init__(self) -> None:
        super().__init__()
        self.each = False
        self.aside: tuple[QuarantineRow, ...] = ()
        self.pairing: PairingView | None = None

    def body(self) -> ComposeResult:
        """Counts, two tables, the row under the cursor in full."""
        yield Lines(Content.styled("reading the workspace …", "$muted"), id="counts")
        yield Heading("Set aside at intake", id="aside-head")
        yield Rows(_BY_REASON, self._aside, empty="Nothing was set aside.", id="aside")
        yield Heading("In no pair", id="lonely-head")
        yield Rows(_LONELY, self._lonely, empty="counting pairs …", id="lonely")
        yield Lines(id="detail")

    async def load(self) -> None:
        """Counts and what was set aside first; pairs take longer where there are many."""
        view = self.app.known
        assert view is not None, "`know` comes first"
        self._counts(view)
        await self._set_aside()
        self.query_one("#aside", Rows).focus()
        self.pairing = await self.ask(self.app.backend.pairing)
        self._counts(view)
        lonely = self.query_one("#lonely", Rows)
        lonely.empty = "Every image and every report is in a pair." if view.studies else ""
        lonely.fill(len(self.pairing.unpaired))
        alone = sum(one.images + one.reports for one in self.pairing.unpaired)
        self.query_one("#lonely-head", Heading).add(Content(f"{alone:,} images and reports"))

    async def _set_aside(self) -> None:
        self.aside = await self.ask(self.app.backend.quarantine, self.each)
        table = self.query_one("#aside", Rows)
        table.columns = _BY_FILE if self.each else _BY_REASON
        table.fill(len(self.aside))
        files = sum(row.files for row in self.aside)
        self.query_one("#aside-head", Heading).add(Content(f"{files:,} files"))
        self._detail(table)

    def _counts(self, view: OverviewView) -> None:
        counts = self.query_one("#counts", Lines)
        if not view.studies and not view.reports:
            counts.show(Content("No study yet: press i to take studies and reports in."))
            return
        head = f"{view.studies:,} studies, {view.reports:,} reports, {view.pairs:,} pairs"
        rules = self.pairing.rules if self.pairing else ()
        joined = [Content.assemble(f"{pairs:,} by ", foreign(rule)) for rule, pairs in rules]
        told = Content.assemble(("paired: ", "$muted"), Content(", ").join(joined)) if joined else Content("")
        counts.show(Content.styled(head, "bold"), told)

    def _aside(self, index: int) -> tuple[Content, ...]:
        row = self.aside[index]
        reason, when = foreign(row.reason, "bold"), foreign(moment(row.set_aside_utc), "$muted")
        if self.each:
            return reason, foreign(row.handle), when
        return reason, Content(f"{row.files:>7,}"), foreign(row.message), when

    def _lonely(self, index: int) -> tuple[Content, ...]:
        assert self.pairing is not None, "no row before the pairs are counted"
        row = self.pairing.unpaired[index]
        return (
            foreign(row.reason, "bold"),
            Content(f"{row.images:>7,}"),
            Content(f"{row.reports:>7,}"),
            foreign(row.why),
        )

    def _detail(self, table: Rows) -> None:
        detail = self.query_one("#detail", Lines)
        if not table.count:
            detail.show()
        elif table.id == "aside":
            row = self.aside[table.cursor]
            detail.show(Content.assemble(foreign(row.reason, "bold"), ": ", foreign(row.message)))
        elif self.pairing is not None:
            lonely = self.pairing.unpaired[table.cursor]
            detail.show(Content.assemble(foreign(lonely.reason, "bold"), ": ", foreign(lonely.why)))

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Say the reason in full."""
        self._detail(message.rows)

    def on_descendant_focus(self) -> None:
        """The other table's row."""
        if isinstance(self.focused, Rows):
            self._detail(self.focused)

    def action_ingest(self) -> None:
        """Take studies and reports in."""
        self.app.push_screen(IngestDialog(), self._changed)

    def action_cohort(self) -> None:
        """Freeze a cohort."""
        self.app.push_screen(NewCohortDialog(), self._changed)

    def _changed(self, yes: bool | None) -> None:
        if yes:
            self.app.known = None
            self.reload()

    def action_each(self) -> None:
        """By reason, or file by file."""
        self.each = not self.each
        self.run_worker(self._again(), exclusive=True, group="each")

    async def _again(self) -> None:
        from appliance.errors import ApplianceError

        try:
            await self._set_aside()
        except ApplianceError as error:
            self.complain(error)
