"""Base of the screens: frame, navigation, and one way to ask the appliance and to show what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, ParamSpec, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from appliance.errors import ApplianceError, Locked, NotPermitted
from appliance.words.table import tell
from tui.places import PLACES
from tui.widgets.chrome import Banner, KeyLine, Notice, TopLine
from tui.widgets.run_progress import summary

if TYPE_CHECKING:
    from tui.app import GradAuditApp

P = ParamSpec("P")
T = TypeVar("T")

DEMO_NOTE = tell("banner.demo")

_SHOWN = 7  # keys on the key line


def navigation(here: str, *own: Binding, run: bool = True) -> list[BindingType]:
    """The bindings of a screen: the other places, its own acts, run, help, quit; seven are shown at most.

    The first places are shown where there is room for them; every place has its key and its palette entry.
    """
    others = [place for _, place, _ in PLACES if place != here]
    shown = others[: _SHOWN - sum(one.show for one in own) - run - 2]
    keys: list[BindingType] = [
        Binding(key, f"app.go('{place}')", label, show=place in shown) for key, place, label in PLACES
    ]
    keys += own
    keys.append(Binding("r,f5", "app.run_dialog", "Run", show=run))
    keys.append(Binding("question_mark,f12", "app.help", "Help"))
    keys.append(Binding("q,f10", "app.leave", "Quit"))
    return keys


class Section(Screen[None]):
    """One place of the UI. Subclasses compose `body` and load their data in `load`."""

    TITLE: ClassVar[str] = ""
    HELP_TEXT: ClassVar[str] = ""
    app: GradAuditApp

    def compose(self) -> ComposeResult:
        """The frame around `body`."""
        yield TopLine(self.TITLE)
        yield Banner()
        yield from self.body()
        yield Notice()
        yield KeyLine()

    def body(self) -> ComposeResult:
        """What the screen is about."""
        raise NotImplementedError

    async def load(self) -> None:
        """Ask the appliance and fill the body; may raise `ApplianceError`."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show what is known already, then load."""
        self.frame()
        self.reload()

    def reload(self) -> None:
        """Load again, in the background."""
        self.run_worker(self._load(), exclusive=True, group="load")

    async def _load(self) -> None:
        try:
            await self.know()
            await self.load()
        except ApplianceError as error:
            self.complain(error)

    async def know(self) -> None:
        """The site and whether it is a demonstration, where somebody left the Overview before it said so."""
        if self.app.known is None:
            self.app.known = await self.ask(self.app.backend.overview)
            self.frame()

    def frame(self) -> None:
        """Site, DEMO banner and the running audit."""
        known = self.app.known
        top = self.query_one(TopLine)
        top.site, top.role = known.site if known else "", self.app.role
        top.running = summary(self.app.running) if self.app.running else self.app.labour.summary
        if known and known.demo:
            self.query_one(Banner).say("DEMO", DEMO_NOTE)

    def complain(self, error: ApplianceError) -> None:
        """One line with a hint; a locked workspace leads back to the passphrase."""
        locked = isinstance(error, Locked) and not isinstance(error, NotPermitted)
        if locked and self.app.can_unlock:
            self.app.show_lock(str(error), error.hint)
            return
        self.query_one(Notice).complain(str(error), error.hint)

    async def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the appliance off the UI's thread, one call at a time."""
        return await self.app.ask(call, *args, **kwargs)
