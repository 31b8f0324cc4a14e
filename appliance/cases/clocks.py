"""The legal clocks of a case, as a pure function of time passed and of when a decision answered them.

Both run from first knowledge, in hours of 3,600 seconds and days of 24 hours, weekends and holidays included.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from appliance.cases.views import ClockState, ClockView
from appliance.words.table import tell

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
        said=_said(left_ms, answered_ms),
    )


def _state(left_ms: int, answered: bool) -> ClockState:
    if answered:
        return ClockState.ANSWERED if left_ms >= 0 else ClockState.LATE
    return ClockState.RUNNING if left_ms >= 0 else ClockState.OVERDUE


def _said(left_ms: int, answered_ms: int | None) -> str:
    if answered_ms is not None:
        took = span(answered_ms)
        return tell("clock.answered", span=took) if left_ms >= 0 else tell("clock.late", span=took)
    if left_ms >= 0:
        return tell("clock.running", span=span(left_ms))
    return tell("clock.overdue", span=span(max(-left_ms, _MINUTE_MS)))


def span(ms: int) -> str:
    """Whole units of a time, never more than there is: "57 d", "2 d 4 h", "3 h", "12 min"."""
    days, hours, minutes = ms // _DAY_MS, ms % _DAY_MS // _HOUR_MS, ms % _HOUR_MS // _MINUTE_MS
    if days >= 10:
        return tell("clock.days", days=days)
    if days:
        return tell("clock.days_hours", days=days, hours=hours)
    return tell("clock.hours", hours=hours) if hours else tell("clock.minutes", minutes=minutes)
