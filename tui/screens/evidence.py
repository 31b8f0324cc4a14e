"""Evidence: the packs of every finished audit; write one, and check one that lies in a file."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from appliance.errors import ApplianceError
from appliance.views import AuditRow
from appliance.words.table import tell
from tui.screens.export import AuditorDialog, Export, ExportDialog, VerifyDialog
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading
from tui.widgets.rows import Column, Rows
from tui.widgets.verdict import badge
from tui.words import moment

if TYPE_CHECKING:
    from appliance.evidence.views import PackRow

_AUDITS = (
    Column(tell("evidence.column.verdict"), 14),
    Column(tell("evidence.column.model"), 14, flex=True),
    Column(tell("evidence.column.audited"), 16, drop=1),
    Column(tell("evidence.column.packs"), 5),
    Column(tell("evidence.column.last"), 16, drop=2),
)
_PACKS = (
    Column(tell("evidence.column.written"), 16),
    Column(tell("evidence.column.by"), 16, flex=True),
    Column(tell("evidence.column.edition"), 8),
    Column(tell("evidence.column.entry"), 10),
)
_QUARTERS = (1, 4, 7, 10)  # months in which one begins
_MONTH = re.compile("[1-9][0-9]{3}-(?:0[1-9]|1[0-2])-")


class EvidenceScreen(Section):
    """Packs of audits."""

    TITLE = tell("evidence.title")
    HELP_TEXT = tell("evidence.help")
    DEFAULT_CSS = """
    EvidenceScreen Rows { height: 1fr; min-height: 4; margin: 0 1; }
    EvidenceScreen Heading { margin: 0 1; }
    """
    BINDINGS = navigation(
        "evidence",
        Binding("e,f6", "export", tell("evidence.key.export")),
        Binding("v", "verify", tell("evidence.key.verify")),
        Binding("w", "answer", tell("evidence.key.answer")),
        run=False,
    )

    def __init__(self) -> None:
        super().__init__()
        self.audits: tuple[AuditRow, ...] = ()
        self.packs: tuple[PackRow, ...] = ()
        self.here: tuple[PackRow, ...] = ()  # of the audit under the cursor
        self._written: Counter[str] = Counter()
        self._latest: dict[str, str] = {}

    def body(self) -> ComposeResult:
        """Audits, and the packs of the one under the cursor."""
        yield Rows(_AUDITS, self._audit, empty=tell("evidence.no_audit"), id="audited")
        yield Heading(tell("evidence.packs"), id="packs-head")
        yield Rows(_PACKS, self._pack, empty="", id="packs")

    async def load(self) -> None:
        """Finished audits, and what the log says of packs."""
        rows = await self.ask(self.app.backend.audits)
        self.audits = tuple(row for row in rows if row.verdict is not None)
        audited = self.query_one("#audited", Rows)
        audited.fill(len(self.audits))
        audited.focus()
        self.packs = await self.ask(self.app.backend.packs)
        self._written = Counter(pack.audit_id for pack in self.packs)
        self._latest = {pack.audit_id: pack.written_utc for pack in reversed(self.packs)}
        audited.refresh()
        self._packs(audited.cursor)

    def _audit(self, index: int) -> tuple[Content, ...]:
        row = self.audits[index]
        return (
            badge(row.verdict, self.app.glyphs),
            foreign(row.model, "bold"),
            foreign(moment(row.started_utc)),
            Content(f"{self._written[row.audit_id]:>5,}"),
            foreign(moment(self._latest.get(row.audit_id, ""))),
        )

    def _pack(self, index: int) -> tuple[Content, ...]:
        pack = self.here[index]
        return (
            foreign(moment(pack.written_utc)),
            foreign(pack.by),
            foreign(pack.edition),
            Content.styled(f"{pack.entry:>10,}", "$muted"),
        )

    def _packs(self, index: int) -> None:
        table = self.query_one("#packs", Rows)
        if not self.audits:
            table.fill(0)
            return
        audit = self.audits[index]
        self.here = tuple(pack for pack in self.packs if pack.audit_id == audit.audit_id)
        table.empty = tell("evidence.no_pack")
        table.fill(len(self.here), cursor=0)
        self.query_one("#packs-head", Heading).add(
            foreign(tell("evidence.pack_of", model=audit.model, audit=audit.audit_id), "$muted")
        )

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """The packs of another audit."""
        if message.rows.id == "audited":
            self._packs(message.index)

    def action_export(self) -> None:
        """Ask where the pack goes, then write it."""
        if self.audits:
            audit_id = self.audits[self.query_one("#audited", Rows).cursor].audit_id

            def chosen(wanted: Export | None) -> None:
                if wanted:
                    self.run_worker(self._write(audit_id, wanted), group="export")

            self.app.push_screen(ExportDialog(f"evidence-{line(audit_id)}.zip"), chosen)

    async def _write(self, audit_id: str, wanted: Export) -> None:
        self.query_one(Notice).confirm(tell("evidence.writing"))
        path, backend = Path(wanted.path).expanduser(), self.app.backend
        try:
            written = await self.ask(backend.export_pack, audit_id, path, wanted.edition, wanted.withhold)
            lacks = await self.ask(backend.not_made)
        except ApplianceError as error:
            self.complain(error)
            return
        await self._checked(written, True, lacks)
        self.reload()

    def action_answer(self) -> None:
        """Ask for model and days, as the audit under the cursor suggests them, then collect it."""
        model, since, until = "", "", ""
        if self.audits:
            audit = self.audits[self.query_one("#audited", Rows).cursor]
            model, (since, until) = line(audit.model).partition("@")[0], quarter_of(audit.started_utc)
        self.app.push_screen(AuditorDialog(model, since, until), lambda changed: self.reload())

    def action_verify(self) -> None:
        """Ask which file, then check it."""
        self.app.push_screen(VerifyDialog(), self._chosen)

    def _chosen(self, path: str | None) -> None:
        if path:
            self.query_one(Notice).confirm(tell("evidence.verifying"))
            self.run_worker(self._checked(Path(path).expanduser(), False), group="verify")

    async def _checked(self, path: Path, written: bool, lacks: str = "") -> None:
        try:
            found = await self.ask(self.app.backend.verify_pack, path)
        except ApplianceError as error:
            self.complain(error)
            return
        known = self.app.known
        ours = known is not None and known.log.key_words == found.key_words
        whose = tell("evidence.whose.ours" if ours else "evidence.whose.other")
        entries = f"{found.entries:,}"
        said = tell(
            "evidence.checked.written" if written else "evidence.checked.verified",
            file=path.name,
            entries=entries,
            whose=whose,
            words=found.key_words,
        )
        if found.withheld:
            said = tell("evidence.lacking", said=said, number=len(found.withheld))
        if lacks and not found.paper:
            said = tell("evidence.no_paper", said=said, why=lacks)
        self.query_one(Notice).confirm(said)


def quarter_of(utc: str) -> tuple[str, str]:
    """First and last day of the quarter in which a moment lies; nothing of what is no moment."""
    if not _MONTH.match(utc):
        return "", ""
    first = date.fromisoformat(f"{utc[:7]}-01")
    first = first.replace(month=max(month for month in _QUARTERS if month <= first.month))
    following = (first + timedelta(days=100)).replace(day=1)  # past three months, within the fourth
    return first.isoformat(), (following - timedelta(days=1)).isoformat()
