"""A long act that runs beside the screens: how far it is, cancelling it, what came of it. One at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.message import Message
from textual.worker import Worker

from appliance.errors import ApplianceError
from appliance.views import Progress
from tui.words import duration

Step = Callable[[Progress], None]


class WorkCancelled(BaseException):
    """A person cancelled; raised through the appliance's progress call, so nothing takes it for a failure."""


@dataclass(slots=True)
class Work:
    """One long act.

    Attributes:
        title: what is done, as a person says it: `ingest`.
        began: of the present phase, in seconds of `clock`.
        first: units that were done when the phase began.
        told: whether the screens were told of a step and have not looked yet; more telling would only queue.
        result: what the appliance answered, once it is over.
        error: why it answered nothing.
    """

    title: str
    clock: Callable[[], float]
    step: Progress | None = None
    began: float = 0.0
    first: int = 0
    cancelled: bool = False
    told: bool = False
    over: bool = False
    result: Any = None
    error: ApplianceError | None = None

    def take(self, step: Progress) -> None:
        """One progress event; another phase begins its own clock."""
        if self.step is None or self.step.phase != step.phase:
            self.began, self.first = self.clock(), step.done
        self.step = step

    @property
    def share(self) -> float:
        """Part of the present phase that is done, 0 … 1."""
        return min(1.0, self.step.done / self.step.total) if self.step and self.step.total > 0 else 0.0

    @property
    def left(self) -> str:
        """Rate and time left of the present phase in words."""
        elapsed = self.clock() - self.began
        gained = self.step.done - self.first if self.step else 0
        if self.step is None or elapsed <= 0 or gained <= 0:
            return "time left not known yet"
        rate = gained / elapsed
        left = duration(max(0, self.step.total - self.step.done) / rate)
        return f"{rate:,.1f} {self.step.unit}/s, about {left} left"

    @property
    def summary(self) -> str:
        """One short line for the top of every screen."""
        return f"{self.title}: cancelling" if self.cancelled else f"{self.title}: {self.share * 100:.0f} %"


class WorkStepped(Message):
    """It went on; the work says how far it is."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work


class WorkEnded(Message):
    """It is over; the work says how."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work


class Labour:
    """The app's one long act: its thread talks to the screens by messages alone."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.work: Work | None = None
        self._call: Callable[[Step], Any] | None = None
        self._thread: Worker[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether one runs."""
        return self.work is not None and not self.work.over

    @property
    def summary(self) -> str:
        """For the top line; empty where nothing runs."""
        return self.work.summary if self.work is not None and self.busy else ""

    def begin(self, title: str, call: Callable[[Step], Any]) -> Work:
        """Run `call` in a thread; it is given the way to say how far it is.

        Raises:
            ApplianceError: another one runs.
        """
        if self.work is not None and not self.work.over:
            raise ApplianceError(f"{self.work.title} is under way", "wait for it, or cancel it first")
        self.work = work = Work(title, self._app.clock)
        self._call = call
        self._thread = self._app.run_worker(self._run, thread=True, group="work")
        return work

    def _run(self) -> None:
        work, call = self.work, self._call
        assert work is not None and call is not None, "begun"
        self._call = None  # the toolkit keeps its workers for a while: none may keep what this one was given

        def stepped(step: Progress) -> None:
            if work.cancelled:
                raise WorkCancelled
            work.take(step)
            if not work.told:
                work.told = True
                self._app.post_message(WorkStepped(work))

        try:
            work.result = call(stepped)
            work.cancelled = False  # too late: it is done
        except WorkCancelled:
            pass
        except ApplianceError as error:
            work.error = error
        finally:
            work.over = True
            self._app.post_message(WorkEnded(work))

    def cancel(self) -> None:
        """Stop at the next step."""
        if self.work is not None:
            self.work.cancelled = True

    async def ended(self) -> None:
        """Wait until nothing runs any more, and forget it: thread and result may hold keys."""
        thread = self._thread
        if thread is None:
            return
        await thread.wait()
        if thread is self._thread:
            self._thread = self.work = None
