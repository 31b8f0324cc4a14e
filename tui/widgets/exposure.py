"""How many patients are flagged: the headline, a bar of their share, and the tests behind it."""

from __future__ import annotations

from textual.content import Content

from appliance.pack.pages.wording import (
    expected_false,
    exposure,
    least_share,
    more_controls,
    p_value,
    percent,
    percent_interval,
)
from appliance.views import AuditResult, Exposure, VerdictWord
from appliance.words.table import tell
from tui.glyphs import Glyphs
from tui.text import foreign, line
from tui.widgets.drawing import Drawing
from tui.widgets.scale import shares


def share_bar(share: float, width: int, glyphs: Glyphs) -> Content:
    """A 0–100 % bar of `width` cells.

    Raises:
        NotDrawable: it is no share.
    """
    shares(share)
    steps = round(share * width * 8)
    full, part = divmod(steps, 8)
    bar = glyphs.parts[8] * full + (glyphs.parts[part] if part and full < width else "")
    return Content.assemble((bar, "$accent"), (glyphs.empty * (width - len(bar)), "$rule"))


class ExposureBlock(Drawing):
    """The patient-level answer."""

    def __init__(self, result: AuditResult, word: VerdictWord) -> None:
        super().__init__()
        self.result, self.word = result, word

    def draw(self, width: int) -> list[Content]:
        """Headline, bar, a line per test, smallest detectable share; of a void run, that it has no result."""
        found, void = self.result.exposure, self.word is VerdictWord.VOID
        lines = Content.styled(exposure(self.result, self.word), "bold").wrap(width)
        if found is not None and not void:
            lines += self._bar(found, width) if self.word is not VerdictWord.INCONCLUSIVE else []
            lines += [part for fact in self._facts(found) for part in Content(fact).wrap(width)]
        return lines if void else lines + self._detectable(width)

    def _bar(self, found: Exposure, width: int) -> list[Content]:
        """Share of patients flagged; of an audit that cannot tell it is no picture of exposure."""
        share = found.flagged / found.patients if found.patients else 0.0
        bar = share_bar(share, max(1, min(width, 62) - 10), self.glyphs)
        return [Content.assemble(("0 % ", "$muted"), bar, (" 100 %", "$muted"))]

    def _facts(self, found: Exposure) -> list[str]:
        facts = [tell("result.rank_test", p=p_value(found.rank_test_p)), least_share(found)]
        if found.flagged:
            facts.insert(0, tell("result.flagged", expected=expected_false(found)))
        if found.prevalence_estimate is not None and found.prevalence_ci is not None:
            between = percent_interval(found.prevalence_ci)
            facts.append(tell("result.estimate", share=percent(found.prevalence_estimate), interval=between))
        if found.missing_controls:
            facts.append(more_controls(found))
        return facts

    def _detectable(self, width: int) -> list[Content]:
        effect = self.result.detectable
        head = tell("result.detectable.none")
        if effect.share is not None:
            head = tell("result.detectable", share=percent(effect.share), basis=line(effect.basis))
        text = Content.assemble((head, "bold"), " ", foreign(effect.sentence, "$muted"))
        return text.wrap(width)
