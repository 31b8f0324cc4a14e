"""Where the evidence pack goes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input

from tui.screens.dialog import Dialog
from tui.widgets.drawing import Heading, Lines


class ExportDialog(Dialog[str]):
    """Asks for a file name; answers with it, or None."""

    def __init__(self, suggestion: str) -> None:
        super().__init__()
        self.suggestion = suggestion

    def compose(self) -> ComposeResult:
        """File name and two buttons."""
        with Vertical(classes="dialog"):
            yield Heading("Write the evidence pack")
            yield Lines(
                Content.styled(
                    "One file without patients' data; python3 verify_evidence.py checks it anywhere.",
                    "$muted",
                )
            )
            yield Input(self.suggestion, id="path", select_on_focus=False)
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("Write"), id="write", variant="primary")

    def on_mount(self) -> None:
        """The file name has the focus."""
        self.query_one(Input).focus()

    def on_input_submitted(self) -> None:
        """Enter writes."""
        self.dismiss(self.query_one(Input).value.strip() or None)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Write or leave."""
        self.dismiss((self.query_one(Input).value.strip() or None) if event.button.id == "write" else None)
