"""The simulated year in short: its oracle beside the schedules, a story, and programs that are found out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from simulated.mutants import MUTANTS, Mutant
from simulated.oracle import Expected, Plan, dues
from simulated.story import planned, story
from year import passed

from appliance.schedule import occurrences

FIRST, LAST = date(2027, 12, 30), date(2028, 12, 30)


def _some(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


def _at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2028, 1, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["Europe/Vienna", "Australia/Lord_Howe", "America/Santiago", "UTC"])
def test_the_walls_clock_and_the_schedules_say_the_same_times(zone: str) -> None:
    """In a leap year, north and south, with half hours and hours that are left out and come twice."""
    for plan in (
        Plan("gap", zone, _some(5, 30), _some(2, 3)),
        Plan("star", zone, _some(0)),
        Plan("either", zone, _some(0), _some(2), _some(13), weekday=_some(0, 5)),
        Plan("leap", zone, _some(0), _some(2), _some(29), _some(2)),
    ):
        cron = " ".join(
            ",".join(map(str, sorted(one))) or "*"
            for one in (plan.minute, plan.hour, plan.day, plan.month, plan.weekday)
        )
        asked = planned(2028)[0].asked.__class__("x", cron, zone, "m", "c", "p")
        begin = datetime.combine(FIRST, datetime.min.time(), UTC) - timedelta(minutes=1)
        end = datetime.combine(LAST, datetime.max.time(), UTC)
        assert list(dues(plan, FIRST, LAST)) == list(occurrences(asked, begin, end)), plan


def test_the_oracle_catches_up_once_and_knows_a_clock_that_is_put_back() -> None:
    """Three missed runs are one; what was started is not again; what a run to come stood for comes yet."""
    plan = Plan("nightly", "UTC", _some(0), _some(2))
    due = tuple(dues(plan, date(2027, 12, 30), date(2028, 1, 30)))
    one = Expected(plan, due, _at(1, 0))
    assert one.at(_at(3, 12)) == (_at(3, 2), 2)
    assert one.at(_at(3, 1)) == (_at(2, 2), 1) and one.at(_at(3, 2)) is None
    assert one.at(_at(9, 12)) == (_at(9, 2), 5)
    assert one.at(_at(5, 0)) == (_at(4, 2), 0) and one.at(_at(5, 2)) == (_at(5, 2), 0)


def test_a_window_holds_what_was_missed() -> None:
    """It is started when the window opens, and what lies in a blackout is not due at all."""
    plan = Plan("x", "UTC", _some(0), _some(2), window=(1, 3), blackout=(date(2028, 1, 4), date(2028, 1, 5)))
    one = Expected(plan, tuple(dues(plan, date(2028, 1, 1), date(2028, 1, 30))), _at(1, 0))
    assert one.at(_at(2, 12)) is None
    assert one.at(_at(3, 1)) == (_at(2, 2), 1)
    assert one.at(_at(6, 1)) == (_at(3, 2), 0)


def test_a_short_year_has_nothing_wrong() -> None:
    """Five versions of a line in three weeks: every run, every change, the leak, the policy, and the log."""
    seen = passed(story(1, 21, ("lumen",)))
    assert seen.wrong == []
    assert (seen.found_in, sum(seen.changes.values())) == ("lumen@4", 4)
    assert seen.killed >= 1 and seen.missed_logged >= seen.missed >= 1


@pytest.mark.parametrize("mutant", MUTANTS[:1], ids=lambda one: one.name)
def test_a_program_without_a_protection_is_found_out(mutant: Mutant) -> None:
    """The first of those that `--mutants` runs."""
    seen = passed(story(0, mutant.days, mutant.lines, mutant.schedules), mutant.without())
    assert mutant.kind in {kind for kind, _ in seen.wrong}
