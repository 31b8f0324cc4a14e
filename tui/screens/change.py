"""Change: a version against the one before it, from the files down to what the audits measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from appliance.watch.views import ChangeView, ExposureChange, FactChange, FileChange, MemoryChange
from tui.screens.section import Section, navigation
from tui.screens.watch_dialogs import AnswerDialog
from tui.text import foreign, line
from tui.widgets.changed_layers import ChangedLayers
from tui.widgets.chrome import Notice
from tui.widgets.clocks import clock_line
from tui.widgets.comparison import Comparison
from tui.widgets.control_chart import ControlChart
from tui.widgets.drawing import Facts, Heading, Lines
from tui.widgets.standings import changed_parts, found_sign
from tui.words import moment

_LABELS = 13  # cells


class ChangeScreen(Section):
    """One change whole.

    Args:
        model: the version, such as `lumen-vlm@2`.
        back: makes the screen that escape goes back to.
    """

    TITLE = "Change"
    HELP_TEXT = (
        "What differs from the version before: files by part, tensors by layer, and how many of those an "
        "audit looks at; settings; and, where both versions were audited on the same panel, the exposure "
        "before and after with its intervals. A change that nobody had announced waits for an officer: y "
        "answers it. o shows the result of the newer version. escape goes back."
    )
    NEEDS: ClassVar[dict[str, str]] = {"answer": "answer_change"}
    BINDINGS = navigation(
        "models",
        Binding("escape,b", "back", "Back", key_display="esc"),
        Binding("y", "answer", "Answer"),
        Binding("o", "result", "Its result"),
        run=False,
    )

    def __init__(self, model: str, back: Callable[[], Section]) -> None:
        super().__init__()
        self.model, self.back = model, back
        self.view: ChangeView | None = None

    def body(self) -> ComposeResult:
        """A page that scrolls."""
        with VerticalScroll(id="page"):
            yield Lines(Content.styled("comparing two versions …", "$muted"))

    async def load(self) -> None:
        """Read the change and build the page."""
        self.view = view = await self.ask(self.app.backend.model_change, self.model)
        page = self.query_one("#page", VerticalScroll)
        await page.remove_children()
        await page.mount_all(self._page(view))
        page.focus()

    def _page(self, view: ChangeView) -> Iterator[Widget]:
        row = view.row
        yield Lines(
            Content.assemble(
                foreign(row.model, "bold"), ("  against ", "$muted"), foreign(row.replaces, "bold")
            )
        )
        yield Lines(*(foreign(one, "bold") for one in view.sentences))
        yield self._known(view)
        yield from _exposure(view)
        yield Heading("Files that differ")
        yield _files(view.files)
        yield Heading("Tensors that differ")
        yield ChangedLayers(view)
        if view.facts:
            yield Heading("Settings that differ")
            yield _settings(view.facts)

    def _known(self, view: ChangeView) -> Facts:
        """How it came to be known, and what was said to it."""
        row, glyphs = view.row, self.app.glyphs
        facts = [
            ("found", Content.assemble(found_sign(row, glyphs), f", {moment(line(row.seen_utc))} UTC")),
            ("changed", changed_parts(row.parts, row.equal_to)),
        ]
        if row.announcement is not None:
            said = row.announcement
            told = f"{said.release or 'no release named'}; {said.reason} ({said.by}, {moment(said.said_utc)})"
            facts.append(("announced", foreign(told)))
        if row.answer is not None:
            told = f"{row.answer.reason} ({row.answer.by}, {moment(row.answer.said_utc)})"
            facts.append(("answered", foreign(told)))
        if row.clock is not None:
            facts.append(("clock", clock_line(row.clock, glyphs)))
        if row.entry is not None:
            facts.append(("log", Content(f"entry {row.entry:,}")))
        known = Facts(_LABELS)
        known.show(*facts)
        return known

    def action_back(self) -> None:
        """Where it was opened."""
        self.app.switch_screen(self.back())

    def action_answer(self) -> None:
        """Answer it."""
        if self.view is not None and self.view.row.waits:
            self.app.push_screen(AnswerDialog(self.view.row), lambda row: self.reload() if row else None)
        else:
            self.query_one(Notice).confirm("this change waits for no answer")

    def action_result(self) -> None:
        """The result of the newer version."""
        if self.view is not None and self.view.exposure is not None:
            self.app.open_result(self.view.exposure.after.audit_id)
        else:
            self.query_one(Notice).confirm("no audit of both versions on one panel", "press r to run one")


def _files(files: tuple[FileChange, ...]) -> Facts:
    """By part; one line per file."""
    ordered = sorted(files, key=lambda one: (one.part.value, one.file))
    rows = []
    for part, group in groupby(ordered, key=lambda one: one.part):
        for index, one in enumerate(group):
            label = part.value if not index else ""
            rows.append((label, Content.assemble((f"{line(one.how)} ", "$muted"), foreign(one.file))))
    facts = Facts(_LABELS)
    facts.show(*rows)
    return facts


def _settings(settings: tuple[FactChange, ...]) -> Lines:
    """Name, value before, value after."""
    return Lines(
        *(
            Content.assemble(
                foreign(one.what, "bold"),
                "  ",
                foreign(one.before or "none", "$muted"),
                (" to ", "$muted"),
                foreign(one.after or "none"),
            )
            for one in settings
        )
    )


def _exposure(view: ChangeView) -> Iterator[Widget]:
    """Before and after on one axis, then property by property, then what the layers remember."""
    yield Heading("Exposure before and after")
    if view.exposure is None:
        yield Lines(foreign(f"not compared: {view.missing}", "$muted"))
        return
    yield ControlChart(view.exposure.points, None, of_limit=False)
    yield Comparison(view.exposure.rows)
    if view.exposure.memory:
        yield Heading("What the layers remember, before and after")
        yield _memory(view.exposure)


def _memory(exposure: ExposureChange) -> Lines:
    return Lines(*(Content.assemble(foreign(one.layer), f"  {_gaps(one)}") for one in exposure.memory[:8]))


def _gaps(one: MemoryChange) -> str:
    before, after = ("not listed" if gap is None else f"{gap:+.2f}" for gap in (one.before, one.after))
    return f"{before} to {after}"
