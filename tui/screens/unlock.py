"""The passphrase: the only thing a locked workspace shows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input

from appliance.errors import ApplianceError
from tui.widgets.chrome import KeyLine, Notice, TopLine
from tui.widgets.drawing import Heading, Lines

if TYPE_CHECKING:
    from tui.app import GradAuditApp


class Passphrase(Input):
    """The field. Enter is its own key, so it comes after every sign typed or pasted before it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Unlock", key_display="enter")]


class UnlockScreen(Screen[None]):
    """Asks for the officer's passphrase; nothing of the workspace is on this screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q,f10", "app.leave", "Quit"),
        Binding("f12", "app.help", "Help"),
    ]
    app: GradAuditApp

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__()
        self.message, self.hint = message, hint

    def compose(self) -> ComposeResult:
        """One field."""
        yield TopLine("Locked")
        with Vertical(classes="dialog"):
            yield Heading("Unlock the workspace")
            yield Lines(
                Content(
                    "The officer's passphrase. It is never stored, and every attempt is an entry in the log."
                )
            )
            yield Passphrase(password=True, id="passphrase")
            yield Notice()
        yield KeyLine()

    def on_mount(self) -> None:
        """Say why it is locked, if somebody said."""
        if self.message:
            notice = self.query_one(Notice)
            (notice.complain if self.hint else notice.confirm)(self.message, self.hint)
        self.set_focus(self.query_one(Input))  # before the first paint, so that no typed sign is lost

    def on_input_submitted(self) -> None:
        """Try the passphrase, off the UI's thread: the key derivation takes its time on purpose."""
        field = self.query_one(Input)
        passphrase, field.value = field.value, ""
        if passphrase and not field.disabled:
            field.disabled = True
            self.query_one(Notice).confirm("unlocking …")
            self.run_worker(self._unlock(passphrase), exclusive=True)

    async def _unlock(self, passphrase: str) -> None:
        try:
            backend = await asyncio.to_thread(self.app.unlock, passphrase)
        except ApplianceError as error:
            self.query_one(Notice).complain(str(error), error.hint)
        else:
            self.app.opened(backend)
            return
        field = self.query_one(Input)
        field.disabled = False
        field.focus()
