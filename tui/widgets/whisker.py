"""One row of a share axis: a value with its interval, and a reference line across all rows."""

from __future__ import annotations

from textual.content import Content

from tui.glyphs import Glyphs
from tui.widgets.scale import NotDrawable, cell, shares


def whisker(
    at: float | None,
    span: tuple[float, float] | None,
    rule: float | None,
    *,
    top: float,
    cells: int,
    glyphs: Glyphs,
) -> Content:
    """A row of exactly `cells` cells on an axis from 0 to `top`.

    Args:
        at: the value, 0 … 1; None for a row without one.
        span: its interval.
        rule: where the reference line stands.

    Raises:
        NotDrawable: a value is not a share, or the interval is turned round.
    """
    shares(*(value for value in (at, rule, *(span or ())) if value is not None))
    signs, styles = [" "] * cells, [""] * cells
    if span is not None:
        if span[0] > span[1]:
            raise NotDrawable("an interval ends before it begins")
        for place in range(cell(span[0], top, cells), cell(span[1], top, cells) + 1):
            signs[place], styles[place] = glyphs.dash, "$accent"
    if rule is not None:
        place = cell(rule, top, cells)
        signs[place], styles[place] = glyphs.rule, "bold $review"
    if at is not None:
        place = cell(at, top, cells)
        signs[place] = glyphs.both if signs[place] == glyphs.rule else glyphs.mark
        styles[place] = "bold $accent"
    return Content.assemble(*zip(signs, styles, strict=True))
