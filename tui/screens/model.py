"""Model: one line with its versions, its vendor's claims, its lineage, and its exposure over the versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content

from appliance.watch.views import AnnouncementView, ChangeRow, VersionRow
from tui.screens.change import ChangeScreen
from tui.screens.claim import ClaimScreen
from tui.screens.claim_dialogs import ClaimDialog, WithdrawDialog
from tui.screens.section import Section, navigation
from tui.screens.watch_dialogs import AnnounceDialog, AnswerDialog, WatchDialog
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.control_chart import ControlChart
from tui.widgets.drawing import Heading, Lines
from tui.widgets.lineage import LineageTree, versions_of
from tui.widgets.rows import Column, Rows
from tui.widgets.standings import changed_parts, claim_sign, found_sign, line_of
from tui.widgets.verdict import badge
from tui.words import day

if TYPE_CHECKING:
    from appliance.charted import SeriesView
    from appliance.claims.views import ClaimRow, ClaimView

_VERSIONS = (
    Column("Version", 11, flex=True),
    Column("Found", 13),
    Column("Changed", 15, flex=True, drop=1),
    Column("Seen", 10, drop=2),
    Column("Last verdict", 14),
)
_CLAIMS = (
    Column("Standing", 14),
    Column("Claim", 34, flex=True),
    Column("Speaks of", 21, drop=1),
    Column("Source", 16, flex=True, drop=2),
)


class ModelScreen(Section):
    """One line whole."""

    TITLE = "Model"
    HELP_TEXT = (
        "Versions, the newest first, with how each came to be known: registered by somebody, found by the "
        "watch after it was announced, or found although nobody had announced it; that one waits for an "
        "officer's answer: y. Claims are what the vendor says, set against every audit. enter opens what is "
        "under the cursor: what changed in a version, or what supports or counters a claim. w looks at the "
        "folders now, u announces a change, n keeps a claim, x withdraws one, o shows the version's last "
        "result. tab goes from versions to claims and to the page with lineage and chart."
    )
    DEFAULT_CSS = """
    ModelScreen Heading { margin: 0 1; }
    ModelScreen #page Heading { margin: 1 0 0 0; }
    ModelScreen Rows { height: auto; max-height: 5; margin: 0 1; }
    .-tall ModelScreen Rows { max-height: 10; }
    """
    NEEDS: ClassVar[dict[str, str]] = {
        "watch": "watch_models",
        "announce": "announce_change",
        "answer": "answer_change",
        "new": "add_claim",
        "withdraw": "withdraw_claim",
    }
    BINDINGS = navigation(
        "models",
        Binding("escape,b", "back", "Back", key_display="esc"),
        Binding("enter", "open", "Open", key_display="enter"),
        Binding("y", "answer", "Answer"),
        Binding("w", "watch", "Watch"),
        Binding("n", "new", "Claim"),
        Binding("u", "announce", "Announce a change", show=False),
        Binding("x", "withdraw", "Withdraw the claim", show=False),
        Binding("o", "result", "Show the last result", show=False),
        run=False,
    )

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name_ = name
        self.versions: tuple[VersionRow, ...] = ()
        self.changes: dict[str, ChangeRow] = {}
        self.claims: tuple[ClaimRow, ...] = ()

    def body(self) -> ComposeResult:
        """Versions, claims, and the page below."""
        yield Heading(line(self.name_), id="which")
        yield Rows(_VERSIONS, self._version, empty="", id="versions")
        yield Heading("What the vendor claims", id="claimed")
        yield Rows(_CLAIMS, self._claim, empty="No claim yet: press n to keep one.", id="claims")
        with VerticalScroll(id="page"):
            yield Lines(id="coming")
            yield Heading("Lineage")
            yield LineageTree(self.name_)
            yield Heading("Exposure over its versions")
            yield ControlChart((), None)

    async def load(self) -> None:
        """Versions first, then the claims, then the chart."""
        backend = self.app.backend
        lineage = await self.ask(backend.lineage, (self.name_,))
        changes = await self.ask(backend.model_changes, (self.name_,))
        first = not self.versions
        found = {one.version: one for one in versions_of(lineage, self.name_)}
        self.versions = tuple(found[number] for number in sorted(found, reverse=True))
        self.changes = {row.model: row for row in changes}
        table = self.query_one("#versions", Rows)
        table.fill(len(self.versions))
        if first:
            table.focus()
        self.query_one(LineageTree).show(lineage)
        self._tell(await self.ask(backend.announcements, self.name_))
        claims = await self.ask(backend.claims)
        self.claims = tuple(row for row in claims if line_of(row.model) == self.name_)
        self.query_one("#claims", Rows).fill(len(self.claims))
        audited = next((row.audit_id for row in self.versions if row.audit_id), "")
        if audited:
            self._draw(await self.ask(backend.audit_series, audited))

    def _tell(self, announced: tuple[AnnouncementView, ...]) -> None:
        waits = sum(row.waits for row in self.versions)
        told = f"{len(self.versions):,} versions" + (f", {waits:,} unanswered: press y" if waits else "")
        self.query_one("#which", Heading).add(Content.styled(told, "$review" if waits else "$muted"))
        open_ = [one for one in announced if not one.over and not one.used]
        self.query_one("#coming", Lines).show(*(self._coming(one) for one in open_))

    def _coming(self, one: AnnouncementView) -> Content:
        until = f" until {line(one.until)}" if one.until else ""
        release = f", {line(one.release)}" if one.release else ""
        return foreign(f"A change is announced{until}{release}: {one.reason}")

    def _draw(self, charted: SeriesView) -> None:
        chart = self.query_one(ControlChart)
        chart.points, chart.limit = charted.points, charted.limit
        chart.refresh(layout=True)

    # What is drawn

    def _version(self, index: int) -> tuple[Content, ...]:
        row = self.versions[index]
        return (
            foreign(row.model, "bold"),
            found_sign(row, self.app.glyphs),
            changed_parts(row.parts, row.equal_to),
            foreign(day(row.seen_utc)),
            badge(row.verdict, self.app.glyphs),
        )

    def _claim(self, index: int) -> tuple[Content, ...]:
        row = self.claims[index]
        gone = Content.styled(f"{self.app.glyphs.absent} withdrawn", "$muted")
        later = " and later" if row.later else ""
        return (
            claim_sign(row.standing, self.app.glyphs) if row.in_force else gone,
            foreign(row.says, "bold" if row.in_force else "$muted"),
            foreign(f"{row.model}{later}"),
            foreign(row.source),
        )

    # What is done

    def _here(self) -> VersionRow | None:
        return self.versions[self.query_one("#versions", Rows).cursor] if self.versions else None

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """A click on the row under the cursor."""
        self._open(message.rows)

    def action_open(self) -> None:
        """Open what is under the cursor of the table with the focus."""
        claims = self.query_one("#claims", Rows)
        self._open(claims if claims.has_focus else self.query_one("#versions", Rows))

    def _open(self, table: Rows) -> None:
        here = self._here()
        if table.id == "claims":
            if self.claims:
                self.app.switch_screen(ClaimScreen(self.claims[table.cursor].claim_id, self._again))
        elif here is not None and here.version > 1:
            self.app.switch_screen(ChangeScreen(here.model, self._again))
        elif here is not None:
            hint = "press o for its last result" if here.audit_id else ""
            self.query_one(Notice).confirm(f"{line(here.model)} is the first version: nothing changed", hint)

    def _again(self) -> ModelScreen:
        return ModelScreen(self.name_)

    def action_back(self) -> None:
        """All models."""
        self.app.action_go("models")

    def action_watch(self) -> None:
        """Look at the folders now."""
        self.app.push_screen(WatchDialog((self.name_,), self.name_), self._read_again)

    def action_announce(self) -> None:
        """Say that a change will come."""
        self.app.push_screen(AnnounceDialog(self.name_), self._read_again)

    def action_answer(self) -> None:
        """Answer the unannounced change under the cursor, else the newest that waits."""
        here = self._here()
        waiting = [row for row in self.versions if row.waits]
        chosen = here if here is not None and here.waits else next(iter(waiting), None)
        change = self.changes.get(chosen.model) if chosen is not None else None
        if change is None:
            self.query_one(Notice).confirm("no change waits for an answer")
        else:
            self.app.push_screen(AnswerDialog(change), self._read_again)

    def action_new(self) -> None:
        """Keep a claim about the version under the cursor."""
        here = self._here()
        self.app.push_screen(ClaimDialog(here.model if here else self.name_), self._kept)

    def _kept(self, view: ClaimView | None) -> None:
        if view is not None:
            self.query_one(Notice).confirm(f"kept as {view.row.claim_id}: {view.row.standing.value}")
            self.reload()

    def action_withdraw(self) -> None:
        """Withdraw the claim under the cursor."""
        here = self.claims[self.query_one("#claims", Rows).cursor] if self.claims else None
        if here is None or not here.in_force:
            self.query_one(Notice).confirm("no claim in force is under the cursor", "press n to keep one")
        else:
            self.app.push_screen(WithdrawDialog(here), self._read_again)

    def _read_again(self, changed: object) -> None:
        if changed:
            self.query_one(Notice).clear()
            self.reload()

    def action_result(self) -> None:
        """The last finished audit of the version under the cursor."""
        here = self._here()
        if here is not None and here.audit_id:
            self.app.open_result(here.audit_id)
        elif here is not None:
            self.query_one(Notice).confirm(f"{line(here.model)} was never audited", "press r to run an audit")
