"""How the command line speaks: data on stdout, narration and errors on stderr (DESIGN §6).

Data has three forms: for a reader, for a program (`--json`), and line by line for a screen reader
(`--plain`), which is made here from what `--json` prints, so that no command has to.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from appliance.sanitise import escaped, printable, safe
from appliance.words.facts import aloud, facts
from appliance.words.table import tell

if TYPE_CHECKING:
    from appliance.views import Progress


_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORT = 12  # digits of a digest that tell it from any other of a site
_WIDE = 60  # most characters of a cell
_PLAIN: ContextVar[bool] = ContextVar("plain", default=False)


def speak_plainly(on: bool) -> None:
    """From now on data that is not for a program is said line by line, or no longer."""
    _PLAIN.set(on)


def progress(json_: bool, quiet_json: bool = True) -> ProgressLine:
    """Progress on stderr; silent where a program reads, unless told otherwise."""
    return ProgressLine(silent=json_ and quiet_json)


class ProgressLine:
    """Narrates progress on stderr: a moving bar on a terminal, one line per tenth otherwise."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self._plain = _PLAIN.get()
        self._moves = sys.stderr.isatty() and not self._plain
        self._phase = ""
        self._tenth = -1

    def __enter__(self) -> Callable[[Progress], None]:
        return self.show

    def __exit__(self, *ignored: object) -> None:
        if self._phase and not self._silent and self._moves:
            sys.stderr.write("\n")

    def show(self, step: Progress) -> None:
        """Draw one step; the same tenth of the same phase is drawn once where lines cannot move."""
        if self._silent:
            return
        tenth = 10 * step.done // max(step.total, 1)
        if self._moves:
            start = "\n" if self._phase and step.phase != self._phase else "\r"
            bar = "█" * (2 * tenth) + "░" * (20 - 2 * tenth)
            phase, unit = safe(step.phase, 28), safe(step.unit, 20)
            sys.stderr.write(f"{start}\x1b[K{phase:28} {bar} {step.done}/{step.total} {unit}")
            sys.stderr.flush()
        elif (step.phase, tenth) != (self._phase, self._tenth):
            say(self._told(step, tenth))
        self._phase, self._tenth = step.phase, tenth

    def _told(self, step: Progress, tenth: int) -> str:
        if not self._plain:
            return f"{step.phase}: {step.done}/{step.total} {step.unit}"
        amount = {"done": step.done, "total": step.total, "unit": step.unit}
        return tell("plain.progress", phase=step.phase, percent=10 * tenth, **amount)


def table(json_: bool, rows: Sequence[Any], columns: Sequence[str] = (), text: str | None = None) -> None:
    """Rows on stdout: under a header and aligned, one JSON object each, or fact by fact.

    Args:
        columns: the fields that a reader sees; all of them when empty. JSON has all in any case.
        text: what a reader sees instead.
    """
    from appliance.views import plain

    given = [plain(row) for row in rows]
    if json_:
        sys.stdout.writelines(document(row) + "\n" for row in given)
    elif _PLAIN.get():
        _write(_rows_aloud(given))
    else:
        sys.stdout.write(printable(_tabular(given, columns) if text is None else text))


def tabular(rows: Sequence[Any], columns: Sequence[str] = ()) -> str:
    """Rows under a header as text, for an answer that is more than one table; "" without a row."""
    from appliance.views import plain

    return _tabular([plain(row) for row in rows], columns)


def _tabular(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> str:
    if not rows:
        return ""
    names = columns or tuple(rows[0])
    header = [name.removesuffix("_utc").replace("_", " ") for name in names]
    return aligned(header, [[row[name] for name in names] for row in rows])


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


def emit(json_: bool, data: dict[str, Any], text: str, aloud_first: Iterable[str] = ()) -> None:
    """The answer on stdout: for a program, for a reader, or fact by fact.

    Args:
        data: all of it.
        text: what a reader sees.
        aloud_first: sentences that are said before the facts.
    """
    if not json_ and _PLAIN.get():
        _write([*map(aloud, aloud_first), *facts(data)])
    else:
        sys.stdout.write((document(data) if json_ else printable(text)) + "\n")


def stream(json_: bool, data: dict[str, Any], text: str) -> None:
    """One answer of many, as soon as it is there."""
    emit(json_, data, text)
    sys.stdout.flush()


def _write(lines: Iterable[str]) -> None:
    sys.stdout.writelines(printable(line) + "\n" for line in lines)


def _rows_aloud(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Each row's number, then its facts; of an empty list, that it is one."""
    if not rows:
        yield tell("plain.empty")
    for number, row in enumerate(rows, start=1):
        yield tell("plain.row", number=number, total=len(rows))
        yield from facts(row)


def document(data: Mapping[str, Any]) -> str:
    """One JSON object on one line, inert on a terminal; ASCII where the locale has nothing else."""
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return escaped(json.dumps(data, ensure_ascii=ascii_only))


def say(text: str) -> None:
    """One line of narration on stderr."""
    if _PLAIN.get():
        _narrate(aloud(line) for line in text.split("\n") if line.strip())
    else:
        _narrate([text])


def _narrate(lines: Iterable[str]) -> None:
    sys.stderr.writelines(printable(line) + "\n" for line in lines)


def complain(message: str, hint: str, code: int) -> int:
    """One error line and one hint line; returns the exit code."""
    sys.stderr.write(f"error: {safe(message, 500)}\n")
    if hint:
        sys.stderr.write(f"hint: {safe(hint, 500)}\n")
    return code
