"""The tutorial of docs/officer.md, from the demonstration that it begins with to a verified answer.

The demonstration is made once, where every connect and look-up, also to loopback, fails and is counted;
what comes after is done in a real terminal, on what it has made.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from appliance import cli
from appliance.demo.run import DemoModel, DemoOutcome
from tests.conftest import TESTS
from tests.guard.kernel_watch import Watched, watch
from tests.tui.officer import TUTORIAL, Step, steps, tmux_keys
from tests.tui.test_terminal import LOOK_AGAIN_S, Terminal

HOOK = TESTS / "guard" / "hook"
PROMPT = "officer> "
LOOK_AGAIN_MOST_S = 0.5
AUDIT_S = 900.0  # the most that the demonstration or an audit may take on a busy machine
PARTS = ("unlock", "run", "read", "reveal", "approve", "pack", "vendor", "auditor", "drafts", "verify")


def test_the_tutorial_has_the_whole_path() -> None:
    """Sign in, run, read, reveal, approve, pack, vendor, auditor, drafts, verify: each has its heading."""
    headings = [line.lower() for line in TUTORIAL.read_text().splitlines() if line.startswith("## ")]
    assert [part for part in PARTS if not any(part in line for line in headings)] == []


def test_a_command_beside_a_screen_is_one_that_there_is() -> None:
    """What is told in a sentence, and not done by the tutorial, names a command and options of it."""
    told = re.findall(r"`gradaudit (\w+ \w+)([^`]*)`", TUTORIAL.read_text())
    assert len(told) >= 2
    for names, rest in told:
        command: Any = typer.main.get_command(cli.app)
        for name in names.split():
            command = command.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest.split() if word.startswith("-")} <= options


def test_a_line_that_is_no_step_is_an_error() -> None:
    """The control: what is no step is not passed over."""
    with pytest.raises(ValueError, match="no step"):
        list(steps("```keys\nwait 5\n```\n"))


def environ(folder: Path) -> dict[str, str]:
    """What a shell of somebody at home in `folder` hands down."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "LC_ALL": "C.UTF-8",
        "TERM": "screen-256color",
        "PS1": PROMPT,
        "OMP_NUM_THREADS": "1",
    }


class Officer:
    """Somebody who does what a tutorial says, in a shell in a terminal."""

    def __init__(self, folder: Path) -> None:
        self.terminal = Terminal(folder)
        keep = [f"{name}={value}" for name, value in environ(folder).items()]
        shell = shlex.join(["env", "-i", *keep, "sh", "-i"])
        self.terminal.tmux("new-session", "-d", "-x", "80", "-y", "24", "-c", str(folder), shell)
        self.terminal.expect(PROMPT.strip())

    def do(self, step: Step) -> None:
        """One step; a `see` waits."""
        if step.verb == "see":
            self.wait(lambda glass: step.what in glass)
        elif step.verb == "press":
            for key in tmux_keys(step.what):
                self.terminal.press(key)
        elif step.verb == "type":
            self.terminal.press("-l", step.what)
        else:  # when the shell takes a command: what was there before has ended
            self.wait(lambda glass: glass.rstrip().endswith(PROMPT.rstrip()))
            self.terminal.press("-l", step.what)
            self.terminal.press("Enter")

    def wait(self, there: Callable[[str], bool]) -> None:
        """Look again and again, the longer it takes the more seldom."""
        end, pause = time.monotonic() + AUDIT_S, LOOK_AGAIN_S
        while not there(glass := self.terminal.glass()):
            assert time.monotonic() < end, glass
            time.sleep(pause)
            pause = min(1.2 * pause, LOOK_AGAIN_MOST_S)


@dataclass(frozen=True)
class Demonstration:
    """What the tutorial's first command has made in `folder`.

    Attributes:
        watched: how it ended, and what the kernel saw; None where no kernel watches.
        seen: what Python saw, one line each.
        missing: why no kernel watches.
    """

    folder: Path
    watched: Watched | None
    seen: str
    missing: str


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Demonstration:
    """The tutorial's first command."""
    folder = tmp_path_factory.mktemp("officer")
    first = next(iter(steps(TUTORIAL.read_text())))
    program, *words = shlex.split(first.what)
    assert (first.verb, program, words[:2]) == ("run", "gradaudit", ["demo", "--keep"])
    command = [str(Path(sys.executable).with_name(program)), *words[:-1], str(folder / words[-1]), "--json"]
    counter = folder / "counter"
    guard = {"PYTHONPATH": str(HOOK), "GRADAUDIT_GUARD_FILE": str(counter), "GRADAUDIT_GUARD_SCOPE": "all"}
    try:
        watched = watch(command, environ(folder) | guard, AUDIT_S)
    except OSError as missing:
        done = subprocess.run(command, env=environ(folder), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return Demonstration(folder, None, "", str(missing.strerror))
    return Demonstration(folder, watched, counter.read_text(), "")


def test_the_demonstration_makes_no_attempt_to_reach_anything(demonstration: Demonstration) -> None:
    """Zero attempts by what the kernel saw, by what Python saw and by the demonstration's own count.

    What it prints is what the tutorial says is seen.
    """
    watched = demonstration.watched
    if watched is None:
        pytest.skip(
            f"not shown: needs a kernel with supervised system call filters ({demonstration.missing})"
        )
    assert () == watched.attempts
    assert "" == demonstration.seen
    assert 0 == watched.returncode, watched.stderr
    outcome = json.loads(watched.stdout)
    assert 0 == outcome["egress_attempts"]
    assert 3 == len(outcome["models"])
    models = [DemoModel(**model) for model in outcome["models"]]
    printed = DemoOutcome(Path(outcome["workspace"]), models, outcome["seconds"], outcome["egress_attempts"])
    _, said, *_ = steps(TUTORIAL.read_text())
    assert said.verb == "see" and said.what in printed.text()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="not shown: needs tmux")
def test_the_officers_whole_path(demonstration: Demonstration) -> None:
    """Every command and key of the tutorial does what the tutorial says is seen."""
    officer = Officer(demonstration.folder)
    try:
        for step in list(steps(TUTORIAL.read_text()))[2:]:
            officer.do(step)
    finally:
        title = officer.terminal.tmux("display-message", "-p", "#{pane_title}")
        officer.terminal.tmux("kill-server")
    assert title.strip() in ("", subprocess.run(["hostname"], capture_output=True, text=True).stdout.strip())
