"""Which layers changed: tensors that differ of all, and how many of them an audit looks at."""

from __future__ import annotations

from textual.content import Content

from appliance.watch.views import ChangeView
from tui.text import foreign, line
from tui.widgets.bars import bar
from tui.widgets.drawing import Drawing
from tui.widgets.scale import counted

_MIB = 1 << 20
_SHOWN = 12  # layers, and tensors
_CELLS = 20


class ChangedLayers(Drawing):
    """One row per layer with its share of changed tensors, then the largest changed tensors."""

    def __init__(self, view: ChangeView) -> None:
        super().__init__()
        self.view = view

    def draw(self, width: int) -> list[Content]:
        """A sentence, the layers, the tensors."""
        view = self.view
        counted(view.changed, view.tensors)
        counted(view.audited, view.changed)
        told = f"{view.changed:,} of {view.tensors:,} tensors differ, {view.audited:,} of them are audited."
        lines = Content.styled(told, "bold").wrap(width)
        lines += self._layers(width)
        for one in view.largest[:_SHOWN]:
            looked = "audited" if one.audited else "not audited"
            size = f"{one.size_bytes / _MIB:,.1f} MiB"
            text = Content.assemble((f"{size:>12}  {line(one.how)}, {looked}  ", "$muted"), foreign(one.name))
            lines.append(text.truncate(width, ellipsis=True))
        return lines

    def _layers(self, width: int) -> list[Content]:
        layers = self.view.layers[:_SHOWN]
        names = max((Content(line(one.layer)).cell_length for one in layers), default=0)
        names = min(names, max(8, width - 44))
        cells = max(4, min(_CELLS, width - names - 34))
        lines = []
        for one in layers:
            counted(one.changed, one.tensors)
            counted(one.audited, one.changed)
            drawn = bar(one.changed, max(1, one.tensors), cells, self.glyphs).ljust(cells)
            told = f" {one.changed:,} of {one.tensors:,}, {one.audited:,} audited"
            name = foreign(one.layer).truncate(names, ellipsis=True, pad=True)
            lines.append(Content.assemble(name, " ", (drawn, "$accent"), told))
        if rest := len(self.view.layers) - len(layers):
            lines.append(Content.styled(f"and {rest:,} more layers", "$muted"))
        return lines
