"""What frames every screen: top line, DEMO banner, notice line, key line."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.reactive import reactive

from appliance.words.table import tell
from tui.keys import keyed
from tui.needs import offered
from tui.text import foreign, line
from tui.widgets.drawing import Drawing

NARROW = 72  # below this many cells the key line drops its padding


class TopLine(Drawing):
    """Product, screen, role, site, and the running audit if there is one."""

    DEFAULT_CSS = "TopLine { height: 1; background: $panel; padding: 0 1; }"

    site: reactive[str] = reactive("")
    running: reactive[str] = reactive("")
    role: reactive[str] = reactive("")

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title

    def draw(self, width: int) -> list[Content]:
        """One line; the running audit pushes the site out when there is no room for both."""
        left = Content.assemble(("GradAudit", "bold $accent"), "  ", (self.title, "bold"))
        if self.role:
            left = Content.assemble(left, "  ", (tell("top.role", role=line(self.role)), "$muted"))
        right = foreign(self.running, "bold $review") if self.running else foreign(self.site, "$muted")
        room = width - left.cell_length - 2
        right = right.truncate(max(0, room), ellipsis=True)
        gap = " " * max(1, width - left.cell_length - right.cell_length)
        return [Content.assemble(left, gap, right).truncate(width)]


class Banner(Drawing):
    """Said on every screen of a demo workspace, or under a policy that calls its sample small."""

    DEFAULT_CSS = """
    Banner { display: none; padding: 0 1; background: $banner; }
    Banner.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.word, self.note = "", ""

    def say(self, word: str, note: str) -> None:
        """Show the banner; nothing is shown for an empty word."""
        self.word, self.note = word, note
        self.set_class(bool(word), "-shown")
        self.refresh(layout=True)

    def draw(self, width: int) -> list[Content]:
        """The word, then the note."""
        text = Content.assemble((f" {self.word} ", "bold $background on $review"), " ", foreign(self.note))
        return text.wrap(max(8, width)) if self.word else []


class Notice(Drawing):
    """One line for what just happened: an error with its hint, or a success."""

    DEFAULT_CSS = """
    Notice { display: none; max-height: 3; padding: 0 1; background: $panel; }
    Notice.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.text = Content("")

    def complain(self, message: str, hint: str = "") -> None:
        """An error and what to do about it."""
        self._show(f"{self.glyphs.failed} {line(message)}", "bold $fail", hint)

    def confirm(self, message: str, hint: str = "") -> None:
        """A success."""
        self._show(f"{self.glyphs.passed} {line(message)}", "bold $pass", hint)

    def clear(self) -> None:
        """Nothing to say."""
        self.text = Content("")
        self.remove_class("-shown")

    def _show(self, head: str, style: str, hint: str) -> None:
        tail = foreign(tell("notice.hint", hint=keyed(self, hint))) if hint else Content("")
        self.text = Content.assemble((head, style), "  " * bool(hint), tail)
        self.add_class("-shown")
        self.refresh(layout=True)

    def draw(self, width: int) -> list[Content]:
        """The notice, wrapped."""
        return self.text.wrap(max(8, width)) if self.text else []


class KeyLine(Drawing):
    """The keys of this screen: at most seven, and never clipped."""

    DEFAULT_CSS = "KeyLine { height: 1; dock: bottom; background: $panel; padding-left: 1; }"

    def on_mount(self) -> None:
        """Follow the screen's bindings."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def shown(self) -> list[tuple[str, str, str]]:
        """Key, its display and its label, in the order the screen declares them."""
        if not self.is_attached:
            return []
        shown: dict[str, tuple[str, str, str]] = {}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if binding.show and active.enabled and offered(active.node, binding.action):
                display = self.app.get_key_display(binding)
                shown.setdefault(binding.action, (binding.key, display, binding.description))
        return list(shown.values())

    def draw(self, width: int) -> list[Content]:
        """Padded labels, tight labels, or keys alone: the widest form that fits."""
        return [Content.assemble(*(part for _, part in self._placed(width)))]

    def _placed(self, width: int) -> list[tuple[str, Content]]:
        keys = self.shown()
        for gap, labelled in (("  ", True), (" ", True), (" ", False)):
            parts = []
            for key, display, label in keys:
                text = Content.assemble((display, "bold $accent"), f" {label}{gap}" if labelled else gap)
                parts.append((key, text))
            if sum(part.cell_length for _, part in parts) - len(gap) <= width or not labelled:
                return parts
        return []

    def on_click(self, event: events.Click) -> None:
        """A click on a label presses its key."""
        reached = 0
        for key, part in self._placed(self.content_size.width):
            reached += part.cell_length
            if event.x < reached:
                self.app.simulate_key(key)
                return
