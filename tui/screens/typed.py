"""Before what cannot be undone: the name is typed, and the focus starts on Cancel."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input

from tui.screens.dialog import Dialog
from tui.text import foreign
from tui.widgets.drawing import Heading, Lines


class TypedConfirm(Dialog[bool]):
    """Goes on only once the name stands in the field."""

    def __init__(self, title: str, note: str, name: str, act: str) -> None:
        super().__init__()
        self.title_, self.note, self.name_, self.act = title, note, name, act

    def compose(self) -> ComposeResult:
        """What follows, the field, two buttons."""
        with Vertical(classes="dialog"):
            yield Heading(self.title_)
            yield Lines(foreign(self.note))
            yield Lines(Content.assemble("Type the name to go on: ", foreign(self.name_, "bold")))
            yield Input(placeholder="the name, as it stands above", id="name")
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="keep")
                yield Button(Content(self.act), id="act", variant="warning", disabled=True)

    def on_mount(self) -> None:
        """Focus starts on Cancel."""
        self.query_one("#keep", Button).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The whole name, as it is."""
        self.query_one("#act", Button).disabled = event.value.strip() != self.name_

    def on_input_submitted(self) -> None:
        """Enter goes on to the buttons; only they act."""
        self.screen.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "act")
