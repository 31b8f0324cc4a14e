"""How far a running audit is: phases, rate and time left, from progress events and a clock. Draws nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.views import Progress


@dataclass(slots=True)
class Phase:
    """One phase of the run; times in seconds on the run's clock."""

    name: str
    unit: str
    began: float
    latest: float
    first_done: int
    done: int
    total: int

    @property
    def share(self) -> float:
        """Part of the phase that is done, 0 … 1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    @property
    def rate(self) -> float | None:
        """Units per second, None before the second event."""
        elapsed = self.latest - self.began
        gained = self.done - self.first_done
        return gained / elapsed if elapsed > 0 and gained > 0 else None

    def left(self, now: float) -> float | None:
        """Seconds until the phase ends at its present rate, None when nobody can say."""
        if self.rate is None or self.total <= 0:
            return None
        return max(0.0, (self.total - self.done) / self.rate - (now - self.latest))


@dataclass(slots=True)
class Running:
    """The audit in progress, as the screens show it."""

    model: str
    cohort: str
    policy: str
    clock: Callable[[], float]
    began: float = 0.0
    phases: list[Phase] = field(default_factory=list)
    cancelled: bool = False

    def __post_init__(self) -> None:
        self.began = self.clock()

    def step(self, step: Progress) -> None:
        """Take one progress event; a new phase name opens a phase."""
        now = self.clock()
        if not self.phases or self.phases[-1].name != step.phase:
            self.phases.append(Phase(step.phase, step.unit, now, now, step.done, step.done, step.total))
            return
        phase = self.phases[-1]
        phase.done, phase.total, phase.latest = step.done, step.total, now

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.began

    @property
    def summary(self) -> str:
        """One short line for the top of every screen."""
        if self.cancelled:
            return "audit: cancelling"
        if not self.phases:
            return "audit: starting"
        return f"audit: {self.phases[-1].name} {self.phases[-1].share * 100:.0f} %"
