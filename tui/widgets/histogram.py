"""Scores of the deciding detector, one band per role, with the threshold drawn through all of them."""

from __future__ import annotations

from itertools import pairwise

from textual.content import Content

from appliance.views import Histogram
from appliance.words.table import tell
from tui.glyphs import Glyphs
from tui.text import line
from tui.widgets.drawing import Drawing
from tui.widgets.scale import NotDrawable, finite

_ORDER = ("calibration", "fitting", "target", "member", "post_release", "bank")
_LABELS = {role: tell(f"histogram.{role}") for role in _ORDER}
_LEAST_LABEL, _LEAST_COUNT = 9, 5  # cells
_ROUNDING = 1e-9  # of a column: less overlap than that is an edge, not a count


def resampled(counts: tuple[int, ...], edges: tuple[float, ...], columns: int) -> list[float]:
    """Counts per plot column: each bin's count spread evenly over the columns it covers.

    Raises:
        NotDrawable: an edge is not a number, edges do not ascend, or counts do not belong to them.
    """
    finite(*edges, edges[-1] - edges[0])
    if len(counts) + 1 != len(edges) or any(left >= right for left, right in pairwise(edges)):
        raise NotDrawable("the bins of the scores are not in order")
    if any(count < 0 for count in counts):
        raise NotDrawable("a count is below zero")
    low, high = edges[0], edges[-1]
    span = high - low
    columns_of: list[float] = [0.0] * columns
    for count, (left, right) in zip(counts, pairwise(edges), strict=True):
        start, end = (left - low) / span * columns, (right - low) / span * columns
        if end <= start:  # narrower than numbers can tell
            columns_of[min(columns - 1, int(start))] += count
            continue
        for column in range(int(start), min(columns, int(end) + 1)):
            overlap = min(end, column + 1) - max(start, column)
            if overlap >= min(_ROUNDING, (end - start) / 2):
                columns_of[column] += count * overlap / (end - start)
    return columns_of


def band(values: list[float], height: int, glyphs: Glyphs) -> list[str]:
    """Columns as `height` rows of eighth blocks, scaled to their own peak; a lone count stays visible."""
    peak = max(values, default=0.0)
    rows = []
    for row in range(height - 1, -1, -1):
        cells = []
        for value in values:
            eighths = round(value / peak * height * 8) if peak > 0 else 0
            eighths = max(eighths, 1) if value > 0 else 0
            cells.append(glyphs.eighths[min(8, max(0, eighths - row * 8))])
        rows.append("".join(cells))
    return rows


class HistogramPlot(Drawing):
    """Bands by role over one score axis, the flagged side right of the threshold."""

    def __init__(self, histogram: Histogram | None, detector: str, band_height: int = 2) -> None:
        super().__init__()
        self.histogram = histogram
        self.detector = detector
        self.band_height = band_height

    def draw(self, width: int) -> list[Content]:
        """Bands, axis, and the threshold in a number."""
        data = self.histogram
        if data is None or len(data.edges) < 2:
            return Content.styled(tell("histogram.none"), "$muted").wrap(width)
        if data.threshold is not None:
            finite(data.threshold)
        roles = [role for role in _ORDER if role in data.counts]
        roles += [role for role in data.counts if role not in _ORDER]
        labels = max([_LEAST_LABEL, *(len(_label(role)) + 1 for role in roles)])
        counts = max([_LEAST_COUNT, *(len(f"{sum(_told(data, role)):,}") + 1 for role in roles)])
        columns = max(10, width - labels - counts - 2)
        lines: list[Content] = []
        for role in roles:
            lines += self._band(role, data, columns, labels, counts)
        return [*lines, self._axis(data, columns, labels, counts), *self._legend(data, width)]

    def _band(self, role: str, data: Histogram, columns: int, labels: int, counts: int) -> list[Content]:
        rows = band(resampled(_told(data, role), data.edges, columns), self.band_height, self.glyphs)
        cut = self._cut(data, columns)
        style = {"target": "$accent", "member": "$review"}.get(role, "$inconclusive")
        lines = []
        for number, row in enumerate(rows):
            last = number == len(rows) - 1
            label = _label(role) if last else ""
            count = f"{sum(_told(data, role)):,}" if last else ""
            lines.append(
                Content.assemble(
                    (label.ljust(labels), "bold" if role == "target" else ""),
                    *self._crossed(row, cut, style),
                    (count.rjust(counts), "$muted"),
                )
            )
        return lines

    def _crossed(self, row: str, cut: int | None, style: str) -> list[tuple[str, str]]:
        """The row with the threshold line drawn between its columns."""
        if cut is None:
            return [(row + " ", style)]
        return [(row[:cut], style), (self.glyphs.rule, "bold $fail"), (row[cut:], style)]

    def _cut(self, data: Histogram, columns: int) -> int | None:
        if data.threshold is None:
            return None
        span = (data.edges[-1] - data.edges[0]) or 1.0
        return min(columns, max(0, int((data.threshold - data.edges[0]) / span * columns)))

    def _axis(self, data: Histogram, columns: int, labels: int, counts: int) -> Content:
        """Lowest and highest score, and the threshold's number under its line."""
        axis = [" "] * (columns + 1)
        low, high = f"{data.edges[0]:.3g}", f"{data.edges[-1]:.3g}"
        axis[: len(low)] = low
        axis[columns + 1 - len(high) :] = high
        cut = self._cut(data, columns)
        if cut is not None:
            mark = f"{data.threshold:.3g}"
            start = min(max(0, cut - len(mark) // 2), columns + 1 - len(mark))
            free = "".join(axis[max(0, start - 1) : start + len(mark) + 1]).strip() == ""
            if free:
                axis[start : start + len(mark)] = mark
        return Content.assemble(" " * labels, ("".join(axis) + "n".rjust(counts), "$muted"))

    def _legend(self, data: Histogram, width: int) -> list[Content]:
        text = tell("histogram.unflagged")
        if data.threshold is not None:
            text = tell("histogram.flagged", score=f"{data.threshold:.3g}", rule=self.glyphs.rule)
        name = tell("histogram.score", detector=line(self.detector))
        return Content.styled(f"{name} {text}", "$muted").wrap(width)


def _told(data: Histogram, role: str) -> tuple[int, ...]:
    """Counts of a role; the screens are given all of them."""
    return tuple(number or 0 for number in data.counts[role])


def _label(role: str) -> str:
    return _LABELS.get(role) or line(role)[:16]
