"""The dialogs of a case: who owns it, what was decided and why, why a decision is taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList
from textual.widgets.option_list import Option

from appliance.cases.views import CaseState, CaseView
from appliance.errors import ApplianceError
from appliance.words.table import tell
from tui.screens.dialog import Dialog
from tui.screens.run import Choice
from tui.text import foreign, line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading, Lines

_DECISIONS = (CaseState.ACCEPTED, CaseState.DISPUTED, CaseState.REFERRED, CaseState.CLOSED)
_ANSWERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (tell("cases.answers.none"), ()),
    (tell("cases.answers.72h"), ("72h",)),
    (tell("cases.answers.60d"), ("60d",)),
    (tell("cases.answers.both"), ("72h", "60d")),
)


class StepDialog(Dialog[CaseView]):
    """One step of a case; it stays open, with what was typed, until the appliance has taken it."""

    ASKS: ClassVar[str]
    ACT: ClassVar[str]

    def __init__(self, view: CaseView) -> None:
        super().__init__()
        self.view = view

    def fields(self) -> ComposeResult:
        """What is asked for."""
        raise NotImplementedError

    def step(self) -> Callable[[], CaseView]:
        """The call that takes the step."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Which case, the fields, and two buttons."""
        row = self.view.row
        clocks = "; ".join(f"{line(clock.name)}: {line(clock.said)}" for clock in row.clocks)
        state = tell(f"case.state.{row.state.value}")
        subject = tell("cases.subject", verdict=row.verdict.value, state=state, clocks=clocks)
        with Vertical(classes="dialog wide"):
            yield Heading(self.ASKS)
            yield Lines(Content.assemble(foreign(row.model, "bold"), f": {subject}"))
            yield from self.fields()
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content(tell("cases.cancel")), id="cancel")
                yield Button(Content(self.ACT), id="act", variant="warning")

    def on_mount(self) -> None:
        """Focus starts on Cancel."""
        self.query_one("#cancel", Button).focus()

    def action_next(self) -> None:
        """On to what comes after the field with the focus."""
        self.focus_next()

    def on_input_submitted(self) -> None:
        """On to the buttons; the first is Cancel."""
        self.query_one("#cancel", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Take the step, or leave."""
        if event.button.id == "cancel":
            self.dismiss(None)
        else:
            self.run_worker(self._take(), exclusive=True, group="step")

    async def _take(self) -> None:
        try:
            taken = await self.app.ask(self.step())
        except ApplianceError as error:
            self.query_one(Notice).complain(str(error), error.hint)
            return
        self.dismiss(taken)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Mark what is chosen with a sign; colour alone would not say it."""
        choices = event.option_list
        for index in range(choices.option_count):
            sign = f"{self.app.glyphs.point} " if index == choices.highlighted else "  "
            words = choices.get_option_at_index(index).id or ""
            choices.replace_option_prompt_at_index(index, Content.assemble(sign, foreign(words)))

    def offer(self, title: str, name: str) -> Vertical:
        """A short list under its title."""
        return Vertical(Lines(Content.styled(title, "bold $muted")), Choice(id=name, markup=False))

    def fill(self, name: str, options: list[str], chosen: int = 0) -> None:
        """Say what a list offers."""
        choices = self.query_one(f"#{name}", Choice)
        for option in options:
            choices.add_option(Option(foreign(option), id=option))
        choices.highlighted = chosen

    def chosen(self, name: str) -> int:
        """Which option of a list is marked."""
        return self.query_one(f"#{name}", Choice).highlighted or 0


class OwnerDialog(StepDialog):
    """Who owns it."""

    ASKS, ACT = tell("cases.owner.title"), tell("cases.owner.act")

    def fields(self) -> ComposeResult:
        """The people of the workspace."""
        with Horizontal(id="choices"):
            yield self.offer(tell("column.owner"), "owner")

    def on_mount(self) -> None:
        """The present owner is marked."""
        people = list(self.view.people)
        self.fill("owner", people, people.index(self.view.row.owner) if self.view.row.owner in people else 0)

    def step(self) -> Callable[[], CaseView]:
        """Assign it."""
        audit_id, name = self.view.row.audit_id, self.view.people[self.chosen("owner")]
        return lambda: self.app.backend.assign_case(audit_id, name)


def _reason() -> Widget:
    return Input(placeholder=tell("cases.reason"), id="reason", max_length=2000)


class DecideDialog(StepDialog):
    """What was decided, which clock that answers, and why."""

    ASKS, ACT = tell("cases.decide.title"), tell("cases.decide.act")

    def fields(self) -> ComposeResult:
        """Decision, clocks, what the decision means, reason."""
        with Horizontal(id="choices"):
            yield self.offer(tell("cases.decide.list"), "decision")
            yield self.offer(tell("cases.decide.answers"), "answers")
        yield Lines(id="meaning")
        yield _reason()

    def on_mount(self) -> None:
        """The first decision is marked, and no clock."""
        self.fill("decision", [tell(f"case.state.{state.value}") for state in _DECISIONS])
        self.fill("answers", [words for words, _ in _ANSWERS])

    @on(OptionList.OptionHighlighted)
    def say_meaning(self) -> None:
        """Say what the decision means; the base marks it."""
        means = tell(f"cases.means.{_DECISIONS[self.chosen('decision')].value}")
        self.query_one("#meaning", Lines).show(Content(means))

    def step(self) -> Callable[[], CaseView]:
        """Write it down."""
        audit_id, reason = self.view.row.audit_id, self.query_one("#reason", Input).value
        decision, answers = _DECISIONS[self.chosen("decision")], _ANSWERS[self.chosen("answers")][1]
        return lambda: self.app.backend.decide_case(audit_id, decision.value, reason, answers)


class ReopenDialog(StepDialog):
    """Why a decision is taken back."""

    ASKS, ACT = tell("cases.reopen.title"), tell("cases.reopen.act")

    def fields(self) -> ComposeResult:
        """What that does, and the reason."""
        yield Lines(Content.styled(tell("cases.reopen.note"), "$muted"))
        yield _reason()

    def step(self) -> Callable[[], CaseView]:
        """Reopen it."""
        audit_id, reason = self.view.row.audit_id, self.query_one("#reason", Input).value
        return lambda: self.app.backend.reopen_case(audit_id, reason)
