"""Log: every entry, newest first, fetched by page; verify re-derives the whole of it."""

from __future__ import annotations

from collections import OrderedDict

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from appliance.errors import ApplianceError
from appliance.views import LogHealth, LogRow
from tui.screens.overview import log_line
from tui.screens.section import Section, navigation
from tui.text import foreign
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Lines
from tui.widgets.rows import Column, Rows
from tui.words import moment

PAGE = 128
_PAGES_KEPT = 32
_COLUMNS = (
    Column("Entry", 9),
    Column("Time (UTC)", 16, drop=1),
    Column("Act", 14, flex=True),
    Column("Outcome", 9),
    Column("Actor", 10, drop=3),
    Column("Object", 12, flex=True, drop=2),
)


class LogScreen(Section):
    """The tamper-evident log."""

    TITLE = "Log"
    HELP_TEXT = (
        "Every act is an entry under a signed Merkle root. v re-derives the whole log and says whether one "
        "byte differs. Times are what the machine claimed. Compare the ten words with the ones "
        "written down at the start."
    )
    BINDINGS = navigation("log", Binding("v,f6", "verify", "Verify"))

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.health: LogHealth | None = None
        self._pages: OrderedDict[int, tuple[LogRow, ...]] = OrderedDict()
        self._asked: set[int] = set()

    def body(self) -> ComposeResult:
        """Health line, table, the entry under the cursor."""
        yield Lines(id="health")
        yield Rows(_COLUMNS, self._cells, empty="The log has no entries.", id="log")
        yield Lines(id="detail")

    async def load(self) -> None:
        """Count the entries; rows come when they are drawn."""
        self.health = self.app.known.log if self.app.known else None
        self.count = await self.ask(self.app.backend.log_count)
        self._pages.clear()
        self._health()
        table = self.query_one(Rows)
        table.fill(self.count)
        table.focus()
        self._detail(table.cursor)

    def row(self, position: int) -> LogRow | None:
        """The entry at a table position (0 = newest); None while its page is on the way."""
        index = self.count - 1 - position
        page, place = divmod(index, PAGE)
        rows = self._pages.get(page)
        if rows is None:
            self._fetch(page)
            return None
        return rows[place] if place < len(rows) else None

    def _fetch(self, page: int) -> None:
        if page not in self._asked:
            self._asked.add(page)
            self.run_worker(self._fetched(page), group="pages")

    async def _fetched(self, page: int) -> None:
        try:
            rows = await self.ask(self.app.backend.log_entries, page * PAGE, PAGE)
        except ApplianceError as error:
            self.complain(error)
            return
        finally:
            self._asked.discard(page)
        self._pages[page] = rows
        while len(self._pages) > _PAGES_KEPT:
            self._pages.popitem(last=False)
        table = self.query_one(Rows)
        table.refresh()
        self._detail(table.cursor)

    def _cells(self, position: int) -> tuple[Content, ...] | None:
        row = self.row(position)
        if row is None:
            return None
        bad = row.outcome not in ("ok", "allowed", "begins", "done")
        return (
            Content.styled(f"{row.index:>9,}", "$muted"),
            foreign(moment(row.claimed_utc)),
            foreign(row.act, "bold"),
            foreign(row.outcome, "$review" if bad else ""),
            foreign(row.actor),
            foreign(row.object, "$muted"),
        )

    def _health(self) -> None:
        glyphs = self.app.glyphs
        lines = self.query_one("#health", Lines)
        if self.health is None:
            lines.show(
                Content.assemble(
                    f"{self.count:,} entries, not verified in this session. ",
                    ("v", "bold $accent"),
                    " verifies.",
                )
            )
            return
        words = Content.assemble(("signed by ", "$muted"), foreign(self.health.key_words))
        lines.show(log_line(self.health, glyphs.passed, glyphs.failed), words)

    def _detail(self, position: int) -> None:
        detail = self.query_one("#detail", Lines)
        row = self.row(position) if self.count else None
        if row is None:
            detail.show(Content(""))
            return
        detail.show(
            Content.assemble(
                (f"entry {row.index:,}  ", "bold"), foreign(row.act), ": ", foreign(row.outcome)
            ),
            Content.assemble(("by ", "$muted"), foreign(row.actor), (" on ", "$muted"), foreign(row.object)),
        )

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Show the entry in full."""
        self._detail(message.index)

    def action_verify(self) -> None:
        """Re-derive the whole log."""
        self.query_one(Notice).confirm("verifying every entry …")
        self.run_worker(self._verify(), exclusive=True, group="verify")

    async def _verify(self) -> None:
        try:
            self.health = await self.ask(self.app.backend.log_verify)
        except ApplianceError as error:
            self.complain(error)
            return
        notice = self.query_one(Notice)
        if self.health.intact:
            notice.confirm(f"verified: all {self.health.entries:,} entries are as signed")
        else:
            notice.complain(
                f"log broken: {self.health.problem}", "stop using this workspace and keep the disk"
            )
        self._health()
