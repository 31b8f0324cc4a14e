"""The queue of the simulator: one run at work, which moves by one step for each permit of its gate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from appliance.runs.views import PhaseView, RunState, RunView

PHASES = (
    ("identity", 12, "files"),
    ("signals", 174, "pairs"),
    ("shuffled pairs", 174, "pairs"),
    ("spike-in", 28, "pairs"),
)
EVENTS = tuple(
    (name, done, total, unit)
    for name, total, unit in PHASES
    for done in range(0, total + 1, max(1, total // 12))
)
RATE = 14.0  # units a second


class SimulatedRuns:
    """Jobs in memory.

    Args:
        ended: told of a run that has come to its end.
        gate: waited for before every step; without one a run stays where it is.
        pause_s: seconds a step takes where there is no gate.
    """

    def __init__(
        self, ended: Callable[[RunView], None], gate: threading.Semaphore | None = None, pause_s: float = 0.0
    ) -> None:
        self.ended, self.gate, self.pause_s = ended, gate, pause_s
        self.known: list[RunView] = []
        self.steps: dict[str, int] = {}
        self._asked = 3
        self._moved = time.monotonic()

    def queue(self, model: str, cohort: str, policy: str) -> RunView:
        """One more, behind the others."""
        self._asked += 1
        run_id = f"a-{self._asked:04d}"
        self.steps[run_id] = 0
        asked = "2026-11-21T09:00:00Z"
        self.known.append(RunView(run_id, RunState.WAITING, model, cohort, policy, 0, asked, here=True))
        self._settle()
        return self.one(run_id)

    def one(self, run_id: str) -> RunView:
        """As it stands."""
        return next(self._view(run) for run in self.known if run.run_id == run_id)

    def look(self) -> tuple[RunView, ...]:
        """All, after the one at work has moved."""
        while any(run.state is RunState.RUNNING for run in self.known) and self._may_move():
            run = next(run for run in self.known if run.state is RunState.RUNNING)
            self.steps[run.run_id] += 1
            if self.steps[run.run_id] > len(EVENTS):
                self.known.remove(run)
                self.ended(run)
                self._settle()
        return tuple(self._view(run) for run in self.known)

    def change(self, run_id: str, state: RunState, *, first: bool = False) -> RunView:
        """An order was given."""
        run = next(run for run in self.known if run.run_id == run_id)
        place = self.known.index(run)
        self.known.remove(run)
        self.known.insert(0 if first else place, replace(run, state=state))
        self._settle()
        return self.one(run_id)

    def drop(self, run_id: str) -> None:
        """It is given up."""
        self.known = [run for run in self.known if run.run_id != run_id]
        self._settle()

    def _may_move(self) -> bool:
        if self.gate is not None:
            return self.gate.acquire(blocking=False)
        if not self.pause_s or time.monotonic() - self._moved < self.pause_s:
            return False
        self._moved += self.pause_s
        return True

    def _settle(self) -> None:
        """One works, the others wait in their order."""
        if not any(run.state is RunState.RUNNING for run in self.known):
            waiting = next((run for run in self.known if run.state is RunState.WAITING), None)
            if waiting is not None:
                self.known[self.known.index(waiting)] = replace(waiting, state=RunState.RUNNING)
                self._moved = time.monotonic()
        places = [run.run_id for run in self.known if run.state is RunState.WAITING]
        self.known = [
            replace(run, place=places.index(run.run_id) + 1 if run.run_id in places else 0)
            for run in self.known
        ]

    def _view(self, run: RunView) -> RunView:
        if run.state is not RunState.RUNNING:
            return run
        seen = EVENTS[: self.steps[run.run_id]]
        told: dict[str, Any] = {name: (name, done, total, unit) for name, done, total, unit in seen}
        phases = tuple(
            PhaseView(name, unit, done, total, done / RATE, RATE if done else None)
            for name, done, total, unit in told.values()
        )
        done = sum(phase.done for phase in phases)
        whole = sum(total for _, total, _ in PHASES)
        return replace(run, phases=phases, elapsed_s=done / RATE, left_s=(whole - done) / RATE)
