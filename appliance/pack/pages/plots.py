"""Histogram and ROC as SVG: no script, no font of its own, no outside resource; numbers stand beside them.

Roles differ by place and label, not by tone alone, so the plots read in print and without colour vision. Each
drawing names and describes itself for readers who listen. Looks are attributes: a drawing is the same inside
a page and as a file. Coordinates are rounded, so that the same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Final

from appliance.pack.pages.wording import ROLE, percent
from appliance.words.table import tell
from audit_core.results import DetectorReport, Histogram

_WIDTH, _LEFT, _BASE = 440, 8, 24
_ROW, _SHEET_ROW = 74, 50
_ROC = 220
_ROLE_ORDER = ("target", "calibration", "fitting", "member", "post_release")
_SHEET_ROLES = ("target", "calibration", "member")
_BARS: Final = {
    "target": 'fill="#33536f" stroke="#1b2f40"',
    "member": 'fill="#ffffff" stroke="#33536f" stroke-width="1.2"',
}
_OTHER_BAR: Final = 'fill="#b9c5d0" stroke="#7d8b99" stroke-width=".6"'
_LABEL: Final = 'fill="#16202b"'
_TICK: Final = 'fill="#4d5a67" font-size="10.5"'
_AXIS: Final = 'stroke="#7d8b99" fill="none"'
_FONT: Final = (
    'font-family="Segoe UI, Roboto, Arial, Liberation Sans, DejaVu Sans, sans-serif" font-size="11.5"'
)
_FEW_BAR: Final = 'fill="none" stroke="#4d5a67" stroke-width="1" stroke-dasharray="1.5 2"'
_FEW_HIGH: Final = 5.0
_LEGEND: Final = 14
_SAID_AT: Final = (0.05, 0.1, 0.2)  # shares of controls at which the curve is told in words


def has_bars(histogram: Histogram | None) -> bool:
    """Whether there is anything to draw."""
    return histogram is not None and len(histogram.edges) > 1 and any(map(_drawn, histogram.counts.values()))


def _drawn(counts: Sequence[int | None]) -> bool:
    return any(number != 0 for number in counts)


def threshold_told(histogram: Histogram) -> str:
    """From which score a patient is flagged, as HTML."""
    if histogram.threshold is None:
        return _own("report.no_threshold")
    score = f"{histogram.threshold:.3g}"
    return escape(tell("report.threshold_about" if histogram.rounded else "report.threshold", score=score))


def histogram_svg(histogram: Histogram, *, sheet: bool = False, name: str = "scores") -> str:
    """One row of bars per role on a common axis of scores, the threshold as a line through all rows.

    Args:
        sheet: low rows for the roles that a verdict hangs on, so that the one sheet holds it.
        name: marks the drawing's own names where several stand on one page.
    """
    roles = [
        role for role in (_SHEET_ROLES if sheet else _ROLE_ORDER) if _drawn(histogram.counts.get(role, ()))
    ]
    low, high = histogram.edges[0], histogram.edges[-1]
    pitch = _SHEET_ROW if sheet else _ROW
    legend = _LEGEND * any(None in histogram.counts[role] for role in roles)
    height = pitch * len(roles) + _BASE + legend

    def x(score: float) -> str:
        return _px(_LEFT + (score - low) / ((high - low) or 1.0) * (_WIDTH - 2 * _LEFT))

    parts = []
    for row, role in enumerate(roles):
        counts = histogram.counts[role]
        floor = pitch * (row + 1) - 8
        scale = (pitch - 28) / max([number for number in counts if number] or [1])
        parts.append(f'<line {_AXIS} x1="{_LEFT}" y1="{floor}" x2="{_WIDTH - _LEFT}" y2="{floor}"/>')
        label = ROLE.get(role, role)
        if None not in counts:
            label += f": {sum(filter(None, counts)):,}"
        parts.append(f'<text {_LABEL} x="{_LEFT}" y="{floor - pitch + 20}">{escape(label)}</text>')
        for start, end, count in zip(histogram.edges, histogram.edges[1:], counts, strict=False):
            if count != 0:
                width = float(x(end)) - float(x(start)) - 1.5
                high_up = _FEW_HIGH if count is None else count * scale
                looks = _FEW_BAR if count is None else _BARS.get(role, _OTHER_BAR)
                parts.append(
                    f'<rect {looks} x="{x(start)}" y="{_px(floor - high_up)}" '
                    f'width="{_px(max(width, 1.0))}" height="{_px(high_up)}"/>'
                )
    if histogram.threshold is not None:
        at = x(min(max(histogram.threshold, low), high))
        dashed = 'stroke="#8c1d40" stroke-width="1.8" stroke-dasharray="5 3"'
        parts.append(f'<line {dashed} x1="{at}" y1="4" x2="{at}" y2="{height - _BASE - legend}"/>')
    parts += _scale(low, high, height - legend - 6)
    if legend:
        parts.append(f'<text {_TICK} x="{_LEFT}" y="{height - 5}">{_own("plot.few")}</text>')
    told = "; ".join(_row_in_words(histogram, role) for role in roles)
    return _drawing(name, _WIDTH, height, tell("plot.scores"), tell("plot.scores_told", told=told), parts)


def _row_in_words(histogram: Histogram, role: str) -> str:
    """Where most of a role's scores lie, as far as it is told."""
    counts = [number or 0 for number in histogram.counts[role]]
    if not any(counts):
        return tell("plot.row_few", role=ROLE.get(role, role))
    most = max(range(len(counts)), key=counts.__getitem__)
    return tell(
        "plot.row_bare" if None in histogram.counts[role] else "plot.row_told",
        role=ROLE.get(role, role),
        number=f"{sum(counts):,}",
        low=f"{histogram.edges[most]:.3g}",
        high=f"{histogram.edges[most + 1]:.3g}",
    )


