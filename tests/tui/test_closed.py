"""What must not get out: locking, faults, clipboard, screenshots, debug variables, slow imports."""

from __future__ import annotations

import gc
import io
import os
import re
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from appliance.errors import ApplianceError, Locked, NotPermitted
from tests.tui.pilot import drive, glass, press, settle, until
from tests.tui.simulator import PASSPHRASE, Simulator
from tui.app import GradAuditApp
from tui.idle import Idle
from tui.screens.overview import OverviewScreen
from tui.screens.unlock import UnlockScreen

CANARY = "DOE^JANE^CANARY"
HEAVY = (
    "torch",
    "transformers",
    "monai",
    "peft",
    "opacus",
    "sklearn",
    "numpy",
    "scipy",
    "sqlalchemy",
    "pydantic",
)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_locked_asks_for_the_passphrase_and_refuses_a_wrong_one() -> None:
    """Nothing is shown before the right passphrase; a wrong one costs one line with a hint."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert isinstance(app.screen, UnlockScreen)
        await press(pilot, "1", "enter")
        assert "the passphrase is wrong  hint: 9 attempts" in glass(app)
        assert app.screen.query_one(Input).value == ""
        for sign in PASSPHRASE:
            app.post_message(Key("space" if sign == " " else sign, sign))
        app.post_message(Key("enter", "\r"))  # all at once, as pasted: no sign may be lost
        await until(pilot, lambda: isinstance(app.screen, OverviewScreen))
        await settle(pilot)
        assert "lumen-vlm" in glass(app)

    drive(steps, backend=None)


def test_a_passphrase_is_never_on_the_glass() -> None:
    """What is typed shows as dots."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *"swordfish")
        assert app.screen.query_one(Input).value == "swordfish"
        assert "swordfish" not in glass(app)

    drive(steps, backend=None)


@pytest.mark.parametrize("below", ["1", "3", "r"])
def test_locking_takes_everything_off_the_screen(below: str) -> None:
    """ctrl+l from a screen or a dialog: content gone, keys forgotten, no key leads back."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, below, "ctrl+l")
        for key in ("f1", "f3", "f5"):
            await press(pilot, key)
            assert isinstance(app.screen, UnlockScreen)
            assert "lumen-vlm" not in glass(app)
            assert "St. Brigid" not in glass(app)
        assert backend.calls[-1] == "lock"

    drive(steps, backend=backend)


def test_locking_while_somebody_types_in_the_palette() -> None:
    """Keys still on their way when the palette goes end nothing: the screen is locked, the keys are gone."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for key in ("f9", "t", "s", "n", "ctrl+l"):
            await pilot.press(key)  # without waiting for what the key does
        await settle(pilot)
        await until(pilot, lambda: isinstance(app.screen, UnlockScreen) and backend.calls[-1] == "lock")

    drive(steps, backend=backend)


class Slow(Simulator):
    """Answers one call only when it is let."""

    def __init__(self, slow: str, **options: Any) -> None:
        super().__init__(**options)
        self.slow, self.entered, self.let = slow, threading.Event(), threading.Event()

    def _enter(self, call: str) -> None:
        if call == self.slow and not self.let.is_set():
            self.entered.set()
            assert self.let.wait(20)
        super()._enter(call)


@pytest.mark.parametrize(
    "failing", [{}, {"audits": ApplianceError("no disk", "mend it")}], ids=["told", "not"]
)
def test_an_answer_that_comes_after_locking_is_for_nobody(failing: dict[str, ApplianceError]) -> None:
    """3, then ctrl+l while the appliance answers: the passphrase stays, and the next person sees neither."""
    backend = Slow("audits", failing=failing)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await pilot.press("3")
        await until(pilot, backend.entered.is_set)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: isinstance(app.screen, UnlockScreen))
        app.opened(Simulator())  # the next person
        await until(pilot, lambda: isinstance(app.screen, OverviewScreen))
        backend.let.set()
        await until(pilot, lambda: "lock" in backend.calls)
        await settle(pilot)
        assert isinstance(app.screen, OverviewScreen) and not app.last_result
        assert "no disk" not in glass(app)

    drive(steps, backend=backend)


def test_an_answer_leaves_the_passphrase_where_it_is() -> None:
    """The same with nobody there yet."""
    backend = Slow("audits")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await pilot.press("3")
        await until(pilot, backend.entered.is_set)
        await pilot.press("ctrl+l")
        backend.let.set()
        await until(pilot, lambda: "lock" in backend.calls)
        await settle(pilot)
        assert isinstance(app.screen, UnlockScreen)

    drive(steps, backend=backend)


