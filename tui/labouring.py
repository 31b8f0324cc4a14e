"""What the app does with its one long act: show how far it is, and say what came of it."""

from __future__ import annotations

from tui.backend import Backend
from tui.entering import EnteringApp
from tui.screens.section import Section
from tui.screens.working import WorkDialog
from tui.widgets.chrome import Notice, TopLine
from tui.work import Labour, Work, WorkEnded, WorkStepped


class LabouringApp(EnteringApp):
    """An app that can do something long."""

    labour: Labour

    def lock_when_idle(self) -> None:
        """Nobody is there: content goes now, the keys when long work has ended."""
        backend = self._backend
        if not self.labour.busy:
            super().lock_when_idle()
        elif self.idle.over() and self.can_unlock and backend is not None:
            self.show_lock("locked; the work goes on, and its keys go when it has ended")
            self.run_worker(self._lock(backend), group="lock")

    async def _lock(self, backend: Backend) -> None:
        raise NotImplementedError

    def on_work_stepped(self, message: WorkStepped) -> None:
        """Progress; a slow terminal skips what it has no time for."""
        message.work.told = False
        self._show_work()

    def on_work_ended(self, message: WorkEnded) -> None:
        """Say it in the dialog, where one is open; else in one line, on whatever screen there is."""
        self._show_work()
        dialogs = [screen for screen in self.screen_stack if isinstance(screen, WorkDialog)]
        for dialog in dialogs:
            dialog.ended(message.work)
        for section in self._sections() if not dialogs else ():
            self._tell(section, message.work)

    def _tell(self, section: Section, work: Work) -> None:
        notice = section.query_one(Notice)
        if work.error is not None:
            notice.complain(f"{work.title}: {work.error}", work.error.hint)
        elif work.cancelled:
            notice.complain(f"{work.title} was cancelled", "nothing is half done")
        else:
            notice.confirm(f"{work.title} is done")
            section.reload()

    def _show_work(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, WorkDialog):
                screen.stepped()
        for section in self._sections():
            section.frame()

    def _sections(self) -> list[Section]:
        """Screens in sight or below a dialog; none of those that come or go."""
        return [one for one in self.screen_stack if isinstance(one, Section) and one.query(TopLine)]
