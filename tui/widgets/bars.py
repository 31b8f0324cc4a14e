"""Signed horizontal bars with their numbers: decision weights, and the layers that remember."""

from __future__ import annotations

from textual.content import Content

from appliance.words.table import count
from tui.glyphs import Glyphs
from tui.text import line
from tui.widgets.drawing import Drawing
from tui.widgets.scale import finite

_NUMBER_CELLS = 7


def bar(value: float, peak: float, cells: int, glyphs: Glyphs) -> str:
    """|value| against `peak` as a bar of at most `cells` cells.

    Raises:
        NotDrawable: one of them is not a number.
    """
    finite(value, peak)
    steps = round(abs(value) / peak * cells * 8) if peak > 0 else 0
    full, part = divmod(min(steps, cells * 8), 8)
    return glyphs.parts[8] * full + (glyphs.parts[part] if part else "")


class Bars(Drawing):
    """Named values, largest magnitude first; negative ones are marked by their sign."""

    def __init__(self, values: tuple[tuple[str, float], ...], empty: str, limit: int = 8) -> None:
        super().__init__()
        self.values = values
        self.empty = empty
        self.limit = limit

    def draw(self, width: int) -> list[Content]:
        """One line per value, and how many were left out."""
        if not self.values:
            return Content.styled(self.empty, "$muted").wrap(width)
        ranked = sorted(self.values, key=lambda item: -abs(item[1]))
        shown = ranked[: self.limit]
        peak = max(abs(value) for _, value in ranked)
        name_cells = min(max(len(line(name)) for name, _ in shown) + 1, max(12, width // 2))
        cells = max(4, min(40, width - name_cells - _NUMBER_CELLS - 1))
        lines = []
        for name, value in shown:
            label = Content(line(name)).truncate(name_cells, ellipsis=True, pad=True)
            number = f"{value:+.2f}".rjust(_NUMBER_CELLS)
            style = "$accent" if value >= 0 else "$inconclusive"
            lines.append(
                Content.assemble(label, (f"{number} ", "bold"), (bar(value, peak, cells, self.glyphs), style))
            )
        if len(ranked) > len(shown):
            lines.append(Content.styled(count("bars.smaller", len(ranked) - len(shown)), "$muted"))
        return lines
