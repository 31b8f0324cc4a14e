"""One line of a form: a label and a text field, or a label and a few words of which one is chosen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Input

from tui.text import foreign, line
from tui.widgets.drawing import Drawing, Lines

LABEL = 12  # cells of the label column


class Field(Horizontal):
    """A label and a text field; the field has the id that is given."""

    DEFAULT_CSS = f"""
    Field {{ height: 1; }}
    Field > Lines {{ width: {LABEL}; }}
    Field > Input {{ width: 1fr; }}
    """

    def __init__(self, label: str, id: str, value: str = "", hint: str = "") -> None:
        super().__init__(id=f"{id}-row")
        self.label, self.name_, self.start, self.hint = label, id, value, hint

    def compose(self) -> ComposeResult:
        """Label, field."""
        yield Lines(Content.styled(self.label, "$muted"))
        yield Input(self.start, placeholder=self.hint, id=self.name_, select_on_focus=False)


class Pick(Drawing, can_focus=True):
    """A label and one of several words; all are shown where there is room, the chosen one with its sign."""

    HELP = "Choice: left and right choose another word; the arrow marks the chosen one."
    DEFAULT_CSS = """
    Pick { height: 1; }
    Pick:focus { background: $cursor; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "turn(1)", "Next word", show=False),
        Binding("left", "turn(-1)", "Word before", show=False),
    ]

    chosen: reactive[int] = reactive(0)

    class Changed(Message):
        """Another word is chosen."""

        def __init__(self, pick: Pick) -> None:
            super().__init__()
            self.pick = pick

    def __init__(self, label: str, id: str, words: tuple[str, ...] = ()) -> None:
        super().__init__(id=id)
        self.label, self.words = label, words

    @property
    def value(self) -> str:
        """The chosen word; empty where there is none to choose."""
        return self.words[self.chosen] if self.words else ""

    def offer(self, words: tuple[str, ...], chosen: str = "") -> None:
        """Other words to choose from."""
        self.words = words
        self.chosen = words.index(chosen) if chosen in words else 0
        self.refresh()

    def draw(self, width: int) -> list[Content]:
        """All words, or the chosen one and how many there are."""
        room, sign = width - LABEL - 1, self.glyphs.point
        focus = ("▌" if self.has_focus else " ", "$accent")  # where a text field has it
        label = Content.assemble((self.label.ljust(LABEL), "$muted"), focus)
        if not self.words:
            return [Content.assemble(label, ("none", "$muted"))]
        if sum(len(line(word)) + 4 for word in self.words) <= room:
            parts = [
                Content.assemble((f"{sign} ", "bold $accent"), foreign(word, "bold"), "  ")
                if index == self.chosen
                else Content.assemble("  ", foreign(word, "$muted"), "  ")
                for index, word in enumerate(self.words)
            ]
            return [Content.assemble(label, *parts)]
        count = Content.styled(f"  {self.chosen + 1} of {len(self.words)}", "$muted")
        word = foreign(self.value, "bold").truncate(max(4, room - count.cell_length - 2), ellipsis=True)
        return [Content.assemble(label, (f"{sign} ", "bold $accent"), word, count)]

    def action_turn(self, by: int) -> None:
        """The word after or before; round and round."""
        if self.words:
            self.chosen = (self.chosen + by) % len(self.words)

    def watch_chosen(self) -> None:
        """Draw it, and tell."""
        self.refresh()
        self.post_message(self.Changed(self))
