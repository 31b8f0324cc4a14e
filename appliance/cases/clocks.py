"""The legal clocks of a case, as a pure function of time passed and of when a decision answered them.

Both run from first knowledge, in hours of 3,600 seconds and days of 24 hours, weekends and holidays included.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from appliance.cases.views import ClockState, ClockView

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS


@dataclass(frozen=True, slots=True)
class Clock:
    """One time limit.

    Attributes:
        name: as people say it.
        law: where it stands.
    """

    name: str
    law: str
    limit_ms: int


CLOCKS: Final = (
    Clock("72h", "GDPR Art. 33(1)", 72 * _HOUR_MS),
    Clock("60d", "45 CFR 164.404(b)", 60 * _DAY_MS),
)
NAMES: Final = tuple(clock.name for clock in CLOCKS)


def reading(clock: Clock, passed_ms: int, answered_ms: int | None, now_ms: int) -> ClockView:
    """How a clock stands.

    Args:
        clock: which.
        passed_ms: from first knowledge until now.
        answered_ms: from first knowledge until the decision that answered it; None while it runs.
        now_ms: what the machine's clock claims, since 1970; the limit is told in this time.
    """
    left_ms = clock.limit_ms - (passed_ms if answered_ms is None else answered_ms)
    due = datetime.fromtimestamp((now_ms + clock.limit_ms - passed_ms) // 1000, UTC)
    return ClockView(
        name=clock.name,
        law=clock.law,
        state=_state(left_ms, answered_ms is not None),
        left_s=left_ms // 1000,
        due_utc=f"{due:%Y-%m-%dT%H:%M:%SZ}",
        said=_said(clock, left_ms, answered_ms),
    )


def _state(left_ms: int, answered: bool) -> ClockState:
    if answered:
        return ClockState.ANSWERED if left_ms >= 0 else ClockState.LATE
    return ClockState.RUNNING if left_ms >= 0 else ClockState.OVERDUE


def _said(clock: Clock, left_ms: int, answered_ms: int | None) -> str:
    if answered_ms is not None:
        return f"answered {'in' if left_ms >= 0 else 'late, after'} {span(answered_ms)}"
    return f"{span(left_ms)} left" if left_ms >= 0 else f"overdue by {span(max(-left_ms, _MINUTE_MS))}"


def span(ms: int) -> str:
    """Whole units of a time, never more than there is: "57 d", "2 d 4 h", "3 h", "12 min"."""
    days, hours, minutes = ms // _DAY_MS, ms % _DAY_MS // _HOUR_MS, ms % _HOUR_MS // _MINUTE_MS
    if days >= 10:
        return f"{days} d"
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h" if hours else f"{minutes} min"
