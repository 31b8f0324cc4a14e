"""Which layers remember: the share of each layer's slices that tell known members from controls."""

from __future__ import annotations

from textual.content import Content

from appliance.pack.pages.wording import percent
from appliance.views import AuditResult
from appliance.words.table import count, tell
from tui.text import line
from tui.widgets.bars import Bars, bar
from tui.widgets.drawing import Drawing
from tui.widgets.scale import counted, finite

_SHARE_CELLS, _GAP_CELLS, _LEAST_BAR = 6, 7, 6


class LayersPlot(Drawing):
    """One row per layer, largest share first: share kept, kept of all, mean gap."""

    def __init__(self, result: AuditResult, limit: int = 8) -> None:
        super().__init__()
        self.slices = result.slices_by_layer
        self.gaps = dict(result.memory_by_layer)
        self.limit = limit

    def draw(self, width: int) -> list[Content]:
        """Rows, what was left out, and what a slice is; the gaps alone in results that hold no counts."""
        finite(*self.gaps.values())
        for _, kept, total in self.slices:
            counted(kept, total)
        if not self.slices and self.gaps:
            return Bars(tuple(self.gaps.items()), "", self.limit).draw(width)
        ranked = sorted(self.slices, key=lambda layer: -_share(layer))
        kept, total = sum(layer[1] for layer in ranked), sum(layer[2] for layer in ranked)
        if not kept:
            return Content.styled(tell("layers.none"), "$muted").wrap(width)
        lines = self._rows(ranked[: self.limit], _share(ranked[0]), width)
        told = tell("layers.kept", kept=f"{kept:,}", total=f"{total:,}")
        if rest := ranked[self.limit :]:
            told += count("layers.further", len(rest), kept=f"{sum(layer[1] for layer in rest):,}")
        return [*lines, *Content.styled(f"{told}. {tell('layers.explained')}", "$muted").wrap(width)]

    def _rows(self, layers: list[tuple[str, int, int]], peak: float, width: int) -> list[Content]:
        """Names in a column, or where that would cut them, on lines of their own."""
        counts = max(len(_count(layer)) for layer in layers)
        gaps = _GAP_CELLS if self.gaps and width >= 50 else 0
        names = max(Content(line(layer[0])).cell_length for layer in layers)
        fixed = _SHARE_CELLS + counts + 3 + gaps
        beside = names + fixed + _LEAST_BAR <= width
        column = names if beside else 0
        cells = max(_LEAST_BAR, min(40, width - fixed - column))
        share, slices = tell("layers.share").rjust(_SHARE_CELLS + 1), tell("layers.slices").rjust(counts)
        head = f"{share} {' ' * cells} {slices}" + (tell("layers.gap").rjust(_GAP_CELLS) if gaps else "")
        lines = [Content.styled(tell("layers.layer").ljust(column)[:column] + head, "$muted")]
        for layer in layers:
            name = Content(line(layer[0]))
            drawn = bar(_share(layer), peak, cells, self.glyphs).ljust(cells)
            gap = self.gaps.get(layer[0])
            row = Content.assemble(
                (f" {percent(_share(layer)).rjust(_SHARE_CELLS)} ", "bold"),
                (drawn, "$accent"),
                f" {_count(layer).rjust(counts)}",
                ("–" if gap is None else f"{gap:+.2f}").rjust(gaps) if gaps else "",
            )
            if not beside:
                lines.append(name.truncate(width, ellipsis=True))
                lines.append(row)
            else:
                lines.append(Content.assemble(name.pad_right(names - name.cell_length), row))
        return lines


def _share(layer: tuple[str, int, int]) -> float:
    return layer[1] / layer[2] if layer[2] else 0.0


def _count(layer: tuple[str, int, int]) -> str:
    return tell("layers.of", kept=f"{layer[1]:,}", total=f"{layer[2]:,}")
