"""No way out for a value: hooks that print errors say a fault's id and place; without them, the value."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from appliance import cli, pipeline
from appliance.errors import ApplianceError
from appliance.faults import fault_of
from tests.appliance.taken_over import worker

ROOT = Path(__file__).parent.parent.parent
CANARY = "Meyer^Anna*1961"
WAYS = {
    "uncaught": "raise ValueError(name)",
    "chained": "try:\n    raise KeyError(name)\nexcept KeyError as one:\n    raise ValueError(name) from one",
    "with a note": "error = ValueError('x'); error.add_note(name); raise error",
    "group": "raise ExceptionGroup(name, [ValueError(name)])",
    "syntax": "compile(name + '(', name, 'exec')",
    "a kind made from a value": "raise type(name, (Exception,), {})()",
    "thread": "import threading\nt = threading.Thread(target=int, args=(name,)); t.start(); t.join()",
    "cannot be raised": "class Held:\n    def __del__(self):\n        int(name)\nheld = Held(); del held",
    "forgotten task": (
        "import asyncio, gc\nasync def lost(who):\n    raise ValueError(who)\n"
        "async def main():\n    asyncio.ensure_future(lost(name))\n    await asyncio.sleep(0.01)\n"
        "    gc.collect()\nasyncio.run(main())"
    ),
    "failing callback": (
        "import asyncio\nasync def main():\n    asyncio.get_running_loop().call_soon(int, name)\n"
        "    await asyncio.sleep(0.01)\nasyncio.run(main())"
    ),
    "logged": "import logging\nlogging.getLogger('pydicom').warning('value %s', name)",
    "logged error": (
        "import logging\ntry:\n    int(name)\nexcept ValueError:\n    logging.exception('%s', name)"
    ),
    "logged with a stack": "import logging\nlogging.error(name, stack_info=True)",
    "record that fails": "import logging\nlogging.error('%d %d', name)",
    "own handler": (
        "import logging, sys\nhandler = logging.StreamHandler()\n"
        "handler.setFormatter(logging.Formatter('%(message)s %(name)s'))\n"
        "log = logging.getLogger('lib'); log.addHandler(handler); log.propagate = False\nlog.error(name)"
    ),
    "warning": "import warnings\nwarnings.warn('odd value ' + name)",
    "captured warning": (
        "import logging, warnings\nlogging.basicConfig()\nlogging.captureWarnings(True)\nwarnings.warn(name)"
    ),
    "unclosed file": (
        "import gc, tempfile, warnings\nwarnings.simplefilter('always')\n"
        "f = open(tempfile.mkdtemp() + '/' + name, 'w'); f = None; gc.collect()"
    ),
}
PROGRAM = """
import sys
sys.path.insert(0, {root!r})
if {redacted}:
    from appliance.redaction import redact
    redact()
name = {canary!r}
{way}
"""


def said(way: str, *, redacted: bool) -> str:
    """What a program prints that goes wrong in some way."""
    code = PROGRAM.format(root=str(ROOT), redacted=redacted, canary=CANARY, way=way)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_a_value_stays_inside(way: str) -> None:
    """With the hooks one line without the value; without them the value is printed, so the test can fail."""
    closed, open_ = (said(WAYS[way], redacted=redacted) for redacted in (True, False))
    assert CANARY in open_
    assert CANARY not in closed
    assert " in " in closed  # the place, so that somebody can mend it
    assert "Traceback" not in closed


def test_no_memory_image_is_written() -> None:
    """Core dumps are off, also where whoever started us allows them."""
    way = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
    allow = "import resource as r; h = r.getrlimit(r.RLIMIT_CORE)[1]; r.setrlimit(r.RLIMIT_CORE, (h, h))\n"
    code = PROGRAM.format(root=str(ROOT), redacted=True, canary=CANARY, way=way)
    done = subprocess.run([sys.executable, "-c", allow + code], capture_output=True, text=True, check=True)
    assert done.stdout == "(0, 0)\n"


def test_crash_handlers_are_off() -> None:
    """A crash in a library prints no stack of ours."""
    way = "import faulthandler; print(faulthandler.is_enabled())"
    code = PROGRAM.format(root=str(ROOT), redacted=True, canary=CANARY, way=way)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that name it."""
    for name, one in sorted(group.commands.items()):
        if hasattr(one, "commands"):
            yield from leaves(one, (*path, name))
        else:
            yield (*path, name), one


COMMANDS = {" ".join(words): command for words, command in leaves(get_command(cli.app))}


def breaking(*_: Any, **__: Any) -> Any:
    """Fails as a library would: the value in a local variable and in the message."""
    patient = CANARY
    raise ValueError(f"cannot read {patient}")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a command calls first of our own fails."""
    monkeypatch.setattr(cli, "redact", lambda: None)  # the hooks of this process are the suite's
    monkeypatch.setattr(cli.egress, "go_offline", lambda: None)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("broken")
def test_a_fault_in_any_command_is_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The body of each command raises with a value in hand: an id, a place, and no value."""
    monkeypatch.setattr(COMMANDS[command], "callback", breaking)
    with pytest.raises(ValueError, match="Meyer"):  # the control: nothing but the border holds it back
        COMMANDS[command].callback()
    monkeypatch.setattr(cli, "app", lambda **_: COMMANDS[command].callback())
    with pytest.raises(SystemExit) as left:
        cli.main()
    out, err = capfd.readouterr()
    assert left.value.code == 1
    assert err.startswith("error: unexpected fault ")
    assert CANARY not in out + err
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize("job", sorted(pipeline._JOBS))
def test_a_fault_in_any_job_is_an_id(job: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A worker's job raises with a value in hand: neither the answer nor the terminal has it."""
    lines = f"patient = {CANARY!r}\nimport sys\nprint(patient)\nprint(patient, file=sys.stderr)\nint(patient)"
    with worker(tmp_path, lines) as child, pytest.raises(ApplianceError) as told:
        child.call({"type": job})
    out, err = capfd.readouterr()
    assert "unexpected fault" in str(told.value)
    assert CANARY not in f"{told.value}{told.value.hint}{out}{err}"


def test_an_id_tells_equal_faults() -> None:
    """The same fault has the same id with another value; another place has another one."""

    def fails(value: str) -> str:
        try:
            int(value)
        except ValueError as error:
            return fault_of(error).fault_id
        raise AssertionError

    other = fault_of(KeyError(CANARY)).fault_id
    assert fails("Meyer") == fails("Schmidt") != other
    assert os.path.sep not in other


def test_commands_are_found() -> None:
    """The walk over the command line sees groups and commands."""
    assert isinstance(get_command(cli.app), typer.core.TyperGroup)
    assert {"doctor", "audit run", "log verify"} <= set(COMMANDS)
