"""Nothing gets out: after locking, by a fault anywhere, or by an exit that a newer toolkit brings."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from textual import constants, events
from textual.app import App
from textual.driver import Driver
from textual.pilot import Pilot
from textual.widgets import Input

from tests.tui.everywhere import BEGUN, WAYS, go
from tests.tui.pilot import drive, glass, press, settle, until
from tests.tui.simulator import Simulator
from tests.tui.test_injection import hostile
from tui.app import GradAuditApp
from tui.closed import ClosedApp
from tui.screens.overview import OverviewScreen
from tui.screens.unlock import UnlockScreen

CANARY = "DOE^JANE^CANARY"
EXITS = re.compile("clipboard|url|screenshot|deliver|suspend|export|save_|notify|copy")
LINE = r"Fault [0-9A-F]{8}: the screens stopped\. The log and the workspace are untouched\."
KEPT = {
    "clipboard",  # reads what was never put there
    "export_screenshot",  # gives a text to the caller; nothing of ours calls it
    "action_notify",  # goes through notify
    "notify_style_update",  # about style sheets
}


def test_every_exit_of_the_toolkit_is_closed() -> None:
    """A name that speaks of a way out is closed here or said to be none; a new release brings no new one."""
    offered = {name for name in dir(App) if EXITS.search(name) and not name.startswith("_")}
    assert len(offered) >= 10
    assert offered - set(vars(ClosedApp)) - KEPT == set()
    of_driver = {name for name in dir(Driver) if EXITS.search(name) and not name.startswith("_")}
    assert of_driver == {"can_suspend", "deliver_binary", "open_url", "suspend_application_mode"}


def test_every_variable_of_the_toolkit_is_closed() -> None:
    """The toolkit reads variables whose names begin like those that are deleted, and one harmless other."""
    source = Path(constants.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'(?:get_environ|_get_environ_\w+)\(\s*"([A-Z_]+)"', source))
    assert len(read) > 10
    assert {name for name in read if not name.startswith("TEXTUAL")} == {"ESCDELAY"}


@pytest.mark.parametrize("name", sorted(set(WAYS) - set(BEGUN) - {"UnlockScreen"}))
def test_locking_leaves_nothing_of_any_screen(name: str) -> None:
    """From wherever a key leads: only the passphrase is left, on the glass, among the screens, in the app."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await go(pilot, app, name)
        before = app.screen
        app.idle.minutes = 1
        app.idle._last = -1000.0
        app.lock_when_idle()
        await until(pilot, lambda: isinstance(app.screen, UnlockScreen))
        await settle(pilot)
        assert CANARY not in glass(app) and "lumen-vlm" not in glass(app)
        assert [type(screen) for screen in app.screen_stack[1:]] == [UnlockScreen]
        assert not before.is_attached and not before.is_running
        assert (app.known, app.last_result, app.role, app.may) == (None, "", "", frozenset())
        assert CANARY not in app.title + app.sub_title + app.clipboard

    drive(steps, size=(130, 50), backend=hostile(CANARY))


def test_the_control_sees_what_locking_takes_away() -> None:
    """Before locking the canary is on the glass."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert CANARY in glass(app) and app.known is not None and app.role == "officer"

    drive(steps, size=(130, 50), backend=hostile(CANARY))


def test_what_is_typed_does_not_reach_the_clipboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """ctrl+c and ctrl+x in a field with marked text hand nothing to the terminal, nor keep it."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        written: list[str] = []
        monkeypatch.setattr(app._driver, "write", written.append)
        await press(pilot, "3", "e")
        field = app.screen.query_one(Input)
        field.value = CANARY
        for key in ("ctrl+c", "ctrl+x"):
            field.focus()
            field.select_all()
            await press(pilot, key)
        assert app.clipboard == ""
        assert [one for one in written if "52;" in one] == []

    drive(steps)


class Fragile(GradAuditApp):
    """An app whose own end breaks as well."""

    async def on_unmount(self) -> None:
        """Break while closing."""
        raise RuntimeError(f"{CANARY} second")


def said_by(app: GradAuditApp, capfd: pytest.CaptureFixture[str]) -> str:
    """All that reaches the terminal when `app` breaks."""
    told = io.StringIO()
    app.error_console.file = told
    app.run(headless=True)
    both = capfd.readouterr()
    return told.getvalue() + both.out + both.err


class InThread(Simulator):
    """Breaks in a thread of its own, while the UI's goes on."""

    def overview(self) -> Any:
        """Break, with a patient in a local variable and in the message."""
        patient_name = CANARY
        assert threading.current_thread() is not threading.main_thread()
        raise KeyError(patient_name)


@pytest.mark.parametrize("kind", [GradAuditApp, Fragile])
def test_a_fault_is_its_id_and_nothing_else(
    kind: type[GradAuditApp], capfd: pytest.CaptureFixture[str]
) -> None:
    """A fault in a thread, and a second one while the screens close: one line, no value, no advice."""
    app = kind(InThread())
    said = " ".join(said_by(app, capfd).split())
    assert app.return_code == 1
    assert re.fullmatch(LINE, said)


class Thrown(GradAuditApp):
    """An app whose thread worker breaks."""

    def on_ready(self) -> None:
        """Start a worker in a thread of its own, as long work does."""
        self.run_worker(self._break, thread=True)

    def _break(self) -> None:
        patient_name = CANARY
        raise ValueError(patient_name)


def test_a_fault_of_a_thread_worker_is_its_id(capfd: pytest.CaptureFixture[str]) -> None:
    """Long work that breaks ends in the same line."""
    said = said_by(Thrown(Simulator()), capfd)
    assert CANARY not in said and "Traceback" not in said
    assert re.search(r"Fault [0-9A-F]{8}", said)


def test_a_key_after_leaving_is_for_nobody() -> None:
    """What is typed while the screens close opens nothing behind them."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        app._exit = True
        await app.on_event(events.Key("2", "2"))
        await settle(pilot)
        assert isinstance(app.screen, OverviewScreen)
        app._exit = False
        await app.on_event(events.Key("2", "2"))
        await settle(pilot)
        assert not isinstance(app.screen, OverviewScreen), "the control: the same key leads away"

    drive(steps)
