"""The steps of a long piece of work: told as they end, with the seconds of each."""

from __future__ import annotations

import time
from collections.abc import Sequence

from audit_core.results import Progress, Timing
from audit_core.samples import ReportProgress


class StepClock:
    """Tells progress and keeps the seconds of each step.

    Args:
        steps: their names, in order.
        progress: called once a step.
    """

    def __init__(self, steps: Sequence[str], progress: ReportProgress) -> None:
        self._steps = steps
        self._progress = progress
        self.timings: list[Timing] = []
        self._started = time.perf_counter()

    def step(self) -> None:
        """A step has ended."""
        now = time.perf_counter()
        self.timings.append(Timing(self._steps[len(self.timings)], now - self._started))
        self._started = now
        self._progress(Progress("judge", len(self.timings), len(self._steps), "steps"))
