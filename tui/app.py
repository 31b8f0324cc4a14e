"""The terminal UI: which screen shows what, locking, and closed exits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import IO, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from appliance.errors import ApplianceError
from appliance.spelling import started_with
from tui.acts import help_for, of_screen
from tui.backend import Backend, Door
from tui.glyphs import Spell, choose
from tui.idle import LOOK_S, Idle
from tui.keys import checked, name_all
from tui.labouring import LabouringApp
from tui.rooms import ROOMS
from tui.screens.dialog import Confirm
from tui.screens.glossary import GlossaryDialog, terms_on
from tui.screens.help import HelpDialog
from tui.screens.palette import Palette
from tui.screens.result import ResultScreen
from tui.screens.section import Section
from tui.settings import Settings, keep_theme, read, settings_path
from tui.themes import NAMES, THEMES, theme_for
from tui.watching import GOES_ON, LOOK_AT_RUNS_S, WatchingApp
from tui.work import Labour


class GradAuditApp(LabouringApp, WatchingApp):
    """The screens over one backend."""

    CSS_PATH = "app.tcss"
    TITLE = "GradAudit"

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-wide"), (110, "-very-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+l", "lock", "Lock", show=False, priority=True, id="lock"),
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True, id="quit-anywhere"),
        Binding("f8", "glossary", "Glossary", show=False, priority=True),
        Binding("ctrl+p,f9", "command_palette", "Palette", show=False, priority=True, id="palette"),
        # Before the field with the focus hears of them, so that what is typed at once after goes to the next.
        Binding("tab", "focus_next", "Next part", show=False, priority=True),
        Binding("shift+tab", "focus_previous", "Part before", show=False, priority=True),
    ]

    def __init__(
        self,
        backend: Backend | None,
        door: Door | None = None,
        clock: Callable[[], float] = time.monotonic,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        name_all()
        super().__init__(backend, door)
        self.clock = clock
        self.settings = settings
        self.glyphs = choose(environ)
        self._spell = Spell()
        self.labour = Labour(self)
        self.animation_level = "none"  # remote terminals repaint slowly; a key must act at once
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = theme_for(environ, settings.theme)
        keymap, trouble = checked(settings.keys)
        self.set_keymap(keymap)
        self._unsettled = settings.trouble or trouble

    def on_mount(self) -> None:
        """Overview, the passphrase, or a first run."""
        self.push_screen(self.first())
        self.set_interval(LOOK_S, self.lock_when_idle)
        self.set_interval(LOOK_AT_RUNS_S, self.look)
        self._watch_idle()
        if self._unsettled:
            self.call_after_refresh(self._say_unsettled)

    def _say_unsettled(self) -> None:
        self._complain(
            ApplianceError(self._unsettled, f"mend {self.settings.path}; until then keys are as shipped")
        )

    # What screens use

    def open_result(self, audit_id: str) -> None:
        """Show one audit."""
        self.last_result = audit_id
        self.switch_screen(ResultScreen(audit_id))

    # Acts

    def action_go(self, place: str) -> None:
        """Go to a screen by name."""
        if self._backend is None or not isinstance(self.screen, Section):
            return
        if place == "result":
            self.run_worker(self._go_result(self._backend), exclusive=True, group="go")
            return
        self.switch_screen(ROOMS[place]())

    async def _go_result(self, backend: Backend) -> None:
        """The result looked at last, else the newest finished one."""
        if not self.last_result:
            try:
                rows = await self.ask(backend.audits)
            except ApplianceError as error:
                self._complain_to(backend, error)
                return
            if backend is not self._backend:
                return  # locked meanwhile
            self.last_result = next((row.audit_id for row in rows if row.verdict is not None), "")
        if self.last_result:
            self.open_result(self.last_result)
        else:
            self._complain(ApplianceError("no audit has finished yet", "press r to run one"))

    def action_help(self) -> None:
        """Help for the part with the focus, then for its screen."""
        if not isinstance(self.screen, HelpDialog | Palette):
            self.push_screen(help_for(self.screen))

    def action_glossary(self) -> None:
        """Every word explained, those of this screen first."""
        if not isinstance(self.screen, GlossaryDialog | Palette):
            self.push_screen(GlossaryDialog(terms_on(self.screen)))

    def action_lock(self) -> None:
        """Lock now: content goes first, then the keys. A run has keys of its own and goes on."""
        backend = self._backend
        if backend is None:
            return
        self.labour.cancel()
        if self.can_unlock:
            self.show_lock(f"locked; {GOES_ON}" if self.running is not None else "locked")
        self.run_worker(self._lock(backend), group="lock")

    def _watch_idle(self) -> None:
        if self._backend is not None:
            self.run_worker(self._ask_idle(self._backend), group="idle")

    async def _ask_idle(self, backend: Backend) -> None:
        try:
            self.idle = Idle(await self.ask(backend.auto_lock_minutes))
        except ApplianceError as error:
            self._complain_to(backend, error)

    async def _lock(self, backend: Backend) -> None:
        await self.labour.ended()  # its thread still reads with the keys
        try:
            await self.ask(backend.lock)
        except ApplianceError as error:
            self._complain(error)
        if not self.can_unlock:
            self.exit(0)

    async def action_leave(self) -> None:
        """Quit, after a question where that ends long work; a run goes on, which is said."""
        if self.labour.busy:
            question = f"Quitting stops this work: {self.labour.summary}"
            self.push_screen(Confirm(question, "Quit", keep="Stay"), self._left)
            return
        self._leave()

    def _left(self, answer: bool | None) -> None:
        if answer:
            self.labour.cancel()
            self._leave()

    def _leave(self) -> None:
        said = f"{GOES_ON}: `gradaudit runs ls` shows it" if self.running is not None else None
        self.exit(0, message=said)

    # Palette and help

    def action_command_palette(self) -> None:
        """Open the palette."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything that can be done now, with its key, and nothing of the toolkit's own."""
        for doing in of_screen(screen):
            yield SystemCommand(
                doing.act.label,
                f"key {doing.act.keys}",
                partial(self.run_action, doing.action, default_namespace=doing.node),
            )
        for name in NAMES:
            now = " (now)" if name == self.theme else ""
            yield SystemCommand(f"Colours: {name}", f"theme{now}", partial(self._recolour, name))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """On a plain terminal everything is spelt in ASCII, whoever drew it."""
        filters = super().get_line_filters()
        return [*filters, self._spell] if self.glyphs.plain else filters

    def _recolour(self, name: str) -> None:
        """Change colours, and begin with them the next time."""
        self.theme = name
        try:
            self.settings = keep_theme(self.settings, name)
        except OSError:
            self._complain(ApplianceError("the colours could not be kept", f"check {self.settings.path}"))


def run(backend: Backend | None, door: Door | None = None, error_file: IO[str] | None = None) -> int:
    """Open the screens and return the exit code.

    Args:
        backend: An unlocked workspace, or None to ask for the passphrase first, or to make a workspace.
        door: Opens the workspace with a passphrase, or makes it. Without it, locking ends the program.
        error_file: Where a fault's line goes; standard error when None.
    """
    environ = started_with()
    app = GradAuditApp(backend, door, settings=read(settings_path(environ)), environ=environ)
    if error_file is not None:
        app.error_console.file = error_file
    result = app.run()
    return app.return_code or (result or 0)
