"""What a screen shows of an audit that was asked for and has not ended. Frozen, no patient, torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RunState(StrEnum):
    """How a run stands; `waiting`, `paused` and `interrupted` hold no memory."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PhaseView:
    """One phase of a running audit.

    Attributes:
        done: of `total`, in `unit`.
        took_s: seconds from its first event to its last.
        rate: units a second lately; None before the second event.
    """

    name: str
    unit: str
    done: int
    total: int
    took_s: float
    rate: float | None

    @property
    def share(self) -> float:
        """Part of the phase that is done, 0 … 1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0


@dataclass(frozen=True, slots=True)
class RunView:
    """One audit in the queue, at work, or cut off.

    Attributes:
        run_id: the audit's id, from the moment it is asked for.
        place: in the queue, from 1; 0 for what does not wait.
        asked_utc: when.
        why: why it does not go on, and what helps; else empty.
        here: at work in its own process, which pauses and cancels it; not in a terminal's foreground.
        phases: of a running one, from the first to the present one.
        elapsed_s: seconds since it was begun or resumed; None where it is not at work.
        left_s: seconds that are left, by the trial at registration and the rate since; None where nobody
            can say.
    """

    run_id: str
    state: RunState
    model: str
    cohort: str
    policy: str
    place: int
    asked_utc: str
    why: str = ""
    here: bool = False
    phases: tuple[PhaseView, ...] = ()
    elapsed_s: float | None = None
    left_s: float | None = None

    @property
    def at_work(self) -> bool:
        """Whether a process works on it at this moment."""
        return self.state in (RunState.RUNNING, RunState.PAUSING, RunState.CANCELLING)

    @property
    def share(self) -> float | None:
        """Part of the time that is over, 0 … 1; None where nobody can say."""
        if self.elapsed_s is None or self.left_s is None:
            return None
        whole = self.elapsed_s + self.left_s
        return self.elapsed_s / whole if whole > 0 else 0.0
