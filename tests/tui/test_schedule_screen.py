"""Schedule: what is due in words, the week ahead, adding one in a few fields, removing one by its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button

from appliance.errors import UsageError
from appliance.schedule_views import Schedule, StartedRun, usual
from tests.tui.arrivals import ATTENDED, PLANNED
from tests.tui.pilot import drive, glass, press, settle
from tests.tui.simulator import Simulator, demo_overview
from tui.app import GradAuditApp
from tui.screens.new_schedule import NewScheduleDialog
from tui.screens.schedule import ScheduleScreen
from tui.screens.typed import TypedConfirm
from tui.widgets.fields import Pick

SIZES = ((80, 24), (132, 40))


@pytest.mark.parametrize("size", SIZES)
def test_what_is_due_is_told_in_words(size: tuple[int, int]) -> None:
    """The next run, what came of the last one, and why a run of the week is not started."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "down")
        shown = glass(app)
        for words in (
            "Sunday 02:00 Europe/Vienna, in 12 h 45 min",
            "At 02:00 on Sunday",
            "all on demo under demo, priority 5",
            "window 01:00-05:00, not on 2026-12-24..2026-12-26",
            "lumen-vlm FAIL; clear-vlm INCONCLUSIVE; 1 earlier run was missed",
            "2026-11-22 20:00",
            "outside the window",
            "3 runs, 1 not started",
        ):
            assert words in shown, words

    drive(steps, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_schedule_that_watches_says_what_it_will_audit(size: tuple[int, int]) -> None:
    """In the table, in its own words, and in the week ahead with the models that are due."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "end")
        shown = glass(app)
        assert "watches  Saturday 20:00" in shown
        assert "watches   all; audits what is new or due on demo under demo" in shown
        assert "✓ looks; audits north-vlm" in shown
        await press(pilot, "tab", "home")
        assert "audits    north-vlm, clear-vlm, which are due; and what has changed by then" in glass(app)

    drive(steps, size)


def test_a_schedule_that_watches_is_one_choice_away() -> None:
    """The dialog asks whether it audits every time, which is the harmless answer, or what is new or due."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "n", *"look")
        app.screen.query_one("#audits", Pick).focus()
        await press(pilot, "right")
        app.screen.query_one("#add", Button).press()
        await settle(pilot)
        assert backend.wanted == [Schedule("look", "0 2 * * *", "", "all", "demo", "default", watch=True)]

    drive(steps, backend=backend)


@pytest.mark.parametrize(("silent", "sign"), [(True, "▲"), (False, "✓")])
def test_who_looks_after_the_schedules_stands_first(silent: bool, sign: str) -> None:
    """A sign and words: whether what is due is started by itself."""
    said = replace(ATTENDED, silent=silent, told="nobody has looked for 2 d 3 h")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0")
        assert f"{sign} nobody has looked for 2 d 3 h" in glass(app)

    drive(steps, backend=Simulator(attended=said))


def test_a_run_that_waits_is_a_word_and_a_sign() -> None:
    """Overdue is told by more than a colour."""
    waiting = replace(PLANNED[1], waiting_utc="2026-11-15T01:00:00+00:00")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0")
        assert "▲ waits to be started" in glass(app)

    drive(steps, backend=Simulator(planned=(waiting,)))


def test_without_a_schedule_the_next_key_is_named() -> None:
    """An empty table says n; x and its dialog do nothing."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "x")
        assert "No schedule yet: press n to add one." in glass(app)
        assert isinstance(app.screen, ScheduleScreen)

    drive(steps, backend=Simulator(planned=(), week=()))


def test_a_schedule_is_added_in_a_few_fields() -> None:
    """Name, a usual choice with a time, and what to audit; the answer is the next run."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "n", *"sundays", "enter", "right", "tab", "end", *["backspace"] * 5, *"03:30")
        await press(pilot, "enter", "right")
        app.screen.query_one("#add", Button).press()
        await settle(pilot)
        (wanted,) = backend.wanted
        assert wanted == Schedule("sundays", "30 3 * * 0", "", "lumen-vlm", "demo", "default")
        assert "sundays is kept: Sunday 02:00" in glass(app)
        assert isinstance(app.screen, ScheduleScreen)

    drive(steps, backend=backend)


def test_an_own_expression_and_what_is_wrong_with_it() -> None:
    """The appliance's sentence and hint stay in the dialog, with everything that was typed."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "n", *"own", "enter", "left", "tab", *"0 2 *")
        app.screen.query_one("#add", Button).press()
        await settle(pilot)
        shown = glass(app)
        assert "a cron expression has five fields" in shown and "minute hour day" in shown
        assert isinstance(app.screen, NewScheduleDialog) and backend.wanted[0].cron == "0 2 *"

    drive(steps, backend=backend)


def test_without_a_model_nothing_can_be_added() -> None:
    """The dialog names the key that registers one."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "n")
        assert "no model is registered" in glass(app)
        assert app.screen.query_one("#add", Button).disabled

    drive(steps, backend=Simulator(view=replace(demo_overview(), models=())))


def test_removing_takes_the_name_and_begins_on_cancel() -> None:
    """Enter alone cancels; another name does not do; the whole one removes."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "x")
        assert isinstance(app.screen, TypedConfirm) and app.focused is not None
        assert app.focused.id == "keep"
        await press(pilot, "enter")
        assert len(backend.planned) == 3
        await press(pilot, "x", "shift+tab", *"month")
        assert app.screen.query_one("#act", Button).disabled
        await press(pilot, *"ly")
        app.screen.query_one("#act", Button).press()
        await settle(pilot)
        assert "remove_schedule monthly" in backend.calls
        assert "monthly is removed" in glass(app)

    drive(steps, backend=backend)


@pytest.mark.parametrize(
    ("due", "said"),
    [
        ((), "nothing is due"),
        ((StartedRun("weekly", "lumen-vlm", "", 0, "a-0009", ""),), "1 audits were asked for"),
        ((StartedRun("weekly", "lumen-vlm", "", 0, "", "no such file"),), "weekly: lumen-vlm: no such file"),
    ],
)
def test_what_is_due_can_be_started(due: tuple[StartedRun, ...], said: str) -> None:
    """u does what the timer does, and says what came of it."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0", "u")
        assert said in glass(app)

    drive(steps, backend=Simulator(due=due))


def test_a_failure_is_told_with_its_hint() -> None:
    """What the appliance refuses is a line with a hint."""
    failing = {"schedules": UsageError("the schedules cannot be read", "gradaudit workspace verify")}

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "0")
        assert "the schedules cannot be read" in glass(app) and "gradaudit workspace verify" in glass(app)

    drive(steps, backend=Simulator(failing=failing))


@pytest.mark.parametrize(
    ("choice", "clock", "cron"),
    [
        ("every night", "02:00", "0 2 * * *"),
        ("Sundays", "00:05", "5 0 * * 0"),
        ("1st of month", "9:30", "30 9 1 * *"),
        ("every night", "late", "0 late * * *"),
    ],
)
def test_usual_choices_are_cron_expressions(choice: str, clock: str, cron: str) -> None:
    """What is no time is left for cron to refuse."""
    assert usual(choice, clock) == cron
