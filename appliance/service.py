"""`gradaudit serve`: looks every minute for runs that are due, and starts them. systemd supervises it.

What a receiver has sealed meanwhile it takes into the workspace; trouble with that has its own pauses, and
neither keeps runs waiting nor ends it.

It never trusts a long sleep: whatever clocks do, it looks again within a minute. What goes wrong is said,
counted and tried again later, further apart each time; only a log or workspace that is not what was signed
ends it, since going on would write into what has to be kept as it is.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from appliance.carried_out import Stopped
from appliance.errors import ApplianceError, Busy, IntegrityError, Locked, LockedOut, UsageError
from appliance.receiver.spool import ForeignSpool
from appliance.redaction import fault_line
from appliance.words.table import count, tell

if TYPE_CHECKING:
    from appliance.api import Appliance
    from appliance.schedule_views import StartedRun
    from appliance.supervisor import Supervisor
    from appliance.views import Progress

MINUTE_S: Final = 60.0
_LONGEST_S: Final = 3600.0  # between two tries where something stays wrong


class Service:
    """The daemon, for one workspace.

    Args:
        opening: opens it; called again where what was open cannot go on.
        supervisor: is told.
        say: one line for whoever reads its output.
        on_started: takes what was started.
    """

    def __init__(
        self,
        opening: Callable[[], Appliance],
        supervisor: Supervisor,
        say: Callable[[str], None],
        on_started: Callable[[tuple[StartedRun, ...]], None] = lambda _: None,
    ) -> None:
        self._opening = opening
        self._supervisor = supervisor
        self._say = say
        self._on_started = on_started
        self._stop = threading.Event()
        self._open: Appliance | None = None
        self._failures = 0
        self._receiving_failures, self._receiving_again_s = 0, -math.inf

    def stop(self) -> None:
        """End it after the step at work; called by a signal."""
        self._stop.set()

    def run(self) -> None:
        """Look until it is stopped.

        Raises:
            Locked, UsageError: the workspace could not be opened when it began.
            IntegrityError: log or workspace are not what was signed.
        """
        failed = True
        try:
            pause = self._begun()
            self._supervisor.ready()
            self._say(tell("service.ready"))
            while not self._stop.is_set():
                self._wait(pause)
                pause = self.look() if not self._stop.is_set() else 0.0
            failed = False
        except KeyboardInterrupt:
            failed = False
            raise
        finally:
            self._supervisor.stopping()
            self._close(failed=failed)

    def look(self) -> float:
        """Start what is due and take in what was received, once; returns seconds to wait until the next look.

        Raises:
            IntegrityError: log or workspace are not what was signed.
        """
        try:
            self._tell(self._opened().run_due(self._step))
        except Stopped:
            return 0.0
        except IntegrityError:
            raise
        except Exception as error:  # noqa: BLE001 - a daemon goes on; a fault id may be said, no value
            return self._failed(error)
        self._failures = 0
        return self._received()

    # -- how it is done --------------------------------------------------------------------------------

    def _begun(self) -> float:
        """Open the workspace; seconds to wait where it cannot be opened at this moment. Raises as `run`."""
        try:
            self._opened()
        except LockedOut as error:  # somebody typed wrong secrets in its name: that passes
            return self._failed(error)
        except (Locked, UsageError, IntegrityError):
            raise
        except Exception as error:  # noqa: BLE001 - as in `look`
            return self._failed(error)
        return 0.0

    def _opened(self) -> Appliance:
        if self._open is None:
            opened = self._opening()
            try:
                opened.begin_service()
            except BaseException:
                opened.close()
                raise
            self._open = opened
        return self._open

    def _close(self, *, failed: bool) -> None:
        """Close it after an entry, where one can be written."""
        opened, self._open = self._open, None
        if opened is not None:
            with suppress(ApplianceError):
                opened.end_service(failed=failed)
            with suppress(ApplianceError):
                opened.close()

    def _received(self) -> float:
        """Take in what was received, unless that failed just now; seconds to wait until the next look.

        Raises:
            IntegrityError: log or workspace are not what was signed.
        """
        if self._open is not None and time.monotonic() >= self._receiving_again_s:
            try:
                self._open.take_received(self._step)
                self._receiving_failures = 0
            except Stopped:
                return 0.0
            except Exception as error:
                if isinstance(error, IntegrityError) and not isinstance(error, ForeignSpool):
                    raise
                self._receiving_failures += 1
                pause, told = _trouble(error, self._receiving_failures)
                self._say(tell("service.receiving", **told))
                self._receiving_again_s = time.monotonic() + pause - MINUTE_S / 2  # looks come by the minute
                if not isinstance(error, ApplianceError):
                    self._close(failed=True)
        if self._receiving_failures:
            self._supervisor.alive(count("service.receiving.failing", self._receiving_failures))
        return _to_next_minute()

    def _failed(self, error: Exception) -> float:
        """Say it, open anew at the next look where that may help, and wait longer each time."""
        self._failures += 1
        pause, told = _trouble(error, self._failures)
        self._say(tell("service.failed", **told))
        self._supervisor.alive(count("service.failing", self._failures))
        if not isinstance(error, Busy):
            self._close(failed=True)
        return pause

    def _tell(self, started: tuple[StartedRun, ...]) -> None:
        if started:
            self._on_started(started)
        for row in started:
            why = row.why or tell("service.queued" if row.audit else "service.nothing")
            self._say(f"{row.schedule}: {row.model}: {why}")
        self._supervisor.alive(tell("service.status", started=sum(bool(row.audit) for row in started)))

    def _step(self, step: Progress) -> None:
        """At every piece that is read, and every second of waiting for a worker or another writer.

        systemd hears of it, and a signal is heeded.
        """
        self._supervisor.alive()
        if self._stop.is_set():
            raise Stopped

    def _wait(self, seconds: float) -> None:
        """Wait, never longer than a minute at a time, until somebody stops it."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._stop.wait(min(left, MINUTE_S)):
            self._supervisor.alive()


def _trouble(error: Exception, failures: int) -> tuple[float, dict[str, str]]:
    """Seconds until it is tried again, longer each time; and why, and when, in words."""
    why = str(error) if isinstance(error, ApplianceError) else fault_line(error)
    pause = MINUTE_S if isinstance(error, Busy) else min(MINUTE_S * 2 ** (failures - 1), _LONGEST_S)
    return pause, {"why": why, "again": count("service.again", round(pause / MINUTE_S))}


def _to_next_minute() -> float:
    """Seconds until the machine's clock shows the next minute: runs are due at whole ones."""
    return MINUTE_S - time.time() % MINUTE_S
