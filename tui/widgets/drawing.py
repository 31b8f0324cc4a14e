"""Base of the small own drawings: lines of content for a given width, redrawn when the width changes."""

from __future__ import annotations

from textual._context import NoActiveAppError
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui.glyphs import UNICODE, Glyphs
from tui.widgets.scale import NotDrawable


class Drawing(Widget):
    """A widget that is nothing but lines; subclasses say which."""

    DEFAULT_CSS = "Drawing { height: auto; width: 1fr; }"
    ALLOW_SELECT = False

    def draw(self, width: int) -> list[Content]:
        """The lines at `width` cells; no line may be wider.

        Raises:
            NotDrawable: a value has no place in the picture.
        """
        raise NotImplementedError

    def lines(self, width: int) -> list[Content]:
        """What is shown: the drawing, or why there is none; cut where a terminal is too narrow for it."""
        try:
            drawn = self.draw(width)
        except NotDrawable as reason:
            drawn = Content.styled(f"{self.glyphs.failed} Not drawn: {reason}.", "bold $fail").wrap(
                max(8, width)
            )
        return [one if one.cell_length <= width else one.truncate(width) for one in drawn]

    @property
    def glyphs(self) -> Glyphs:
        """The signs this terminal can show; block glyphs outside an app."""
        try:
            return getattr(self.app, "glyphs", UNICODE)
        except NoActiveAppError:
            return UNICODE

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as there is room."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as there are."""
        return len(self.lines(width))

    def render(self) -> Content:
        """All lines."""
        return Content("\n").join(self.lines(self.content_size.width))


class Heading(Drawing):
    """A section's title on a thin rule."""

    DEFAULT_CSS = "Heading { height: 1; margin-top: 1; }"

    def __init__(self, title: str, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.note = Content("")

    def add(self, note: Content) -> None:
        """Put a short note at the right end."""
        self.note = note
        self.refresh()

    def draw(self, width: int) -> list[Content]:
        """Title, the rule, and the note where there is room for it."""
        note = Content.assemble(" ", self.note) if self.note else Content("")
        if len(self.title) + note.cell_length + 4 > width:
            note = Content("")
        rule = self.glyphs.dash * max(0, width - len(self.title) - 1 - note.cell_length)
        return [Content.assemble((self.title, "bold $accent"), " ", (rule, "$rule"), note)]


class Facts(Drawing):
    """Labels in a column and what they stand for beside them."""

    def __init__(self, label_cells: int, id: str | None = None) -> None:
        super().__init__(id=id)
        self.label_cells = label_cells
        self.facts: tuple[tuple[str, Content], ...] = ()

    def show(self, *facts: tuple[str, Content]) -> None:
        """Replace the facts; labels are ours, contents may be foreign."""
        self.facts = facts
        self.refresh(layout=True)

    def draw(self, width: int) -> list[Content]:
        """Contents wrap in their own column."""
        lines = []
        for label, content in self.facts:
            first, *rest = content.wrap(max(8, width - self.label_cells)) or [Content("")]
            lines.append(Content.assemble((label.ljust(self.label_cells), "$muted"), first))
            lines += [part.pad_left(self.label_cells) for part in rest]
        return lines


class Lines(Drawing):
    """Ready paragraphs, wrapped to the width; `indent` hangs continuation lines."""

    def __init__(self, *paragraphs: Content, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.paragraphs = paragraphs

    def show(self, *paragraphs: Content) -> None:
        """Replace the paragraphs."""
        self.paragraphs = paragraphs
        self.refresh(layout=True)

    def draw(self, width: int) -> list[Content]:
        """Each paragraph on its own lines."""
        return [part for paragraph in self.paragraphs for part in paragraph.wrap(max(8, width))]
