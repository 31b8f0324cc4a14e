"""What was made of what: a tree from base to fine-tuned model to adapter, with each place's versions."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from appliance.watch.views import LineageNode, VersionRow
from tui.text import foreign, line
from tui.widgets.drawing import Drawing
from tui.widgets.standings import found_sign
from tui.widgets.verdict import badge
from tui.words import day


def versions_of(nodes: tuple[LineageNode, ...], name: str) -> Iterator[VersionRow]:
    """Every version of one line, wherever in the trees it stands."""
    for node in nodes:
        if node.name == name:
            yield from node.versions
        yield from versions_of(node.below, name)


class LineageTree(Drawing):
    """One line per place and one per version, each below what it was made of."""

    def __init__(self, here: str) -> None:
        super().__init__()
        self.here = here
        self.nodes: tuple[LineageNode, ...] = ()

    def show(self, nodes: tuple[LineageNode, ...]) -> None:
        """Draw these trees."""
        self.nodes = nodes
        self.refresh(layout=True)

    def draw(self, width: int) -> list[Content]:
        """The trees, one below the other."""
        return [row for node in self.nodes for row in self._place(node, "", "")]

    def _place(self, node: LineageNode, lead: str, below: str) -> Iterator[Content]:
        """A place after `lead`, and what was made of it after `below`."""
        mine = node.name == self.here
        name = foreign(node.name or node.folder or "unnamed", "bold $accent" if mine else "bold")
        folder = f" in {line(node.folder)}" if node.name and node.folder not in ("", node.name) else ""
        told = f"  {node.kind}{folder}, {line(node.digest)[:16]}…"
        yield Content.assemble((lead, "$muted"), name, (told, "$muted"))
        hang = f"{below}{'│ ' if node.below else '  '}"
        for version in node.versions:
            yield Content.assemble((hang, "$muted"), self._version(version))
        for index, child in enumerate(node.below):
            last = index == len(node.below) - 1
            yield from self._place(
                child, f"{below}{'└' if last else '├'} ", f"{below}{'  ' if last else '│ '}"
            )

    def _version(self, version: VersionRow) -> Content:
        return Content.assemble(
            f"version {version.version}  ",
            found_sign(version, self.glyphs),
            f" {day(line(version.seen_utc))}  ",
            badge(version.verdict, self.glyphs),
        )
