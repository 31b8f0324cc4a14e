"""Policies: every version with its text, what it changes, what it would have changed, and its approval."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.worker import Worker

from appliance.errors import ApplianceError
from appliance.policies.views import Outcome, PolicyDifference, State
from tui.screens.policy_dialogs import (
    Approval,
    ApproveDialog,
    ProposeDialog,
    RejectDialog,
    TightenDialog,
)
from tui.screens.policy_tables import (
    AUDITS,
    CHANGED,
    EVERY,
    VERSIONS,
    audit_cells,
    changed_cells,
    key_cells,
    paragraphs,
    version_cells,
)
from tui.screens.section import Section, navigation
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading, Lines
from tui.widgets.rows import Rows
from tui.words import day

if TYPE_CHECKING:
    from appliance.policies.views import DryRunView, PolicyRow, PolicyView, TightenedPolicy

_TITLES: Final = {
    "page": "Text",
    "every": "Keys and clauses",
    "keys": "What it changes",
    "audits-tried": "Dry run",
}


class PoliciesScreen(Section):
    """Versions of policies."""

    TITLE = "Policies"
    HELP_TEXT = (
        "A policy says before an audit what its numbers will mean. p proposes a policy file; nothing is "
        "decided by it before it is approved. d compares what is under the cursor with what is in force, or "
        "with the one that m has marked: stricter means that a model that was trained on patients comes "
        "through less easily. t says what every finished audit would have ended in; where a key changed that "
        "the audit computed with, only a new run can tell. y approves: type the policy's name; where "
        "findings open with two officers, two approve. x rejects with a reason. e lists every key with its "
        "value and the clause that its text cites; v shows the text again, tab goes to it. w puts what a "
        "vendor asks for into the version under the cursor, as a new file, where that is stricter."
    )
    DEFAULT_CSS = """
    PoliciesScreen Rows { height: 1fr; min-height: 4; margin: 0 1; }
    PoliciesScreen #versions { height: auto; max-height: 40%; }
    PoliciesScreen Heading { margin: 0 1; }
    PoliciesScreen #why { padding: 0 1; min-height: 2; max-height: 4; background: $panel; }
    PoliciesScreen .-hidden { display: none; }
    """
    BINDINGS = navigation(
        "policies",
        Binding("d", "diff", "Diff"),
        Binding("t", "dry_run", "Try"),
        Binding("y", "approve", "Approve"),
        Binding("p", "propose", "Propose"),
        Binding("x", "reject", "Reject", show=False),
        Binding("w", "tighten", "Tighten by a vendor's file", show=False),
        Binding("e", "keys", "Every key with its clause", show=False),
        Binding("m", "mark", "Mark to compare with", show=False),
        Binding("v", "text", "Show the text", show=False),
        run=False,
    )

    NEEDS: ClassVar[dict[str, str]] = {
        "dry_run": "dry_run_policy",
        "approve": "approve_policy",
        "propose": "propose_policy",
        "tighten": "tighten_policy",
        "reject": "reject_policy",
    }

    def __init__(self) -> None:
        super().__init__()
        self.rows: tuple[PolicyRow, ...] = ()
        self.marked = ""
        self.found: PolicyDifference | None = None
        self.tried: DryRunView | None = None
        self.view: PolicyView | None = None

    def body(self) -> ComposeResult:
        """Versions; below them text, difference or dry run of the one under the cursor."""
        yield Rows(VERSIONS, self._version, empty="", id="versions")
        yield Heading("Text", id="what")
        with VerticalScroll(id="page"):
            yield Lines(id="text")
        yield Rows(EVERY, self._one, empty="Its text cannot be read any more", id="every")
        yield Rows(CHANGED, self._key, empty="", id="keys")
        yield Rows(AUDITS, self._audit, empty="No audit has finished yet: press 1, then r", id="audits-tried")
        yield Lines(id="why")

    async def load(self) -> None:
        """Every version; the cursor starts on what waits."""
        first = not self.rows
        self.rows = await self.ask(self.app.backend.policy_versions)
        table = self.query_one("#versions", Rows)
        waits = [index for index, row in enumerate(self.rows) if row.state is State.PROPOSED]
        table.fill(len(self.rows), waits[0] if first and waits else None)
        table.focus()
        self.action_text()

    # What is drawn

    def _version(self, index: int) -> tuple[Content, ...]:
        row = self.rows[index]
        return version_cells(row, row.reference == self.marked, self.app.glyphs)

    def _one(self, index: int) -> tuple[Content, ...] | None:
        return key_cells(self.view.keys[index]) if self.view is not None else None

    def _key(self, index: int) -> tuple[Content, ...] | None:
        return changed_cells(self.found.keys[index]) if self.found is not None else None

    def _audit(self, index: int) -> tuple[Content, ...] | None:
        return audit_cells(self.tried.rows[index], self.app.glyphs) if self.tried is not None else None

    def _show(self, part: str, heading: Content) -> None:
        """One of the four views below the versions."""
        for one in _TITLES:
            self.query_one(f"#{one}").set_class(one != part, "-hidden")
        self.query_one("#why").set_class(part == "page", "-hidden")
        head = self.query_one("#what", Heading)
        head.title = _TITLES[part]
        head.add(heading)

    def _explain(self) -> None:
        """Below a table: what the row under the cursor means."""
        told: tuple[Content, ...] = ()
        if self.found is not None and self.found.keys:
            one = self.found.keys[self.query_one("#keys", Rows).cursor]
            values = (("from ", "$muted"), foreign(one.old), (" to ", "$muted"), foreign(one.new))
            told = Content.assemble(*values), foreign(one.decides)
        elif self.tried is not None and self.tried.rows:
            told = (foreign(self.tried.rows[self.query_one("#audits-tried", Rows).cursor].why),)
        elif self.view is not None and self.view.keys and not self.found and not self.tried:
            key = self.view.keys[self.query_one("#every", Rows).cursor]
            told = foreign(key.decides), foreign(key.note, "$muted")
        self.query_one("#why", Lines).show(*told)

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Another version, or another row below."""
        if message.rows.id == "versions":
            self._below(self._load_text)
        else:
            self._explain()

    def _here(self) -> PolicyRow | None:
        return self.rows[self.query_one("#versions", Rows).cursor] if self.rows else None

    # The four views

    def _below(self, work: Callable[[], Coroutine[None, None, None]]) -> Worker[None]:
        """Load one of them; whatever is still being loaded is not shown any more."""
        return self.run_worker(work, exclusive=True, group="below")

    def action_text(self) -> None:
        """The text of the version under the cursor."""
        self._below(self._load_text)

    async def _load_text(self) -> None:
        here = self._here()
        if here is None:
            return
        try:
            view = await self.ask(self.app.backend.policy, here.reference)
        except ApplianceError as error:
            self.complain(error)
            return
        self.found = self.tried = None
        self.view = view
        self._show("page", foreign(view.row.reference, "$muted"))
        self.query_one("#text", Lines).show(*paragraphs(view))
        self.query_one("#page", VerticalScroll).scroll_home(animate=False)

    def action_keys(self) -> None:
        """Every key of the version under the cursor, with what its text says behind the value."""
        self._below(self._load_keys)

    async def _load_keys(self) -> None:
        await self._load_text()
        if self.view is None:
            return
        table = self.query_one("#every", Rows)
        table.fill(len(self.view.keys), 0)
        self._show("every", foreign(self.view.row.reference, "$muted"))
        table.focus()
        self._explain()

    def action_mark(self) -> None:
        """The one that d compares with; a second time takes the mark away."""
        here = self._here()
        if here is not None:
            self.marked = "" if here.reference == self.marked else here.reference
            self.query_one("#versions", Rows).refresh()

    def action_diff(self) -> None:
        """The marked version, or what is in force, against the one under the cursor."""
        here = self._here()
        if here is not None:
            both = (self.marked, here.reference) if self.marked else (here.reference, "")
            self._below(partial(self._diff, *both))

    async def _diff(self, first: str, second: str) -> None:
        try:
            found = await self.ask(self.app.backend.diff_policies, first, second)
        except ApplianceError as error:
            self.complain(error)
            return
        self.query_one(Notice).clear()
        self._compare(found)

    def _compare(self, found: PolicyDifference) -> None:
        """Show a difference, key by key."""
        self.found, self.tried = found, None
        table = self.query_one("#keys", Rows)
        table.empty = "The texts differ, and no key does" if found.words_only else "The same text"
        table.fill(len(found.keys), 0)
        self._show("keys", foreign(f"{found.first} to {found.second}", "$muted"))
        table.focus()
        self._explain()

    def action_dry_run(self) -> None:
        """Every finished audit under the version under the cursor."""
        here = self._here()
        if here is not None:
            self._below(partial(self._dry_run, here.reference))

    async def _dry_run(self, reference: str) -> None:
        try:
            tried = await self.ask(self.app.backend.dry_run_policy, reference)
        except ApplianceError as error:
            self.complain(error)
            return
        self.query_one(Notice).clear()
        self.found, self.tried = None, tried
        table = self.query_one("#audits-tried", Rows)
        table.fill(len(tried.rows), 0)
        told = [(outcome, sum(row.outcome is outcome for row in tried.rows)) for outcome in Outcome]
        counts = ", ".join(f"{outcome.value} {number:,}" for outcome, number in told if number)
        self._show("audits-tried", foreign(counts or tried.reference, "$muted"))
        table.focus()
        self._explain()

    # Proposing and deciding

    def action_propose(self) -> None:
        """Ask which file, then propose it."""

        def chosen(answer: tuple[str, str] | None) -> None:
            if answer:
                path, reason = answer
                self.run_worker(self._propose(Path(path).expanduser(), reason), group="decide")

        self.app.push_screen(ProposeDialog(), chosen)

    async def _propose(self, path: Path, reason: str) -> None:
        try:
            row = await self.ask(self.app.backend.propose_policy, path, reason)
        except ApplianceError as error:
            self.complain(error)
            return
        await self._done(row.reference, "waits for approval", "d says what it changes, t what it would have")

    def action_tighten(self) -> None:
        """Put what a vendor asks for into the version under the cursor, as a new file."""
        here = self._here()
        if here is not None:
            self.app.push_screen(TightenDialog(here.reference), self._tightened)

    def _tightened(self, answer: tuple[TightenedPolicy, Path] | None) -> None:
        if answer:
            found, into = answer
            self._compare(PolicyDifference(found.base, found.reference, found.taken, words_only=False))
            self.query_one(Notice).confirm(
                f"{line(found.reference)} is written to {into}", "press p to propose it"
            )

    def _proposal(self) -> PolicyRow | None:
        here = self._here()
        if here is None or here.state is State.PROPOSED:
            return here
        what = f"{here.reference} is {here.state.value}: nothing is to be decided"
        self.query_one(Notice).complain(what, "p proposes another text")
        return None

    def action_approve(self) -> None:
        """Ask for the policy's name, and for whoever else it takes, then approve."""
        here = self._proposal()
        if here is not None:
            self.run_worker(self._ask_approval(here), group="decide")

    async def _ask_approval(self, row: PolicyRow) -> None:
        try:
            need = await self.ask(self.app.backend.approval_need)
        except ApplianceError as error:
            self.complain(error)
            return

        def answered(approval: Approval | None) -> None:
            if approval:
                self.run_worker(self._approve(row.reference, approval), group="decide")

        self.app.push_screen(ApproveDialog(row, need), answered)

    async def _approve(self, reference: str, approval: Approval) -> None:
        self.query_one(Notice).confirm(f"approving {reference} …")
        try:
            row = await self.ask(
                self.app.backend.approve_policy,
                reference,
                approval.from_day,
                approval.passphrase,
                approval.second,
            )
        except ApplianceError as error:
            self.complain(error)
            return
        when = "in force now" if row.state is State.IN_FORCE else f"in force from {day(row.from_utc)}"
        await self._done(row.reference, f"approved, {when}", "the log has who approved")

    def action_reject(self) -> None:
        """Ask for the reason, then reject."""
        here = self._proposal()
        if here is None:
            return
        reference = here.reference

        def answered(reason: str | None) -> None:
            if reason:
                self.run_worker(self._reject(reference, reason), group="decide")

        self.app.push_screen(RejectDialog(reference), answered)

    async def _reject(self, reference: str, reason: str) -> None:
        try:
            row = await self.ask(self.app.backend.reject_policy, reference, reason)
        except ApplianceError as error:
            self.complain(error)
            return
        await self._done(row.reference, "rejected", "its text and the reason are kept")

    async def _done(self, reference: str, what: str, hint: str) -> None:
        """Read the list again, and stand on the version that changed."""
        await self._load()
        table = self.query_one("#versions", Rows)
        table.cursor = next(
            (index for index, row in enumerate(self.rows) if row.reference == reference), table.cursor
        )
        self.query_one(Notice).confirm(f"{line(reference)} {what}", hint)
