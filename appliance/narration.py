"""How the command line speaks: data on stdout, narration and errors on stderr (DESIGN §6)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from appliance.sanitise import safe

if TYPE_CHECKING:
    from appliance.views import Progress


def progress(json_: bool, quiet_json: bool = True) -> ProgressLine:
    """Progress on stderr; silent where a program reads, unless told otherwise."""
    return ProgressLine(silent=json_ and quiet_json)


class ProgressLine:
    """Narrates progress on stderr: a moving bar on a terminal, one line per tenth otherwise."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self._phase = ""
        self._tenth = -1

    def __enter__(self) -> Callable[[Progress], None]:
        return self.show

    def __exit__(self, *ignored: object) -> None:
        if self._phase and not self._silent and sys.stderr.isatty():
            sys.stderr.write("\n")

    def show(self, step: Progress) -> None:
        """Draw one step; the same tenth of the same phase is drawn once where lines cannot move."""
        if self._silent:
            return
        tenth = 10 * step.done // max(step.total, 1)
        if sys.stderr.isatty():
            start = "\n" if self._phase and step.phase != self._phase else "\r"
            bar = "█" * (2 * tenth) + "░" * (20 - 2 * tenth)
            sys.stderr.write(f"{start}\x1b[K{step.phase:28.28} {bar} {step.done}/{step.total} {step.unit}")
            sys.stderr.flush()
        elif (step.phase, tenth) != (self._phase, self._tenth):
            say(f"{step.phase}: {step.done}/{step.total} {step.unit}")
        self._phase, self._tenth = step.phase, tenth


def table(json_: bool, rows: tuple[Any, ...]) -> None:
    """Rows on stdout: one line each, or one JSON object each."""
    from appliance.views import plain

    if json_:
        sys.stdout.writelines(json.dumps(plain(row), ensure_ascii=False) + "\n" for row in rows)
        return
    for row in rows:
        sys.stdout.write("  ".join(safe(str(value), 60) for value in plain(row).values()) + "\n")


def emit(json_: bool, data: dict[str, Any], text: str) -> None:
    """The answer on stdout, for a program or for a reader."""
    sys.stdout.write((json.dumps(data, ensure_ascii=False) if json_ else text) + "\n")


def say(text: str) -> None:
    """One line of narration on stderr."""
    sys.stderr.write(text + "\n")


def complain(message: str, hint: str, code: int) -> int:
    """One error line and one hint line; returns the exit code."""
    sys.stderr.write(f"error: {safe(message, 500)}\n")
    if hint:
        sys.stderr.write(f"hint: {safe(hint, 500)}\n")
    return code
