"""Signs the screens draw with: block glyphs where the terminal can show them, ASCII where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from appliance.spelling import SPELT, takes_utf8

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


def choose(environ: Mapping[str, str]) -> Glyphs:
    """Block glyphs where locale and terminal can show them; no locale at all is the locale C (POSIX)."""
    if environ.get("TERM", "") in _PLAIN_TERMINALS:
        return ASCII
    return UNICODE if takes_utf8(environ) else ASCII


class Spell(LineFilter):
    """Whatever a widget drew, foreign text, borders and scroll bars among it, in ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments with the same cells, style by style."""
        return [Segment(text.translate(SPELT), style, control) for text, style, control in segments]
