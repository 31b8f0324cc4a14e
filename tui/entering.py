"""Coming in: which screen is first, who is there, and what that role may do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, ParamSpec, TypeVar

from textual.actions import ActionParseResult
from textual.dom import DOMNode
from textual.screen import Screen

from appliance.errors import ApplianceError, NotPermitted
from appliance.setup_view import STEPS
from tui.backend import Backend, Door
from tui.idle import LockingApp
from tui.needs import needed
from tui.screens.dialog import Dialog
from tui.screens.overview import OverviewScreen
from tui.screens.palette import Palette
from tui.screens.unlock import UnlockScreen
from tui.screens.wizard import WizardScreen
from tui.widgets.chrome import Notice

if TYPE_CHECKING:
    from appliance.views import OverviewView

P = ParamSpec("P")
T = TypeVar("T")


class EnteringApp(LockingApp):
    """An app that asks who comes in, and refuses what the role may not do before it asks for details.

    Args:
        backend: the open workspace; None to ask for the passphrase, or to make a workspace.
        door: opens it; without one, locking ends the program.

    Attributes:
        role: of whoever is signed in; empty for nobody.
        may: the acts of that role.
    """

    NEEDS: ClassVar[Mapping[str, str]] = {"run_dialog": "queue_audit"}

    def __init__(self, backend: Backend | None, door: Door | None) -> None:
        super().__init__()
        self._backend = backend
        self.door = door
        self.known: OverviewView | None = None
        self.last_result = ""
        self._turn = asyncio.Lock()

    @property
    def backend(self) -> Backend:
        """The unlocked workspace."""
        assert self._backend is not None, "no screen but the passphrase is shown while locked"
        return self._backend

    @property
    def can_unlock(self) -> bool:
        """Whether a passphrase can be asked for here."""
        return self.door is not None

    @property
    def the_door(self) -> Door:
        """What makes and opens the workspace."""
        assert self.door is not None, "nobody comes in here without a door"
        return self.door

    @property
    def role(self) -> str:
        """Of whoever is signed in."""
        return self._backend.role if self._backend is not None else ""

    @property
    def may(self) -> frozenset[str]:
        """What that role may do."""
        return self._backend.may() if self._backend is not None else frozenset()

    async def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the backend off the UI's thread, one call at a time."""
        async with self._turn:
            return await asyncio.to_thread(call, *args, **kwargs)

    def first(self) -> Screen[None]:
        """The screen to begin with: a first run, the passphrase, or the overview."""
        if self._backend is not None:
            step = self._step(self._backend)
            return WizardScreen(step) if step else OverviewScreen()
        assert self.door is not None, "nothing is open, and nothing can be opened"
        return UnlockScreen() if self.door.built else WizardScreen()

    def _step(self, backend: Backend) -> str:
        """Where a first run goes on; empty where none is under way, or for whoever has no part in it."""
        with suppress(ApplianceError):  # which the overview says
            step = backend.setup().step if "leave_setup" in self.may else ""
            return step if step in STEPS else ""
        return ""

    def entered(self, backend: Backend) -> None:
        """The workspace is open; what is on the screen stays."""
        self._backend = backend
        self._watch_idle()

    def opened(self, backend: Backend) -> None:
        """The passphrase was right."""
        self.entered(backend)
        self.switch_screen(self.first())

    def show_lock(self, message: str = "", hint: str = "") -> None:
        """Take everything off the screen and ask for the passphrase."""
        self.known, self.last_result, self._backend = None, "", None
        while len(self.screen_stack) > 2:
            self.workers.cancel_node(self.screen)
            self.pop_screen()
        self.switch_screen(UnlockScreen(message, hint))

    def _watch_idle(self) -> None:
        """Begin to look whether somebody is there."""
        raise NotImplementedError

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Do it, or say who may; a refusal is an entry in the log."""
        if self._backend is not None and isinstance(action, str):
            act = needed(default_namespace or self, action)
            if act and act not in self.may:
                self.run_worker(self._refuse(self._backend, act), group="refuse")
                return True
        return await super().run_action(action, default_namespace, namespaces)

    async def _refuse(self, backend: Backend, act: str) -> None:
        try:
            await self.ask(backend.expect_permission, act)
        except NotPermitted as refusal:
            self._complain_to(backend, refusal)

    def _notices(self) -> Iterator[Notice]:
        """The notice lines of the screens in sight, dialogs apart."""
        for screen in self.screen_stack:
            if not isinstance(screen, Dialog | Palette):
                yield from screen.query(Notice)

    def _confirm(self, message: str, hint: str = "") -> None:
        """One line for what was done."""
        for notice in self._notices():
            notice.confirm(message, hint)

    def _complain(self, error: ApplianceError) -> None:
        """One line for what was not."""
        for notice in self._notices():
            notice.complain(str(error), error.hint)

    def _complain_to(self, backend: Backend, error: ApplianceError) -> None:
        """The same, unless whoever asked `backend` has locked it meanwhile: it is not for the next person."""
        if backend is self._backend:
            self._complain(error)
