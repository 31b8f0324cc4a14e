"""Base of the dialogs that ask for a few things and stay open, with what was typed, until they are taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input

from appliance.errors import ApplianceError
from tui.screens.dialog import Dialog
from tui.text import foreign
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading, Lines
from tui.widgets.fields import Pick

T = TypeVar("T")


class AskDialog(Dialog[T]):
    """Title, what follows, the fields, two buttons. Answers with what the appliance made of them."""

    TITLE: ClassVar[str] = ""
    ACT: ClassVar[str] = ""
    DOING: ClassVar[str] = ""  # said while it takes its time
    FINAL: ClassVar[bool] = False  # cannot be undone: the focus starts on Cancel, and only the button acts

    def note(self) -> Content:
        """What follows from it."""
        raise NotImplementedError

    def fields(self) -> ComposeResult:
        """What is asked for."""
        raise NotImplementedError

    def call(self) -> Callable[[], T]:
        """The appliance's act with what was typed.

        Raises:
            ApplianceError: something that was typed cannot be meant.
        """
        raise NotImplementedError

    def whole(self) -> bool:
        """Whether all that is needed was typed."""
        return True

    def compose(self) -> ComposeResult:
        """The frame around `fields`."""
        with VerticalScroll(classes="dialog wide", can_focus=False):
            yield Heading(self.TITLE)
            yield Lines(self.note())
            yield from self.fields()
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content(self.ACT), id="act", variant="warning" if self.FINAL else "primary")

    def on_mount(self) -> None:
        """Focus starts on Cancel where it cannot be undone, else on the first field."""
        self.look()
        first = self.query_one("#cancel") if self.FINAL else self.query("Input, Pick").first()
        first.focus()

    def value(self, name: str) -> str:
        """What was typed into a field."""
        return self.query_one(f"#{name}", Input).value.strip()

    def picked(self, name: str) -> str:
        """Which word of a choice is chosen."""
        return self.query_one(f"#{name}", Pick).value

    def look(self) -> None:
        """Allow the act once all that is needed was typed."""
        self.query_one("#act", Button).disabled = not self.whole()

    def on_input_changed(self) -> None:
        """Something was typed."""
        self.look()

    def on_input_submitted(self) -> None:
        """Enter goes on; only the button acts."""
        self.screen.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Act, or leave."""
        if event.button.id == "act":
            self.run_worker(self._act(), exclusive=True, group="act")
        else:
            self.dismiss(None)

    async def _act(self) -> None:
        try:
            call = self.call()
            if self.DOING:
                self.query_one(Notice).confirm(self.DOING)
            taken = await self.app.ask(call)
        except ApplianceError as error:
            self.query_one(Notice).complain(str(error), error.hint)
        else:
            self.dismiss(taken)


def muted(text: str) -> Content:
    """A note of ours; names in it may be foreign."""
    return foreign(text, "$muted")
