"""Log: every entry or those of a filter, newest or oldest first, by page; verify re-derives all of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.message import Message

from appliance.errors import ApplianceError
from appliance.evidence.views import LogFilter
from appliance.pack.pages.wording import percent
from appliance.views import LogHealth, LogRow
from appliance.words.table import count, tell
from tui.keys import keyed
from tui.screens.log_dialogs import FilterDialog, GoToDialog, LogExportDialog, Span, StateDialog
from tui.screens.overview import log_line
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Lines
from tui.widgets.rows import Column, Rows
from tui.words import moment

PAGE = 128
_PAGES_KEPT = 32
_COLUMNS = (
    Column(tell("column.entry"), 9),
    Column(tell("column.time"), 16, drop=1),
    Column(tell("column.act"), 14, flex=True),
    Column(tell("column.outcome"), 9),
    Column(tell("column.actor"), 10, drop=3),
    Column(tell("column.object"), 12, flex=True, drop=2),
)
_GOOD = ("ok", "allowed", "begins", "done", "noted", "started", "resumed", "PASS")


class Stopped(Exception):
    """Nobody waits for the verification any more."""


class LogScreen(Section):
    """The tamper-evident log."""

    TITLE = "Log"
    HELP_TEXT = (
        "Every act is an entry under a signed Merkle root. v re-derives the whole log and says whether one "
        "byte differs; leaving this screen stops that. What the table shows was compared with the signed "
        "root when it was read. f shows only some entries, o turns the order round, n goes to an entry or a "
        "date. Times are what the machine claimed. w shows ten words for the state of the log: compare them "
        "with those written down earlier."
    )
    BINDINGS = navigation(
        "log",
        Binding("f", "filter", "Filter"),
        Binding("v,f6", "verify", "Verify"),
        Binding("n", "go_to", "Go to"),
        Binding("o", "turn", "Oldest or newest first", show=False),
        Binding("x", "clear", "All entries", show=False),
        Binding("w", "state", "State in words, witnesses", show=False),
        Binding("e", "export", "Export entries", show=False),
        run=False,
    )

    class Stepped(Message):
        """The verification has read so many entries of so many."""

        def __init__(self, done: int, total: int) -> None:
            super().__init__()
            self.done, self.total = done, total

    def __init__(self) -> None:
        super().__init__()
        self.count = 0  # entries of the log when the screen was opened
        self.total = 0  # of them, what the filter lets through
        self.wanted = LogFilter()
        self.newest_first = True
        self.health: LogHealth | None = None
        self._left = False
        self._pages: OrderedDict[int, tuple[LogRow, ...]] = OrderedDict()
        self._asked: set[int] = set()

    def body(self) -> ComposeResult:
        """Health line, where the cursor stands, table, the entry under the cursor."""
        yield Lines(id="health")
        yield Lines(id="where")
        yield Rows(_COLUMNS, self._cells, empty=tell("log.no_entry"), id="log")
        yield Lines(id="detail")

    def on_unmount(self) -> None:
        """A verification that nobody sees any more stops."""
        self._left = True

    async def load(self) -> None:
        """Count the entries; rows come when they are drawn."""
        self.health = self.app.known.log if self.app.known else None
        self.count = await self.ask(self.app.backend.log_count)
        self._health()
        await self._show(self.wanted)
        self.query_one(Rows).focus()

    async def _show(self, wanted: LogFilter, cursor: int = 0) -> None:
        """Fill the table with what a filter lets through, of the entries there were at the beginning."""
        wanted = replace(wanted, below=self.count)
        page = cursor // PAGE
        found = await self.ask(self.app.backend.log_find, wanted, page * PAGE, PAGE, self.newest_first)
        self.wanted, self.total = wanted, found.total
        self._pages = OrderedDict({page: found.rows})
        table = self.query_one(Rows)
        table.fill(self.total, cursor)
        self._detail(table.cursor)

    def row(self, position: int) -> LogRow | None:
        """The entry at a table position; None while its page is on the way."""
        page, place = divmod(position, PAGE)
        rows = self._pages.get(page)
        if rows is None:
            self._fetch(page)
            return None
        self._pages.move_to_end(page)
        return rows[place] if place < len(rows) else None

    def _fetch(self, page: int) -> None:
        if page not in self._asked:
            self._asked.add(page)
            self.run_worker(self._fetched(page), group="pages")

    async def _fetched(self, page: int) -> None:
        asked = self.wanted, self.newest_first
        try:
            found = await self.ask(self.app.backend.log_find, asked[0], page * PAGE, PAGE, asked[1])
        except ApplianceError as error:
            self.complain(error)
            return
        finally:
            self._asked.discard(page)
        if asked == (self.wanted, self.newest_first):
            self._pages[page] = found.rows
        while len(self._pages) > _PAGES_KEPT:
            self._pages.popitem(last=False)
        table = self.query_one(Rows)
        table.refresh()
        self._detail(table.cursor)

    def _cells(self, position: int) -> tuple[Content, ...] | None:
        row = self.row(position)
        if row is None:
            return None
        return (
            Content.styled(f"{row.index:>9,}", "$muted"),
            foreign(moment(row.claimed_utc)),
            foreign(row.act, "bold"),
            foreign(row.outcome, "" if row.outcome in _GOOD else "$review"),
            foreign(row.actor),
            foreign(row.object, "$muted"),
        )

    def _health(self) -> None:
        glyphs = self.app.glyphs
        lines = self.query_one("#health", Lines)
        if self.health is None:
            lines.show(Content(count("log.unread", self.count)))
            return
        words = foreign(tell("log.signed_by", words=self.health.key_words))
        lines.show(log_line(self.health, glyphs.passed, glyphs.failed, partial(keyed, self)), words)

    def _detail(self, position: int) -> None:
        said = told(self.wanted)
        place = {"place": f"{min(position + 1, self.total):,}", "total": f"{self.total:,}"}
        order = tell("log.newest", **place) if self.newest_first else tell("log.oldest", **place)
        shown = tell("log.filter", filter=said) if said else ""
        self.query_one("#where", Lines).show(Content.assemble((order, "bold"), "   ", (shown, "$review")))
        row = self.row(position) if self.total else None
        detail = self.query_one("#detail", Lines)
        if row is None:
            detail.show(Content(""))
            return
        head = tell("log.entry", index=f"{row.index:,}")
        what = {"act": row.act, "outcome": row.outcome, "moment": row.claimed_utc}
        detail.show(
            Content.assemble((head, "bold"), "  ", foreign(tell("log.what", **what))),
            foreign(tell("log.who", actor=row.actor, object=row.object)),
        )

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Show the entry in full."""
        self._detail(message.index)

    # Which entries, in which order, from where

    def action_filter(self) -> None:
        """Ask which entries to show."""
        self.app.push_screen(FilterDialog(self.wanted), self._filtered)

    def _filtered(self, wanted: LogFilter | None) -> None:
        if wanted is not None:
            self._work(self._show(wanted))

    def action_clear(self) -> None:
        """Show every entry again."""
        self._work(self._show(LogFilter()))

    def action_turn(self) -> None:
        """Turn the order round; the cursor stays on its entry."""
        self.newest_first = not self.newest_first
        cursor = self.query_one(Rows).cursor
        self._work(self._show(self.wanted, max(0, self.total - 1 - cursor)))

    def action_go_to(self) -> None:
        """Ask for an entry's number or a date."""
        self.app.push_screen(GoToDialog(), self._gone_to)

    def _gone_to(self, where: str | None) -> None:
        if where is not None:
            self._work(self._go_to(where.replace(",", "")))

    async def _go_to(self, where: str) -> None:
        """Put the cursor on the first entry from a number or a time on, of those that are shown."""
        if where.isdecimal():
            before = replace(self.wanted, below=min(int(where), self.count))
        else:
            since = replace(self.wanted, since=max(where.replace(" ", "T"), self.wanted.since))
            first = await self.ask(self.app.backend.log_find, since, 0, 1, False)
            before = replace(self.wanted, below=first.rows[0].index if first.rows else self.count)
        passed = (await self.ask(self.app.backend.log_find, before, 0, 0, False)).total
        place = min(passed, self.total - 1)
        self.query_one(Rows).cursor = max(0, self.total - 1 - place if self.newest_first else place)

    def _work(self, work: Coroutine[object, object, None]) -> None:
        self.run_worker(self._done(work), exclusive=True, group="load")

    async def _done(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except ApplianceError as error:
            self.complain(error)

    # The log as a whole

    def action_verify(self) -> None:
        """Re-derive the whole log."""
        self.query_one(Notice).confirm(tell("log.verifying"))
        self.run_worker(self._verify(), exclusive=True, group="verify")

    async def _verify(self) -> None:
        """Beside the other calls: it takes seconds for millions of entries."""
        try:
            self.health = await asyncio.to_thread(self.app.backend.log_verify, self._stepped)
        except ApplianceError as error:
            self.complain(error)
            return
        except Stopped:
            return
        notice = self.query_one(Notice)
        if self.health.intact:
            notice.confirm(count("log.as_signed", self.health.entries))
        else:
            notice.complain(f"{tell('log.broken')} {self.health.problem}", tell("log.broken.hint"))
        self._health()

    def _stepped(self, done: int, total: int) -> None:
        """Called in the verifying thread."""
        if self._left:
            raise Stopped
        self.post_message(self.Stepped(done, total))

    def on_log_screen_stepped(self, message: Stepped) -> None:
        """How far the verification is."""
        if any(worker.group == "verify" and worker.is_running for worker in self.workers):
            numbers = {"done": f"{message.done:,}", "total": f"{message.total:,}"}
            share = percent(round(message.done / max(1, message.total), 2))
            self.query_one(Notice).confirm(tell("log.stepped", share=share, **numbers))

    def action_state(self) -> None:
        """The state in ten words, and what witnesses have seen."""
        self._work(self._state())

    async def _state(self) -> None:
        state = await self.ask(self.app.backend.log_state)
        witnesses = await self.ask(self.app.backend.witnesses)
        self.app.push_screen(StateDialog(state, witnesses))

    def action_export(self) -> None:
        """Write entries to a file for other programs."""
        row = self.row(self.query_one(Rows).cursor) if self.total else None
        last = self.count - 1 if row is None else row.index
        self.app.push_screen(LogExportDialog(max(0, last - 999), last), self._exported)

    def _exported(self, span: Span | None) -> None:
        if span is not None:
            self._work(self._export(span))

    async def _export(self, span: Span) -> None:
        made = await self.ask(self.app.backend.export_log, span.path, span.form, span.first, span.last)
        self.query_one(Notice).confirm(
            tell("log.exported", file=made.file, first=f"{made.first:,}", last=f"{made.last:,}")
        )


def told(wanted: LogFilter) -> str:
    """A filter in words; "" where it lets everything through."""
    said = [
        tell(f"log.filter.{name}", word=word)
        for name in ("text", "act", "outcome", "actor", "object", "since", "until")
        if (word := getattr(wanted, name))
    ]
    return line(", ".join(said))
