"""Times of schedules in words: the weekday and the clock people look at, and how long that is from now."""

from __future__ import annotations

from datetime import datetime, timedelta

from appliance.schedule import zone_of
from appliance.words.table import tell

_NEAR = timedelta(days=6)  # so far a weekday names one day


def moment(at: datetime, zone: str, now: datetime) -> str:
    """ "Sunday 02:00 Europe/Vienna, in 2 d 3 h"; by its date where the weekday does not tell."""
    local = at.astimezone(zone_of(zone))
    near = abs(at - now) < _NEAR
    told = tell(
        "schedule.near" if near else "schedule.far",
        weekday=tell(f"schedule.weekday.{local.weekday()}"),
        day=f"{local:%Y-%m-%d}",
        clock=f"{local:%H:%M}",
        zone=zone,
    )
    return tell("schedule.ahead" if at >= now else "schedule.ago", moment=told, left=span(abs(at - now)))


def span(length: timedelta) -> str:
    """ "2 d 3 h", "3 h 12 min", "12 min"; what is left over is cut off."""
    minutes = int(length / timedelta(minutes=1))
    if minutes >= 24 * 60:
        return tell("schedule.days", days=minutes // 1440, hours=minutes % 1440 // 60)
    if minutes >= 60:
        return tell("schedule.hours", hours=minutes // 60, minutes=minutes % 60)
    return tell("schedule.minutes", minutes=minutes)
