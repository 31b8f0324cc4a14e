"""What findings ask for: a passphrase, a second person, a reason, and which of them to list."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input

from appliance.finding_views import FindingsAsked, FindingsNeed, Second
from tui.screens.dialog import Dialog
from tui.text import foreign
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading, Lines


@dataclass(frozen=True, slots=True)
class Opening:
    """What was typed to open the findings."""

    passphrase: str = field(default="", repr=False)
    second: Second | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reason:
    """What was typed for a reveal."""

    reason: str = field(repr=False)
    second: Second | None = field(default=None, repr=False)


class OpenDialog(Dialog[Opening]):
    """Asks for what opening takes; answers with it, or None."""

    TITLE = "Open the findings"
    HELP_TEXT = (
        "Findings say of single patients whether they were used, so they lie behind a key of their own. The "
        "passphrase is typed for this, also where the workspace was left unlocked; where two officers open "
        "them together, the second one types name and passphrase, or the words on paper, here."
    )

    def __init__(self, need: FindingsNeed) -> None:
        super().__init__()
        self.need = need

    def compose(self) -> ComposeResult:
        """The fields it takes, and two buttons."""
        with Vertical(classes="dialog"):
            yield Heading("Open the findings")
            yield Lines(Content.styled("What an audit says of single patients. Opening is logged.", "$muted"))
            if self.need.passphrase:
                yield Input(password=True, placeholder="your passphrase", id="passphrase")
            if self.need.second:
                yield from second_person()
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="keep")
                yield Button(Content("Open"), id="act", variant="primary")

    def on_mount(self) -> None:
        """The first field has the focus."""
        self.query(Input).first().focus()

    def on_input_submitted(self) -> None:
        """Enter goes to the next empty field, then answers."""
        empty = next((one for one in self.query(Input) if not one.value), None)
        if empty is not None:
            empty.focus()
        else:
            self._answer()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer or leave."""
        if event.button.id == "act":
            self._answer()
        else:
            self.dismiss(None)

    def _answer(self) -> None:
        if any(not one.value for one in self.query(Input)):
            self.query_one(Notice).complain("a field is empty", "type it, or press escape")
            return
        typed = self.query_one("#passphrase", Input).value if self.need.passphrase else ""
        self.dismiss(Opening(typed, typed_second(self) if self.need.second else None))


class RevealDialog(Dialog[Reason]):
    """Asks why; focus starts on Cancel."""

    TITLE = "Reveal"
    HELP_TEXT = (
        "Breaking the glass: the name, the image and the report behind a pseudonym are shown to you. The log "
        "has an entry before anything is shown; the reason is sealed beside the findings, and officers read "
        "it with `gradaudit findings reveals`. Say who asked and for what."
    )

    def __init__(self, patient: str, second: bool) -> None:
        super().__init__()
        self.patient, self.second = patient, second

    def compose(self) -> ComposeResult:
        """What it does, the reason, a second person where it takes one, and two buttons."""
        with Vertical(classes="dialog"):
            yield Heading("Reveal who this is")
            yield Lines(
                foreign(self.patient, "bold"),
                Content("Name, image and report are shown here, to you alone. The look is logged."),
            )
            yield Input(placeholder="reason: who asked, and for what", id="reason")
            if self.second:
                yield from second_person()
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="keep")
                yield Button(Content("Reveal"), id="act", variant="warning")

    def on_mount(self) -> None:
        """Focus starts on Cancel."""
        self.query_one("#keep", Button).focus()

    def on_input_submitted(self) -> None:
        """Enter in a field goes to the button, and answers nothing yet."""
        self.query_one("#act", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer or leave."""
        if event.button.id != "act":
            self.dismiss(None)
        elif any(not one.value.strip() for one in self.query(Input)):
            self.query_one(Notice).complain("a field is empty", "say why, or press escape")
        else:
            reason = self.query_one("#reason", Input).value
            self.dismiss(Reason(reason, typed_second(self) if self.second else None))


class SiftDialog(Dialog[FindingsAsked]):
    """Asks which findings; empty fields leave nothing out."""

    TITLE = "Filter findings"
    HELP_TEXT = (
        "What is typed narrows the list; an empty field does not. Role: target, calibration, fitting, "
        "member, bank, post_release or canary. Score and leak probability: the least that is shown; "
        "what has none is left out then. A pseudonym by how it begins."
    )
    FIELDS = (
        ("role", "role, such as target"),
        ("pseudonym", "pseudonym begins with"),
        ("score", "score from"),
        ("probability", "leak probability from, 0 to 1"),
    )

    def __init__(self, asked: FindingsAsked) -> None:
        super().__init__()
        self.asked = asked

    def compose(self) -> ComposeResult:
        """One field a condition, and two buttons."""
        now = self.asked
        values = (now.role, now.pseudonym, _typed(now.min_score), _typed(now.min_probability))
        with VerticalScroll(classes="dialog"):
            yield Heading("Filter findings")
            for (name, hint), value in zip(self.FIELDS, values, strict=True):
                yield Input(value, placeholder=hint, id=name, select_on_focus=False)
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="keep")
                yield Button(Content("All"), id="all")
                yield Button(Content("Filter"), id="act", variant="primary")

    def on_mount(self) -> None:
        """The first field has the focus."""
        self.query_one("#role", Input).focus()

    def on_input_submitted(self) -> None:
        """Enter answers."""
        self._answer()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer, forget every condition, or leave."""
        if event.button.id == "act":
            self._answer()
        elif event.button.id == "all":
            self.dismiss(FindingsAsked(sort=self.asked.sort, prior=self.asked.prior))
        else:
            self.dismiss(None)

    def _answer(self) -> None:
        role, pseudonym, score, probability = (
            self.query_one(f"#{name}", Input).value.strip() for name, _ in self.FIELDS
        )
        try:
            least, likely = _number(score), _number(probability)
        except ValueError:
            self.query_one(Notice).complain("score and leak probability are numbers", "such as 0.5")
            return
        asked = replace(self.asked, role=role, pseudonym=pseudonym, min_score=least, min_probability=likely)
        self.dismiss(asked)


def second_person() -> ComposeResult:
    """Fields for a second officer or a paper key."""
    yield Lines(Content("Findings take two: a second officer, or a paper key, types here."))
    yield Input(placeholder="second one's name", id="second-name")
    yield Input(password=True, placeholder="their passphrase, or words on paper", id="second-secret")


def typed_second(dialog: Dialog[Opening] | Dialog[Reason]) -> Second:
    """Whoever was typed into those fields."""
    name = dialog.query_one("#second-name", Input).value.strip()
    return Second(name, dialog.query_one("#second-secret", Input).value)


def _typed(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _number(text: str) -> float | None:
    """What was typed.

    Raises:
        ValueError: it is no number, or none that a score can be compared with.
    """
    value = float(text) if text else None
    if value is not None and not math.isfinite(value):
        raise ValueError(text)
    return value
