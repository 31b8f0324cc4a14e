"""Users on the screens: who there is, and every change behind its dialog, with a second one for two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from appliance.api import Appliance
from appliance.errors import LockedOut
from tests.appliance import members_site as case
from tests.tui.pilot import drive, glass, press, sees, settle, until
from tests.tui.simulator import PASSPHRASE, SimulatedDoor, Simulator
from tui.app import GradAuditApp
from tui.screens.unlock import UnlockScreen
from tui.screens.user_dialogs import RemoveUserDialog, UserDialog
from tui.screens.users import UsersScreen
from tui.widgets.chrome import Notice


async def write(pilot: Pilot[Any], app: GradAuditApp, **fields: str) -> None:
    """Fill fields and press the dialog's button."""
    for name, text in fields.items():
        app.screen.query_one(f"#{name}", Input).value = text
    app.screen.query_one("#act").focus()
    await press(pilot, "enter")


@pytest.mark.parametrize("size", [(80, 24), (132, 40)])
def test_who_there_is(size: tuple[int, int]) -> None:
    """Name, role, what the keys open, and which line is one's own."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "l")
        shown = glass(app)
        assert "Findings open with one officer" in shown
        assert "a.huber" in shown and "everything; findings" in shown and " you" in shown
        assert "b.meyer" in shown and "recovery" in shown

    drive(steps, size)


def test_every_change_reaches_the_appliance() -> None:
    """Add, remove, reset, own passphrase and quorum: what was typed, once it is whole."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "l", "n")
        assert app.screen.focused is not None and app.screen.focused.id == "cancel"
        await write(pilot, app, name="c.weiss", role="auditor", new="words of hers", again="words of his")
        await sees(pilot, app, "the two new passphrases differ")
        await write(pilot, app, again="words of hers")
        await sees(pilot, app, "c.weiss was added", "results and log")
        await press(pilot, "down", "p")
        await write(pilot, app, new="other words here", again="other words here")
        await sees(pilot, app, "b.meyer has a new passphrase")
        await press(pilot, "x")
        await write(pilot, app, name="a.huber")
        await sees(pilot, app, "not the name of that user")
        await write(pilot, app, name="b.meyer")
        await sees(pilot, app, "b.meyer was removed, and the keys were changed")
        await press(pilot, "home", "p")
        await write(pilot, app, old="wrong one", new="other words here", again="other words here")
        await sees(pilot, app, "the passphrase is wrong")
        await write(pilot, app, old=PASSPHRASE)
        await press(pilot, "t")
        await write(pilot, app, number="2")
        await sees(pilot, app, "Findings open with two together")
        made = [call for call in backend.calls if "_" in call and call.split()[0] in ACTS]
        assert made == [
            "add_user c.weiss auditor -",
            "reset_passphrase b.meyer",
            "remove_user b.meyer -",
            "change_passphrase",
            "change_passphrase",
            "set_quorum 2 -",
        ]

    drive(steps, backend=backend)


ACTS = {"add_user", "reset_passphrase", "remove_user", "change_passphrase", "set_quorum"}


def test_two_together_are_asked_for() -> None:
    """With a quorum of two the dialog asks for the second one, and hands it over; alone it does not ask."""
    backend = Simulator(quorum_=2)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "l", "end", "x")
        await sees(pilot, app, "takes two")
        await write(pilot, app, name="paper", second="d.kurz", secret="words of kurz")
        await until(pilot, lambda: "remove_user paper d.kurz" in backend.calls)
        await press(pilot, "home", "p")
        assert not app.screen.query("#second")

    drive(steps, backend=backend)


def test_every_field_is_reached_on_a_small_terminal() -> None:
    """With a second person to type as well, whatever has the focus is on the glass, the buttons too."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "l", "n")
        seen = set()
        for _ in app.screen.focus_chain:
            assert app.focused is not None
            assert app.screen.region.contains_region(app.focused.region), app.focused.id
            seen.add(app.focused.id)
            await press(pilot, "tab")
        assert seen == {"name", "role", "new", "again", "second", "secret", "cancel", "act"}

    drive(steps, (60, 20), backend=Simulator(quorum_=2))


def test_cancel_changes_nothing() -> None:
    """Enter on what has the focus, and escape, leave everything as it is."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "l", "down", "x")
        assert isinstance(app.screen, RemoveUserDialog)
        await press(pilot, "enter")
        assert isinstance(app.screen, UsersScreen)
        await press(pilot, "n", "escape", "t", "escape")
        assert not any(call.split()[0] in ACTS for call in backend.calls)

    drive(steps, backend=backend)


