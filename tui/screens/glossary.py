"""Glossary: what a word means and why it matters; those that stand on the screen below come first."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from appliance.words.glossary import Term, looked_for, nearest, standing_in
from appliance.words.table import count, tell
from tui.screens.dialog import Dialog
from tui.text import line
from tui.widgets.drawing import Heading, Lines


def terms_on(screen: Screen[object]) -> tuple[Term, ...]:
    """The terms that stand on a screen, those in the part with the focus first."""
    focused = standing_in(text_of(screen.focused)) if screen.focused is not None else ()
    return tuple(dict.fromkeys([*focused, *standing_in(text_of(screen))]))


def text_of(part: Widget) -> str:
    """What a part of a screen says, also where it is scrolled out of sight."""
    shown = (one for one in part.walk_children(Widget, with_self=True) if one.display)
    return "\n".join(strip.text for one in shown for strip in one.render_lines(one.size.region))


def explained(term: Term) -> Content:
    """A term as one paragraph."""
    return Content.assemble((f"{term.name}: ", "bold $accent"), f"{term.says} ", (term.why, "$muted"))


class GlossaryDialog(Dialog[None]):
    """A field to search in, and the words it finds."""

    DEFAULT_CSS = """
    GlossaryDialog .dialog { height: 100%; }
    GlossaryDialog VerticalScroll { height: 1fr; margin-top: 1; scrollbar-size-vertical: 1; }
    """
    HELP_TEXT = tell("glossary.help")

    def __init__(self, here: tuple[Term, ...]) -> None:
        super().__init__()
        self.here = here

    def compose(self) -> ComposeResult:
        """Field, words, and how to leave."""
        with Vertical(classes="dialog wide"):
            yield Heading(tell("glossary.title"))
            yield Input(placeholder=tell("glossary.field"), id="sought")
            with VerticalScroll():
                yield Lines(id="told")
                yield Lines(id="words")
            yield Lines(Content.styled(tell("glossary.leave"), "$muted"))

    def on_mount(self) -> None:
        """The words of the screen below, then all."""
        self._show("")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search with every letter."""
        self._show(event.value)

    def _show(self, sought: str) -> None:
        found = looked_for(sought)
        first = () if sought.strip() else self.here
        self.query_one("#told", Lines).show(Content.styled(self._told(sought, len(found)), "$muted"))
        self.query_one("#words", Lines).show(*map(explained, dict.fromkeys([*first, *found])))
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def _told(self, sought: str, found: int) -> str:
        """How many words there are, or which one may be meant."""
        if not sought.strip():
            return tell("glossary.here") if self.here else tell("glossary.all")
        if found:
            return count("glossary.found", found)
        near = nearest(sought)
        return tell("glossary.near", word=line(sought), near=near) if near else tell("glossary.nothing")

    def on_key(self, event: events.Key) -> None:
        """From the field down to the words; tab leads back."""
        if event.key in ("down", "pagedown") and self.query_one(Input).has_focus:
            self.query_one(VerticalScroll).focus()
            event.stop()
