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
    keep = f"LC_ALL=C.UTF-8 PYTHONPATH={shlex.quote(str(ROOT))}"
    script = f"read go; {keep} {program}; echo $? > {shlex.quote(str(terminal.code))}; exec cat"
    terminal.tmux("new-session", "-d", "-x", "130", "-y", "50", "sh", "-c", script)
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
    for key in ("2", "3", "4", "r", "Escape"):
        before = terminal.glass()
        terminal.press(key)
        wait_for(f"{key} changes the glass", lambda before=before: terminal.glass() != before)
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
