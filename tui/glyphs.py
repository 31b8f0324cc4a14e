"""Signs the screens draw with: block glyphs where the terminal can show them, ASCII where it cannot."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_INITIAL = Path("/proc/self/environ")
_PLAIN_TERMINALS = ("dumb", "linux", "vt100", "vt220")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of signs. `eighths` grow from empty to full from the bottom, `parts` from the left."""

    eighths: str
    parts: str
    gain: str  # above chance in a ROC
    chance: str  # below the diagonal
    empty: str
    rule: str  # threshold line
    dash: str  # horizontal rule
    passed: str
    failed: str
    absent: str
    verdicts: Mapping[str, str]
    left: str  # brackets around the active verdict
    right: str
    point: str
    dot: str
    mark: str  # a value on an axis
    both: str  # a value that stands on the reference line
    plain: bool = False  # everything else on the screen is spelt in ASCII as well


UNICODE = Glyphs(
    eighths=" ▁▂▃▄▅▆▇█",
    parts=" ▏▎▍▌▋▊▉█",
    gain="█",
    chance="▒",
    empty="░",
    rule="┆",
    dash="─",
    passed="✓",
    failed="✗",
    absent="–",
    verdicts={"PASS": "✓", "REVIEW": "▲", "FAIL": "✗", "INCONCLUSIVE": "?", "VOID": "⊘", "": "·"},
    left="▐",
    right="▌",
    point="▸",
    dot="·",
    mark="●",
    both="◆",
)

ASCII = Glyphs(
    eighths=" .:-=+*%#",
    parts="    -####",
    gain="#",
    chance=":",
    empty=".",
    rule="|",
    dash="-",
    passed="+",
    failed="x",
    absent="-",
    verdicts={"PASS": "+", "REVIEW": "!", "FAIL": "x", "INCONCLUSIVE": "?", "VOID": "0", "": "."},
    left="[",
    right="]",
    point=">",
    dot="-",
    mark="o",
    both="@",
    plain=True,
)


def started_with() -> Mapping[str, str]:
    """The environment this process was given; Python puts a UTF-8 locale over a plain one (PEP 538)."""
    try:
        entries = _INITIAL.read_bytes().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return os.environ
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def choose(environ: Mapping[str, str]) -> Glyphs:
    """Block glyphs where locale and terminal can show them; no locale at all is the locale C (POSIX)."""
    if environ.get("TERM", "") in _PLAIN_TERMINALS:
        return ASCII
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    return UNICODE if "utf" in locale.lower() else ASCII


class _Spelling(dict[int, str]):
    """ASCII for any sign, with as many cells as it had; asked by `str.translate`."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if code >= 127:
            cells = cell_len(sign)
            base = unicodedata.normalize("NFKD", sign)[0]
            sign = base if base.isascii() and cells == 1 else "?" * cells
        self[code] = sign
        return sign


_ALIKE = (
    ("–—×≤≥·•●◆⊘▲", "--x<>-*o@0!"),
    ("─━▔▁│┃┆▏▎▌▐", "---_|||||[]"),
    ("┌┐└┘╭╮╰╯├┤┬┴┼", "+" * 13),
    ("█▉▊▋▍▂▃▄▅▆▇░▒▓", "###########.:#"),
    ("✓✔✗▸▶▼◀…↑↓←→", "++x>>v<.^v<>"),
)
_SPELLED = _Spelling({ord(one): few for many, plain in _ALIKE for one, few in zip(many, plain, strict=True)})
_SPELLED[ord("🔎")] = "> "


class Spell(LineFilter):
    """Whatever a widget drew, foreign text, borders and scroll bars among it, in ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments with the same cells, style by style."""
        return [Segment(text.translate(_SPELLED), style, control) for text, style, control in segments]
