"""Signs the screens draw with: block glyphs where the terminal can show them, ASCII where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.content import Content

_SPELLED = str.maketrans("–—…×≤≥·", "--.x<>-")  # one sign for one, so that styles keep their places


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
    plain: bool = False  # our own typographic signs are spelt in ASCII as well

    def spell(self, content: Content) -> Content:
        """Content as this terminal can show it."""
        return Content(content.plain.translate(_SPELLED), list(content.spans)) if self.plain else content


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
    """Block glyphs unless the locale is not UTF-8 or the terminal is a bare console."""
    if environ.get("TERM", "") in ("dumb", "linux", "vt100", "vt220"):
        return ASCII
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C.UTF-8"
    return UNICODE if "utf" in locale.lower() else ASCII