def test_an_order_that_fails_after_locking_is_told_to_nobody() -> None:
    """Why an audit was not begun is for whoever asked, not for the next person."""
    backend = Slow("queue_audit", failing={"queue_audit": ApplianceError("no disk", "mend it")})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        app.order(lambda: backend.queue_audit("lumen-vlm", "brigid-2025", "default"))
        await until(pilot, backend.entered.is_set)
        await pilot.press("ctrl+l")
        await until(pilot, lambda: isinstance(app.screen, UnlockScreen))
        app.opened(Simulator())
        await until(pilot, lambda: isinstance(app.screen, OverviewScreen))
        backend.let.set()
        await until(pilot, lambda: "lock" in backend.calls)
        await settle(pilot)
        assert isinstance(app.screen, OverviewScreen) and "no disk" not in glass(app)

    drive(steps, backend=backend)


def test_locking_forgets_long_work() -> None:
    """Neither what was asked for nor what came of it stays in memory: both may hold keys."""

    class Held:
        """What opens the workspace."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        held = []

        def call(_: object, asked: Held = Held()) -> Held:  # noqa: B008 - kept by the call alone
            answered = Held()
            held.extend(map(weakref.ref, (asked, answered)))
            return answered

        app.labour.begin("ingest", call)
        del call
        await until(pilot, lambda: not app.labour.busy)
        await press(pilot, "ctrl+l")
        await until(pilot, lambda: app.labour.work is None)
        await settle(pilot)
        gc.collect()
        assert [one() for one in held] == [None, None]

    drive(steps)


def test_locking_leaves_a_run_to_its_own_keys() -> None:
    """Content and this session's keys go at once; the run is neither paused nor cancelled, which is said."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "r", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: app.running is not None)
        await press(pilot, "ctrl+l")
        assert isinstance(app.screen, UnlockScreen) and app.runs == ()
        assert "lumen-vlm" not in glass(app) and "the audit at work goes on" in glass(app)

    drive(steps, backend=backend)
    assert "lock" in backend.calls
    assert not {"pause_run", "cancel_run"} & set(backend.calls)


def test_a_workspace_that_locked_itself_leads_to_the_passphrase() -> None:
    """When the appliance says locked, the passphrase is asked for, with its reason."""
    backend = Simulator(failing={"audits": Locked("the workspace is locked", "another officer locked it")})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "2")
        assert isinstance(app.screen, UnlockScreen)
        assert "✗ the workspace is locked  hint: another officer" in glass(app)

    drive(steps, backend=backend)


def test_what_a_role_may_not_do_is_said_where_one_is() -> None:
    """A refusal for the role is one line with a hint; nobody is sent to the passphrase for it."""
    refusal = NotPermitted("log.show is not for the role machine", "Ask an officer.")
    backend = Simulator(failing={"audits": refusal})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "2")
        assert not isinstance(app.screen, UnlockScreen)
        assert "✗ log.show is not for the role machine  hint: Ask an officer." in glass(app)

    drive(steps, backend=backend)


class Breaking(Simulator):
    """Raises what nobody foresaw, with a patient's name in the message and in a local variable."""

    def overview(self) -> Any:
        """Break."""
        patient_name = CANARY
        raise KeyError(patient_name)


def test_a_fault_is_one_line_without_values(capfd: pytest.CaptureFixture[str]) -> None:
    """The id of the fault is said; neither kind, place, message nor locals reach the terminal."""
    app = GradAuditApp(Breaking())
    told = io.StringIO()
    app.error_console.file = told
    app.run(headless=True)
    said = capfd.readouterr()
    text = " ".join(told.getvalue().split())
    assert app.return_code == 1
    said_of_it = r"Fault [0-9A-F]{8}: the screens stopped\. The log and the workspace are untouched\."
    assert re.fullmatch(said_of_it, text)
    assert CANARY not in told.getvalue() + said.out + said.err
    assert "Traceback" not in told.getvalue() + said.out + said.err


