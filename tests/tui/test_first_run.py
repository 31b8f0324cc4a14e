"""The first run: nothing before the passphrase, steps that are skipped or gone on with, no secret kept."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from appliance.errors import NotPermitted
from appliance.setup_view import STEPS, SetupView
from tests.tui.pilot import drive, glass, press, sees, settle
from tests.tui.simulator import SimulatedDoor, Simulator
from tui.app import GradAuditApp
from tui.screens.overview import OverviewScreen
from tui.screens.unlock import UnlockScreen
from tui.screens.wizard import WizardScreen

SECRET = "harbor velvet onion cricket"
SIZES = ((80, 24), (132, 40), (60, 20))


def fresh() -> SimulatedDoor:
    """A machine on which nothing was ever set up."""
    return SimulatedDoor(built=False)


async def write(pilot: Pilot[Any], app: GradAuditApp, **fields: str) -> None:
    """Fill fields."""
    for name, text in fields.items():
        app.screen.query_one(f"#{name}", Input).value = text
    await settle(pilot)


@pytest.mark.parametrize("size", SIZES)
def test_the_whole_way_by_enter_alone(size: tuple[int, int]) -> None:
    """Site, officer, paper, intake, model, policy: typed, and at the end the overview."""
    door = fresh()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await sees(pilot, app, "Step 1 of 6")
        assert isinstance(app.screen, WizardScreen)
        await press(pilot, *"Northside", "enter")
        await sees(pilot, app, "Step 2 of 6")
        assert door.made == []
        await write(pilot, app, passphrase=SECRET)
        await sees(pilot, app, "strong")
        assert SECRET not in glass(app)
        await write(pilot, app, again=SECRET)
        await press(pilot, "enter")
        assert door.made == [("Northside", "officer", SECRET)]
        await sees(pilot, app, "Step 3 of 6", "as officer")
        backend: Any = app.backend
        await press(pilot, "enter")
        words = " ".join(door.new_words().split()).split()
        await sees(pilot, app, *words)
        await press(pilot, "enter")
        await sees(pilot, app, "The words are hidden")
        assert not any(word in glass(app) for word in words)
        for field in app.screen.query(Input):
            field.value = words[int((field.id or "").removeprefix("word"))]
        await press(pilot, "enter")
        assert f"add_recovery {' '.join(words)}" in backend.calls
        await sees(pilot, app, "Step 4 of 6")
        await write(pilot, app, inbox="/srv/in", title="NORTH")
        await press(pilot, "enter")
        await sees(pilot, app, "Step 5 of 6")
        await write(pilot, app, folder="/srv/model", name="lumen")
        await press(pilot, "enter")
        await sees(pilot, app, "lumen is registered")
        await press(pilot, "enter")
        await sees(pilot, app, "Step 6 of 6", "What a hospital starts from")
        await press(pilot, "down", "down", "enter")
        assert isinstance(app.screen, OverviewScreen)
        assert backend.settled == SetupView("", "/srv/in", "NORTH", "hipaa")
        assert [call for call in backend.calls if call.startswith("leave_setup")] == [
            f"leave_setup {step}" for step in STEPS
        ]

    drive(steps, size, backend=None, door=door)


def test_all_but_site_and_passphrase_can_be_left_out() -> None:
    """F6 skips four steps and neither of the first two; nothing is then set or added."""
    door = fresh()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "f6")
        await sees(pilot, app, "Step 1 of 6")
        assert app.screen.query_one("#skip", Button).disabled
        await press(pilot, "enter")
        await sees(pilot, app, "a site needs a name")
        await press(pilot, *"N", "enter", "f6")
        await sees(pilot, app, "Step 2 of 6")
        await write(pilot, app, passphrase=SECRET, again=SECRET)
        await press(pilot, "enter", "f6", "f6", "f6", "f6")
        assert isinstance(app.screen, OverviewScreen)
        backend: Any = app.backend
        assert backend.settled == SetupView()
        assert not any(call.startswith(("add_", "set_", "choose_")) for call in backend.calls)

    drive(steps, backend=None, door=door)


def test_nothing_is_made_before_the_passphrase_is_right() -> None:
    """Leaving, going back, two that differ and a name that is none: there is no workspace yet."""
    door = fresh()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *"North", "enter", "escape")
        await sees(pilot, app, "Step 1 of 6")
        assert app.screen.query_one("#site", Input).value == "North"
        await press(pilot, "enter")
        await write(pilot, app, passphrase=SECRET, again="another one here")
        await press(pilot, "enter")
        await sees(pilot, app, "the two passphrases differ")
        assert door.made == []
        await write(pilot, app, user="Capital", again=SECRET)
        await press(pilot, "enter")
        await sees(pilot, app, "cannot be the name of a user")
        assert door.made == []
        await sees(pilot, app, "Step 2 of 6")

    drive(steps, backend=None, door=door)


@pytest.mark.parametrize("step", STEPS)
def test_a_first_run_goes_on_where_it_was(step: str) -> None:
    """After a kill, whoever unlocks stands at the step that follows; nobody goes back behind the second."""
    place = STEPS.index(step) + 3

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert isinstance(app.screen, UnlockScreen)
        await press(pilot, *"any", "enter")
        assert isinstance(app.screen, WizardScreen)
        await sees(pilot, app, f"Step {place} of 6")
        await press(pilot, "escape")
        await sees(pilot, app, f"Step {max(place - 1, 3)} of 6")

    door = SimulatedDoor(unlock=lambda passphrase: Simulator(settled=SetupView(step)))
    drive(steps, backend=None, door=door)


def test_who_may_not_set_up_goes_to_work() -> None:
    """An auditor who opens a workspace in the middle of its first run sees the overview."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert isinstance(app.screen, OverviewScreen)

    drive(steps, backend=Simulator(role="auditor", settled=SetupView("models")))


