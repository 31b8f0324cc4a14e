"""The verdict strip: five words in a fixed order, the given one boxed. Word, glyph, position agree."""

from __future__ import annotations

from textual.content import Content

from appliance.pack.pages.wording import meaning
from appliance.views import Verdict, VerdictWord
from appliance.words.table import tell
from tui.glyphs import Glyphs
from tui.text import foreign
from tui.widgets.drawing import Drawing
from tui.words import ORDER, STYLE


def badge(word: VerdictWord | None, glyphs: Glyphs) -> Content:
    """Glyph and word of a verdict for a table cell."""
    if word is None:
        return Content.styled(f"{glyphs.verdicts['']} {tell('verdict.none')}", "$muted")
    return Content.styled(f"{glyphs.verdicts[word.value]} {word.value}", f"bold {STYLE[word]}")


class VerdictStrip(Drawing):
    """The answer of one audit: strip, meaning, reasons."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self.verdict = verdict

    def draw(self, width: int) -> list[Content]:
        """Strip, meaning, then one line per reason."""
        style = STYLE[self.verdict.word]
        lines = [self._strip(width), Content("")]
        lines += Content.styled(meaning(self.verdict.word, self.verdict.reasons[0]), f"bold {style}").wrap(
            width
        )
        for number, reason in enumerate(self.verdict.reasons, start=1):
            first, *rest = foreign(reason).wrap(max(8, width - 3))
            lines.append(Content.assemble((f"{number}  ", "$muted"), first))
            lines += [part.pad_left(3) for part in rest]
        rule = tell("result.line", line=self.verdict.line)
        lines += Content.styled(rule, "$muted").wrap(width)
        return lines

    def _strip(self, width: int) -> Content:
        gap = "  " if width >= 70 else " " if width >= 58 else ""
        cells = [self._cell(word) for word in ORDER]
        return Content(gap).join(cells).truncate(width)

    def _cell(self, word: VerdictWord) -> Content:
        glyph, label = self.glyphs.verdicts[word.value], f"{word.value}"
        if word is not self.verdict.word:
            return Content.styled(f" {glyph} {label} ", "$muted")
        style = STYLE[word]
        return Content.assemble(
            (self.glyphs.left, style),
            (f"{glyph} {label}", f"bold $background on {style}"),
            (self.glyphs.right, style),
        )
