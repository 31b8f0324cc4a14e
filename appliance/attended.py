"""Who looks after the schedules: a daemon that begins and ends, and what anybody may know of it.

Every look leaves its time in `service.beat`. A daemon compares the machine's two clocks between two looks, so
that a clock that is set while nothing happens is an entry of the log too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from appliance import beat
from appliance.evidence.clock import gained_ms
from appliance.schedule_views import StartedRun
from appliance.scheduled import Scheduled
from appliance.service_views import ServiceView
from appliance.views import Progress

Step = Callable[[Progress], None]
BEGIN, END, CLOCK = "service.begin", "service.end", "service.clock"
_JUMP_MS: Final = 120_000  # what a time service corrects in small steps is no jump


class Attended(Scheduled):
    """The acts of whoever looks after the schedules."""

    _looked_at: tuple[int, int] | None = None  # of a daemon: both clocks when it looked last

    def begin_service(self) -> None:
        """A daemon begins to look after the schedules."""
        self._record(BEGIN, self._workspace.workspace_id, "done")
        self._looked_at = self._clocks()

    def end_service(self, *, failed: bool = False) -> None:
        """It ends: because somebody wants it to, or because it cannot go on."""
        self._record(END, self._workspace.workspace_id, "failed" if failed else "done")
        self._looked_at = None

    def run_due(self, step: Step = lambda _: None) -> tuple[StartedRun, ...]:
        """As `DueRuns.run_due`; that somebody looked is told."""
        kind = beat.TIMER
        if self._looked_at is not None:
            kind, before = beat.DAEMON, self._looked_at
            self._looked_at = self._clocks()
            if abs(gained_ms(*before, *self._looked_at)) > _JUMP_MS:
                self._record(CLOCK, self._workspace.workspace_id, "noted")
        beat.write(self._workspace.root, kind, self._machine, self._now())
        return super().run_due(step)

    def service(self) -> ServiceView:
        """Who looks after the schedules, and when somebody did last."""
        return beat.seen(beat.read(self._workspace.root), self._now(), self._machine)

    def _clocks(self) -> tuple[int, int]:
        clock = self._log.clock
        return clock.utc_ms(), clock.boot_ns()

    def _service_needs(self) -> tuple[str, ...]:
        """That nobody looks after schedules that are there."""
        view = self.service()
        return (view.told,) if view.silent and self._kept() else ()
