"""How far an audit is and how long it still takes: from its trial at registration, then from its own rate.

Pure: events and seconds in, numbers out. What is planned for a phase comes from the model's trial; every
phase of pairs that was measured since says how far the trial was off, and corrects what is to come. The phase
at work goes by its own rate as soon as it has one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from appliance.runs.views import PhaseView
from appliance.views import Progress

if TYPE_CHECKING:
    from audit_core.estimates import Trial

PAIRS: Final = "pairs"
OPEN, REFERENCES, SIGNALS, READINGS, BASE, SHUFFLED, JUDGE = (
    "open", "references", "signals", "readings", "base model", "shuffled pairs", "judge"
)  # fmt: skip
JUDGING: Final = ("detectors", "controls", "exposure", "findings")  # its steps, as a result times them
_START_S: Final = 8.0  # a worker closes its box and imports its libraries
_JUDGE_S: Final = 10.0  # where no audit of this site says how long judging takes
_MARKS: Final = 16  # events that the rate goes by
_MARK_S: Final = 2.0  # at least so far apart
_PRIOR_S: Final = 5.0  # what the trial weighs against what was measured since
_LEAST_SHARE: Final = 0.02  # of a phase, before it says anything of the others
_SHARE, _TOOK_S = 0.25, 10.0  # of a phase, before its own rate is believed: its first batch is slow


def planned(
    trial: Trial | None,
    roles: Mapping[str, int],
    *,
    has_base: bool,
    passes: float = 0.0,
    judge_s: float | None = None,
) -> dict[str, float]:
    """Seconds by phase, in their order; nothing where the model was never tried.

    Args:
        trial: of the model.
        roles: pairs of the cohort by role.
        has_base: whether a base model is read as well.
        passes: further forward passes a pair, what its readings declare.
        judge_s: what judging took last.
    """
    if trial is None:
        return {}
    pairs = sum(roles.values())
    members, fitting = roles.get("member", 0), roles.get("fitting", 0)
    known = members + fitting if members else fitting
    forward_s = pairs * trial.forward_s / (2 if has_base else 1)
    return {
        OPEN: _START_S + trial.open_s,
        REFERENCES: (members or fitting) * trial.reference_s,
        SIGNALS: known * trial.fold_s + (pairs - known) * trial.signal_s + trial.bank_s,
        READINGS: passes * forward_s,
        **({BASE: forward_s} if has_base else {}),
        SHUFFLED: forward_s,
        JUDGE: _JUDGE_S if judge_s is None else judge_s,
    }


@dataclass(slots=True)
class Phase:
    """One phase; times in seconds of one clock.

    Attributes:
        planned: its name in the plan; empty where it is not in it.
    """

    name: str
    planned: str
    unit: str
    began: float
    latest: float
    done: int
    total: int
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_MARKS))

    def step(self, now: float, done: int, total: int) -> None:
        """Take one event."""
        self.latest, self.done, self.total = now, done, total
        if not self.marks or now - self.marks[-1][0] >= _MARK_S:
            self.marks.append((now, done))

    @property
    def rate(self) -> float | None:
        """Units a second lately, None before the second event: steps that were kept go by in no time."""
        if not self.marks:
            return None
        since, done = self.marks[0]
        elapsed, gained = self.latest - since, self.done - done
        return gained / elapsed if elapsed > 0 and gained > 0 else None

    @property
    def share(self) -> float:
        """Part of it that is done, 0 … 1."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    def view(self) -> PhaseView:
        """As a screen shows it."""
        return PhaseView(self.name, self.unit, self.done, self.total, self.latest - self.began, self.rate)


class Meter:
    """Follows one audit.

    Args:
        began: seconds.
        plan: see `planned`; phases that are not in it are taken to be short.
    """

    def __init__(self, began: float, plan: Mapping[str, float]) -> None:
        self.began = began
        self.phases: list[Phase] = []
        self._plan = dict(plan)

    def step(self, step: Progress, now: float) -> None:
        """Take one progress event; a new phase name opens a phase."""
        if not self.phases or self.phases[-1].name != step.phase:
            if self.phases:
                self.phases[-1].latest = now
            planned = self._planned_as(step.phase, step.unit)
            self.phases.append(Phase(step.phase, planned, step.unit, now, now, step.done, step.total))
        self.phases[-1].step(now, step.done, step.total)

    def left_s(self, now: float) -> float | None:
        """Seconds until the end; None where nothing was planned and the phase at work has no rate."""
        if not self.phases:
            return max(0.0, sum(self._plan.values()) - (now - self.began)) if self._plan else None
        here = self._left_here(self.phases[-1], now)
        return None if here is None else here + self._to_come()

    def _planned_as(self, name: str, unit: str) -> str:
        """A reading goes by its own name, and signals of shuffled pairs are signals once more."""
        begun = {phase.planned for phase in self.phases}
        likely = name if name in self._plan else READINGS if unit == PAIRS else ""
        if likely == SIGNALS and SIGNALS in begun:
            likely = SHUFFLED
        return likely if likely in self._plan and likely not in begun else ""

    def _left_here(self, present: Phase, now: float) -> float | None:
        since = now - present.latest
        known = present.share >= _SHARE or present.latest - present.began >= _TOOK_S or not present.planned
        if present.rate is not None and known:
            return max(0.0, (present.total - present.done) / present.rate - since)
        if not present.planned:
            return 0.0 if self._plan else None
        whole = self._plan[present.planned] * (self._pace() if present.unit == PAIRS else 1.0)
        return max(0.0, whole * (1 - present.share) - since)

    def _to_come(self) -> float:
        """Seconds of the phases behind the last one that was planned."""
        names, pace = list(self._plan), self._pace()
        at = max((names.index(phase.planned) for phase in self.phases if phase.planned), default=-1)
        return sum(self._plan[name] * (1.0 if name in (OPEN, JUDGE) else pace) for name in names[at + 1 :])

    def _pace(self) -> float:
        """How much longer than planned the pairs have taken so far; a short first phase says little."""
        took = planned = _PRIOR_S
        for phase in self.phases:
            if phase.planned and phase.unit == PAIRS and phase.share >= _LEAST_SHARE:
                took += phase.latest - phase.began
                planned += self._plan[phase.planned] * phase.share
        return took / planned
