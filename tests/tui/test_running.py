"""Audits from the screens: ask, watch, hide, pause, cancel, fail; the screens may leave while they run."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from textual.events import Key
from textual.pilot import Pilot

from appliance.errors import ApplianceError, Busy
from appliance.runs.views import PhaseView, RunState, RunView
from tests.tui.pilot import drive, glass, press, settle, until
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.screens.overview import OverviewScreen
from tui.screens.progress import ProgressDialog
from tui.screens.result import ResultScreen
from tui.screens.run import RunDialog
from tui.screens.runs import RunsScreen
from tui.widgets.run_progress import RunProgress, summary

START = ("r", "tab", "tab", "tab", "tab", "enter")


class Steps:
    """A gate that opens step by step."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)

    async def step(self, pilot: Pilot[Any], app: GradAuditApp, times: int = 1) -> None:
        """Let the audit make `times` steps and the screens look."""
        if times:
            self.gate.release(times)
        app.look()
        await settle(pilot)

    async def end(self, pilot: Pilot[Any], app: GradAuditApp) -> None:
        """Let it come to its end."""
        await self.step(pilot, app, 1000)
        await until(pilot, lambda: app.running is None)
        await settle(pilot)


async def start(pilot: Pilot[Any], app: GradAuditApp) -> None:
    """Choose the first model, cohort and the demo policy, and ask for the audit."""
    await press(pilot, *START)
    await until(pilot, lambda: isinstance(app.screen, ProgressDialog))


def test_quick_enters_choose_and_start() -> None:
    """Keys without a pause go model, cohort, policy, Start; none is lost and each reaches its list."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "r")
        for key in ("down", "enter", "enter", "down", "enter", "enter"):
            app.post_message(Key(key, None))
        await until(pilot, lambda: isinstance(app.screen, ProgressDialog))
        assert app.running is not None
        assert (app.running.model, app.running.policy) == ("harbor-clip", "gdpr")

    drive(steps)


def test_progress_shows_phase_count_rate_and_time_left() -> None:
    """Before the first step an estimate; then the count, the rate, and the time left of the whole audit."""
    pace = Steps()
    backend = Simulator(gate=pace.gate)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await start(pilot, app)
        assert "starting the worker" in glass(app) and "about 28 s left" in glass(app)
        await pace.step(pilot, app, times=13)
        assert "12 of 12 files" in glass(app)
        await pace.step(pilot, app, times=2)
        shown = glass(app)
        assert "✓ identity" in shown
        assert "14 of 174 pairs, 14.0 pairs/s" in shown
        assert "2 s since the start, about 26 s left" in shown
        assert "8 %" in shown
        await pace.end(pilot, app)
        assert isinstance(app.screen, ResultScreen)
        assert "✗ FAIL" in glass(app)

    drive(steps, backend=backend)
    assert backend.calls.count("queue_audit") == 1


def test_a_hidden_audit_goes_on_and_reports() -> None:
    """Escape hides the progress, other screens work meanwhile, and the end is said in one line."""
    pace = Steps()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await start(pilot, app)
        await pace.step(pilot, app)
        await press(pilot, "escape", "9")
        assert "audit: identity 0 %" in glass(app)
        await press(pilot, "2", "enter")
        assert isinstance(app.screen, ProgressDialog)
        await press(pilot, "escape", "1")
        await pace.end(pilot, app)
        assert "audit of lumen-vlm finished: FAIL" in glass(app)
        await press(pilot, "3")
        assert app.screen.audit_id == "a-0004"

    drive(steps, backend=Simulator(gate=pace.gate))


def test_cancel_asks_and_then_gives_up() -> None:
    """c, then Keep it keeps; c, then Cancel audit gives it up with nothing kept."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await start(pilot, app)
        await press(pilot, "c", "enter")
        assert "cancel_run" not in backend.calls
        await press(pilot, "c", "tab", "enter")
        await until(pilot, lambda: app.running is None)
        await settle(pilot)
        assert isinstance(app.screen, OverviewScreen)

    drive(steps, backend=backend)
    assert "cancel_run" in backend.calls and "a-0004" not in backend.audits_


def test_what_cannot_be_asked_for_says_why() -> None:
    """The error's line and hint stand on the screen that asked."""
    error = ApplianceError("too few references: 12 members, 24 needed", "add members to the cohort")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *START)
        await until(pilot, lambda: "too few" in glass(app))
        assert "hint: add members to the cohort" in glass(app)
        assert isinstance(app.screen, OverviewScreen) and app.running is None

    drive(steps, backend=Simulator(failing={"queue_audit": error}))


