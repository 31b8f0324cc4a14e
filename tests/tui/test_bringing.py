"""Bringing one's own studies, model and cohort by keys alone: tried first, with progress and hints."""

from __future__ import annotations

import threading
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Button

from appliance.cohort_request import CohortRequest
from tests.tui.pilot import drive, glass, press, settle, until
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.screens.ingest import IngestDialog
from tui.screens.models import ModelsScreen
from tui.screens.studies import StudiesScreen
from tui.screens.unlock import UnlockScreen


def label(app: GradAuditApp) -> str:
    """What the act's button says."""
    return str(app.screen.query_one("#act", Button).label)


def test_studies_are_tried_then_taken_in() -> None:
    """Counts and reasons of the trial, then the ingest, then fresh counts."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "i", *"inbox", "enter")
        shown = glass(app)
        for words in (
            "1,204 files: 800 × image",
            "3 set aside  truncated  the file ends too early",
            "Take in",
        ):
            assert words in shown, words
        assert "ingest" not in backend.calls
        before = backend.calls.count("overview")
        await press(pilot, "enter")
        assert "taken in: 800 images, 402 reports" in glass(app)
        assert "398 pairs in the workspace; 4 files set aside" in glass(app)
        await press(pilot, "escape")
        assert isinstance(app.screen, StudiesScreen) and backend.calls.count("overview") > before

    drive(steps, backend=backend)


def test_another_folder_is_tried_first() -> None:
    """What is typed after a trial was not tried."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "i", *"inbox", "enter")
        assert label(app) == "Take in"
        await press(pilot, "shift+tab", "shift+tab", "end", *"2")
        assert label(app) == "Try"

    drive(steps)


def test_a_folder_that_is_not_there_is_told_with_a_hint() -> None:
    """The dialog stays with what was typed; an empty field asks nothing."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "i", "enter")
        assert "no folder is named" in glass(app) and "try_ingest" not in backend.calls
        await press(pilot, *"nowhere", "enter")
        assert "nowhere does not exist" in glass(app) and "hint: check the path" in glass(app)
        assert app.focused is not None and app.focused.id == "path"

    drive(steps, backend=backend)


def test_long_work_is_seen_hidden_and_stopped() -> None:
    """A bar while it goes on; hidden, the top line says how far it is; stopped, nothing is half done."""
    gate = threading.Semaphore(0)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "i", *"inbox")
        await pilot.press("enter")
        gate.release(2)
        await until(pilot, lambda: "2 of 4 files" in glass(app))
        assert "50 %" in glass(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, StudiesScreen))
        assert "ingest: 50 %" in glass(app)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, IngestDialog) and "2 of 4" in glass(app))
        app.screen.query_one("#leave", Button).press()
        await until(pilot, lambda: app.labour.work is not None and app.labour.work.cancelled)
        gate.release(10)
        await until(pilot, lambda: "cancelled" in glass(app))
        assert not app.labour.busy and label(app) == "Try"

    drive(steps, backend=Simulator(gate=gate))


def test_hidden_work_tells_its_end_on_any_screen() -> None:
    """One line where the person is, and that screen is read anew."""
    gate = threading.Semaphore(0)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "n", *"lumen-3")
        app.screen.query_one("#act", Button).press()
        await until(pilot, lambda: app.labour.busy)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ModelsScreen))
        gate.release(10)
        await until(pilot, lambda: "register model is done" in glass(app))

    drive(steps, backend=Simulator(gate=gate))


def test_locking_stops_long_work_and_waits_for_it() -> None:
    """Content goes at once; the keys when the thread has let go of them."""
    gate = threading.Semaphore(0)
    backend = Simulator(gate=gate)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "i", *"inbox")
        await pilot.press("enter")
        await until(pilot, lambda: app.labour.busy)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: isinstance(app.screen, UnlockScreen))
        assert "inbox" not in glass(app) and "lock" not in backend.calls
        gate.release(10)
        await until(pilot, lambda: "lock" in backend.calls)
        assert not app.labour.busy

    drive(steps, backend=backend)


def test_a_model_is_registered_by_its_folder() -> None:
    """The folder's name is the model's where none is typed; what it is and takes is shown."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "n", *"/in/lumen-3", "enter", "enter", *"Lumen", "enter")
        app.screen.query_one("#act", Button).press()
        await settle(pilot)
        assert "add_model lumen-3 /in/lumen-3" in backend.calls
        given = {"base": None, "adapter": None, "vendor": "Lumen", "released": ""}
        assert backend.wanted == [given]
        shown = glass(app)
        for words in ("registered lumen-3", "2,113,408 parameters", "an audit of 1,000 pairs takes 14 min"):
            assert words in shown, words

    drive(steps, backend=backend)


def test_a_model_that_is_refused_says_why_and_what_helps() -> None:
    """The registry's sentence and hint, and the fields as they were."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "n", *"with-code")
        app.screen.query_one("#act", Button).press()
        await settle(pilot)
        assert "with-code brings code: modeling.py" in glass(app)
        assert "ask the vendor for weights alone" in " ".join(glass(app).replace("│", "").split())

    drive(steps)


def test_a_cohort_shows_its_balance_before_it_is_frozen() -> None:
    """The same request is tried and frozen; what is changed in between is tried again."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "n", *"spring", "enter", *"Modality=CT", "enter", *"rest", "enter")
        await press(pilot, "enter", "enter", "enter")
        shown = glass(app)
        for words in (
            "46 targets",
            "few controls: 40 patients",
            "StudyDate: targets 2024.5",
            "targets are newer",
        ):
            assert words in shown, words
        assert label(app) == "Freeze" and "create_cohort" not in backend.calls
        await press(pilot, *["shift+tab"] * 2, "right")
        assert label(app) == "Show balance"
        app.screen.query_one("#act", Button).press()
        await settle(pilot)
        app.screen.query_one("#act", Button).press()
        await settle(pilot)
        assert "frozen: spring" in glass(app)
        texts = {"target": "Modality=CT", "control": "rest", "member": "", "bank": "", "post_release": ""}
        assert backend.wanted[-1] == CohortRequest("spring", texts, "convenience", "L4", 0.4, 0)

    drive(steps, backend=backend)


def test_a_cohort_that_cannot_be_says_why() -> None:
    """Nothing is frozen without a name or targets."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "n")
        app.screen.query_one("#act", Button).press()
        await settle(pilot)
        assert "the cohort has no name" in glass(app)
        await press(pilot, *"spring")
        app.screen.query_one("#act", Button).press()
        await settle(pilot)
        assert "no targets" in glass(app) and label(app) == "Show balance"

    drive(steps)
