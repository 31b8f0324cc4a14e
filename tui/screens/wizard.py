"""The first run: site, officer, paper key, intake, models, policy; one step after the other, and back.

The workspace is made by the second step, whole or not at all. From then on it remembers which step follows,
so whoever unlocks it after a kill stands where the last one left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Input

from appliance.errors import ApplianceError
from appliance.setup_view import STEPS
from tui.screens.wizard_steps import FIRST, LATER, Answers, Field, Step
from tui.widgets.chrome import KeyLine, Notice, TopLine
from tui.widgets.drawing import Heading

if TYPE_CHECKING:
    from tui.app import GradAuditApp

_ALL = (*FIRST, *LATER)


class WizardScreen(Screen[None]):
    """One step at a time, with what it is for.

    Args:
        step: of `STEPS`, where an earlier first run goes on; empty for the very beginning.
    """

    TITLE: ClassVar[str] = "First run"
    HELP_TEXT: ClassVar[str] = (
        "Six steps make this machine ready. Enter goes on, escape goes back, F6 leaves a step out: all but "
        "the first two can be done later. Whatever is done stays done, also when the machine is switched off "
        "here; the next start goes on with the step that follows."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next", "Next", key_display="enter"),
        Binding("escape", "back", "Back", key_display="esc"),
        Binding("f6", "skip", "Skip"),
        Binding("f12", "app.help", "Help"),
        Binding("ctrl+q,f10", "app.leave", "Quit"),
    ]
    app: GradAuditApp

    def __init__(self, step: str = "") -> None:
        super().__init__()
        self.answers = Answers()
        self.at = len(FIRST) + STEPS.index(step) if step else 0
        self.busy = False

    @property
    def step(self) -> Step:
        """The step on the screen."""
        return self.query_one(Step)

    def compose(self) -> ComposeResult:
        """Heading, the step, notice, buttons, keys."""
        yield TopLine(self.TITLE)
        with VerticalScroll(id="page", can_focus=False):
            yield Heading("", id="heading")
            yield _ALL[self.at](self.answers)
        yield Notice()
        with Horizontal(classes="buttons"):
            yield Button(Content("Back"), id="back")
            yield Button(Content("Skip"), id="skip")
            yield Button(Content("Next"), id="next", variant="primary")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin; a button takes the next press at once, or a fast second enter would be lost."""
        for button in self.query(Button):
            button.active_effect_duration = 0
        self._dress()
        self._focus()

    def _dress(self) -> None:
        """Heading, and which ways there are from here."""
        heading = self.query_one("#heading", Heading)
        heading.title = f"Step {self.at + 1} of {len(_ALL)}: {self.step.TITLE}"
        heading.refresh()
        self.query_one("#back", Button).disabled = not self._may_go_back
        self.query_one("#skip", Button).disabled = not self.step.SKIP
        top = self.query_one(TopLine)
        top.site, top.role = self.answers.site, self.app.role

    @property
    def _may_go_back(self) -> bool:
        return self.step.pages_before or self.at not in (0, len(FIRST))

    def _focus(self) -> None:
        """To the first empty field, at once: keys already typed go into it."""
        fields = [*self.step.query(Input), *self.step.query(".list")]
        empty = [one for one in fields if not (isinstance(one, Input) and one.value)]
        self.set_focus(next(iter((*empty, *fields)), self.query_one("#next", Button)))

    async def _show(self, at: int) -> None:
        """Another step."""
        self.at = at
        with self.app.batch_update():
            await self.step.remove()
            await self.query_one("#page").mount(_ALL[at](self.answers))
        self.query_one("#page").scroll_home(animate=False)
        self._dress()
        self._focus()

    def action_next(self) -> None:
        """To the next field that is empty, and from the last one on."""
        if self.busy:
            return
        following = next((one for one in self.step.query(Field) if not one.value and one.wanted), None)
        if isinstance(self.focused, Input) and following is not None and following is not self.focused:
            self.set_focus(following)
            return
        self.busy = True
        self.run_worker(self._next(), group="step")

    async def _next(self) -> None:
        notice = self.query_one(Notice)
        if self.step.MEANWHILE:
            notice.confirm(self.step.MEANWHILE)
        try:
            finished = await self.step.done()
        except ApplianceError as error:
            notice.complain(str(error), error.hint)
        else:
            notice.clear()
            if finished:
                await self._leave()
            else:
                notice.confirm(self.step.said) if self.step.said else None
                self._dress()
                self._focus()
        finally:
            self.busy = False

    async def _leave(self) -> None:
        """On to the next step; behind the last one the overview begins."""
        name = self.step.NAME
        if name in STEPS:
            try:
                await self.app.ask(self.app.backend.leave_setup, name)
            except ApplianceError as error:
                self.query_one(Notice).complain(str(error), error.hint)
                return
        if self.at + 1 < len(_ALL):
            await self._show(self.at + 1)
        else:
            self.app.opened(self.app.backend)

    def action_back(self) -> None:
        """To the step before; what is made stays made."""
        if not self.busy and self._may_go_back:
            self.query_one(Notice).clear()
            self.run_worker(self._back(), group="step", exclusive=True)

    async def _back(self) -> None:
        if self.step.pages_before:
            await self.step.again()
            self._dress()
            self._focus()
        else:
            await self._show(self.at - 1)

    def action_skip(self) -> None:
        """Leave this step out."""
        if not self.busy and self.step.SKIP:
            self.busy = True
            self.run_worker(self._skip(), group="step")

    async def _skip(self) -> None:
        try:
            self.query_one(Notice).clear()
            await self._leave()
        finally:
            self.busy = False

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """As the keys."""
        {"back": self.action_back, "skip": self.action_skip, "next": self.action_next}[
            event.button.id or ""
        ]()