def _drawing(name: str, width: int, height: int, title: str, told: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" {_FONT} '
        f'aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(told)}</desc>{"".join(parts)}</svg>'
    )


def _scale(low: float, high: float, y: int) -> list[str]:
    return [
        f'<text {_TICK} x="{_LEFT}" y="{y}">{low:.3g}</text>',
        f'<text {_TICK} x="{_WIDTH // 2}" y="{y}" text-anchor="middle">{_own("plot.larger")}</text>',
        f'<text {_TICK} x="{_WIDTH - _LEFT}" y="{y}" text-anchor="end">{high:.3g}</text>',
    ]


def roc_svg(detector: DetectorReport, *, sheet: bool = False, name: str = "roc") -> str:
    """The ROC of targets against calibration controls as steps, with the diagonal of guessing."""
    size, left, top = _ROC - 50 * sheet, 34, 8
    points = [(0.0, 0.0), *detector.roc, (1.0, 1.0)]
    path = _steps([(left + fpr * size, top + (1 - tpr) * size) for fpr, tpr in points])
    bottom = top + size
    turn = f"translate({left - 18} {top + size // 2}) rotate(-90)"
    parts = [
        f'<path fill="#1f5f8b" fill-opacity=".1" d="{path} L{left + size} {bottom} L{left} {bottom} Z"/>',
        f'<rect {_AXIS} x="{left}" y="{top}" width="{size}" height="{size}"/>',
        f'<line stroke="#7d8b99" stroke-dasharray="3 3" x1="{left}" y1="{bottom}" x2="{left + size}" '
        f'y2="{top}"/>',
        f'<path fill="none" stroke="#1f5f8b" stroke-width="2.2" d="{path}"/>',
        f'<text {_TICK} x="{left - 5}" y="{top + 9}" text-anchor="end">1</text>',
        f'<text {_TICK} x="{left - 5}" y="{bottom}" text-anchor="end">0</text>',
        f'<text {_TICK} x="{left}" y="{bottom + 14}">0</text>',
        f'<text {_TICK} x="{left + size}" y="{bottom + 14}" text-anchor="end">1</text>',
        f'<text {_TICK} x="{left + size // 2}" y="{bottom + 28}" text-anchor="middle">'
        f"{_own('plot.controls')}</text>",
        f'<text {_TICK} transform="{turn}" text-anchor="middle">{_own("plot.patients")}</text>',
    ]
    told = ", ".join(
        tell("plot.at", controls=percent(share), patients=percent(_found_at(points, share)))
        for share in _SAID_AT
    )
    title = tell("plot.roc", detector=detector.name)
    return _drawing(name, left + size + 10, bottom + 36, title, tell("plot.roc_told", told=told), parts)


def _found_at(points: Sequence[tuple[float, float]], share: float) -> float:
    """Largest share of patients found while at most so many controls are flagged."""
    return max(tpr for fpr, tpr in points if fpr <= share)


def calibration_svg(bins: Sequence[tuple[float, float]], *, name: str = "calibration") -> str:
    """Predicted against found shares of members, with the diagonal of a calibrated probability."""
    size, left, top = _ROC, 34, 8
    bottom = top + size
    places = [(left + said * size, bottom - found * size) for said, found in bins]
    turn = f"translate({left - 18} {top + size // 2}) rotate(-90)"
    parts = [
        f'<rect {_AXIS} x="{left}" y="{top}" width="{size}" height="{size}"/>',
        f'<line stroke="#7d8b99" stroke-dasharray="3 3" x1="{left}" y1="{bottom}" x2="{left + size}" '
        f'y2="{top}"/>',
        *(
            f'<line stroke="#1f5f8b" x1="{_px(x)}" y1="{_px(y)}" x2="{_px(u)}" y2="{_px(v)}"/>'
            for (x, y), (u, v) in pairwise(places)
        ),
        *(f'<circle fill="#1f5f8b" r="4" cx="{_px(x)}" cy="{_px(y)}"/>' for x, y in places),
        f'<text {_TICK} x="{left}" y="{bottom + 14}">0</text>',
        f'<text {_TICK} x="{left + size}" y="{bottom + 14}" text-anchor="end">1</text>',
        f'<text {_TICK} x="{left + size // 2}" y="{bottom + 28}" text-anchor="middle">'
        f"{_own('plot.predicted')}</text>",
        f'<text {_TICK} transform="{turn}" text-anchor="middle">{_own("plot.members")}</text>',
    ]
    told = ", ".join(tell("plot.bin", predicted=percent(said), found=percent(found)) for said, found in bins)
    return _drawing(
        name,
        left + size + 10,
        bottom + 36,
        tell("plot.calibration"),
        tell("plot.calibration_told", told=told),
        parts,
    )


def _own(key: str) -> str:
    return escape(tell(key))


def _steps(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{_px(x)} {_px(y)}" for x, y in points)


def _px(value: float) -> str:
    return f"{value:.1f}"
