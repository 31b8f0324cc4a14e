"""Runs: the audits at work and in the queue, then all that have ended, newest first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content

from appliance.runs.views import RunState, RunView
from appliance.views import AuditRow
from tui.messages import RunsLooked
from tui.screens.dialog import Confirm
from tui.screens.progress import LOST
from tui.screens.section import Section, navigation
from tui.text import foreign
from tui.widgets.drawing import Lines
from tui.widgets.rows import Column, Rows
from tui.widgets.run_progress import RunProgress
from tui.widgets.verdict import badge
from tui.words import duration, moment

Order = Callable[[str], RunView]
_COLUMNS = (
    Column("State", 14),
    Column("Model", 12, flex=True),
    Column("Progress", 16),
    Column("Left", 11, drop=1),
    Column("Cohort", 10, flex=True, drop=2),
    Column("Policy", 8, drop=4),
    Column("Begun (UTC)", 16, drop=3),
)


class RunsScreen(Section):
    """The queue and what came of it."""

    TITLE = "Runs"
    HELP_TEXT = (
        "Audits run one after the other in a process of their own: leaving or locking the screens does not "
        "stop them, and other terminals show the same. Pausing keeps what was measured and frees the memory; "
        "those that wait go on when one is resumed. Below are the audits that have ended; enter opens one."
    )
    NEEDS: ClassVar[dict[str, str]] = {
        "pause": "pause_run", "resume": "resume_run", "cancel": "cancel_run", "first": "first_run",
    }  # fmt: skip
    BINDINGS = navigation(
        "runs",
        Binding("enter", "open", "Open", key_display="enter"),
        Binding("p", "pause", "Pause"),
        Binding("u", "resume", "Resume"),
        Binding("x", "cancel", "Cancel"),
        Binding("f", "first", "Next in the queue", show=False),
    )

    def __init__(self) -> None:
        super().__init__()
        self.runs: tuple[RunView, ...] = ()
        self.ended: tuple[AuditRow, ...] = ()

    def body(self) -> ComposeResult:
        """Table and detail."""
        yield Rows(_COLUMNS, self._cells, empty="No audit yet: press r to run one", id="runs")
        yield RunProgress()
        yield Lines(id="detail")

    async def load(self) -> None:
        """Read all rows."""
        audits = await self.ask(self.app.backend.audits)
        self.ended = tuple(row for row in audits if row.state not in ("running", "interrupted"))
        self.runs = await self.app.looked(self.app.backend)
        self._fill()
        self.query_one(Rows).focus()

    def on_runs_looked(self, message: RunsLooked) -> None:
        """The queue as it stands now; what has ended since is read."""
        before, self.runs = self.runs, self.app.runs
        self._fill()
        if {run.run_id for run in before} - {run.run_id for run in self.runs}:
            self.reload()

    def _fill(self) -> None:
        table = self.query_one(Rows)
        table.fill(len(self.runs) + len(self.ended))
        self._detail(table.cursor)

    def _run(self, index: int) -> RunView | None:
        return self.runs[index] if index < len(self.runs) else None

    def _audit(self, index: int) -> AuditRow | None:
        place = index - len(self.runs)
        return self.ended[place] if 0 <= place < len(self.ended) else None

    def _cells(self, index: int) -> tuple[Content, ...] | None:
        run, audit = self._run(index), self._audit(index)
        if run is not None:
            return self._run_cells(run)
        return self._audit_cells(audit) if audit is not None else None

    def _run_cells(self, run: RunView) -> tuple[Content, ...]:
        mark = self.app.glyphs.point if run.at_work else self.app.glyphs.dot
        style = "bold $fail" if run.state is RunState.REFUSED else "bold $accent"
        place = f" {run.place}" if run.place else ""
        present = run.phases[-1] if run.phases else None
        progress = f"{present.name} {present.share * 100:.0f} %" if present is not None else ""
        return (
            Content.styled(f"{mark} {run.state}{place}", style),
            foreign(run.model, "bold"),
            foreign(progress),
            Content(duration(run.left_s) if run.left_s is not None else ""),
            foreign(run.cohort),
            foreign(run.policy),
            foreign(moment(run.asked_utc)),
        )

    def _audit_cells(self, row: AuditRow) -> tuple[Content, ...]:
        if row.state == "done":
            state = badge(row.verdict, self.app.glyphs)
        else:
            state = Content.styled(f"{self.app.glyphs.dot} {row.state}", "bold $fail")
        return (
            state,
            foreign(row.model, "bold"),
            Content(""),
            Content(""),
            foreign(row.cohort),
            foreign(row.policy),
            foreign(moment(row.started_utc)),
        )

    def _detail(self, index: int) -> None:
        run, audit = self._run(index), self._audit(index)
        self.query_one(RunProgress).show(run)
        detail = self.query_one("#detail", Lines)
        if run is not None:
            detail.show(foreign(f"cohort {run.cohort}, policy {run.policy}, audit {run.run_id}", "$muted"))
        elif audit is not None:
            policy = "@".join(filter(None, (audit.policy, audit.policy_version)))
            where = (
                f"cohort {audit.cohort}, policy {policy}, {moment(audit.started_utc)} UTC, "
                f"audit {audit.audit_id}"
            )
            detail.show(Content.assemble(("Why: ", "$muted"), foreign(audit.why)), foreign(where, "$muted"))
        else:
            detail.show()

    def on_rows_moved(self, message: Rows.Moved) -> None:
        """Say how far it is, or why."""
        self._detail(message.index)

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Open the row."""
        self._open(message.index)

    # -- acts ------------------------------------------------------------------------------------------

    def action_open(self) -> None:
        """Open the row under the cursor."""
        self._open(self.query_one(Rows).cursor)

    def _open(self, index: int) -> None:
        run, audit = self._run(index), self._audit(index)
        if run is not None:
            self.app.watch_run(run.run_id)
        elif audit is not None and audit.verdict is not None:
            self.app.open_result(audit.audit_id)

    def action_pause(self) -> None:
        """Let the run under the cursor stop and keep what it has measured."""
        self._order(self.app.backend.pause_run)

    def action_resume(self) -> None:
        """Let it go on."""
        self._order(self.app.backend.resume_run)

    def action_first(self) -> None:
        """Move it before the others that wait."""
        self._order(self.app.backend.first_run)

    def action_cancel(self) -> None:
        """Ask first: the work done so far is lost."""
        run = self._run(self.query_one(Rows).cursor)
        if run is not None:
            cancel = partial(self.app.backend.cancel_run, run.run_id)

            def answered(answer: bool | None) -> None:
                if answer:
                    self.app.order(cancel, watch=False)

            self.app.push_screen(Confirm(LOST, "Cancel audit", keep="Keep it"), answered)

    def _order(self, order: Order) -> None:
        run = self._run(self.query_one(Rows).cursor)
        if run is not None:
            self.app.order(partial(order, run.run_id), watch=False)
