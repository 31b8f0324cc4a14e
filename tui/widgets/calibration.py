"""Calibration: of the references that were given a probability, how many really were members."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from appliance.pack.pages.wording import percent
from appliance.views import AuditResult
from appliance.words.table import tell
from tui.widgets.drawing import Drawing
from tui.widgets.scale import counted, shares
from tui.widgets.whisker import whisker

_NUMBERS = 20  # cells of the two columns of numbers before the axis


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """References whose predicted probability of membership lies in one bin.

    Attributes:
        predicted: mean predicted probability, 0 … 1.
        members: known members among them.
        references: how many they are; 0 for an empty bin.
        span: interval of the observed share, 0 … 1; None where none is stated.
    """

    predicted: float
    members: int
    references: int
    span: tuple[float, float] | None = None


def bins_of(result: AuditResult) -> tuple[CalibrationBin, ...]:
    """The bins of a result; none where it states no leak probability, or an earlier version made it."""
    return tuple(
        CalibrationBin(one.predicted, one.members, one.references, (one.interval.low, one.interval.high))
        for one in result.reliability
    )


class CalibrationPlot(Drawing):
    """One row per bin: predicted, observed, both on one axis, and the count."""

    def __init__(self, bins: tuple[CalibrationBin, ...]) -> None:
        super().__init__()
        self.bins = bins

    def draw(self, width: int) -> list[Content]:
        """Header, rows by predicted probability, and what the signs mean."""
        for one in self.bins:
            shares(one.predicted, *(one.span or ()))
            counted(one.members, one.references)
        if not any(one.references for one in self.bins):
            return Content.styled(tell("calibration.none"), "$muted").wrap(width)
        counts = max(len(_count(one)) for one in self.bins)
        cells = max(6, min(50, width - _NUMBERS - counts - 1))
        axis = "0 %" + "100 %".rjust(cells - 3)
        lines = [Content.styled(f"{tell('calibration.head'):{_NUMBERS}}{axis}", "$muted")]
        lines += [self._row(one, cells) for one in sorted(self.bins, key=lambda one: one.predicted)]
        signs = {"mark": self.glyphs.mark, "dash": self.glyphs.dash, "rule": self.glyphs.rule}
        told = tell("calibration.key", both=self.glyphs.both, **signs)
        return lines + Content.styled(told, "$muted").wrap(width)

    def _row(self, one: CalibrationBin, cells: int) -> Content:
        share = one.members / one.references if one.references else None
        observed = tell("plain.none") if share is None else percent(share)
        plot = whisker(
            share,
            one.span if one.references else None,
            one.predicted,
            top=1.0,
            cells=cells,
            glyphs=self.glyphs,
        )
        numbers = f"{percent(one.predicted):>9} {observed:>8}  "
        return Content.assemble(numbers, plot, (f" {_count(one)}", "$muted"))


def _count(one: CalibrationBin) -> str:
    return tell("layers.of", kept=f"{one.members:,}", total=f"{one.references:,}")
