"""Running an audit from the screens: choose, watch, hide, cancel, fail."""

from __future__ import annotations

import threading
from typing import Any

from textual.events import Key
from textual.pilot import Pilot

from appliance.errors import ApplianceError
from tests.tui.pilot import drive, glass, press, settle, until
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.screens.overview import OverviewScreen
from tui.screens.result import ResultScreen
from tui.screens.run import ProgressDialog

START = ("r", "tab", "tab", "tab", "tab", "enter")


class Steps:
    """A gate that opens step by step, and a clock that moves one second per step."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.now = 0.0

    def clock(self) -> float:
        """Seconds so far."""
        return self.now

    async def step(self, pilot: Pilot[Any], app: GradAuditApp, times: int = 1) -> None:
        """Let the audit make `times` steps and the screens show each."""
        for _ in range(times):
            before = position(app)
            self.now += 1
            self.gate.release()
            await until(pilot, lambda before=before: position(app) != before)


def position(app: GradAuditApp) -> tuple[int, int] | None:
    """Phase number and count of the running audit."""
    running = app.running
    return (len(running.phases), running.phases[-1].done) if running and running.phases else None


def test_quick_enters_choose_and_start() -> None:
    """Keys without a pause go model, cohort, policy, Start; none is lost and each reaches its list."""
    pace = Steps()
    backend = Simulator(gate=pace.gate)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "r")
        for key in ("down", "enter", "enter", "down", "enter", "enter"):
            app.post_message(Key(key, None))
        await until(pilot, lambda: isinstance(app.screen, ProgressDialog))
        assert (app.running.model, app.running.policy) == ("harbor-clip", "gdpr")
        pace.gate.release(1000)
        await until(pilot, lambda: app.running is None)

    drive(steps, backend=backend)


async def start(pilot: Pilot[Any], app: GradAuditApp) -> None:
    """Choose the first model, cohort and the demo policy, and start."""
    await press(pilot, *START)
    await until(pilot, lambda: isinstance(app.screen, ProgressDialog))


def test_progress_shows_phase_count_rate_and_time_left() -> None:
    """Two events one second apart in a phase of 174 give 14 per second and eleven seconds to go."""
    pace = Steps()
    backend = Simulator(gate=pace.gate)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await start(pilot, app)
        await pace.step(pilot, app, times=13)
        assert "12 of 12 files" in glass(app)
        await pace.step(pilot, app, times=2)
        shown = glass(app)
        assert "✓ identity" in shown
        assert "14 of 174 pairs, 14.0 pairs/s, about 11 s left in this phase" in shown
        assert "8 %" in shown
        pace.gate.release(1000)
        await until(pilot, lambda: isinstance(app.screen, ResultScreen))
        await settle(pilot)
        assert "✗ FAIL" in glass(app)

    drive(steps, backend=backend, clock=pace.clock)
    assert backend.calls.count("run_audit") == 1


def test_a_hidden_audit_goes_on_and_reports() -> None:
    """Escape hides the progress, other screens work meanwhile, and the end is said in one line."""
    pace = Steps()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await start(pilot, app)
        await pace.step(pilot, app)
        await press(pilot, "escape", "9")
        assert "audit: identity 0 %" in glass(app)
        assert "147" in glass(app)
        await press(pilot, "r")
        assert isinstance(app.screen, ProgressDialog)
        await press(pilot, "escape")
        pace.gate.release(1000)
        await until(pilot, lambda: app.running is None)
        assert "audit of lumen-vlm finished: FAIL" in glass(app)
        await press(pilot, "3")
        assert app.screen.audit_id == "a-0004"

    drive(steps, backend=Simulator(gate=pace.gate))


def test_cancel_asks_and_then_stops() -> None:
    """c, then Keep running keeps; c, then Cancel audit stops at the next step with nothing kept."""
    pace = Steps()
    backend = Simulator(gate=pace.gate)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await start(pilot, app)
        await pace.step(pilot, app)
        await press(pilot, "c", "enter")
        assert app.running is not None and not app.running.cancelled
        await press(pilot, "c", "tab", "enter")
        assert app.running.cancelled
        pace.gate.release(1000)
        await until(pilot, lambda: app.running is None)
        assert isinstance(app.screen, OverviewScreen)
        assert "the audit was cancelled" in glass(app)

    drive(steps, backend=backend)
    assert "a-0004" not in backend.audits_


def test_a_failing_audit_says_why() -> None:
    """The error's line and hint stand on the screen that started it."""
    error = ApplianceError("too few references: 12 members, 24 needed", "add members to the cohort")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *START)
        await until(pilot, lambda: app.running is None and "too few" in glass(app))
        assert "hint: add members to the cohort" in glass(app)
        assert isinstance(app.screen, OverviewScreen)

    drive(steps, backend=Simulator(failing={"run_audit": error}))


def test_quitting_asks_while_an_audit_runs() -> None:
    """q stays by default; Quit cancels the audit and leaves with 0."""
    pace = Steps()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await start(pilot, app)
        await pace.step(pilot, app)
        await press(pilot, "escape", "q", "enter")
        assert app.return_code is None
        await press(pilot, "q", "tab")
        pace.gate.release(1000)
        await pilot.press("enter")

    app = drive(steps, backend=Simulator(gate=pace.gate))
    assert app.return_code == 0


def test_the_dialog_prefers_the_demo_policy_in_a_demo() -> None:
    """In a demo workspace the demo policy is highlighted, elsewhere `default`."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "r")
        assert app.screen.policies[app.screen.query_one("#policy").highlighted] == "demo"
        assert "▸ demo" in glass(app) and "▸ default" not in glass(app)
        assert "36 members, 28 fitting controls" in glass(app)

    drive(steps)
