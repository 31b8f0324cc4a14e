"""What the Log screen asks and tells: which entries, where to, in which words, into which file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input

from appliance.evidence.views import LogFilter
from tui.screens.dialog import Dialog
from tui.text import foreign
from tui.widgets.chrome import Notice
from tui.widgets.drawing import Heading, Lines
from tui.words import moment

if TYPE_CHECKING:
    from appliance.evidence.views import StateView, WitnessRow

_FIELDS = (
    ("text", "Anything", "beginning of act, outcome, actor or object"),
    ("act", "Act", "findings.   or   workspace.unlock"),
    ("outcome", "Outcome", "refused"),
    ("actor", "Actor", "officer"),
    ("object", "Object", "first digits of a handle"),
    ("since", "From (UTC)", "2026-07   or   2026-07-31 14:05"),
    ("until", "To (UTC)", "2026-07   is to the end of July"),
)


class FilterDialog(Dialog[LogFilter]):
    """Which entries to show; answers with a filter, or None."""

    def __init__(self, wanted: LogFilter) -> None:
        super().__init__()
        self.wanted = wanted

    def compose(self) -> ComposeResult:
        """A line for each question."""
        with VerticalScroll(classes="dialog wide"):
            yield Heading("Show the entries that begin with")
            for name, label, example in _FIELDS:
                with Horizontal(classes="asked"):
                    yield Lines(Content(label))
                    yield Input(getattr(self.wanted, name), placeholder=example, id=name)
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("All entries"), id="all")
                yield Button(Content("Show"), id="show", variant="primary")

    def on_mount(self) -> None:
        """The first question has the focus."""
        self.query_one("#text", Input).focus()

    def on_input_submitted(self) -> None:
        """Enter shows."""
        names = ("act", "outcome", "actor", "object", "text", "since", "until")
        act, outcome, actor, thing, text, since, until = (
            self.query_one(f"#{name}", Input).value for name in names
        )
        self.dismiss(LogFilter(act, outcome, actor, thing, text, since, until))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Show, show all, or leave."""
        if event.button.id == "show":
            self.on_input_submitted()
        else:
            self.dismiss(LogFilter() if event.button.id == "all" else None)


class GoToDialog(Dialog[str]):
    """Where to put the cursor; answers with a number or a time, or None."""

    def compose(self) -> ComposeResult:
        """One line."""
        with Vertical(classes="dialog"):
            yield Heading("Go to an entry or a date")
            yield Lines(Content.styled("A number, as 4999120; a time (UTC), as 2026-07-31 14:05.", "$muted"))
            yield Input(id="where")
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("Go"), id="go", variant="primary")

    def on_mount(self) -> None:
        """The line has the focus."""
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes."""
        self.dismiss(event.value.strip() or None)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Go or leave."""
        going = event.button.id == "go"
        self.dismiss((self.query_one(Input).value.strip() or None) if going else None)


@dataclass(frozen=True, slots=True)
class Span:
    """What to write where."""

    path: Path
    form: str
    first: int
    last: int


class LogExportDialog(Dialog[Span]):
    """Which entries go into a file; answers with them, or None."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last

    def compose(self) -> ComposeResult:
        """File and entries."""
        with Vertical(classes="dialog"):
            yield Heading("Write entries to a file")
            yield Lines(Content.styled("JSON lines with proofs, or FHIR AuditEvents.", "$muted"))
            for name, label, value in (
                ("path", "File", "log-entries.jsonl"),
                ("first", "First entry", str(self.first)),
                ("last", "Last entry", str(self.last)),
            ):
                with Horizontal(classes="asked"):
                    yield Lines(Content(label))
                    yield Input(value, id=name, select_on_focus=False)
            yield Notice()
            with Horizontal(classes="buttons"):
                yield Button(Content("Cancel"), id="cancel")
                yield Button(Content("FHIR"), id="fhir")
                yield Button(Content("JSON lines"), id="jsonl", variant="primary")

    def on_mount(self) -> None:
        """The file has the focus."""
        self.query_one("#path", Input).focus()

    def on_input_submitted(self) -> None:
        """Enter writes JSON lines."""
        self._answer("jsonl")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Write or leave."""
        if event.button.id == "cancel":
            self.dismiss(None)
        else:
            self._answer(event.button.id or "")

    def _answer(self, form: str) -> None:
        path, first, last = (
            self.query_one(f"#{name}", Input).value.strip() for name in ("path", "first", "last")
        )
        if path and first.isdecimal() and last.isdecimal():
            self.dismiss(Span(Path(path), form, int(first), int(last)))
        else:
            self.query_one(Notice).complain("a file and two numbers of entries are needed")


class StateDialog(Dialog[None]):
    """The log's state, to be written down; and what others have seen of it."""

    def __init__(self, state: StateView, witnesses: tuple[WitnessRow, ...]) -> None:
        super().__init__()
        self.state, self.witnesses = state, witnesses

    def compose(self) -> ComposeResult:
        """Ten words, then the witnesses."""
        state = self.state
        with VerticalScroll(classes="dialog wide"):
            yield Heading("The log's state, to be written down elsewhere")
            yield Lines(
                Content.assemble(("entries    ", "$muted"), (f"{state.entries:,}", "bold")),
                Content.assemble(("state      ", "$muted"), foreign(state.state_words, "bold")),
                Content.assemble(("signed by  ", "$muted"), foreign(state.key_words)),
                Content.assemble(("root       ", "$muted"), foreign(state.root)),
            )
            yield Lines(Content.styled(_COMPARE, "$muted"))
            yield Heading("Witnesses")
            yield Lines(*(map(self._seen, self.witnesses) if self.witnesses else (Content(_NOBODY),)))
            with Horizontal(classes="buttons"):
                yield Button(Content("Back"), id="back")

    @staticmethod
    def _seen(row: WitnessRow) -> Content:
        seen = (
            f"has seen {row.entries:,} entries on {moment(row.seen_utc)}"
            if row.entries
            else "has not answered yet"
        )
        return Content.assemble(foreign(row.name, "bold"), f" {seen}")

    def on_button_pressed(self) -> None:
        """Back to the log."""
        self.dismiss(None)


_COMPARE = "gradaudit log checkpoint --compare ENTRIES WORDS: does the log still contain a state?"
_NOBODY = "None yet: whoever holds the disk could write another history. gradaudit log witness trust NAME KEY"
