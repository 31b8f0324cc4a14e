"""The controls of an audit: what had to come out right before any number may be believed."""

from __future__ import annotations

from textual.content import Content

from appliance.pack.pages.wording import TIER_LEAVES_OPEN, TIER_PROVES
from appliance.views import Consequence, ControlOutcome, ControlStatus, Tier
from appliance.words.table import tell
from tui.text import foreign, line
from tui.widgets.drawing import Drawing

_NAME_CELLS = 24
_STATUS_CELLS = 16


class ControlsTable(Drawing):
    """One row per control: glyph, status in words, name, what its failure costs, and its sentence."""

    def __init__(self, controls: tuple[ControlOutcome, ...]) -> None:
        super().__init__()
        self.controls = controls

    def draw(self, width: int) -> list[Content]:
        """Failed controls first; sentences beside the name where there is room, below it otherwise."""
        rank = {ControlStatus.FAILED: 0, ControlStatus.PASSED: 1, ControlStatus.NOT_APPLICABLE: 2}
        ordered = sorted(self.controls, key=lambda control: rank[control.status])
        lines: list[Content] = []
        for control in ordered:
            lines += self._wide(control, width) if width >= 96 else self._narrow(control, width)
        return lines or [Content.styled(tell("result.no_control"), "$muted")]

    def _mark(self, control: ControlOutcome) -> tuple[str, str]:
        glyphs = self.glyphs
        return {
            ControlStatus.PASSED: (f"{glyphs.passed} {tell('control.passed')}", "$pass"),
            ControlStatus.FAILED: (f"{glyphs.failed} {tell('control.failed')}", "bold $fail"),
            ControlStatus.NOT_APPLICABLE: (f"{glyphs.absent} {tell('result.not_run')}", "$muted"),
        }[control.status]

    def _sentence(self, control: ControlOutcome) -> Content:
        sentence = foreign(control.sentence, "$muted")
        if control.status is ControlStatus.FAILED and control.consequence is not Consequence.NONE:
            costs = tell(f"control.costs.{control.consequence.name}")
            return Content.assemble((f"{costs[:1].upper()}{costs[1:]}. ", "bold $fail"), sentence)
        return sentence

    def _wide(self, control: ControlOutcome, width: int) -> list[Content]:
        text, style = self._mark(control)
        name = Content(line(control.name)).truncate(_NAME_CELLS, ellipsis=True, pad=True)
        left = Content.assemble((text.ljust(10), style), name, " ")
        first, *rest = self._sentence(control).wrap(max(8, width - 35)) or [Content("")]
        return [Content.assemble(left, first), *(part.pad_left(35) for part in rest)]

    def _narrow(self, control: ControlOutcome, width: int) -> list[Content]:
        text, style = self._mark(control)
        head = Content.assemble((text.ljust(10), style), (line(control.name), "bold")).truncate(
            width, ellipsis=True
        )
        return [head, *(part.pad_left(10) for part in self._sentence(control).wrap(max(8, width - 10)))]


class TierLines(Drawing):
    """How much the cohort's design lets the number prove, and what it does not."""

    def __init__(self, tier: Tier, design: str, references: str) -> None:
        super().__init__()
        self.tier, self.design, self.references = tier, design, references

    def draw(self, width: int) -> list[Content]:
        """A five-step scale, what the tier says, what it leaves open."""
        steps = [
            (f" {tier.name} ", "bold $background on $accent" if tier is self.tier else "$muted")
            for tier in Tier
        ]
        scale = Content.assemble(
            *steps,
            "  ",
            (tell("result.design", design=line(self.design), references=line(self.references)), "$muted"),
        )
        return [
            *scale.wrap(width),
            *Content.assemble((f"{self.tier.name}: ", "bold"), TIER_PROVES[self.tier] + ".").wrap(width),
            *Content.assemble((tell("report.does_not_prove"), "bold"), " ", TIER_LEAVES_OPEN[self.tier]).wrap(
                width
            ),
        ]
