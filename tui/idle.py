"""Nobody at the keyboard: the screens lock themselves."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import events

from tui.closed import ClosedApp

LOOK_S = 5.0  # between two looks at whether somebody is there


def boot_s() -> float:
    """Seconds since the machine started: nobody sets it, and a closed lid counts."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Idle:
    """Knows when a key was pressed last.

    Args:
        minutes: without a key after which it is over; 0 for never.
        clock: seconds.
    """

    def __init__(self, minutes: int, clock: Callable[[], float] = boot_s) -> None:
        self.minutes = minutes
        self._clock = clock
        self._last = clock()

    def touch(self) -> None:
        """Somebody is there."""
        self._last = self._clock()

    def since(self) -> float:
        """Seconds without a key."""
        return self._clock() - self._last

    def over(self) -> bool:
        """Whether the pause was long enough."""
        return self.minutes > 0 and self.since() >= 60 * self.minutes


class LockingApp(ClosedApp):
    """An app that locks when nobody is there."""

    idle = Idle(0)

    def action_lock(self) -> None:
        """Lock now; nothing where it is locked already."""
        raise NotImplementedError

    async def on_event(self, event: events.Event) -> None:
        """Any key or movement says that somebody is there; one that comes after leaving is for nobody."""
        if isinstance(event, events.InputEvent | events.Paste):
            if self._exit:
                return
            self.idle.touch()
        await super().on_event(event)

    def lock_when_idle(self) -> None:
        """Look whether somebody is there, and lock if not."""
        if self.idle.over():
            self.action_lock()
