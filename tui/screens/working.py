"""A dialog that asks for a few things and then does something long: progress, cancel, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input

from appliance.errors import ApplianceError
from tui.screens.dialog import Dialog
from tui.text import line
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Drawing, Heading, Lines
from tui.widgets.fields import Pick
from tui.work import Step, Work


class WorkLines(Drawing):
    """Phase, bar, count, rate and time left; nothing before the first and after the last step."""

    work: Work | None = None

    def draw(self, width: int) -> list[Content]:
        """Two lines at most."""
        work = self.work
        if work is None or work.over:
            return []
        if work.step is None:
            return [Content.styled(f"{work.title} …", "$muted")]
        cells = max(8, width - 8)
        full = round(work.share * cells)
        bar = Content.assemble(
            (self.glyphs.parts[8] * full, "$accent"), (self.glyphs.empty * (cells - full), "$rule")
        )
        told = f"{line(work.step.phase)}: {work.step.done:,} of {work.step.total:,} {line(work.step.unit)}"
        return [
            Content.assemble(bar, f" {work.share * 100:>4.0f} %"),
            *Content(f"{told}, {line(work.left)}").wrap(width),
        ]


class WorkDialog(Dialog[bool]):
    """Fields, then work. Answers whether something was changed; hiding it does not stop the work."""

    TITLE: ClassVar[str] = ""
    NOTE: ClassVar[str] = ""
    ACT: ClassVar[str] = ""
    FIRST: ClassVar[str] = "Input, Pick"  # the first of these has the focus
    WORK: ClassVar[str] = ""  # what is done, for the top line: `ingest`
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back or hide", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self.changed = False

    def compose(self) -> ComposeResult:
        """Title, fields, progress, what came of it, two buttons."""
        with VerticalScroll(classes="dialog wide", can_focus=False):
            yield Heading(self.TITLE)
            yield Lines(Content.styled(self.NOTE, "$muted"))
            yield from self.fields()
            yield WorkLines()
            yield Lines(id="told")
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="leave")
                yield Button(Content(self.ACT), id="act", variant="primary")

    def fields(self) -> ComposeResult:
        """What is asked for."""
        raise NotImplementedError

    def act(self) -> None:
        """The button, or enter in the last field."""
        raise NotImplementedError

    def done(self, result: Any) -> None:
        """What came of the work."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """The first field has the focus; what runs already is shown."""
        self.query(self.FIRST).first().focus()
        work = self.app.labour.work
        if work is not None and not work.over and work.title == self.WORK:
            self._watch(work)

    def value(self, name: str) -> str:
        """What was typed into a field."""
        return self.query_one(f"#{name}", Input).value.strip()

    def tell(self, *paragraphs: Content) -> None:
        """What came of it, and what comes next."""
        self.query_one("#told", Lines).show(*paragraphs)

    def begin(self, call: Callable[[Step], Any]) -> None:
        """Do it, beside the screens."""
        self.query_one(Notice).clear()
        self.tell()
        try:
            self._watch(self.app.labour.begin(self.WORK, call))
        except ApplianceError as error:
            self.query_one(Notice).complain(str(error), error.hint)

    def _watch(self, work: Work) -> None:
        self.query_one(WorkLines).work = work
        self._buttons("Stop", "Hide")
        self._allow(False)
        self.query_one("#act", Button).focus()
        self.stepped()

    def stepped(self) -> None:
        """Redraw how far it is."""
        for lines in self.query(WorkLines):  # none before the first paint
            lines.refresh(layout=True)

    def ended(self, work: Work) -> None:
        """Say what came of it."""
        if self.query_one(WorkLines).work is not work:
            return
        self._allow(True)
        self._buttons("Close", self.ACT)
        self.stepped()
        notice = self.query_one(Notice)
        if work.error is not None:
            notice.complain(str(work.error), work.error.hint)
            self.query(self.FIRST).first().focus()
        elif work.cancelled:
            notice.complain("cancelled", "nothing is half done; it can be started again")
        else:
            self.done(work.result)

    def _buttons(self, leave: str, act: str) -> None:
        self.offer(leave, "#leave")
        self.offer(act)

    def offer(self, label: str, button: str = "#act") -> None:
        """What a button does now."""
        found = self.query_one(button, Button)
        found.label = Content(label)
        found.refresh(layout=True)

    def _allow(self, on: bool) -> None:
        for field in (*self.query(Input), *self.query(Pick)):
            field.disabled = not on

    @property
    def _working(self) -> bool:
        work = self.query_one(WorkLines).work
        return work is not None and not work.over

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes to the next field, from the last one to the act."""
        inputs = list(self.query(Input))
        if event.input is inputs[-1]:
            self.act()
        else:
            self.screen.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Act or leave; while it works, hide or stop."""
        if event.button.id == "act" and not self._working:
            self.act()
        elif event.button.id == "leave" and self._working:
            self.app.labour.cancel()
            self.query_one(Notice).confirm("stopping at the next step …")
        else:
            self.action_leave()

    def action_leave(self) -> None:
        """Leave; work goes on."""
        self.dismiss(self.changed)
