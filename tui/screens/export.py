"""Asking for the name of a file: where an evidence pack or an answer goes, or which one to check."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input

from appliance.words.table import tell
from tui.screens.dialog import Dialog
from tui.screens.working import WorkDialog
from tui.text import foreign
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading, Lines
from tui.widgets.fields import Field, Pick

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Export:
    """What a pack is to be: where it goes, for whom it is, what is withheld besides."""

    path: str
    edition: str
    withhold: tuple[str, ...]


class FileDialog(Dialog[T]):
    """Asks for a file name; answers with it, or None."""

    ASKS: ClassVar[str]
    NOTE: ClassVar[str]
    ACT: ClassVar[str]

    def __init__(self, suggestion: str = "") -> None:
        super().__init__()
        self.suggestion = suggestion

    def compose(self) -> ComposeResult:
        """File name, what else is asked, and two buttons."""
        with Vertical(classes="dialog"):
            yield Heading(self.ASKS)
            yield Lines(Content.styled(self.NOTE, "$muted"))
            yield Input(self.suggestion, id="path", select_on_focus=False)
            yield from self.fields()
            with Horizontal(classes="buttons"):
                yield Button(Content(tell("evidence.dialog.cancel")), id="cancel")
                yield Button(Content(self.ACT), id="write", variant="primary")

    def fields(self) -> ComposeResult:
        """What is asked for besides the file."""
        yield from ()

    def answer(self, path: str) -> T:
        """What the dialog answers with."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """The file name has the focus."""
        self.query_one("#path", Input).focus()

    def on_input_submitted(self) -> None:
        """Enter answers with what stood there when it was pressed."""
        self._leave()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer or leave."""
        if event.button.id == "write":
            self._leave()
        else:
            self.dismiss(None)

    def _leave(self) -> None:
        path = self.query_one("#path", Input).value.strip()
        self.dismiss(self.answer(path) if path else None)


class ExportDialog(FileDialog[Export]):
    """Where the evidence pack goes, and for whom it is."""

    ASKS = tell("evidence.export.title")
    NOTE = tell("evidence.export.note")
    ACT = tell("evidence.export.act")
    HELP_TEXT: ClassVar[str] = tell("evidence.export.help")

    def fields(self) -> ComposeResult:
        """Edition, and what is withheld besides."""
        yield Pick(tell("evidence.edition"), "edition", ("full", "vendor"))
        yield Field(tell("evidence.withhold"), "withhold", hint=tell("evidence.withhold.hint"))

    def answer(self, path: str) -> Export:
        """File, edition, what is withheld."""
        withheld = self.query_one("#withhold", Input).value.replace(",", " ").split()
        return Export(path, self.query_one("#edition", Pick).value, tuple(withheld))


class VerifyDialog(FileDialog[str]):
    """Which pack to check."""

    ASKS = tell("evidence.verify.title")
    NOTE = tell("evidence.verify.note")
    ACT = tell("evidence.verify.act")

    def answer(self, path: str) -> str:
        """The file's name."""
        return path


class AuditorDialog(WorkDialog):
    """An auditor's question: which model, which days; the answer is one file."""

    TITLE = tell("evidence.answer.title")
    NOTE = tell("evidence.answer.note")
    ACT = tell("evidence.answer.act")
    WORK = tell("evidence.answer.work")
    HELP_TEXT: ClassVar[str] = tell("evidence.answer.help")

    def __init__(self, model: str, since: str, until: str) -> None:
        super().__init__()
        self.model, self.since, self.until = model, since, until
        self.named = ""  # the file, as it is suggested

    def fields(self) -> ComposeResult:
        """Model, days, file: as suggested, so that enter answers at once."""
        yield Field(tell("evidence.answer.model"), "model", self.model)
        yield Field(tell("evidence.answer.from"), "since", self.since, hint="YYYY-MM-DD")
        yield Field(tell("evidence.answer.to"), "until", self.until, hint="YYYY-MM-DD")
        self.named = _file_name(self.model, self.since, self.until)
        yield Field(tell("evidence.answer.file"), "path", self.named)

    def on_input_changed(self, event: Input.Changed) -> None:
        """The file's name follows model and days, as long as nobody has typed another."""
        if event.input.id != "path" and self.value("path") == self.named:
            self.named = _file_name(*(self.value(name) for name in ("model", "since", "until")))
            self.query_one("#path", Input).value = self.named

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter answers with what stands there, whichever field has the focus."""
        event.prevent_default()  # in other dialogs it goes to the next field
        self.act()

    def act(self) -> None:
        """Collect it, beside the screens."""
        given = [self.value(name) for name in ("model", "since", "until", "path")]
        if not all(given):
            self.query_one(Notice).complain(tell("evidence.answer.lacks"), tell("evidence.answer.lacks.hint"))
            return
        model, since, until, path = given
        answer, file = self.app.backend.answer_auditor, Path(path).expanduser()
        self.begin(lambda step: answer(model, since, until, file, step))

    def done(self, result: Any) -> None:
        """What it comes to: of no audit that this is no pass."""
        self.changed = True
        written = tell("answer.written", file=result.file, size=f"{result.size:,}", words=result.key_words)
        said = [Content.styled(sentence, "bold") for sentence in result.sentences]
        self.tell(*said, foreign(written), Content.styled(tell("answer.check"), "$muted"))
        self.query_one("#leave", Button).focus()


def _file_name(*parts: str) -> str:
    """Of an answer about this model and these days, whatever was typed."""
    named = (re.sub(r"[^A-Za-z0-9.-]+", "_", part) for part in parts if part)
    return "-".join(["answer", *named]) + ".zip"
