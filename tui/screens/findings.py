"""Findings: what one audit says of every pair, by pseudonym; sorted and filtered where they lie."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.message import Message

from appliance.errors import ApplianceError, NotPermitted
from appliance.finding_views import FindingRow, FindingsAsked
from appliance.pack.pages.wording import percent
from appliance.words.table import count, tell
from tui.screens.finding import FindingScreen, probability
from tui.screens.finding_dialogs import OpenDialog, Opening, SiftDialog
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Lines
from tui.widgets.rows import Column, Rows
from tui.words import ROLE

PAGE = 128
_PAGES_KEPT = 32
_COLUMNS = (
    Column("Pseudonym", 16, flex=True),
    Column("Role", 11, drop=1),
    Column("Flagged", 9),
    Column("   Score", 8),
    Column(" p-value", 8, drop=2),
    Column("    Leak", 8),
    Column("Pairs", 5, drop=3),
)
ORDERS = ("score", "p-value", "probability", "pseudonym", "audit")
PRIORS = ("0.01", "0.1", "0.001", "mixture", "as published")
FIRST = FindingsAsked(sort=ORDERS[0], prior=PRIORS[0])


class FindingsScreen(Section):
    """The findings of one audit."""

    class Stepped(Message):
        """So many findings of an audit were read, of so many."""

        def __init__(self, done: int, total: int) -> None:
            super().__init__()
            self.done, self.total = done, total

    TITLE = "Findings"
    HELP_TEXT = (
        "One line is one pair of an image and a report in the audit that was looked at last; a patient is a "
        "pseudonym, the name lies behind a reveal of its own. Score: of the detector that decides, larger is "
        "more like the training data. p-value: how rare such a score is among controls. Leak: the chance of "
        "having been used, if a share of such patients (the prior) had been used beforehand; – where there "
        "is none. Flagged: named by the audit, with some false ones among them. o changes the order, p the "
        "prior, t shows only flagged ones, f filters, enter opens the finding. Opening is logged."
    )
    DEFAULT_CSS = """
    FindingsScreen #about, FindingsScreen #detail { padding: 0 1; }
    FindingsScreen Rows { height: 1fr; min-height: 4; margin: 0 1; }
    FindingsScreen #detail { min-height: 2; max-height: 4; background: $panel; }
    """
    BINDINGS = navigation(
        "findings",
        Binding("enter", "open", "Open", key_display="enter", show=False),
        Binding("f", "sift", "Filter"),
        Binding("o", "order", "Order"),
        Binding("t", "flagged", "Flagged only", show=False),
        Binding("p", "prior", "Prior", show=False),
        run=False,
    )

    def __init__(
        self, audit_id: str = "", asked: FindingsAsked = FIRST, cursor: int = 0, whole: int = 0
    ) -> None:
        super().__init__()
        self.audit_id, self.asked, self.start = audit_id, asked, cursor
        self.total: int | None = None  # None: not open
        self.whole = whole  # findings of the audit; 0: not known yet
        self._pages: OrderedDict[int, tuple[FindingRow, ...]] = OrderedDict()
        self._fetching: set[tuple[FindingsAsked, int]] = set()

    def body(self) -> ComposeResult:
        """What is listed, the table, the line under the cursor in words."""
        yield Lines(id="about")
        yield Rows(_COLUMNS, self._cells, empty="", id="findings")
        yield Lines(id="detail")

    async def load(self) -> None:
        """Find the audit; open its findings, or ask for what that takes."""
        table = self.query_one(Rows)
        table.focus()
        self.audit_id = self.audit_id or self.app.last_result or await self._newest()
        if not self.audit_id:
            table.empty = tell("findings.no_audit")
            table.fill(0)
            return
        self.app.last_result = self.audit_id
        need = await self.ask(self.app.backend.findings_need)
        if need.opened:
            await self._show()
        elif need.passphrase or need.second:
            self._show_closed()
            self.app.push_screen(OpenDialog(need), self._answered)
        else:
            await self._opened(Opening())

    async def _newest(self) -> str:
        rows = await self.ask(self.app.backend.audits)
        return next((row.audit_id for row in rows if row.verdict is not None), "")

    def _answered(self, opening: Opening | None) -> None:
        if opening is not None:
            self.run_worker(self._open_with(opening), exclusive=True, group="load")

    async def _open_with(self, opening: Opening) -> None:
        try:
            await self._opened(opening)
        except ApplianceError as error:
            self.complain(error)

    async def _opened(self, opening: Opening) -> None:
        self.query_one("#about", Lines).show(Content.styled(tell("findings.opening"), "$muted"))
        try:
            await self.ask(self.app.backend.open_findings, opening.passphrase, opening.second)
            await self._show()
        except ApplianceError:
            self._show_closed()
            raise

    async def _show(self) -> None:
        """Count, and show from the first page on."""
        self._pages.clear()
        try:
            call = self.app.backend.findings_page
            page = await self.ask(call, self.audit_id, self.asked, 0, PAGE, self._stepped)
        except NotPermitted:
            self._show_closed()
            raise
        self._pages[0] = page.rows
        self.total = page.total
        plain = self.asked == FindingsAsked(sort=self.asked.sort, prior=self.asked.prior)
        self.whole = page.total if plain else max(self.whole, page.total)
        table = self.query_one(Rows)
        table.empty = tell("findings.nothing_like") if self.whole else tell("findings.none")
        table.fill(page.total, cursor=self.start)
        self.start = 0
        self._about()
        self._detail(table.cursor)

    def _stepped(self, done: int, total: int) -> None:
        """Called in the reading thread."""
        self.post_message(self.Stepped(done, total))

    def on_findings_screen_stepped(self, message: Stepped) -> None:
        """How far the reading is, as long as nothing is listed."""
        if self.total is None and self.audit_id:
            numbers = {"done": f"{message.done:,}", "total": f"{message.total:,}"}
            share = percent(round(message.done / max(1, message.total), 2))
            told = tell("findings.checking", share=share, **numbers)
            self.query_one("#about", Lines).show(Content.styled(told, "$muted"))

    def _show_closed(self) -> None:
        """Nothing is listed, and the way to open."""
        self.total = None
        self._pages.clear()
        table = self.query_one(Rows)
        table.empty = tell("findings.closed")
        table.fill(0)
        self.query_one("#about", Lines).show(foreign(f"audit {self.audit_id}", "$muted"))
        self.query_one("#detail", Lines).show()

    # -- rows ------------------------------------------------------------------------------------------

    def row(self, index: int) -> FindingRow | None:
        """The finding at a place of the table; None while its page is on the way."""
        page, place = divmod(index, PAGE)
        rows = self._pages.get(page)
        if rows is None:
            self._fetch(page)
            return None
        return rows[place] if place < len(rows) else None

    def _fetch(self, page: int) -> None:
        if self.total is not None and (self.asked, page) not in self._fetching:
            self._fetching.add((self.asked, page))
            self.run_worker(self._fetched(self.asked, page), group="pages")

    async def _fetched(self, asked: FindingsAsked, page: int) -> None:
        call = self.app.backend.findings_page
        try:
            found = await self.ask(call, self.audit_id, asked, page * PAGE, PAGE)
        except ApplianceError as error:
            self._show_closed()
            self.complain(error)
            return
        finally:
            self._fetching.discard((asked, page))
        if asked != self.asked or self.total is None:
            return
        self._pages[page] = found.rows
        while len(self._pages) > _PAGES_KEPT:
            self._pages.popitem(last=False)
        table = self.query_one(Rows)
        table.refresh()
        self._detail(table.cursor)

    def _cells(self, index: int) -> tuple[Content, ...] | None:
        row = self.row(index)
        if row is None:
            return None
        glyphs = self.app.glyphs
        yes, no = (f"{glyphs.failed} flagged", "bold $fail"), (f"{glyphs.absent} no", "$muted")
        return (
            foreign(row.patient, "bold"),
            Content(tell(f"findings.role.{row.role}")),
            Content.styled(*(yes if row.flagged else no)),
            Content(f"{_number(row.score):>8}"),
            Content(f"{_number(row.p_value):>8}"),
            Content(f"{_share(row.probability):>8}"),
            Content.styled(f"{row.pairs:>5,}", "$muted"),
        )

    # -- words -----------------------------------------------------------------------------------------

    def _about(self) -> None:
        total, asked = self.total or 0, self.asked
        whole = count("findings.listed", self.whole)
        told = Content.assemble(
            (whole if total == self.whole else f"{total:,} of {whole}", "bold"),
            f", {tell(f'findings.sort.{asked.sort}')}. ",
            (f"Prior: {tell(f'findings.prior.{asked.prior}')}. ", "$muted"),
            foreign(f"Audit {self.audit_id}", "$muted"),
        )
        only = [f"filter: {self._filters()}"] if self._filters() else []
        self.query_one("#about", Lines).show(told, *map(foreign, only))

    def _filters(self) -> str:
        asked = self.asked
        told = ["flagged"] if asked.flagged else []
        told += [ROLE.get(asked.role, asked.role)] if asked.role else []
        told += [f"pseudonym {asked.pseudonym}…"] if asked.pseudonym else []
        told += [f"score from {asked.min_score:g}"] if asked.min_score is not None else []
        if asked.min_probability is not None:
            told.append(f"leak probability from {asked.min_probability:g}")
        return ", ".join(told)

    def _detail(self, index: int) -> None:
        detail = self.query_one("#detail", Lines)
        row = self.row(index) if self.total else None
        if row is None:
            detail.show()
            return
        pair = f"pair {row.pair_id[:12]}" + ("" if row.judged else f", {tell('findings.not_judged')}")
        detail.show(
            Content.assemble(foreign(row.patient, "bold"), "  ", foreign(pair, "$muted")),
            Content.styled(tell("findings.enter"), "$muted"),
        )

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Say which."""
        self._detail(message.index)

    # -- keys ------------------------------------------------------------------------------------------

    def on_rows_chosen(self) -> None:
        """A click on the row under the cursor."""
        self.action_open()

    def action_open(self) -> None:
        """Open the finding under the cursor, or the findings where they are closed."""
        if self.total is None:
            if self.audit_id:
                self.reload()
            return
        cursor = self.query_one(Rows).cursor
        row = self.row(cursor) if self.total else None
        if row is not None:
            came = (self.asked, cursor, self.whole)
            self.app.switch_screen(FindingScreen(self.audit_id, line(row.patient), came))

    def action_order(self) -> None:
        """The next order."""
        self._ask_for(replace(self.asked, sort=_after(self.asked.sort, ORDERS)))

    def action_prior(self) -> None:
        """The next prior."""
        self._ask_for(replace(self.asked, prior=_after(self.asked.prior, PRIORS)))

    def action_flagged(self) -> None:
        """Only flagged ones, or all again."""
        self._ask_for(replace(self.asked, flagged=not self.asked.flagged))

    def action_sift(self) -> None:
        """Ask which ones."""
        if self.total is not None:
            self.app.push_screen(SiftDialog(self.asked), self._sifted)

    def _sifted(self, asked: FindingsAsked | None) -> None:
        if asked is not None:
            self._ask_for(asked)

    def _ask_for(self, asked: FindingsAsked) -> None:
        if self.total is not None:
            self.asked = asked
            self.query_one(Notice).clear()
            self.run_worker(self._shown(), exclusive=True, group="load")

    async def _shown(self) -> None:
        try:
            await self._show()
        except ApplianceError as error:
            self.complain(error)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "–" if value is None else probability(value)


def _after(one: str, among: tuple[str, ...]) -> str:
    return among[(among.index(one) + 1) % len(among)]