def test_clipboard_links_and_screenshots_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The acts of the toolkit that carry text out of the terminal do nothing."""
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda *args, **kwargs: opened.append("browser"))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        driver_writes: list[str] = []
        monkeypatch.setattr(app._driver, "write", driver_writes.append)
        app.copy_to_clipboard(CANARY)
        app.open_url("https://example.org/" + CANARY)
        app.action_screenshot(path=str(tmp_path))
        app.deliver_screenshot(path=str(tmp_path))
        app.deliver_text(io.StringIO(CANARY))
        app.deliver_binary(io.BytesIO(CANARY.encode()))
        await settle(pilot)
        assert [write for write in driver_writes if "52;" in write or CANARY in write] == []
        assert app.clipboard == ""

    drive(steps)
    assert opened == []
    assert list(tmp_path.iterdir()) == []


def test_debug_variables_are_closed(tmp_path: Path) -> None:
    """A log file, a delayed screenshot and planted key presses set in the environment have no effect."""
    code = (
        "import tui.app, textual.constants as c, os\n"
        "assert not [name for name in os.environ if name.startswith('TEXTUAL')]\n"
        "print([c.LOG_FILE, c.SCREENSHOT_DELAY, c.PRESS, c.DEBUG, c.DRIVER, os.environ.get('TEXTUAL')])"
    )
    done = python(
        code,
        TEXTUAL_LOG=str(tmp_path / "log"),
        TEXTUAL_SCREENSHOT="1",
        TEXTUAL_PRESS="q",
        TEXTUAL_DEBUG="1",
        TEXTUAL_DRIVER="os:system",
        TEXTUAL="devtools,debug",
        TEXTUAL_ALLOW_SIGNALS="1",
        TEXTUAL_DEVTOOLS_HOST="192.0.2.1",
    )
    assert done.stdout.strip() == "[None, -1, '', False, None, None]"


def test_import_is_light_and_fast() -> None:
    """The screens import nothing heavy and cost at most 0.4 CPU seconds."""
    code = (
        "import time, sys; begin = time.process_time(); import tui.app; spent = time.process_time() - begin\n"
        f"print(spent, sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    runs = [python(code).stdout.split(maxsplit=1) for _ in range(3)]
    assert {run[1].strip() for run in runs} == {"[]"}
    assert min(float(run[0]) for run in runs) <= 0.4


def test_readable_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under NO_COLOR every cell is grey, and the box around the verdict still says which one."""
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        assert "▐✗ FAIL▌" in glass(app)
        segments = [part for strip in app.screen._compositor.render_strips() for part in strip if part.style]
        for filter_ in app._filters:
            segments = filter_.apply(segments, app.screen.background_colors[1])
        tones = {
            part.style.color.triplet for part in segments if part.style.color and part.style.color.triplet
        }
        assert len(tones) > 1
        assert all(max(tone) - min(tone) <= 2 for tone in tones)

    drive(steps)


def test_a_plain_console_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the locale is not UTF-8, verdicts, plots and tables are drawn in ASCII."""
    monkeypatch.setenv("LC_ALL", "C")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for key in "1235680c":
            await press(pilot, key)
            assert [sign for sign in glass(app) if ord(sign) > 126] == []
        await press(pilot, "3")
        assert "[x FAIL]" in glass(app)

    drive(steps, size=(150, 100))


def test_nobody_at_the_keyboard_locks() -> None:
    """After the set pause without a key the screens lock; a key in between begins it anew."""
    backend, now = Simulator(), [0.0]

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await settle(pilot)
        assert app.idle.minutes == backend.auto_lock_minutes()
        app.idle = Idle(15, lambda: now[0])
        now[0] = 899
        app.lock_when_idle()
        await press(pilot, "2")
        now[0] = 899 + 899
        app.lock_when_idle()
        await settle(pilot)
        assert not isinstance(app.screen, UnlockScreen) and "lock" not in backend.calls
        now[0] += 2
        app.lock_when_idle()
        await until(pilot, lambda: "lock" in backend.calls)
        assert isinstance(app.screen, UnlockScreen) and "lumen-vlm" not in glass(app)

    drive(steps, backend=backend)


def test_nobody_there_locks_beside_a_run() -> None:
    """While an audit runs a pause locks as ever: content and keys go; that the run does not is said."""
    backend, now = Simulator(), [0.0]

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "r", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: app.running is not None)
        app.idle = Idle(15, lambda: now[0])
        now[0] = 10_000
        app.lock_when_idle()
        await until(pilot, lambda: "lock" in backend.calls)
        assert isinstance(app.screen, UnlockScreen)
        assert "lumen-vlm" not in glass(app) and "the audit at work goes on" in glass(app)

    drive(steps, backend=backend)
    assert not {"pause_run", "cancel_run"} & set(backend.calls)
