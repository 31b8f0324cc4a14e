"""How the command line speaks: data on stdout, narration and errors on stderr (DESIGN §6)."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from appliance.sanitise import escaped, printable, safe

if TYPE_CHECKING:
    from appliance.views import Progress


_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORT = 12  # digits of a digest that tell it from any other of a site
_WIDE = 60  # most characters of a cell


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
            phase, unit = safe(step.phase, 28), safe(step.unit, 20)
            sys.stderr.write(f"{start}\x1b[K{phase:28} {bar} {step.done}/{step.total} {unit}")
            sys.stderr.flush()
        elif (step.phase, tenth) != (self._phase, self._tenth):
            say(f"{step.phase}: {step.done}/{step.total} {step.unit}")
        self._phase, self._tenth = step.phase, tenth


def table(json_: bool, rows: Sequence[Any], columns: Sequence[str] = ()) -> None:
    """Rows on stdout: under a header and aligned, or one JSON object each.

    Args:
        columns: the fields that a reader sees; all of them when empty. JSON has all in any case.
    """
    from appliance.views import plain

    given = [plain(row) for row in rows]
    if json_:
        sys.stdout.writelines(document(row) + "\n" for row in given)
    elif given:
        names = columns or tuple(given[0])
        cells = [[row[name] for name in names] for row in given]
        sys.stdout.write(
            printable(aligned([name.removesuffix("_utc").replace("_", " ") for name in names], cells))
        )


def aligned(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Lines of cells under each other; foreign text in them is inert."""
    lines = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    padded = (
        "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "".join(line.rstrip() + "\n" for line in padded)


def _cell(value: Any) -> str:
    """A value as a reader wants it: digests short, lists as words, nothing as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        value = ", ".join(
            " ".join(map(str, one)) if isinstance(one, list | tuple) else str(one) for one in value
        )
    text = "" if value is None else str(value)
    return text[:_SHORT] if _DIGEST.fullmatch(text) else safe(text, _WIDE) or "-"


def _width(text: str) -> int:
    """Columns a terminal needs: two for wide signs, none for combining marks."""
    return sum(
        2 if unicodedata.east_asian_width(sign) in "WF" else 0 if unicodedata.combining(sign) else 1
        for sign in text
    )


def emit(json_: bool, data: dict[str, Any], text: str) -> None:
    """The answer on stdout, for a program or for a reader."""
    sys.stdout.write((document(data) if json_ else printable(text)) + "\n")


def document(data: Mapping[str, Any]) -> str:
    """One JSON object on one line, inert on a terminal."""
    return escaped(json.dumps(data, ensure_ascii=False))


def say(text: str) -> None:
    """One line of narration on stderr."""
    sys.stderr.write(printable(text) + "\n")


def complain(message: str, hint: str, code: int) -> int:
    """One error line and one hint line; returns the exit code."""
    sys.stderr.write(f"error: {safe(message, 500)}\n")
    if hint:
        sys.stderr.write(f"hint: {safe(hint, 500)}\n")
    return code
