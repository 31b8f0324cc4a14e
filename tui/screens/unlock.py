"""The passphrase: the only thing a locked workspace shows."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input

from appliance.errors import ApplianceError, LockedOut
from tui.widgets.chrome import KeyLine, Notice, TopLine
from tui.widgets.drawing import Heading, Lines

if TYPE_CHECKING:
    from tui.app import GradAuditApp


class Passphrase(Input):
    """The field. Enter is its own key, so it comes after every sign typed or pasted before it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Unlock", key_display="enter")]


class UnlockScreen(Screen[None]):
    """Asks for the passphrase, and whose it is where several type one; nothing of the workspace is here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q,f10", "app.leave", "Quit"),
        Binding("f12", "app.help", "Help"),
    ]
    app: GradAuditApp

    def __init__(self, message: str = "", hint: str = "") -> None:
        super().__init__()
        self.message, self.hint = message, hint
        self._until = 0.0  # on the app's clock: no passphrase counts before

    def compose(self) -> ComposeResult:
        """One field, or two."""
        yield TopLine("Locked")
        with Vertical(classes="dialog"):
            yield Heading("Unlock the workspace")
            if self._must_say_who():
                yield Lines(Content("Your name here, then enter."))
                yield Passphrase(id="user")
            yield Lines(
                Content("Your passphrase. It is never stored, and every attempt is an entry in the log.")
            )
            yield Passphrase(password=True, id="passphrase")
            yield Notice()
        yield KeyLine()

    def _must_say_who(self) -> bool:
        try:
            return self.app.the_door.must_say_who()
        except ApplianceError as error:
            self.message, self.hint = str(error), error.hint
            return False

    def on_mount(self) -> None:
        """Say why it is locked, if somebody said."""
        if self.message:
            notice = self.query_one(Notice)
            (notice.complain if self.hint else notice.confirm)(self.message, self.hint)
        self.set_focus(self.query(Input).first())  # before the first paint, so that no typed sign is lost
        self.set_interval(0.5, self.count_down)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Try the passphrase, off the UI's thread: the key derivation takes its time on purpose."""
        field = self.query_one("#passphrase", Input)
        if event.input is not field:
            self.set_focus(field)
            return
        passphrase, field.value = event.value, ""
        if passphrase and not field.disabled:
            field.disabled = True
            self._until = 0.0
            self.query_one(Notice).confirm("unlocking …")
            self.run_worker(self._unlock(passphrase, self._user()), exclusive=True)

    def _user(self) -> str:
        return next((one.value for one in self.query(Input) if one.id == "user"), "")

    async def _unlock(self, passphrase: str, user: str) -> None:
        try:
            backend = await asyncio.to_thread(self.app.the_door.open, passphrase, user)
        except ApplianceError as error:
            self._refused(error)
        else:
            self.app.opened(backend)
            return
        field = self.query_one("#passphrase", Input)
        field.disabled = False
        field.focus()

    def _refused(self, error: ApplianceError) -> None:
        self.hint = error.hint
        if isinstance(error, LockedOut):
            self._until = self.app.clock() + error.wait_s
        self.query_one(Notice).complain(str(error), error.hint)

    def count_down(self) -> None:
        """After too many wrong ones: how long it is still."""
        if not self._until:
            return
        left, notice = math.ceil(self._until - self.app.clock()), self.query_one(Notice)
        if left > 0:
            notice.complain(f"too many wrong passphrases: the next attempt counts in {left} s", self.hint)
        else:
            self._until = 0.0
            notice.confirm("the next attempt counts again")
