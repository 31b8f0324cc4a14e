"""What is asked for before a policy is proposed, approved or rejected; a decision starts on Cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input

from appliance.finding_views import Second
from tui.screens.asking import AskDialog
from tui.screens.dialog import Dialog
from tui.text import foreign, line
from tui.widgets.drawing import Heading, Lines
from tui.widgets.fields import Field

if TYPE_CHECKING:
    from appliance.policies.views import ApprovalNeed, PolicyRow, TightenedPolicy


@dataclass(frozen=True, slots=True)
class Approval:
    """How a policy is approved.

    Attributes:
        from_day: as typed; "" for at once.
        passphrase: of whoever sits here; "" where it was typed before.
        second: who approves with them, where it takes two.
    """

    from_day: str
    passphrase: str = field(repr=False)
    second: Second | None = None


class ProposeDialog(Dialog[tuple[str, str]]):
    """Which file to propose, and why."""

    def compose(self) -> ComposeResult:
        """File name, reason, two buttons."""
        with Vertical(classes="dialog"):
            yield Heading("Propose a policy")
            note = "A policy file. It is checked now, and decides nothing before it is approved."
            yield Lines(Content.styled(note, "$muted"))
            yield Input(placeholder="file", id="path")
            yield Input(placeholder="why; it is sealed (may stay empty)", id="reason")
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("Propose"), id="act", variant="primary")

    def on_mount(self) -> None:
        """The file name has the focus."""
        self.query_one("#path", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on, and answers in the last field."""
        if event.input.id == "path":
            self.query_one("#reason", Input).focus()
        else:
            self._answer()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer or leave."""
        if event.button.id == "act":
            self._answer()
        else:
            self.dismiss(None)

    def _answer(self) -> None:
        path, reason = (self.query_one(f"#{name}", Input).value.strip() for name in ("path", "reason"))
        self.dismiss((path, reason) if path else None)


class TightenDialog(AskDialog[tuple["TightenedPolicy", Path]]):
    """What a vendor asks for, put into a policy of the site where that is stricter; answers with the file."""

    TITLE = "Tighten by a vendor's file"
    ACT = "Tighten"
    HELP_TEXT: ClassVar[str] = (
        "A vendor may ask for more, never for less. A key that is stricter is taken; one that is looser, or "
        "that nobody can call either, refuses the whole file, with its line. The new text has a version of "
        "its own and decides nothing before it was proposed and approved as any other."
    )

    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base

    def note(self) -> Content:
        """What is tightened."""
        return Content.assemble(foreign(self.base, "bold"), " with what is stricter in the vendor's file")

    def fields(self) -> ComposeResult:
        """The vendor's file, and the new one."""
        yield Field("vendor", "vendor", hint="the vendor's file")
        yield Field("new file", "into", hint="as /srv/policies/tightened.toml")

    def whole(self) -> bool:
        """It takes both."""
        return bool(self.value("vendor") and self.value("into"))

    def call(self) -> Callable[[], tuple[TightenedPolicy, Path]]:
        """Write the new text."""
        vendor, into = (Path(self.value(name)).expanduser() for name in ("vendor", "into"))
        tighten = self.app.backend.tighten_policy
        return lambda: (tighten(self.base, vendor, into), into)


class ApproveDialog(Dialog[Approval]):
    """The policy's name in full, the day, and whoever else it takes."""

    def __init__(self, row: PolicyRow, need: ApprovalNeed) -> None:
        super().__init__()
        self.row, self.need = row, need

    def compose(self) -> ComposeResult:
        """What follows, the fields, two buttons; the first, harmless one has the focus."""
        name = line(self.row.name)
        with Vertical(classes="dialog"):
            yield Heading(f"Approve {line(self.row.reference)}")
            note = (
                f"From its day on every audit under {name} is decided by this text, until another one is "
                f"approved. This cannot be undone. To approve, type the policy's name: {name}"
            )
            yield Lines(Content(note))
            yield Input(placeholder="the policy's name", id="name")
            yield Input(placeholder="from day, as 2026-12-31 (empty: at once)", id="from")
            if self.need.passphrase:
                yield Input(placeholder="your passphrase", password=True, id="passphrase")
            if self.need.second:
                yield Input(placeholder="name of the second officer, or of a paper key", id="second")
                yield Input(placeholder="passphrase of the second one, or words", password=True, id="secret")
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("Approve"), id="act", variant="warning", disabled=True)

    def on_mount(self) -> None:
        """Focus starts on Cancel."""
        self.query_one("#cancel", Button).focus()

    def _typed(self, name: str) -> str:
        found = self.query(f"#{name}").results(Input)
        return next((one.value for one in found), "")

    def on_input_changed(self) -> None:
        """Approving takes the whole name, and every secret that is asked for."""
        asked = [one for one in self.query(Input) if one.id not in ("name", "from")]
        whole = self._typed("name").strip() == self.row.name and all(one.value.strip() for one in asked)
        self.query_one("#act", Button).disabled = not whole

    def on_input_submitted(self) -> None:
        """Enter goes on to the next field; only the button approves."""
        self.screen.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer or leave."""
        if event.button.id != "act":
            self.dismiss(None)
            return
        second = Second(self._typed("second").strip(), self._typed("secret")) if self.need.second else None
        self.dismiss(Approval(self._typed("from").strip(), self._typed("passphrase"), second))


class RejectDialog(Dialog[str]):
    """Why a proposal is rejected."""

    def __init__(self, reference: str) -> None:
        super().__init__()
        self.reference = reference

    def compose(self) -> ComposeResult:
        """The reason and two buttons; the first, harmless one has the focus."""
        with Vertical(classes="dialog"):
            yield Heading(f"Reject {line(self.reference)}")
            yield Lines(
                Content("It will decide no audit. Its text and the reason are kept; the reason is sealed.")
            )
            yield Input(placeholder="why", id="reason")
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("Reject"), id="act", variant="warning", disabled=True)

    def on_mount(self) -> None:
        """Focus starts on Cancel."""
        self.query_one("#cancel", Button).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Rejecting takes a reason."""
        self.query_one("#act", Button).disabled = not event.value.strip()

    def on_input_submitted(self) -> None:
        """Enter goes on to the buttons."""
        self.screen.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer or leave."""
        reason = self.query_one(Input).value.strip()
        self.dismiss(reason if event.button.id == "act" and reason else None)
