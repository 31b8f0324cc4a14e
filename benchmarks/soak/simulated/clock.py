"""Simulated time: a machine's own clock that people set, the time since its start, and the true time.

Everything the appliance asks for the time goes to the one `SimulatedClock` while `running` lasts; children
that are forked meanwhile take it along as it stands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from unittest import mock

from appliance.evidence.clock import SystemClock


@dataclass
class SimulatedClock:
    """Attributes:
    true: what a perfect clock would show, UTC.
    started: when the machine was switched on last.
    off_by: what people have set it wrong by.
    boots: how often it was switched on.
    """

    true: datetime
    started: datetime
    off_by: timedelta = timedelta()
    boots: int = 1

    @property
    def shown(self) -> datetime:
        """What the machine says, UTC."""
        return self.true + self.off_by

    def boot_ns(self) -> int:
        """Since the machine was switched on."""
        return round((self.true - self.started).total_seconds() * 1e9) + 10**9

    def switch_on(self) -> None:
        """A new start of the machine."""
        self.started, self.boots = self.true, self.boots + 1


class _Times(type(datetime)):  # type: ignore[misc]
    """What is a real time is one of the simulated kind too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, datetime)


@contextmanager
def running(clock: SimulatedClock) -> Iterator[None]:
    """Let this clock be the machine's."""

    class Simulated(datetime, metaclass=_Times):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return clock.shown if tz is UTC else clock.shown.astimezone(tz)

    with ExitStack() as held:
        for name, module in list(sys.modules.items()):
            if name.startswith("appliance.") and getattr(module, "datetime", None) is datetime:
                held.enter_context(mock.patch.object(module, "datetime", Simulated))
        shown = lambda _: round(clock.shown.timestamp() * 1000)  # noqa: E731
        held.enter_context(mock.patch.object(SystemClock, "utc_ms", shown))
        held.enter_context(mock.patch.object(SystemClock, "boot_ns", lambda _: clock.boot_ns()))
        yield
