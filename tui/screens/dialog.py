"""Base of the dialogs, and the yes-or-no one: focus starts on the harmless answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button

from tui.widgets.drawing import Lines

if TYPE_CHECKING:
    from tui.app import GradAuditApp

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A modal frame; escape leaves without an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", show=False),
        Binding("question_mark,f12", "app.help", "Help", show=False),
    ]
    app: GradAuditApp

    def on_mount(self) -> None:
        """A button takes the next press at once, or a fast second enter would be lost."""
        for button in self.query(Button):
            button.active_effect_duration = 0

    def action_leave(self) -> None:
        """Leave without an answer."""
        self.dismiss(None)


class Confirm(Dialog[bool]):
    """A question whose answer may lose work."""

    def __init__(self, question: str, act: str, keep: str = "Cancel") -> None:
        super().__init__()
        self.question, self.act, self.keep = question, act, keep

    def compose(self) -> ComposeResult:
        """Question and two buttons; the first, harmless one has the focus."""
        with Vertical(classes="dialog"):
            yield Lines(Content.styled(self.question, "bold"))
            with Horizontal(classes="buttons"):
                yield Button(Content(self.keep), id="keep")
                yield Button(Content(self.act), id="act", variant="warning")

    def on_mount(self) -> None:
        """Focus starts on Cancel."""
        self.query_one("#keep", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "act")