def test_a_wrong_word_makes_no_key() -> None:
    """What was written down wrongly is found before it is a key; going back gives a new start."""
    backend = Simulator(settled=SetupView("recovery"))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "enter")
        await sees(pilot, app, "Write these words down")
        await press(pilot, "enter")
        await sees(pilot, app, "The words are hidden")
        await press(pilot, *"wrong", "enter", *"words", "enter")
        await sees(pilot, app, "a word differs")
        assert not any(call.startswith("add_recovery") for call in backend.calls)
        await press(pilot, "escape")
        await sees(pilot, app, "Step 3 of 6", "Twenty words")
        assert not app.screen.query(Input)
        await press(pilot, "enter")
        await sees(pilot, app, SimulatedDoor().new_words().split()[0])

    drive(steps, backend=backend)


def test_locking_takes_the_words_away() -> None:
    """ctrl+l on the page with the words: gone, and no key was made of them."""
    backend = Simulator(settled=SetupView("recovery"))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "enter")
        first = SimulatedDoor().new_words().split()[0]
        await sees(pilot, app, first)
        await press(pilot, "ctrl+l")
        assert isinstance(app.screen, UnlockScreen) and first not in glass(app)
        assert not any(call.startswith("add_recovery") for call in backend.calls)

    drive(steps, backend=backend)


def test_what_is_refused_is_said_where_one_is() -> None:
    """A refusal keeps the step and says what helps; the step can still be left out."""
    refusal = NotPermitted("users change with a passphrase", "Give the passphrase.")
    backend = Simulator(settled=SetupView("models"), failing={"add_model lumen /srv/model": refusal})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await write(pilot, app, folder="/srv/model")
        await press(pilot, "tab", "enter")
        await sees(pilot, app, "a model needs both")
        await write(pilot, app, name="lumen")
        await press(pilot, "enter")
        await sees(pilot, app, "users change with a passphrase hint: Give the passphrase.")
        await press(pilot, "f6")
        await sees(pilot, app, "Step 6 of 6")

    drive(steps, backend=backend)


def test_no_secret_is_in_a_title_or_left_in_a_field() -> None:
    """Terminal title and fields after the passphrase step hold nothing of it."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *"North", "enter")
        await write(pilot, app, passphrase=SECRET, again=SECRET)
        await press(pilot, "enter")
        assert (app.title, app.sub_title) == ("GradAudit", "")
        assert not [one for one in app.screen.query(Input) if one.value]
        assert SECRET not in repr(vars(app.screen))

    drive(steps, backend=None, door=fresh())
