"""What is asked for before users change; the focus starts on what does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input

from appliance.errors import ApplianceError, UsageError
from appliance.finding_views import Second
from tui.screens.dialog import Dialog
from tui.text import line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading, Lines


class UserDialog(Dialog[str]):
    """One change; it stays open, with what was typed, until the appliance has taken it.

    Args:
        name: of the user it is about; empty for a new one.
        quorum: how many open findings together.
    """

    ASKS: ClassVar[str]
    ACT: ClassVar[str]
    TEXT: ClassVar[str]
    TOGETHER: ClassVar[bool] = True  # whether it may take a second person

    def __init__(self, name: str, quorum: int) -> None:
        super().__init__()
        self.about, self.quorum = name, quorum

    def fields(self) -> ComposeResult:
        """What is asked for."""
        raise NotImplementedError

    def change(self) -> Callable[[], None]:
        """The call that changes it.

        Raises:
            UsageError: what was typed cannot be meant.
        """
        raise NotImplementedError

    @property
    def told(self) -> str:
        """What is said when it is done."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """What it does, the fields, a second person where it may take one, two buttons."""
        with VerticalScroll(classes="dialog wide", can_focus=False):
            yield Heading(f"{self.ASKS} {line(self.about)}".strip())
            yield Lines(Content(self.TEXT))
            yield from self.fields()
            if self.TOGETHER and self.quorum > 1:
                yield Lines(Content("What decides who opens findings takes two: the second one types here."))
                yield Input(placeholder="name of the second officer, or of a paper key", id="second")
                yield Input(placeholder="passphrase of the second one, or words", password=True, id="secret")
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content(self.ACT), id="act", variant="warning")

    def on_mount(self) -> None:
        """Focus starts on Cancel."""
        self.query_one("#cancel", Button).focus()

    def typed(self, name: str) -> str:
        """What stands in a field; empty where it is not asked for."""
        return next((one.value for one in self.query(Input) if one.id == name), "")

    def twice(self) -> str:
        """The new passphrase.

        Raises:
            UsageError: it was not typed twice alike.
        """
        if self.typed("new") != self.typed("again"):
            raise UsageError("the two new passphrases differ", "type both again")
        return self.typed("new")

    @property
    def second(self) -> Second | None:
        """Who else is here."""
        name = self.typed("second").strip()
        return Second(name, self.typed("secret")) if name else None

    def on_input_submitted(self) -> None:
        """Enter goes on to the next field; only the button acts."""
        self.screen.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do it, or leave."""
        if event.button.id == "act":
            self.run_worker(self._do(), exclusive=True, group="change")
        else:
            self.dismiss(None)

    async def _do(self) -> None:
        notice = self.query_one(Notice)
        notice.confirm("changing users and keys …")
        try:
            await self.app.ask(self.change())
        except ApplianceError as error:
            notice.complain(str(error), error.hint)
        else:
            self.dismiss(self.told)


def _new_passphrase(whose: str) -> ComposeResult:
    yield Input(placeholder=f"new passphrase of {whose}", password=True, id="new")
    yield Input(placeholder="the same again", password=True, id="again")


class AddUserDialog(UserDialog):
    """Somebody new who types a passphrase."""

    ASKS, ACT = "Add a user", "Add"
    TEXT = (
        "officer: everything. operator: studies, models, audits; no finding. auditor: results and log; no "
        "study. Machines get their secret by `gradaudit users add`."
    )

    def fields(self) -> ComposeResult:
        """Name, role, passphrase."""
        yield Input(placeholder="name, in small letters", id="name")
        yield Input(placeholder="role: officer, operator or auditor", id="role")
        yield from _new_passphrase("the new user")

    def change(self) -> Callable[[], None]:
        """Add."""
        name, role = self.typed("name").strip(), self.typed("role").strip()
        new, second = self.twice(), self.second
        return lambda: self.app.backend.add_user(name, role, new, second)

    @property
    def told(self) -> str:
        """Who."""
        return f"{self.typed('name').strip()} was added"


class RemoveUserDialog(UserDialog):
    """Somebody leaves."""

    ASKS, ACT = "Remove", "Remove"
    TEXT = (
        "The keys that this user has seen are changed, and every session elsewhere ends. This cannot be "
        "undone. To remove the user, type the name."
    )

    def fields(self) -> ComposeResult:
        """The name, in full."""
        yield Input(placeholder="the user's name", id="name")

    def change(self) -> Callable[[], None]:
        """Remove."""
        if self.typed("name").strip() != self.about:
            raise UsageError("this is not the name of that user", "type the name as the list shows it")
        second = self.second
        return lambda: self.app.backend.remove_user(self.about, second)

    @property
    def told(self) -> str:
        """Who."""
        return f"{self.about} was removed, and the keys were changed"


class ResetDialog(UserDialog):
    """A new passphrase for somebody else."""

    ASKS, ACT = "New passphrase for", "Change"
    TEXT = "The user gets a new key pair, and what the old one opened is changed; sessions elsewhere end."

    def fields(self) -> ComposeResult:
        """The new one, twice."""
        yield from _new_passphrase(line(self.about))

    def change(self) -> Callable[[], None]:
        """Reset."""
        new, second = self.twice(), self.second
        return lambda: self.app.backend.reset_passphrase(self.about, new, second)

    @property
    def told(self) -> str:
        """Whose."""
        return f"{self.about} has a new passphrase"


class OwnPassphraseDialog(UserDialog):
    """One's own passphrase."""

    ASKS, ACT = "Your passphrase", "Change"
    TEXT = "Keys and sessions stay. Where somebody may know the old one, ask an officer to reset it."
    TOGETHER = False

    def fields(self) -> ComposeResult:
        """The old one, and the new one twice."""
        yield Input(placeholder="your passphrase as it is", password=True, id="old")
        yield from _new_passphrase("yours")

    def change(self) -> Callable[[], None]:
        """Change."""
        old, new = self.typed("old"), self.twice()
        return lambda: self.app.backend.change_passphrase(old, new)

    @property
    def told(self) -> str:
        """That it is done."""
        return "your passphrase was changed"


class QuorumDialog(UserDialog):
    """How many open findings together."""

    ASKS, ACT = "Quorum", "Change"
    TEXT = "With 2, findings open with two officers, or an officer and a paper key. Type 1 or 2."

    def fields(self) -> ComposeResult:
        """The number."""
        yield Input(placeholder="1 or 2", id="number")

    def change(self) -> Callable[[], None]:
        """Change it."""
        number, second = self.typed("number").strip(), self.second
        if number not in ("1", "2"):
            raise UsageError("the quorum is 1 or 2", "type one of them")
        return lambda: self.app.backend.set_quorum(int(number), second)

    @property
    def told(self) -> str:
        """What holds now."""
        together = "two together" if self.typed("number").strip() == "2" else "one officer"
        return f"findings open with {together}"