def test_quitting_leaves_it_running_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """q asks nothing; what is printed where the screens were names the command that shows it."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await start(pilot, app)
        await press(pilot, "escape")
        await pilot.press("q")

    app = drive(steps, backend=backend)
    assert app.return_code == 0
    assert "cancel_run" not in backend.calls and "pause_run" not in backend.calls
    assert "`gradaudit runs ls` shows it" in capsys.readouterr().err


def test_the_dialog_prefers_the_demo_policy_in_a_demo() -> None:
    """In a demo workspace the demo policy is highlighted, elsewhere `default`."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "r")
        assert isinstance(app.screen, RunDialog)
        assert app.screen.policies[app.screen.query_one("#policy").highlighted] == "demo"
        assert "▸ demo" in glass(app) and "▸ default" not in glass(app)
        assert "36 members, 28 fitting controls" in glass(app)

    drive(steps)


def test_the_queue_on_its_screen() -> None:
    """Two wait behind one: the last is moved first, the one at work paused and resumed, one is cancelled."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for model in ("lumen-vlm", "harbor-clip", "clear-vlm"):
            backend.queue_audit(model, "demo", "demo")
        await press(pilot, "2")
        assert [run.model for run in app.screen.runs] == ["lumen-vlm", "harbor-clip", "clear-vlm"]
        shown = glass(app)
        assert "▸ running" in shown and "· waiting 1" in shown and "· waiting 2" in shown
        assert "INCONCLUSIVE" in shown  # audits that have ended stand below
        await press(pilot, "end", "home", "down", "down", "f")
        assert [run.model for run in app.screen.runs] == ["clear-vlm", "lumen-vlm", "harbor-clip"]
        await press(pilot, "home", "down", "p")
        assert "· paused" in glass(app) and "what it has measured is kept" in glass(app)
        await press(pilot, "u")
        assert "· paused" not in glass(app)
        await press(pilot, "end", "home", "x", "tab", "enter")
        assert len(app.screen.runs) == 2

    drive(steps, backend=backend)
    orders = [call for call in backend.calls if call.endswith("_run")]
    assert orders == ["first_run", "pause_run", "resume_run", "cancel_run"]


def test_two_terminals_see_the_same() -> None:
    """What another terminal has asked for, paused and resumed is shown without a key."""
    backend, pace = Simulator(), Steps()
    backend.gate = pace.gate

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "2")
        asked = backend.queue_audit("lumen-vlm", "demo", "demo")
        await pace.step(pilot, app, 15)
        assert "signals 8 %" in glass(app)
        backend.pause_run(asked.run_id)
        await pace.step(pilot, app, 0)
        assert "the audit of lumen-vlm is paused" in " ".join(glass(app).split())
        assert isinstance(app.screen, RunsScreen)

    drive(steps, backend=backend)


def test_a_refused_order_says_why() -> None:
    """Nothing is lost on the screen, and nothing changed."""
    busy = Busy("another command is writing to this workspace", "Wait for it to finish and try again.")
    backend = Simulator(failing={"pause_run": busy})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        backend.queue_audit("lumen-vlm", "demo", "demo")
        await press(pilot, "2", "p")
        assert "another command is writing" in " ".join(glass(app).split())
        assert app.running is not None

    drive(steps, backend=backend)


def test_every_state_is_said_in_words() -> None:
    """Whatever a run is, its lines say so, with the reason, and in one line at the top."""
    for state in RunState:
        run = RunView("A-1", state, "m", "c", "p", 0, "2026-11-21T09:00:00Z", "the disk is full")
        lines = RunProgress()
        lines.run = run
        said = "\n".join(line.plain for line in lines.draw(78))
        assert said
        assert run.at_work or "the disk is full" in said
        assert str(state) in summary(run) or state is RunState.RUNNING
    phases = (PhaseView("signals", "pairs", 7, 70, 3.0, None),)
    running = RunView("A-1", RunState.RUNNING, "m", "c", "p", 0, "", phases=phases, elapsed_s=3.0)
    assert summary(running) == "audit: signals 10 %"
    lines = RunProgress()
    lines.run = running
    said = "\n".join(line.plain for line in lines.draw(60))
    assert "rate not known yet" in said and "time left not known yet" in said
