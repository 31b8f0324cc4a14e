"""Asking for the name of a file: where an evidence pack goes, or which one to check."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input

from tui.screens.dialog import Dialog
from tui.widgets.drawing import Heading, Lines


class FileDialog(Dialog[str]):
    """Asks for a file name; answers with it, or None."""

    ASKS: ClassVar[str]
    NOTE: ClassVar[str]
    ACT: ClassVar[str]

    def __init__(self, suggestion: str = "") -> None:
        super().__init__()
        self.suggestion = suggestion

    def compose(self) -> ComposeResult:
        """File name and two buttons."""
        with Vertical(classes="dialog"):
            yield Heading(self.ASKS)
            yield Lines(Content.styled(self.NOTE, "$muted"))
            yield Input(self.suggestion, id="path", select_on_focus=False)
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content(self.ACT), id="write", variant="primary")

    def on_mount(self) -> None:
        """The file name has the focus."""
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter answers with what stood there when it was pressed."""
        self.dismiss(event.value.strip() or None)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer or leave."""
        self.dismiss((self.query_one(Input).value.strip() or None) if event.button.id == "write" else None)


class ExportDialog(FileDialog):
    """Where the evidence pack goes."""

    ASKS = "Write the evidence pack"
    NOTE = "One file without patients' data; python3 verify_evidence.py checks it anywhere."
    ACT = "Write"


class VerifyDialog(FileDialog):
    """Which pack to check."""

    ASKS = "Verify an evidence pack"
    NOTE = "The name of a pack file, of this site or another; nothing in it is believed before it is checked."
    ACT = "Verify"
