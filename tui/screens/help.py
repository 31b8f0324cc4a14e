"""Help: what this screen is for, its keys, and what the signs mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from appliance.evidence.report.wording import MEANING
from tui.screens.dialog import Dialog
from tui.widgets.drawing import Heading, Lines
from tui.words import ORDER, STYLE

_EVERYWHERE = (
    ("tab", "next part of the screen"),
    ("arrows, page keys", "move; enter opens"),
    ("ctrl+p", "every command by name"),
    ("ctrl+l", "lock now"),
    ("F1–F4, F5, F10", "the same as 1–4, r, q"),
)


class HelpDialog(Dialog[None]):
    """One page of help for the screen below."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("question_mark,q,enter", "leave", "Back", show=False)]

    def __init__(self, title: str, text: str, keys: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        self.subject, self.text, self.keys = title, text, tuple(keys)

    def compose(self) -> ComposeResult:
        """This screen, keys everywhere, verdicts."""
        with VerticalScroll(classes="dialog"):
            yield Heading(self.subject or "Help")
            yield Lines(Content(self.text))
            yield Heading("Keys")
            yield Lines(*(self._key(key, act) for key, act in (*self.keys, *_EVERYWHERE)))
            yield Heading("Verdicts")
            glyphs = self.app.glyphs
            for word in ORDER:
                head = Content.styled(f"{glyphs.verdicts[word.value]} {word.value}  ", f"bold {STYLE[word]}")
                yield Lines(Content.assemble(head, MEANING[word]))
            yield Lines(Content.styled("esc closes this page", "$muted"))

    def _key(self, key: str, act: str) -> Content:
        return Content.assemble((key.ljust(20), "bold $accent"), act)
