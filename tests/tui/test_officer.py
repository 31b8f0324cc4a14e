"""The tutorial of docs/officer.md, done in a real terminal from sign-in to a verified answer."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from appliance import cli
from tests.tui.officer import TUTORIAL, Step, steps, tmux_keys
from tests.tui.test_terminal import LOOK_AGAIN_S, Terminal

PROMPT = "officer> "
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


class Officer:
    """Somebody who does what a tutorial says, in a shell in a terminal."""

    def __init__(self, folder: Path) -> None:
        self.terminal = Terminal(folder)
        environ = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "LC_ALL": "C.UTF-8",
            "TERM": "screen-256color",
            "PS1": PROMPT,
            "OMP_NUM_THREADS": "2",
        }
        keep = [f"{name}={value}" for name, value in environ.items()]
        shell = shlex.join(["env", "-i", *keep, "sh", "-i"])
        self.terminal.tmux("new-session", "-d", "-x", "80", "-y", "24", "-c", str(folder), shell)
        self.terminal.expect(PROMPT.strip())

    def do(self, step: Step) -> None:
        """One step; a `see` waits."""
        if step.verb == "see":
            self.terminal.expect(step.what, AUDIT_S)
        elif step.verb == "press":
            for key in tmux_keys(step.what):
                self.terminal.press(key)
        elif step.verb == "type":
            self.terminal.press("-l", step.what)
        else:
            self.wait_for_prompt()
            self.terminal.press("-l", step.what)
            self.terminal.press("Enter")

    def wait_for_prompt(self) -> None:
        """Until the shell takes a command: what was there before has ended."""
        end = time.monotonic() + AUDIT_S
        while not self.terminal.glass().rstrip().endswith(PROMPT.rstrip()):
            assert time.monotonic() < end, self.terminal.glass()
            time.sleep(LOOK_AGAIN_S)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="not shown: needs tmux")
def test_the_officers_whole_path(tmp_path: Path) -> None:
    """Every command and key of the tutorial does what the tutorial says is seen."""
    officer = Officer(tmp_path)
    try:
        for step in steps(TUTORIAL.read_text()):
            officer.do(step)
    finally:
        title = officer.terminal.tmux("display-message", "-p", "#{pane_title}")
        officer.terminal.tmux("kill-server")
    assert title.strip() in ("", subprocess.run(["hostname"], capture_output=True, text=True).stdout.strip())
