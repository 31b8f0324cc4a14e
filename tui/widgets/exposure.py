"""How many patients are flagged: the headline, a bar of their share, and the tests behind it."""

from __future__ import annotations

from textual.content import Content

from appliance.evidence.report.wording import (
    expected_false,
    least_share,
    p_value,
    patients,
    percent,
    percent_interval,
)
from appliance.views import DetectableEffect, Exposure
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

    def __init__(self, exposure: Exposure | None, detectable: DetectableEffect) -> None:
        super().__init__()
        self.exposure = exposure
        self.detectable = detectable

    def draw(self, width: int) -> list[Content]:
        """Headline, bar, one line per test, smallest detectable share."""
        found = self.exposure
        if found is None:
            lines = Content.styled("No number: the audit stopped before judgement.", "bold").wrap(width)
            return lines + self._detectable(width)
        share = found.flagged / found.patients if found.patients else 0.0
        head = Content.assemble(
            (f"{found.flagged} of {patients(found.patients)}", "bold"),
            " flagged as exposed",
        )
        bar = share_bar(share, max(1, min(width, 62) - 10), self.glyphs)
        lines = [*head.wrap(width)]
        lines.append(Content.assemble(("0 % ", "$muted"), bar, (" 100 %", "$muted")))
        for fact in self._facts(found):
            lines += fact.wrap(width)
        return lines + self._detectable(width)

    def _facts(self, found: Exposure) -> list[Content]:
        facts = [
            f"Targets rank above controls by chance: {p_value(found.rank_test_p)}",
            least_share(found),
        ]
        if found.flagged:
            facts.insert(0, f"Flagged: {expected_false(found)}")
        if found.prevalence_estimate is not None and found.prevalence_ci is not None:
            estimate, interval = percent(found.prevalence_estimate), percent_interval(found.prevalence_ci)
            facts.append(f"Estimated exposed share: {estimate} ({interval})")
        if found.missing_controls:
            facts.append(f"{found.missing_controls:,} further controls needed to flag a single patient alone")
        return [Content(fact) for fact in facts]

    def _detectable(self, width: int) -> list[Content]:
        effect = self.detectable
        if effect.share is None:
            head = "Smallest detectable share: not shown."
        else:
            seen, basis = percent(effect.share), line(effect.basis)
            head = f"Smallest detectable share: {seen} of patients (shown by {basis})."
        text = Content.assemble((head, "bold"), " ", foreign(effect.sentence, "$muted"))
        return text.wrap(width)
