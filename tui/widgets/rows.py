"""A virtual table: draws and asks for the rows on screen alone, so five million cost what fifty do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from tui.glyphs import UNICODE, Glyphs
from tui.keys import keyed

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column: cells it needs, whether it takes the rest, and how early it goes when there is no room."""

    title: str
    cells: int
    flex: bool = False
    drop: int = 0  # 0 stays; the highest number goes first


def fitted(columns: tuple[Column, ...], width: int) -> list[tuple[int, int]]:
    """Index and width in cells of each column that fits `width`."""
    kept = list(range(len(columns)))

    def needed() -> int:
        return sum(columns[index].cells for index in kept) + _GAP * (len(kept) - 1)

    while needed() > width and (loose := [index for index in kept if columns[index].drop]):
        kept.remove(max(loose, key=lambda index: columns[index].drop))
    spare = max(0, width - needed())
    flexible = [index for index in kept if columns[index].flex]
    extra = {index: spare // len(flexible) for index in flexible}
    if flexible:
        extra[flexible[-1]] += spare % len(flexible)
    return [(index, columns[index].cells + extra.get(index, 0)) for index in kept]


class Rows(ScrollView, can_focus=True):
    """Header and rows with a cursor. `cells(index)` gives one `Content` per column, None while loading."""

    ALLOW_SELECT = False
    HELP = "Table: The arrow marks the row under the cursor; what is below the table is about that row."
    DEFAULT_CSS = """
    Rows { height: auto; overflow-x: hidden; scrollbar-size-vertical: 1; }
    Rows > .rows--header { color: $muted; text-style: bold; }
    Rows > .rows--cursor { background: $cursor; text-style: bold; }
    Rows > .rows--idle { background: $panel; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--header", "rows--cursor", "rows--idle"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown,space", "page(1)", "Page down", show=False),
        Binding("home,g", "jump(0)", "First", show=False),
        Binding("end,G", "jump(-1)", "Last", show=False),
    ]

    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, rows: Rows, index: int) -> None:
            super().__init__()
            self.rows, self.index = rows, index

        @property
        def control(self) -> Rows:
            """The table."""
            return self.rows

    class Chosen(Moved):
        """A row was opened."""

    def __init__(
        self,
        columns: tuple[Column, ...],
        cells: Callable[[int], tuple[Content, ...] | None],
        *,
        empty: str,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.cells = cells
        self.empty = empty
        self.count = 0

    def fill(self, count: int, cursor: int | None = None) -> None:
        """Say how many rows there are now; the cursor stays where it can."""
        self.count = count
        self.virtual_size = Size(0, max(1, count) + 1)
        self.cursor = max(0, min(self.cursor if cursor is None else cursor, count - 1))
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Header and all rows; a maximum or `1fr` in the style sheet makes it scroll."""
        return max(1, self.count) + 1

    def render_line(self, y: int) -> Strip:
        """Header on line 0, rows below, at the scroll offset."""
        width = self.scrollable_content_region.width
        if y == 0:
            header = tuple(Content(column.title) for column in self.columns)
            return self._strip(header, width, self.get_visual_style("rows--header"))
        index = y - 1 + round(self.scroll_y)
        base = self.visual_style
        if not self.count:
            return self._line(
                Content.styled(keyed(self, self.empty) if y == 1 else "", "$muted"), width, base
            )
        if index >= self.count:
            return Strip.blank(width, base.rich_style)
        if index == self.cursor:
            base = self.get_visual_style("rows--cursor" if self.has_focus else "rows--idle")
        cells = self.cells(index)
        if cells is None:
            return self._line(Content.styled("…", "$muted"), width, base)
        return self._strip(cells, width, base, index == self.cursor)

    @property
    def _glyphs(self) -> Glyphs:
        return getattr(self.app, "glyphs", UNICODE)

    def _strip(self, cells: tuple[Content, ...], width: int, base: Style, marked: bool = False) -> Strip:
        parts = [
            cells[index].truncate(size, ellipsis=True, pad=True)
            for index, size in fitted(self.columns, width - 2)
        ]
        here = self._glyphs.point if self.has_focus else self._glyphs.dot  # one table of several has the keys
        mark = Content.styled(f"{here} " if marked else "  ", "$accent")
        return self._line(Content.assemble(mark, Content(" " * _GAP).join(parts)), width, base)

    def _line(self, content: Content, width: int, base: Style) -> Strip:
        padded = content.truncate(width, ellipsis=True, pad=True)
        segments: list[Segment] = padded.render_segments(base)
        return Strip(segments, width)

    def watch_cursor(self, old: int, new: int) -> None:
        """Keep the cursor in sight and tell the screen."""
        self._reveal()
        self.refresh()
        if self.count:
            self.post_message(self.Moved(self, new))

    def _reveal(self) -> None:
        visible = max(1, self.scrollable_content_region.height - 1)
        top = round(self.scroll_y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + visible:
            self.scroll_to(y=self.cursor - visible + 1, animate=False, force=True)

    def action_move(self, by: int) -> None:
        """Cursor up or down."""
        self.cursor = max(0, min(self.count - 1, self.cursor + by))

    def action_page(self, by: int) -> None:
        """Cursor a page up or down."""
        self.action_move(by * max(1, self.scrollable_content_region.height - 2))

    def action_jump(self, index: int) -> None:
        """Cursor to the first row (0) or the last (-1)."""
        self.cursor = 0 if index == 0 else max(0, self.count - 1)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one on the same row opens it."""
        index = event.y - 1 + round(self.scroll_y)
        if event.y < 1 or not 0 <= index < self.count:
            return
        if index == self.cursor:
            self.post_message(self.Chosen(self, index))
        self.cursor = index

    def on_resize(self) -> None:
        """The cursor stays in sight."""
        self._reveal()
