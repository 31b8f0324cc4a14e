"""Histogram and ROC as inline SVG: no script, no font, no outside resource; numbers stand beside them.

Roles differ by pattern and place as well as by tone, so the plots read in print and without colour vision.
Coordinates are pixels of the drawing, rounded, so that the same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from appliance.pack.pages.wording import ROLE
from appliance.words.table import tell
from audit_core.results import DetectorReport, Histogram

_WIDTH, _LEFT, _BASE = 440, 8, 24
_ROW, _ALL_ROWS = 74, 250  # a row is lower where there are many roles, so that the page's first sheet holds
_ROC = 220
_ROLE_ORDER = ("target", "calibration", "fitting", "member", "post_release")


def histogram_svg(histogram: Histogram) -> str:
    """One row of bars per role on a common axis of scores, the threshold as a line through all rows."""
    roles = [role for role in _ROLE_ORDER if any(histogram.counts.get(role, ()))]
    low, high = histogram.edges[0], histogram.edges[-1]
    pitch = min(_ROW, _ALL_ROWS // max(len(roles), 1))
    height = pitch * len(roles) + _BASE

    def x(score: float) -> str:
        return _px(_LEFT + (score - low) / ((high - low) or 1.0) * (_WIDTH - 2 * _LEFT))

    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{_own("plot.scores")}">']
    for row, role in enumerate(roles):
        counts = histogram.counts[role]
        floor = pitch * (row + 1) - 8
        scale = (pitch - 28) / max(counts)
        parts.append(f'<line class="axis" x1="{_LEFT}" y1="{floor}" x2="{_WIDTH - _LEFT}" y2="{floor}"/>')
        label = f"{ROLE.get(role, role)}: {sum(counts):,}"
        parts.append(f'<text x="{_LEFT}" y="{floor - pitch + 20}">{escape(label)}</text>')
        for start, end, count in zip(histogram.edges, histogram.edges[1:], counts, strict=False):
            if count:
                width = float(x(end)) - float(x(start)) - 1.5
                parts.append(
                    f'<rect class="bar {escape(role)}" x="{x(start)}" y="{_px(floor - count * scale)}" '
                    f'width="{_px(max(width, 1.0))}" height="{_px(count * scale)}"/>'
                )
    if histogram.threshold is not None:
        at = x(min(max(histogram.threshold, low), high))
        parts.append(f'<line class="threshold" x1="{at}" y1="4" x2="{at}" y2="{height - _BASE}"/>')
    parts += _scale(low, high, height - 6)
    return "".join(parts) + "</svg>"


def _scale(low: float, high: float, y: int) -> list[str]:
    return [
        f'<text class="tick" x="{_LEFT}" y="{y}">{low:.3g}</text>',
        f'<text class="tick" x="{_WIDTH // 2}" y="{y}" text-anchor="middle">{_own("plot.larger")}</text>',
        f'<text class="tick" x="{_WIDTH - _LEFT}" y="{y}" text-anchor="end">{high:.3g}</text>',
    ]


def roc_svg(detector: DetectorReport) -> str:
    """The ROC of targets against calibration controls as steps, with the diagonal of guessing."""
    size, left, top = _ROC, 34, 8
    points = [(0.0, 0.0), *detector.roc, (1.0, 1.0)]
    path = _steps([(left + fpr * size, top + (1 - tpr) * size) for fpr, tpr in points])
    bottom = top + size
    return (
        f'<svg viewBox="0 0 {left + size + 10} {bottom + 36}" role="img" aria-label="{_own("plot.roc")}">'
        f'<path class="under" d="{path} L{left + size} {bottom} L{left} {bottom} Z"/>'
        f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>'
        f'<line class="chance" x1="{left}" y1="{bottom}" x2="{left + size}" y2="{top}"/>'
        f'<path class="curve" d="{path}"/>'
        f'<text class="tick" x="{left - 5}" y="{top + 9}" text-anchor="end">1</text>'
        f'<text class="tick" x="{left - 5}" y="{bottom}" text-anchor="end">0</text>'
        f'<text class="tick" x="{left}" y="{bottom + 14}">0</text>'
        f'<text class="tick" x="{left + size}" y="{bottom + 14}" text-anchor="end">1</text>'
        f'<text class="tick" x="{left + size // 2}" y="{bottom + 28}" text-anchor="middle">'
        f"{_own('plot.controls')}</text>"
        f'<text class="tick" transform="translate({left - 18} {top + size // 2}) rotate(-90)" '
        f'text-anchor="middle">{_own("plot.patients")}</text></svg>'
    )


def _own(key: str) -> str:
    return escape(tell(key))


def _steps(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{_px(x)} {_px(y)}" for x, y in points)


def _px(value: float) -> str:
    return f"{value:.1f}"
