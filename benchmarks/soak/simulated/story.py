"""What happens in a simulated year, drawn by a seed: schedules, clocks, power, vendors, people."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from appliance.schedule_views import ALL, Schedule
from simulated.oracle import Plan

Day = Callable[[float, float], datetime]
LINES = ("lumen", "sprig", "calm", "veil")
OF_LINES = ("announce", "deliver", "mount", "claim", "commit", "reveal")
"""Happenings that belong to lines of models."""
HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


@dataclass(frozen=True)
class Planned:
    """One schedule as an officer means it, and as it is asked for."""

    plan: Plan
    asked: Schedule


@dataclass(frozen=True, order=True)
class Event:
    """Something that happens at a true time; `what` is a name of `year.Year`'s handlers."""

    at: datetime
    what: str = field(compare=False)
    given: tuple[object, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Story:
    """One year.

    Attributes:
        begin, end: true times.
        lines: of models.
        events: by time.
        trouble: number of a run -> what happens to its daemon: "kill" with a step, "two", "reboot".
    """

    begin: datetime
    end: datetime
    planned: tuple[Planned, ...]
    lines: tuple[str, ...]
    events: tuple[Event, ...]
    trouble: dict[int, tuple[str, int]]


def _some(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


def planned(year: int) -> tuple[Planned, ...]:
    """The schedules of a site."""
    vienna, sydney = "Europe/Vienna", "Australia/Sydney"
    holidays = date(year, 7, 28), date(year, 8, 3)
    return tuple(
        Planned(plan, _asked(plan, model, cohort, policy, priority, watch=policy == "watching"))
        for plan, model, cohort, policy, priority in (
            (Plan("watch", vienna, _some(15), _some(1)), ALL, "panel", "watching", 9),
            (
                Plan("sundays", vienna, _some(0), _some(2), month=_some(1, 3, 7, 10), weekday=_some(0)),
                ALL, "spring", "sundays", 0,
            ),
            (
                Plan("monthly", sydney, _some(0), _some(3), _some(1), window=(2, 6), blackout=holidays),
                "calm", "spring", "further", 5,
            ),
            (
                Plan("half-past-two", vienna, _some(30), _some(2), month=_some(3, 10), weekday=_some(0)),
                "calm", "spring", "further", -5,
            ),
            (
                Plan("south", sydney, _some(30), _some(2), month=_some(4, 10), weekday=_some(0)),
                "calm", "spring", "further", 0,
            ),
            (
                Plan("october-hours", vienna, _some(0), month=_some(10), weekday=_some(0), window=(22, 5)),
                "calm", "panel", "watching", 0,
            ),
            (Plan("leap", "UTC", _some(0), _some(5), _some(29), _some(2)), "calm", "spring", "further", 0),
        )
    )  # fmt: skip


def _asked(plan: Plan, model: str, cohort: str, policy: str, priority: int, *, watch: bool) -> Schedule:
    fields = (plan.minute, plan.hour, plan.day, plan.month, plan.weekday)
    cron = " ".join(",".join(map(str, sorted(one))) or "*" for one in fields)
    window = "{:02}:00-{:02}:00".format(*plan.window) if plan.window else ""
    blackout = (f"{plan.blackout[0]}..{plan.blackout[1]}",) if plan.blackout else ()
    return Schedule(
        plan.name, cron, plan.zone, model, cohort, policy, window, blackout, priority, watch=watch
    )  # fmt: skip


def story(seed: int, days: int = 366, lines: Sequence[str] = LINES, schedules: Sequence[str] = ()) -> Story:
    """The year of a seed.

    Args:
        seed: says in which year, and draws everything.
        days: fewer are a shorter story with the same happenings closer together.
        lines: of models; schedules and happenings of others are left out.
        schedules: the only ones, by name; all of them when empty.
    """
    rng = random.Random(seed)
    begin = datetime(2026 + seed % 4, 1, 1, tzinfo=UTC)
    whole = 366 if begin.year % 4 == 0 else 365
    length = min(days, whole)

    def some_day(first: float, last: float) -> datetime:
        return begin + DAY * (length * rng.uniform(first, last))

    clocks = _clocks(rng, some_day)
    back = next(number for number, one in enumerate(clocks) if one.given == (-YEAR,))
    events = [*_vendors(rng, some_day), *clocks, Event(some_day(0.46, 0.5), "tighten")]
    events += _power(rng, begin, length, (clocks[back].at - 2 * DAY, clocks[back + 1].at + 2 * DAY))
    events += [Event(begin + DAY * rng.uniform(0, length), "look") for _ in range(length // 12)]
    if set(lines) != set(LINES):
        events = [one for one in events if one.what not in OF_LINES or set(one.given) & set(lines)]
    watched = tuple(
        one
        for one in planned(begin.year)
        if one.asked.model in (ALL, *lines) and (not schedules or one.plan.name in schedules)
    )
    usual = length if any(one.plan.name == "watch" for one in watched) else length // 8
    runs = rng.sample(range(1, max(8, usual)), max(6, usual // 15))
    kinds = ("kill", "kill", "kill", "two", "two", "reboot")
    trouble = {run: (kinds[n % len(kinds)], rng.randrange(24)) for n, run in enumerate(runs)}
    end = begin + DAY * length
    told = tuple(sorted(one for one in events if one.at < end))
    return Story(begin, end, watched, tuple(lines), told, trouble)


def _vendors(rng: random.Random, some_day: Day) -> list[Event]:
    """Versions 2 to 5 of one line, the third behind a disk that is away; one swapped adapter; two claims."""
    away, coins = some_day(0.27, 0.30), some_day(0.76, 0.78)
    third, first, last = away + HOUR * rng.uniform(1, 30), some_day(0.08, 0.15), some_day(0.78, 0.84)
    return [
        Event(first - HOUR, "announce", ("lumen",)),
        Event(first, "deliver", ("lumen", "config")),
        Event(away, "mount", ("lumen", False)),
        Event(third, "deliver", ("lumen", "preprocessor")),
        Event(third + HOUR * rng.uniform(1, 80), "mount", ("lumen", True)),
        Event(some_day(0.52, 0.58), "deliver", ("lumen", "weights")),
        Event(some_day(0.62, 0.68), "deliver", ("sprig", "adapter")),
        Event(last - HOUR, "announce", ("lumen",)),
        Event(last, "deliver", ("lumen", "weights")),
        Event(some_day(0.21, 0.25), "claim", ("sprig",)),
        Event(coins, "commit", ("veil",)),
        Event(coins + 30 * HOUR, "claim", ("veil",)),
        Event(coins + 40 * HOUR, "reveal", ("veil",)),
    ]


def _power(
    rng: random.Random, begin: datetime, length: int, not_in: tuple[datetime, datetime]
) -> list[Event]:
    """The machine is off for minutes, hours and days; not while its clock is a year behind."""
    found = []
    for number in range(max(3, length // 40)):
        hours = (0.2, rng.uniform(2, 20), rng.uniform(24, 90))[number % 3]
        at = begin + DAY * (length * (number + rng.uniform(0.2, 0.8)) / max(3, length // 40))
        if at + HOUR * hours < not_in[0] or at > not_in[1]:
            found += [Event(at, "off"), Event(at + HOUR * hours, "on")]
    return found


def _clocks(rng: random.Random, some_day: Day) -> list[Event]:
    """People set the clock wrong, and right again."""
    found = []
    for first, last, off_by, hours in (
        (0.05, 0.09, HOUR, 30.0), (0.16, 0.20, -HOUR, 30.0), (0.33, 0.36, YEAR, 3.0),
        (0.42, 0.44, -YEAR, 30.0), (0.72, 0.75, HOUR, 0.7), (0.88, 0.90, -HOUR, 0.7),
    ):  # fmt: skip
        at = some_day(first, last)
        right = at + HOUR * hours * rng.uniform(0.5, 1)
        found += [Event(at, "set_clock", (off_by,)), Event(right, "set_clock", (-off_by,))]
    return found
