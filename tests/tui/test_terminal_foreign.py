"""Foreign text in a real terminal: the bytes that leave the program hold none of thirty payloads."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.appliance.test_foreign_text import PAYLOADS
from tests.tui.test_terminal import DEADLINE_S, LOOK_AGAIN_S, ROOT, Terminal

PROGRAM = Path(__file__).with_name("hostile_simulator.py")
LINES, COLUMNS = 50, 130
HEAD = "GradAudit  "  # the first line of every screen, before its name
MARKS = (f"{HEAD}Runs", f"{HEAD}Result", f"{HEAD}Log", "Run an audit")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal that is gone afterwards."""
    if shutil.which("tmux") is None:
        pytest.skip("not shown: needs tmux")
    opened = Terminal(tmp_path)
    yield opened
    opened.tmux("kill-server")


def start(terminal: Terminal, sent: Path, *arguments: str) -> None:
    """Start the screens, with every byte they write kept in a file."""
    program = shlex.join([sys.executable, str(PROGRAM), *arguments])
    keep = f"LC_ALL=C.UTF-8 LINES={LINES} COLUMNS={COLUMNS} PYTHONPATH={shlex.quote(str(ROOT))}"
    script = f"read go; {keep} {program}; echo $? > {shlex.quote(str(terminal.code))}; exec cat"
    terminal.tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "sh", "-c", script)
    terminal.tmux("pipe-pane", "-o", f"cat > {shlex.quote(str(sent))}")
    terminal.press("Enter")


def wait_for(what: str, holds: object) -> None:
    """Wait until a condition holds; fails with its name after a deadline."""
    end = time.monotonic() + DEADLINE_S
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, what
        time.sleep(LOOK_AGAIN_S)


def test_no_payload_reaches_the_terminal(terminal: Terminal, tmp_path: Path) -> None:
    """Every screen and dialog by keys: no sequence, no title, no action, and a clean exit."""
    sent = tmp_path / "sent"
    start(terminal, sent)
    terminal.expect("Needs you")
    for key, mark in zip("239r", MARKS, strict=True):
        terminal.press(key)
        wait_for(f"{key} shows {mark}", lambda mark=mark: mark in terminal.glass())
    terminal.press("Escape")  # seen to be done before the next key: Escape and q at once would be alt-q
    wait_for("the dialog closes", lambda: "Run an audit" not in terminal.glass())
    title = terminal.tmux("display-message", "-p", "#{pane_title}")
    terminal.press("q")
    wait_for("the program ends", terminal.code.exists)
    assert terminal.code.read_text().strip() == "0"
    assert "owned" not in title
    written = sent.read_bytes()
    assert len(written) > 2000
    acting = [words for words in PAYLOADS if len(words) > 3 and words != "\ud800" and "\x1b[?1049h" != words]
    leaked = [words for words in acting if words.encode() in written]
    assert leaked == []
    for introducer in (b"\x1b]52", b"\x1b]0;owned", b"\x1b]8;;https://example.org", b"\x1bP+q", b"\xc2\x9b"):
        assert introducer not in written


def test_without_safe_the_title_is_taken(terminal: Terminal, tmp_path: Path) -> None:
    """The control: the same screens without `safe()` let an attacker name the window."""
    sent = tmp_path / "sent"
    start(terminal, sent, "raw")
    wait_for("the sequence arrives", lambda: sent.exists() and b"\x1b]0;owned" in sent.read_bytes())
