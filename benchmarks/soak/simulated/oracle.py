"""Which runs have to be, by a clock on the wall that is watched minute by minute. Knows no code of ours.

Cron as Debian's means it: a time that a change of the clock leaves out comes at the change's end, one that
comes twice comes once; what has a star in minute or hour is due whenever the clock shows it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LATE = timedelta(minutes=15)
"""A run that is started so long after it was due was missed."""
_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Plan:
    """One schedule, as an officer would say it.

    Attributes:
        minute, hour, day, month, weekday: numbers that are meant (0 = Sunday); empty for a star.
        window: from which hour on, and before which, local.
        blackout: first and last day, local.
    """

    name: str
    zone: str
    minute: frozenset[int] = frozenset()
    hour: frozenset[int] = frozenset()
    day: frozenset[int] = frozenset()
    month: frozenset[int] = frozenset()
    weekday: frozenset[int] = frozenset()
    window: tuple[int, int] | None = None
    blackout: tuple[date, date] | None = None

    @property
    def star(self) -> bool:
        """Whether it follows the clock, whatever that does."""
        return not (self.minute and self.hour)

    def means(self, wall: datetime) -> bool:
        """Whether it names what the clock on the wall shows."""
        if (self.minute and wall.minute not in self.minute) or (self.hour and wall.hour not in self.hour):
            return False
        if self.month and wall.month not in self.month:
            return False
        days = [wall.day in self.day] * bool(self.day)
        days += [wall.isoweekday() % 7 in self.weekday] * bool(self.weekday)
        return any(days) or not days

    def allows(self, wall: datetime) -> bool:
        """Whether a run may be started then."""
        if self.blackout and self.blackout[0] <= wall.date() <= self.blackout[1]:
            return False
        if self.window is None:
            return True
        first, last = self.window
        return first <= wall.hour < last if first < last else wall.hour >= first or wall.hour < last


def dues(plan: Plan, first: date, last: date) -> Iterator[datetime]:
    """The instants, UTC, at which a run is due and may be, one minute of the wall's clock after the other.

    Days on which the zone does nothing are gone through by the minutes of a day that the plan names.
    """
    zone = ZoneInfo(plan.zone)
    named = [
        minute for minute in range(24 * 60)
        if (not plan.hour or minute // 60 in plan.hour) and (not plan.minute or minute % 60 in plan.minute)
    ]  # fmt: skip
    begin = datetime.combine(first, datetime.min.time(), UTC)
    highest = _wall(begin - MINUTE, zone)
    while begin.date() <= last:
        end = begin + DAY
        if _wall(end, zone) - _wall(begin - MINUTE, zone) == DAY + MINUTE and highest < _wall(begin, zone):
            found = _quiet_day(plan, begin, _wall(begin, zone), named)
            highest = _wall(end - MINUTE, zone)
        else:
            found = _day(plan, begin, highest, zone)
            highest = max(highest, *(_wall(begin + n * MINUTE, zone) for n in range(24 * 60)))
        yield from (at for at in found if plan.allows(_wall(at, zone)))
        begin = end


def _quiet_day(plan: Plan, begin: datetime, wall: datetime, named: Sequence[int]) -> list[datetime]:
    shift = wall.hour * 60 + wall.minute
    after = sorted((minute - shift) % (24 * 60) for minute in named)
    return [begin + n * MINUTE for n in after if plan.means(wall + n * MINUTE)]


def _day(plan: Plan, begin: datetime, highest: datetime, zone: ZoneInfo) -> list[datetime]:
    found = []
    for number in range(24 * 60):
        at = begin + number * MINUTE
        wall = _wall(at, zone)
        passed = round(
            (wall - highest) / MINUTE
        )  # 1 as a rule; more in a gap, less after the clock went back
        if plan.star:
            due = plan.means(wall)
        else:
            due = any(plan.means(highest + n * MINUTE) for n in range(1, passed + 1))
        highest = max(highest, wall)
        if due:
            found.append(at)
    return found


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


@dataclass
class Expected:
    """The runs of one plan that a site must have started, looked at in every minute its daemon is up.

    Attributes:
        due: every instant of the time that can be shown, ascending.
        added: when the plan was kept; what was due before counts only where the clock shows it again.
        fate: instant -> the run that was begun for it, its own or a later one.
    """

    plan: Plan
    due: Sequence[datetime]
    added: datetime
    fate: dict[datetime, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._zone = ZoneInfo(self.plan.zone)
        self._waiting: list[datetime] = []
        self._seen = self.added
        self._put_back(self.added)

    def stirs(self, shown: datetime) -> bool:
        """Whether this minute can matter."""
        return bool(self._waiting) or shown < self._seen or self._upcoming <= shown

    @property
    def _upcoming(self) -> datetime:
        return self.due[self._next] if self._next < len(self.due) else _NEVER

    def at(self, shown: datetime) -> tuple[datetime, int] | None:
        """The run to start when the machine shows this minute: when it was due, and for how many."""
        if shown < self._seen:
            self._put_back(shown)
        if self._seen < self.added <= shown:  # right again: what was due before it was kept counts no more
            self._next = bisect_right(self.due, self.added)
        self._seen = shown
        while self._upcoming <= shown:
            self._waiting += [self._upcoming] * (self._upcoming not in self.fate)
            self._next += 1
        self._settle(shown)
        if not self._waiting or not self.plan.allows(_wall(shown, self._zone)):
            return None
        *earlier, last = self._waiting
        self.fate |= dict.fromkeys(self._waiting, last)
        self._waiting = []
        return last, len(earlier)

    def _settle(self, shown: datetime) -> None:
        """A run that was begun stands for all before it, also where the clock has jumped over them twice."""
        begun = max((one for one, fate in self.fate.items() if fate == one and one <= shown), default=_EVER)
        if self._waiting and self._waiting[0] < begun:
            self.fate |= {one: begun for one in self._waiting if one < begun}
            self._waiting = [one for one in self._waiting if one > begun]

    def _put_back(self, shown: datetime) -> None:
        """From here on the clock shows what it has shown before: what was only caught up is to come yet."""
        self.fate = {one: fate for one, fate in self.fate.items() if one == fate or fate <= shown}
        self._waiting = [one for one in self._waiting if one <= shown]
        settled = max((one for one in self.fate if one <= shown), default=_EVER)
        begin = max(settled, self.added if shown >= self.added else shown - MINUTE, *self._waiting[-1:])
        self._next = bisect_right(self.due, begin)
