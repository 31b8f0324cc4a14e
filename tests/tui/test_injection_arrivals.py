"""Foreign text does nothing in what is brought in and planned: trials, models, cohorts, schedules."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from appliance.errors import ApplianceError
from appliance.schedule_views import StartedRun
from appliance.views import Progress
from tests.tui.arrivals import Step
from tests.tui.pilot import drive, press, settle, until
from tests.tui.simulator import Simulator
from tests.tui.test_injection import PAYLOADS, inert, planted
from tui.app import GradAuditApp


class Hostile(Simulator):
    """What comes in was named by an attacker."""

    payload = ""

    def schedules(self) -> Any:
        """Every word theirs."""
        return planted(super().schedules(), self.payload)

    def coming_runs(self, days: int = 7) -> Any:
        """Every word theirs."""
        return planted(super().coming_runs(days), self.payload)

    def run_due(self) -> Any:
        """Refused in their words."""
        return (StartedRun(self.payload, self.payload, "", 0, "", self.payload),)

    def add_schedule(self, wanted: Any) -> Any:
        """Refused in their words."""
        raise ApplianceError(self.payload + "refused", self.payload)

    def models(self) -> Any:
        """Models with the payload in every fact."""
        return planted(super().models(), self.payload)

    def policies(self) -> tuple[str, ...]:
        """Policies with the payload."""
        return tuple(self.payload + name for name in super().policies())

    def try_ingest(self, paths: Sequence[Path], step: Step) -> Any:
        """Phases, reasons and messages with the payload."""
        step(Progress(self.payload, 1, 2, self.payload))
        return planted(super().try_ingest(paths, step), self.payload)

    def add_model(self, name: str, path: Path, *, step: Step = lambda _: None, **given: Any) -> Any:
        """The model with the payload."""
        return planted(super().add_model(name, path, step=step, **given), self.payload)

    def try_cohort(self, request: Any) -> Any:
        """Warnings, words and remarks with the payload."""
        return planted(super().try_cohort(request), self.payload)


def hostile(payload: str, **more: Any) -> Hostile:
    """The attacker's simulator."""
    backend = Hostile(**more)
    backend.payload = payload
    return backend


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_is_inert_among_schedules(payload: str) -> None:
    """On the list, in the week ahead, in the dialogs and in what is refused."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for keys in (("0",), ("tab", "down"), ("u",), ("x",), ("escape", "n")):
            await press(pilot, *keys)
            inert(app)
        app.screen.query_one("#add", Button).press()
        await settle(pilot)
        inert(app)
        assert app.return_code is None

    drive(steps, size=(130, 80), backend=hostile(payload))


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_is_inert_in_what_comes_in(payload: str) -> None:
    """In the trial of an ingest, a registered model and the balance of a cohort."""
    ways = (("5", "i", *"inbox"), ("escape", "6", "n", *"lumen"), ("escape", "5", "n", *"x", "enter", *"all"))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for keys in ways:
            await press(pilot, *keys)
            app.screen.query_one("#act", Button).press()
            await settle(pilot)
            inert(app)
        assert app.return_code is None

    drive(steps, size=(130, 80), backend=hostile(payload))


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_payload_is_inert_in_progress(payload: str) -> None:
    """A phase's name, in the dialog and on the top line."""
    gate = threading.Semaphore(0)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "i", *"inbox")
        await pilot.press("enter")
        await until(pilot, lambda: app.labour.work is not None and app.labour.work.step is not None)
        inert(app)
        await pilot.press("escape")
        await pilot.pause()
        inert(app)
        gate.release(10)
        await settle(pilot)

    drive(steps, backend=hostile(payload, gate=gate))
