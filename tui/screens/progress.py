"""The progress of one run. Hiding it, leaving and locking do not stop the run."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button

from appliance.runs.views import RunState, RunView
from tui.messages import RunsLooked
from tui.screens.dialog import Confirm, Dialog
from tui.text import foreign, line
from tui.widgets.drawing import Heading, Lines
from tui.widgets.run_progress import RunProgress

LOST = "Cancel this audit? What it has measured so far is removed."


class ProgressDialog(Dialog[None]):
    """One run: what it is, how far it is, and what may be done with it."""

    NEEDS: ClassVar[dict[str, str]] = {"pause": "pause_run", "cancel": "cancel_run"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,h", "leave", "Hide", show=False),
        Binding("p", "pause", "Pause or resume", show=False),
        Binding("c", "cancel", "Cancel the audit", show=False),
    ]

    def __init__(self, run_id: str) -> None:
        super().__init__()
        self.run_id = run_id

    @property
    def run_(self) -> RunView | None:
        """The run as it was last looked at."""
        return self.app.run_of(self.run_id)

    def compose(self) -> ComposeResult:
        """What runs, how far it is, three buttons."""
        run = self.run_
        subject = foreign(run.model if run else "", "bold")
        rest = f"  on {line(run.cohort)} under {line(run.policy)}" if run else ""
        with Vertical(classes="dialog wide"):
            yield Heading("Audit")
            yield Lines(Content.assemble(subject, (rest, "$muted")))
            yield RunProgress()
            with Horizontal(classes="buttons"):
                yield Button(Content("Hide (esc)"), id="hide", variant="primary")
                yield Button(Content("Pause (p)"), id="pause")
                yield Button(Content("Cancel audit (c)"), id="cancel")

    def on_mount(self) -> None:
        """Show it as it stands."""
        self.on_runs_looked()

    def on_runs_looked(self, message: RunsLooked | None = None) -> None:
        """Redraw."""
        run = self.run_
        for lines in self.query(RunProgress):  # none before the first paint
            lines.show(run)
        for button in self.query("#pause").results(Button):
            button.label = Content("Pause (p)" if run is None or run.at_work else "Resume (p)")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Hide, pause or cancel."""
        {"hide": self.action_leave, "pause": self.action_pause}.get(
            event.button.id or "", self.action_cancel
        )()

    def action_pause(self) -> None:
        """Pause what runs or waits; let what rests go on."""
        run = self.run_
        if run is None:
            return
        going = run.state in (RunState.RUNNING, RunState.WAITING)
        order = self.app.backend.pause_run if going else self.app.backend.resume_run
        self.app.order(partial(order, self.run_id), watch=False)

    def action_cancel(self) -> None:
        """Ask first: the work done so far is lost."""
        self.app.push_screen(Confirm(LOST, "Cancel audit", keep="Keep it"), self._confirmed)

    def _confirmed(self, answer: bool | None) -> None:
        if answer:
            self.app.order(partial(self.app.backend.cancel_run, self.run_id), watch=False)
