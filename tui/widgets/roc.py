"""ROC of the deciding detector as a filled area over a log axis of false-positive rates.

The axis begins at the smallest rate these controls resolve: left of it there is nothing to read.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import ceil, log

from textual.content import Content

from appliance.pack.pages.wording import area, percent
from appliance.views import DetectorReport, OperatingPoint
from appliance.words.table import count, tell
from tui.glyphs import Glyphs
from tui.text import line
from tui.widgets.drawing import Drawing
from tui.widgets.scale import NotDrawable, shares

_AXIS_CELLS = 6


def lowest_rate(roc: tuple[tuple[float, float], ...]) -> float:
    """Smallest false-positive rate above 0 that the curve has: one control of all.

    Raises:
        NotDrawable: the curve is none, or there is one rate only.
    """
    shares(*(value for point in roc for value in point))
    if any(after < before for points in pairwise(roc) for before, after in zip(*points, strict=True)):
        raise NotDrawable("the ROC falls")
    lowest = min((fpr for fpr, _ in roc if fpr > 0), default=1.0)
    if lowest >= 1.0:
        raise NotDrawable("a ROC needs two controls that differ")
    return lowest


def log_rates(lowest: float, columns: int) -> list[float]:
    """The rate in the middle of each column of a log axis from `lowest` to 1."""
    return [lowest ** (1 - (column + 0.5) / columns) for column in range(columns)]


def rate_in_words(rate: float) -> str:
    """A rate of an axis, however small: 0.025 → "2.5 %", 0.00002 → "0.002 %"."""
    return percent(rate) if rate >= 0.001 else f"{rate * 100:.7f}".rstrip("0") + " %"


def tick_line(lowest: float, columns: int) -> str:
    """Rates under the axis: both ends, and the powers of ten between them where there is room."""
    cells = [" "] * columns
    rates = [(lowest, 0), (1.0, columns)]
    rates += [(10.0**-power, -1) for power in range(1, 8) if lowest < 10.0**-power]
    for rate, place in rates:
        text = rate_in_words(rate)
        if place < 0:
            place = round((1 - log(rate) / log(lowest)) * columns) - len(text) // 2
        start = min(max(0, place), columns - len(text))
        if not "".join(cells[max(0, start - 1) : start + len(text) + 1]).strip():
            cells[start : start + len(text)] = text
    return "".join(cells)


def height_at(roc: tuple[tuple[float, float], ...], fpr: float) -> float:
    """True-positive rate of the step curve at `fpr`, 0 … 1."""
    reached = bisect_right([point[0] for point in roc], fpr)
    return max((tpr for _, tpr in roc[:reached]), default=0.0)


def area_rows(
    roc: tuple[tuple[float, float], ...], rates: list[float], rows: int, glyphs: Glyphs
) -> list[list[tuple[str, bool]]]:
    """The plot from top to bottom: per cell its sign and whether it lies above chance.

    Args:
        rates: the false-positive rate of each column.
    """
    heights = [height_at(roc, rate) for rate in rates]
    plot = []
    for row in range(rows - 1, -1, -1):
        cells = []
        for column, height in enumerate(heights):
            eighths = min(8, max(0, ceil(height * rows * 8 - 1e-9) - row * 8))
            above = (row + 0.5) / rows > rates[column]
            sign = glyphs.eighths[eighths]
            if eighths == 8:
                sign = glyphs.gain if above else glyphs.chance
            elif eighths == 0 and not above:
                sign = glyphs.empty  # below chance and not reached: the curve dips under it
            cells.append((sign, above))
        plot.append(cells)
    return plot


def operating_point(point: OperatingPoint) -> str:
    """One operating point in words; a rate the data cannot resolve is never printed."""
    rate = f"{point.alpha * 100:g} %"
    if point.tpr is None:
        return count("roc.not_resolvable", point.missing_controls, rate=rate)
    rough = point.label == "rough"
    return tell("roc.point.rough" if rough else "roc.point", rate=rate, share=percent(point.tpr))


class RocPlot(Drawing):
    """Targets against calibration controls."""

    def __init__(self, report: DetectorReport | None, rows: int = 8) -> None:
        super().__init__()
        self.report = report
        self.rows = rows

    def draw(self, width: int) -> list[Content]:
        """Plot with both axes, AUROC and the operating points."""
        report = self.report
        if report is None or len(report.roc) < 2:
            return Content.styled(tell("roc.none"), "$muted").wrap(width)
        columns = max(10, min(width - _AXIS_CELLS, self.rows * 6))
        lowest = lowest_rate(report.roc)
        plot = area_rows(report.roc, log_rates(lowest, columns), self.rows, self.glyphs)
        lines = [self._row(number, row) for number, row in enumerate(plot)]
        lines.append(Content.styled(" " * _AXIS_CELLS + tick_line(lowest, columns), "$muted"))
        key = tell("roc.key", gain=self.glyphs.gain, chance=self.glyphs.chance, lowest=rate_in_words(lowest))
        lines += Content.styled(key, "$muted").wrap(width)
        head = tell("roc.targets", area=area(report.target_auroc, report.target_auroc_ci))
        lines += Content.styled(head, "bold").wrap(width)
        if report.reference_auroc is not None:
            found = tell("roc.members", area=area(report.reference_auroc, report.reference_auroc_ci))
            lines += Content(found).wrap(width)
        for point in report.operating_points:
            lines += Content.styled(operating_point(point), "$muted").wrap(width)
        return lines

    def _row(self, number: int, cells: list[tuple[str, bool]]) -> Content:
        label = {0: "100 %", self.rows // 2: "TPR", self.rows - 1: "0 %"}.get(number, "")
        parts: list[tuple[str, str]] = [(label.rjust(_AXIS_CELLS - 1) + " ", "$muted")]
        for sign, above in cells:
            style = "$accent" if above else "$rule"
            if parts[-1][1] == style:
                parts[-1] = (parts[-1][0] + sign, style)
            else:
                parts.append((sign, style))
        return Content.assemble(*parts)


class DetectorLines(Drawing):
    """All detectors in one line each; the one the policy registered beforehand is marked."""

    def __init__(self, reports: tuple[DetectorReport, ...]) -> None:
        super().__init__()
        self.reports = reports

    def draw(self, width: int) -> list[Content]:
        """Name, AUROC on targets and on known members, unscored pairs."""
        name_cells = min(22, max(12, width - 36))
        names = [tell(f"detectors.{one}") for one in ("name", "targets", "members", "unscored")]
        head = f"{('  ' + names[0]).ljust(name_cells)} {names[1].ljust(17)} {names[2].ljust(7)} {names[3]}"
        lines = [Content.styled(head[:width], "$muted")]
        for report in self.reports:
            mark = self.glyphs.point if report.decides else " "
            name = Content(f"{mark} {line(report.name)}").truncate(name_cells, ellipsis=True, pad=True)
            targets = _short_area(report.target_auroc, report).ljust(17)
            members = "–" if report.reference_auroc is None else f"{report.reference_auroc:.2f}"
            text = Content.assemble(name, f" {targets} {members.ljust(7)} {report.unscored}")
            lines.append(text.stylize("bold").truncate(width) if report.decides else text.truncate(width))
        told = tell("detectors.decides", mark=self.glyphs.point)
        return lines + Content.styled(told, "$muted").wrap(width)


def _short_area(value: float | None, report: DetectorReport) -> str:
    if value is None:
        return "–"
    interval = report.target_auroc_ci
    return f"{value:.2f}" + (f" [{interval.low:.2f}–{interval.high:.2f}]" if interval else "")
