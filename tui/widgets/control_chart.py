"""Control chart: exposure over the audits of a model's versions, with the policy's limit as a line."""

from __future__ import annotations

import math

from textual.content import Content

from appliance.charted import AuditPoint
from appliance.pack.pages.wording import percent
from appliance.words.table import tell
from tui.text import foreign, line
from tui.widgets.drawing import Drawing
from tui.widgets.scale import counted, shares
from tui.widgets.verdict import badge
from tui.widgets.whisker import whisker

_TOPS = (0.05, 0.1, 0.2, 0.5, 1.0)
_BADGE_CELLS = 15
_ONE_LINE = 72  # cells below which an audit takes two lines


def top_of(points: tuple[AuditPoint, ...], limit: float | None) -> float:
    """End of the axis: the smallest round share that every value but an open interval's end fits under."""
    highest = [limit or 0.0]
    for one in points:
        if one.span is not None:
            highest.append(one.span[0] if one.span[1] == 1.0 else one.span[1])
        if one.flagged is not None and one.patients:
            highest.append(one.flagged / one.patients)
    return next((top for top in _TOPS if max(highest) <= top), 1.0)


class ControlChart(Drawing):
    """One row per audit, in the order given: version, verdict, share with interval, k of N.

    Args:
        limit: the share that the policy tolerates; None where the audits have not one policy.
        of_limit: whether the legend says that there is none.
    """

    def __init__(self, points: tuple[AuditPoint, ...], limit: float | None, *, of_limit: bool = True) -> None:
        super().__init__()
        self.points = points
        self.limit = limit
        self.of_limit = of_limit

    def draw(self, width: int) -> list[Content]:
        """Axis, rows, and what the signs mean."""
        shares(*([] if self.limit is None else [self.limit]))
        for one in self.points:
            shares(*(one.span or ()))
            counted(one.flagged or 0, one.patients)
        if not self.points:
            return Content.styled("No audit of this model yet: press r to run one.", "$muted").wrap(width)
        counts = max(len(_counts(one)) for one in self.points)
        names = min(24, max(foreign(one.name).cell_length for one in self.points)) + 1
        head = names + 11 + _BADGE_CELLS if width >= _ONE_LINE + 24 else names + _BADGE_CELLS
        if width < _ONE_LINE:
            head = 0
        cells = max(10, min(50, width - head - counts - 1))
        top = top_of(self.points, self.limit)
        end = percent(top)
        axis = "0 %" + end.rjust(cells - 3)
        lines = [Content.styled(" " * head + axis, "$muted")]
        for one in self.points:
            lines += self._rows(one, names, head, top, cells)
        return lines + Content.styled(self._legend(), "$muted").wrap(width)

    def _rows(self, one: AuditPoint, names: int, head: int, top: float, cells: int) -> list[Content]:
        name = foreign(one.name, "bold").truncate(names - 1, ellipsis=True, pad=True)
        word = badge(one.word, self.glyphs)
        word = word.pad_right(max(0, _BADGE_CELLS - word.cell_length))
        share = None if one.flagged is None or not one.patients else one.flagged / one.patients
        plot = whisker(share, one.span, self.limit, top=top, cells=cells, glyphs=self.glyphs)
        plot = Content.assemble(plot, f" {_counts(one)}")
        when = Content.styled(f"{line(one.day):10.10} ", "$muted")
        if not head:
            return [Content.assemble(name, " ", word), plot]
        dated = head > names + _BADGE_CELLS
        return [Content.assemble(when if dated else "", name, " ", word, plot)]

    def _legend(self) -> str:
        signs = {"mark": self.glyphs.mark, "dash": self.glyphs.dash}
        if self.limit is None:
            told = tell("chart.key.signs", **signs)
            return f"{told} {tell('chart.key.no_limit')}" if self.of_limit else told
        limit = tell("chart.nobody") if self.limit == 0 else percent(self.limit)
        return tell("chart.key", rule=self.glyphs.rule, both=self.glyphs.both, limit=limit, **signs)


def _counts(one: AuditPoint) -> str:
    """k of N and the interval, or that there is no number."""
    if one.flagged is None:
        return tell("compared.no_number")
    told = tell("layers.of", kept=f"{one.flagged:,}", total=f"{one.patients:,}")
    if one.span is None:
        return told
    low, high = percent(one.span[0]), percent(one.span[1])
    open_above = math.isclose(one.span[1], 1.0)
    interval = tell("chart.at_least", share=low) if open_above else f"{low.removesuffix(' %')}–{high}"
    return f"{told}, {interval}"
