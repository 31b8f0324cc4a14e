"""The screens in a real terminal: bytes that a terminal understands, keys that arrive, a clean exit."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SIMULATOR = Path(__file__).with_name("simulator.py")
ROOT = SIMULATOR.parent.parent.parent
DEADLINE_S = 30.0
LOOK_AGAIN_S = 0.05


class Terminal:
    """A tmux server of its own with one window of 80x24."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "tmux")
        self.code = folder / "exit-code"

    def tmux(self, *arguments: str) -> str:
        """One tmux command."""
        command = ["tmux", "-S", self.socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def open(self) -> None:
        """Start the simulator; its exit code goes to a file."""
        program = shlex.join([sys.executable, str(SIMULATOR), "1"])
        keep = f"LC_ALL=C.UTF-8 PYTHONPATH={shlex.quote(str(ROOT))}"
        script = f"{keep} {program}; echo $? > {shlex.quote(str(self.code))}; exec cat"
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", "sh", "-c", script)

    def glass(self) -> str:
        """What the terminal shows."""
        return self.tmux("capture-pane", "-p")

    def expect(self, words: str, patience_s: float = DEADLINE_S) -> None:
        """Wait until `words` are on the glass; fails with the glass after a deadline."""
        end = time.monotonic() + patience_s
        while words not in self.glass():
            assert time.monotonic() < end, self.glass()
            time.sleep(LOOK_AGAIN_S)

    def press(self, *keys: str) -> None:
        """Send keys."""
        self.tmux("send-keys", *keys)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal that is gone afterwards."""
    if shutil.which("tmux") is None:
        pytest.skip("not shown: needs tmux")
    opened = Terminal(tmp_path)
    opened.open()
    yield opened
    opened.tmux("kill-server")


def test_a_person_runs_an_audit_in_a_real_terminal(terminal: Terminal) -> None:
    """Overview, run dialog, progress, result, log, lock, unlock, quit with 0: all by keys, at 80x24."""
    before = terminal.tmux("display-message", "-p", "#{pane_title}")
    terminal.expect("lumen-vlm: Patients of this cohort")
    terminal.press("r")
    terminal.expect("image-text-to-text")
    terminal.press("Enter", "Enter", "Enter", "Enter")
    terminal.expect("21 of 46 are flagged")
    terminal.press("9")
    terminal.expect("entry 147")
    terminal.press("v")
    terminal.expect("verified: all 148 entries")
    terminal.press("C-l")
    terminal.expect("Unlock the workspace")
    assert "entry 147" not in terminal.glass()
    terminal.press("-l", "correct horse")
    terminal.press("Enter")
    terminal.expect("Needs you")
    title = terminal.tmux("display-message", "-p", "#{pane_title}")
    assert title == before, "nothing of a patient, nor anything else, is put into the title"
    terminal.press("q")
    end = time.monotonic() + DEADLINE_S
    while not terminal.code.exists() and time.monotonic() < end:
        time.sleep(LOOK_AGAIN_S)
    assert terminal.code.read_text().strip() == "0"
