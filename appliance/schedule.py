"""When audits are due: cron times in a zone, windows, blackouts, and what was missed. Pure; instants are UTC.

Cron means what Debian's cron means by it, also where a zone's clocks change: a fixed time in the hour that is
left out comes at the hour's end, one in the hour that comes twice comes once; what runs every hour or more
often follows the clock on the wall.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from heapq import heappop, heappush
from itertools import islice, pairwise
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from appliance.errors import UsageError
from appliance.schedule_views import Schedule
from appliance.words.table import tell

LATE: Final = timedelta(minutes=15)  # from here on a run that is started was missed and is caught up
PRIORITIES: Final = range(-100, 101)
_MARGIN: Final = timedelta(days=2)  # an iteration begins so long before: a clock change is not cut in two
_AHEAD: Final = timedelta(days=9 * 366)  # two leap days lie at most eight years apart
_SHORTEST: Final = timedelta(hours=1)
_LOOKED_AT: Final = 200  # times of a new schedule
_LOCALTIME: Final = Path("/etc/localtime")
_WINDOW: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Due:
    """A run to start now.

    Attributes:
        at: when it was due.
        missed: earlier runs that nobody started; this one stands for all of them.
    """

    schedule: Schedule
    at: datetime
    missed: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Coming:
    """A run to come; `why` says what keeps it from being started, else it is empty."""

    schedule: Schedule
    at: datetime
    why: str


def due(
    now: datetime, schedules: Iterable[Schedule], last_runs: Mapping[str, Collection[datetime]]
) -> tuple[Due, ...]:
    """What is to be started now, the highest priority first, then the longest due.

    Several runs that nobody started are caught up by one, the latest. A run that was started is never started
    again, also where the machine's clock was set back to before it; and where it was set forward by mistake
    and back again, the runs between are started in their time.

    Args:
        now: aware.
        schedules: all there are.
        last_runs: schedule's name -> the times of all runs that were started, by when they were due.
    """
    found = []
    for schedule in schedules:
        waiting = waited(now, schedule, last_runs.get(schedule.name, ()))
        if waiting and not why_not(schedule, now):
            found.append(Due(schedule, waiting[-1], waiting[:-1]))
    return tuple(sorted(found, key=lambda one: (-one.schedule.priority, one.at, one.schedule.name)))


def waited(now: datetime, schedule: Schedule, started: Collection[datetime]) -> tuple[datetime, ...]:
    """The runs up to now that could be started and were not, oldest first."""
    added = datetime.fromisoformat(schedule.added_utc)
    if added > now:  # by a clock that was set back since: as if it had been added an hour ago
        added = now - _SHORTEST
    since = max((one for one in started if one <= now), default=added)
    times = occurrences(schedule, since, now)
    return tuple(at for at in times if at not in started and not why_not(schedule, at))


def coming(
    now: datetime,
    until: datetime,
    schedules: Iterable[Schedule],
    last_runs: Mapping[str, Collection[datetime]],
) -> tuple[Coming, ...]:
    """Every run after `now` up to `until` by time, and why one will not be started."""
    found = []
    for schedule in schedules:
        started = last_runs.get(schedule.name, ())
        for at in occurrences(schedule, now, until):
            why = tell("schedule.started_before") if at in started else ""
            found.append(Coming(schedule, at, why or why_not(schedule, at)))
    return tuple(sorted(found, key=lambda one: (one.at, -one.schedule.priority, one.schedule.name)))


def occurrences(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """The times of a schedule with after < time <= until, ascending, each once."""
    last = after
    for at in _instants(schedule.cron, zone_of(schedule.zone), after - _MARGIN):
        if at > until:
            return
        if at > last:
            last = at
            yield at


def _instants(cron: str, zone: tzinfo, begin: datetime) -> Iterator[datetime]:
    """Every instant that is meant, ascending, from about `begin` on; some may come twice."""
    ahead: list[datetime] = []
    follows = any(field.startswith("*") for field in cron.split()[:2])
    for local in CronSim(cron, begin.astimezone(zone).replace(tzinfo=None)):
        settled = local.replace(tzinfo=UTC) - _MARGIN  # no clock change reaches so far back
        while ahead and ahead[0] < settled:
            yield heappop(ahead)
        for at in _shown(local, zone) if follows else (_once(local, zone),):
            heappush(ahead, at)
    yield from sorted(ahead)


def _shown(local: datetime, zone: tzinfo) -> Iterator[datetime]:
    """The instants at which the clock on the wall shows a time: one, two, or none in a gap."""
    for at in {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}:
        if at.astimezone(zone).replace(tzinfo=None) == local:
            yield at


def _once(local: datetime, zone: tzinfo) -> datetime:
    """The first instant at which it shows a time, or the end of the gap that leaves the time out."""
    while not (shown := min(_shown(local, zone), default=None)):
        local += timedelta(minutes=1)
    return shown


def why_not(schedule: Schedule, at: datetime) -> str:
    """Why no run may be started at this instant, in words; empty when one may."""
    local = at.astimezone(zone_of(schedule.zone))
    for span in schedule.blackout:
        first, last = _days(span)
        if first <= local.date() <= last:
            return tell("schedule.blackout", span=span)
    if schedule.window:
        start, end = _window(schedule.window)
        clock = local.time().replace(second=0, microsecond=0)
        if not (start <= clock < end if start < end else clock >= start or clock < end):
            return tell("schedule.outside", window=schedule.window)
    return ""


def following(now: datetime, schedule: Schedule, started: Collection[datetime]) -> datetime | None:
    """The next run that will be started; None where none is in sight."""
    times = occurrences(schedule, now, now + _AHEAD)
    return next((at for at in times if at not in started and not why_not(schedule, at)), None)


def meaning(cron: str) -> str:
    """A cron expression in words, such as "At 02:00 on Sunday"."""
    return CronSim(cron, datetime.min).explain()


def checked(schedule: Schedule, now: datetime) -> Schedule:
    """The schedule as it is kept, its zone named.

    Raises:
        UsageError: cron, zone, window, blackout or priority mean nothing; it is due more than once an hour;
            window and blackouts leave no run.
    """
    named = replace(schedule, zone=schedule.zone or zone_here(), cron=" ".join(schedule.cron.split()))
    zone_of(named.zone)
    if len(named.cron.split(" ")) != 5:
        raise UsageError("a cron expression has five fields", _CRON_HINT)
    try:
        CronSim(named.cron, now)
    except CronSimError as wrong:
        raise UsageError(f"the cron expression cannot be read: {wrong}", _CRON_HINT) from wrong
    for span in named.blackout:
        _days(span)
    if named.window:
        _window(named.window)
    if named.priority not in PRIORITIES:
        raise UsageError(
            f"a priority lies between {PRIORITIES[0]} and {PRIORITIES[-1]}", "0 is the usual one"
        )
    _check_times(named, now)
    return named


def _check_times(schedule: Schedule, now: datetime) -> None:
    times = list(islice(occurrences(schedule, now, now + _AHEAD), _LOOKED_AT))
    if not times:
        raise UsageError("no day has this date: it would never be due", _CRON_HINT)
    unchanging = islice(occurrences(replace(schedule, zone="UTC"), now, now + _AHEAD), _LOOKED_AT)
    if any(later - earlier < _SHORTEST for earlier, later in pairwise(unchanging)):
        raise UsageError("it would be due more than once an hour", "an audit takes longer; as in 0 2 * * 0")
    if all(why_not(schedule, at) for at in times):
        raise UsageError(
            f"no run would be started: {why_not(schedule, times[0])}", "let window and cron meet"
        )


def zone_of(name: str) -> tzinfo:
    """The zone of this name.

    Raises:
        UsageError: this machine knows none.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"no time zone {name}",
            "write it as in Europe/Vienna; if it is right, this machine lacks the package tzdata",
        ) from None


def zone_here() -> str:
    """The zone of this machine; UTC where it does not say."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if not named and _LOCALTIME.is_symlink():
        named = os.path.realpath(_LOCALTIME).partition("/zoneinfo/")[2]
    try:
        zone_of(named)
    except UsageError:
        return "UTC"
    return named


def _window(text: str) -> tuple[time, time]:
    found = _WINDOW.fullmatch(text)
    if found is None or found.group(1, 2) == found.group(3, 4):
        raise UsageError(f"a window is two times, not {text}", "as in 01:00-05:00 or 22:00-05:00")
    first_h, first_m, last_h, last_m = map(int, found.groups())
    return time(first_h, first_m), time(last_h, last_m)


def _days(text: str) -> tuple[date, date]:
    first, dots, last = text.partition("..")
    try:
        span = date.fromisoformat(first), date.fromisoformat(last if dots else first)
    except ValueError:
        span = date.max, date.min
    if span[0] > span[1]:
        raise UsageError(
            f"a blackout is a day or a first and a last one, not {text}", "as in 2026-12-24..2026-12-26"
        )
    return span


_CRON_HINT: Final = "minute hour day month weekday, as in 0 2 * * 0 for every Sunday at 02:00"