@pytest.mark.parametrize(("key", "act"), [("n", "user.add"), ("x", "user.remove"), ("t", "keys.quorum")])
def test_what_a_role_may_not_do_is_refused_and_not_offered(key: str, act: str) -> None:
    """The key answers with the sentence of the refusal, without a dialog; palette and key line omit it."""
    backend = Simulator(role="operator")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "l", key)
        assert isinstance(app.screen, UsersScreen)
        await sees(pilot, app, f"{act} is not for the role operator hint: Ask an officer.")
        listed = [command.title for command in app.get_system_commands(app.screen)]
        assert "Passphrase" in listed and not {"Add", "Remove", "Quorum"} & set(listed)
        assert "Add" not in glass(app).splitlines()[-1]

    drive(steps, (120, 30), backend=backend)


def test_an_auditor_is_not_offered_an_audit() -> None:
    """Run is not on the key line and not in the palette of an auditor; r says who may."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert "as auditor" in glass(app).splitlines()[0]
        assert "Run an audit" not in glass(app) and "r Run" not in glass(app).splitlines()[-1]
        assert "Run" not in [command.title for command in app.get_system_commands(app.screen)]
        await press(pilot, "r")
        await sees(pilot, app, "is not for the role auditor")
        await press(pilot, "4")
        await sees(pilot, app, "findings.list is not for the role auditor")

    drive(steps, (120, 30), backend=Simulator(role="auditor"))


def test_the_name_is_asked_where_several_type_a_passphrase() -> None:
    """Name, enter, passphrase, enter; the role then stands on the top line, and the name nowhere."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert isinstance(app.screen, UnlockScreen)
        await press(pilot, *"auditor", "enter", *PASSPHRASE.replace(" ", "_"), "enter")
        await sees(pilot, app, "the passphrase is wrong")
        app.screen.query_one("#passphrase", Input).value = PASSPHRASE
        await press(pilot, "enter")
        await until(pilot, lambda: "as auditor" in glass(app))
        assert app.title == "GradAudit"

    drive(steps, backend=None, door=SimulatedDoor(crowded=True))


def test_the_wait_after_wrong_passphrases_counts_down() -> None:
    """The screen says how long it is still, and when the next attempt counts."""
    now = [0.0]

    def waits(passphrase: str) -> Simulator:
        raise LockedOut("too many wrong passphrases: the next attempt counts in 60 s", "Wait.", 60)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        screen = app.screen
        assert isinstance(screen, UnlockScreen)
        said = screen.query_one(Notice)
        await press(pilot, "x", "enter")
        assert "counts in 60 s  hint: Wait." in said.text.plain
        now[0] = 41.5
        screen.count_down()
        assert "counts in 19 s  hint: Wait." in said.text.plain
        now[0] = 60
        screen.count_down()
        assert "the next attempt counts again" in said.text.plain

    drive(steps, backend=None, door=SimulatedDoor(unlock=waits), clock=lambda: now[0])


def test_on_a_real_site(tmp_path: Path) -> None:
    """An officer with a second one adds an officer under a quorum of two; afterwards nobody stands by."""
    root = tmp_path / "workspace"
    case.build(root)
    with Appliance.unlock(root, case.PASSPHRASES["officer"], "officer") as site:
        site.set_quorum(2)

        async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
            await press(pilot, "l", "n")
            assert isinstance(app.screen, UserDialog)
            await write(
                pilot, app, name="third", role="officer", new="words of the third", again="words of the third"
            )
            await sees(pilot, app, "findings open with two officers together")
            await write(pilot, app, second="second", secret=case.PASSPHRASES["second"])
            await settle(pilot)
            await sees(pilot, app, "third was added")

        drive(steps, (120, 40), backend=site)
        assert "third" in [
            user.name for user in Appliance.unlock(root, "words of the third", "third").users()
        ]
        assert site._present == []
