"""Help: what the part under the cursor is for and its keys, then the screen's, and what the signs mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList

from appliance.pack.pages.wording import MEANING
from appliance.words.glossary import Term
from appliance.words.table import tell
from tui.screens.dialog import Dialog
from tui.screens.glossary import explained
from tui.widgets.drawing import Heading, Lines
from tui.words import ORDER, STYLE

_EVERYWHERE = (
    ("tab", "next part of the screen"),
    ("arrows, page keys", "move; enter opens"),
    ("ctrl+p, f9", "every command by name, with its key"),
)
_KINDS: tuple[tuple[type[Widget], str, str], ...] = (
    (Button, "Button", "Enter or space presses it; tab goes to the next one."),
    (Input, "Field", "Type; enter goes on. Here ? is a sign like any other: F12 gives help."),
    (OptionList, "List", "Up and down choose, enter goes on; the arrow marks what is chosen."),
    (ScrollableContainer, "Page", "Arrows, page keys, home and end scroll."),
)


@dataclass(frozen=True, slots=True)
class Act:
    """One line of help.

    Attributes:
        keys: as a person reads them.
        label: what they do.
        name: what a settings file calls it; empty for keys that stay.
    """

    keys: str
    label: str
    name: str = ""


def about(widget: Widget) -> tuple[str, str]:
    """Name and purpose of a part of a screen: its own words, else those for parts of its kind."""
    if widget.HELP:
        title, _, text = widget.HELP.partition(": ")
        return title, text
    return next(((title, text) for kind, title, text in _KINDS if isinstance(widget, kind)), ("", ""))


class HelpDialog(Dialog[None]):
    """One page of help for what has the focus, and for the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f12,q,enter", "leave", "Back", show=False)
    ]

    def __init__(
        self,
        title: str,
        text: str,
        acts: Iterable[Act],
        part: tuple[str, str] = ("", ""),
        own: Iterable[Act] = (),
        terms: Iterable[Term] = (),
    ) -> None:
        super().__init__()
        self.subject, self.text, self.acts = title, text, tuple(acts)
        self.part, self.own, self.terms = part, tuple(own), tuple(terms)

    def compose(self) -> ComposeResult:
        """The part with the focus, this screen, its keys, keys everywhere, words, verdicts."""
        with VerticalScroll(classes="dialog wide"):
            if self.part[0]:
                yield Heading(f"Here: {self.part[0]}")
                yield Lines(Content(self.part[1]), *map(self._line, self.own))
            yield Heading(self.subject or "Help")
            if self.text:
                yield Lines(Content(self.text))
            yield Heading("Keys")
            yield Lines(*map(self._line, (*self.acts, *(Act(*pair) for pair in _EVERYWHERE))))
            if self.terms:
                yield Heading(tell("help.words"))
                yield Lines(*map(explained, self.terms))
            yield Heading("Verdicts")
            glyphs = self.app.glyphs
            for word in ORDER:
                head = Content.styled(f"{glyphs.verdicts[word.value]} {word.value}  ", f"bold {STYLE[word]}")
                yield Lines(Content.assemble(head, MEANING[word]))
            yield Lines(Content.styled("esc closes this page", "$muted"))

    def _line(self, act: Act) -> Content:
        """Keys, what they do, and the name to give them others by."""
        label = act.label.ljust(24) if act.name else act.label
        return Content.assemble((f"{act.keys:<19} ", "bold $accent"), label, (f" {act.name}", "$muted"))
