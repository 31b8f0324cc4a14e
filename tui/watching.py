"""What the app knows of the runs: it looks twice a second, off its own thread, and tells the screens.

The audits run in a process of their own; looking away, locking and leaving end none.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from appliance.errors import ApplianceError
from appliance.runs.views import RunState, RunView
from tui.backend import Backend
from tui.entering import EnteringApp
from tui.messages import RunsLooked
from tui.screens.progress import ProgressDialog
from tui.screens.run import Request, RunDialog
from tui.screens.section import Section
from tui.widgets.chrome import TopLine

LOOK_AT_RUNS_S = 0.5
GOES_ON = "the audit at work goes on"


class WatchingApp(EnteringApp):
    """An app that watches the queue of audits.

    Attributes:
        runs: as they were last looked at.
    """

    runs: tuple[RunView, ...] = ()

    @property
    def running(self) -> RunView | None:
        """The run at work."""
        return next((run for run in self.runs if run.at_work), None)

    def run_of(self, run_id: str) -> RunView | None:
        """One of them."""
        return next((run for run in self.runs if run.run_id == run_id), None)

    def show_lock(self, message: str = "", hint: str = "") -> None:
        """What is known of the runs goes as well."""
        self.runs = ()
        super().show_lock(message, hint)

    def look(self) -> None:
        """Look at the runs, unless a look is under way."""
        if self._backend is not None and not any(w.group == "look" and w.is_running for w in self.workers):
            self.run_worker(self._look(self._backend), group="look")

    async def _look(self, backend: Backend) -> None:
        with suppress(ApplianceError):  # the place that shows them says so
            await self.looked(backend)

    async def looked(self, backend: Backend) -> tuple[RunView, ...]:
        """The runs as they stand now; may raise `ApplianceError`."""
        runs = await self.ask(backend.runs)
        if backend is self._backend:
            self._take(runs)
        return runs

    def _take(self, runs: tuple[RunView, ...]) -> None:
        before, self.runs = self.runs, runs
        if before != runs:
            self._show_runs()
        for was in before:
            now = self.run_of(was.run_id)
            if now is None and was.at_work:
                self._say_end(was)
            elif now is not None and was.at_work and not now.at_work:
                self._say_rest(now)

    def _show_runs(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, Section) and screen.query(TopLine):  # none while it comes or goes
                screen.frame()
            if isinstance(screen, Section | ProgressDialog):
                screen.post_message(RunsLooked())

    def _say_end(self, was: RunView) -> None:
        watched = self._close_progress(was.run_id)
        if self._backend is not None:
            self.run_worker(self._show_end(self._backend, was, watched), group="end")

    async def _show_end(self, backend: Backend, was: RunView, watched: bool) -> None:
        """A verdict: show it where the person watches, else say it in one line; or why there is none."""
        try:
            view = await self.ask(backend.audit, was.run_id)
        except ApplianceError as error:
            if backend is not self._backend:
                return
            if was.state is RunState.CANCELLING:
                self._confirm(f"the audit of {was.model} was cancelled; nothing of it was kept")
            else:
                self._complain(error)
            return
        if backend is not self._backend:
            return
        if watched:
            self.open_result(was.run_id)
            return
        self.last_result = was.run_id
        self._confirm(f"audit of {was.model} finished: {view.verdict.word.value}", "press 3")

    def _say_rest(self, now: RunView) -> None:
        """It was paused or cut off, here or from another terminal."""
        self._close_progress(now.run_id)
        if now.state is RunState.PAUSED:
            self._confirm(f"the audit of {now.model} is paused; what it has measured is kept", "press 2")
        elif now.state is not RunState.WAITING:
            self._complain(ApplianceError(f"the audit of {now.model} is {now.state}", now.why))

    def _close_progress(self, run_id: str) -> bool:
        """Close the progress dialog of a run; whether a person was looking at it."""
        shown = [screen for screen in self.screen_stack if isinstance(screen, ProgressDialog)]
        watched = any(screen.run_id == run_id for screen in shown)
        while watched and not isinstance(self.screen, Section):
            self.pop_screen()
        return watched

    def open_result(self, audit_id: str) -> None:
        """Show one audit."""
        raise NotImplementedError

    # -- acts ------------------------------------------------------------------------------------------

    def action_run_dialog(self, model: str = "") -> None:
        """Choose model, cohort and policy, and ask for an audit."""
        if isinstance(self.screen, Section):
            self.push_screen(RunDialog(model), self._chosen)

    def _chosen(self, request: Request | None) -> None:
        if request is not None and self._backend is not None:
            self._confirm(f"the audit of {request.model} is asked for; its process starts")
            self.order(partial(self._backend.queue_audit, request.model, request.cohort, request.policy))

    def order(self, act: Callable[[], RunView | None], *, watch: bool = True) -> None:
        """Give an order to the queue, then look; a new run is watched."""
        self.run_worker(self._order(act, watch, self.backend), group="order")

    async def _order(self, act: Callable[[], RunView | None], watch: bool, backend: Backend) -> None:
        try:
            run = await self.ask(act)
            await self.looked(backend)
        except ApplianceError as error:
            self._complain_to(backend, error)
            return
        if backend is self._backend and run is not None and watch and isinstance(self.screen, Section):
            self.watch_run(run.run_id)

    def watch_run(self, run_id: str) -> None:
        """Open the progress of a run."""
        if self.run_of(run_id) is not None:
            self.push_screen(ProgressDialog(run_id))
