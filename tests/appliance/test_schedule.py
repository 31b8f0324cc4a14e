"""When audits are due: against a walk that looks at every minute, and at the edges of zones and clocks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import schedule as module
from appliance.errors import UsageError
from appliance.schedule import checked, coming, due, occurrences, waited, why_not, zone_here
from appliance.schedule_views import Schedule

MINUTE = timedelta(minutes=1)
ADDED = "2026-01-01T00:00:00+00:00"


def planned(cron: str = "0 2 * * *", zone: str = "Europe/Vienna", **more: object) -> Schedule:
    """A schedule of model `lumen`."""
    fields = {"added_utc": ADDED, "model": "lumen", "cohort": "spring", "policy": "default"} | more
    return Schedule(name=str(fields.pop("name", "nightly")), cron=cron, zone=zone, **fields)  # type: ignore[arg-type]


def utc(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- the oracle ---------------------------------------------------------------------------------


def numbers(field: str, first: int, last: int) -> set[int]:
    """The values of one cron field."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = ("first-last" if span == "*" else span).partition("-")
        start = first if low == "first" else int(low)
        end = last if high == "last" else int(high or (last if step else low))
        found |= set(range(start, end + 1, int(step or 1)))
    return found


def matches(cron: str, local: datetime) -> bool:
    """Whether the clock on the wall stands at a time that is meant."""
    minute, hour, day, month, weekday = cron.split()
    days = local.day in numbers(day, 1, 31)
    weekdays = bool({local.isoweekday(), local.isoweekday() % 7} & numbers(weekday, 0, 7))
    both = day.startswith("*") or weekday.startswith("*")
    return (
        local.minute in numbers(minute, 0, 59)
        and local.hour in numbers(hour, 0, 23)
        and local.month in numbers(month, 1, 12)
        and ((days and weekdays) if both else (days or weekdays))
    )


def walked(one: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """The slow way: every minute; those of a gap count at its end, the second of an overlap not."""
    zone = ZoneInfo(one.zone)
    fixed = not any(field.startswith("*") for field in one.cron.split()[:2])
    found, at = [], (after + MINUTE).replace(second=0, microsecond=0)
    while at <= until:
        local, before = at.astimezone(zone), (at - MINUTE).astimezone(zone)
        naive, expected = local.replace(tzinfo=None), before.replace(tzinfo=None) + MINUTE
        skipped = [expected + step * MINUTE for step in range(int((naive - expected) / MINUTE))]
        if fixed:
            hit = not local.fold and any(matches(one.cron, minute) for minute in [*skipped, naive])
        else:
            hit = matches(one.cron, naive)
        if hit:
            found.append(at)
        at += MINUTE
    return found


CHANGES = {  # zone -> a day on which its clock is changed, both ways, by an hour, by half of one, at midnight
    "Europe/Vienna": ("2026-03-29", "2026-10-25"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),
    "Africa/Cairo": ("2026-04-24", "2026-10-30"),
    "America/Havana": ("2026-03-08", "2026-11-01"),
    "Asia/Kathmandu": ("2026-03-29", "2026-10-25"),
}


@settings(max_examples=40, deadline=None)
@given(
    place=st.sampled_from([(zone, day) for zone, days in CHANGES.items() for day in days]),
    minute=st.sampled_from(["0", "30", "15,45", "*/20", "*", "5-7"]),
    hour=st.sampled_from(["0", "1", "2", "3", "1,2", "*", "*/2", "0-3", "23"]),
    day=st.sampled_from(["*", "29", "1-15"]),
    weekday=st.sampled_from(["*", "0", "7", "6,0", "1-5"]),
    begin=st.integers(-1800, 1800),
)
def test_the_fast_way_finds_what_a_walk_over_every_minute_finds(
    place: tuple[str, str], minute: str, hour: str, day: str, weekday: str, begin: int
) -> None:
    """Around every change of a zone's clock, from any minute on, the same instants."""
    one = planned(f"{minute} {hour} {day} * {weekday}", place[0])
    after = utc(place[1]) + begin * MINUTE
    until = after + timedelta(days=2)
    assert walked(one, after, until) == list(occurrences(one, after, until))


@pytest.mark.parametrize(
    ("cron", "day", "expected"),
    [
        ("30 2 * * *", "2026-03-29", ["2026-03-29T01:00"]),  # left out: at the hour's end, 03:00
        ("0,30 2 * * *", "2026-03-29", ["2026-03-29T01:00"]),  # both left out: once
        ("30 2 * * *", "2026-10-25", ["2026-10-25T00:30"]),  # comes twice: the first
        (
            "0 * * * *",
            "2026-10-25",
            [f"2026-10-2{4 + hour // 24}T{hour % 24:02d}:00" for hour in range(22, 47)],
        ),
    ],
)
def test_clock_changes_of_a_zone(cron: str, day: str, expected: list[str]) -> None:
    """Vienna's two nights: nothing is lost, and nothing fixed runs twice."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Vienna"))
    after = midnight.astimezone(UTC) - MINUTE
    until = (midnight + timedelta(days=1)).astimezone(UTC) - MINUTE
    found = [f"{at:%Y-%m-%dT%H:%M}" for at in occurrences(planned(cron), after, until)]
    assert expected == found


# -- what is due ---------------------------------------------------------------------------------


def started(*times: str) -> dict[str, set[datetime]]:
    """Runs of `nightly` that were started."""
    return {"nightly": set(map(utc, times))}


def told(now: str, runs: dict[str, set[datetime]], *schedules: Schedule) -> list[tuple[str, str, int]]:
    """Name, time and missed runs of what is due."""
    found = due(utc(now), schedules, runs)
    return [(one.schedule.name, f"{one.at:%d %H:%M}", len(one.missed)) for one in found]


UTC_NIGHTLY = planned(zone="UTC")
TABLE = {
    "at its minute": ("2026-01-01T02:00", [], [("nightly", "01 02:00", 0)]),
    "a minute before": ("2026-01-01T01:59", [], []),
    "started already": ("2026-01-02T01:59", ["2026-01-01T02:00"], []),
    "a week missed is caught up once": (
        "2026-01-08T12:00",
        ["2026-01-01T02:00"],
        [("nightly", "08 02:00", 6)],
    ),
    "set back after the run": ("2026-01-01T01:30", ["2026-01-01T02:00"], []),
    "and the same time again": ("2026-01-01T02:30", ["2026-01-01T02:00"], []),
    "set back by days, the night between": (
        "2026-01-03T02:00",
        ["2026-01-02T02:00", "2026-01-09T02:00"],
        [("nightly", "03 02:00", 0)],
    ),
    "and the night that was started too early": (
        "2026-01-09T02:00",
        ["2026-01-08T02:00", "2026-01-09T02:00"],
        [],
    ),
    "set forward": ("2027-01-01T00:00", ["2026-01-01T02:00"], [("nightly", "31 02:00", 363)]),
    "set back to before it was added": ("2025-12-01T02:30", [], [("nightly", "01 02:00", 0)]),
    "and what lies further back is not missed": ("2025-12-01T03:00", [], []),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_is_due(case: str) -> None:
    """One run for all that were missed; never one twice, whatever the machine's clock does."""
    now, runs, expected = TABLE[case]
    assert expected == told(now, started(*runs), UTC_NIGHTLY)


def test_a_missed_run_waits_for_its_window() -> None:
    """Missed at night, it is not caught up by day, nor in a blackout, but when both are over."""
    one = planned(zone="UTC", window="01:00-05:00", blackout=("2026-01-03",))
    assert told("2026-01-02T12:00", {}, one) == []
    assert told("2026-01-03T02:00", {}, one) == []
    assert told("2026-01-04T01:00", {}, one) == [("nightly", "02 02:00", 1)]


@pytest.mark.parametrize(
    ("clock", "free"), [("21:59", False), ("22:00", True), ("00:00", True), ("04:59", True), ("05:00", False)]
)
def test_a_window_may_go_over_midnight(clock: str, free: bool) -> None:
    """22:00-05:00 begins in the evening and ends before five."""
    one = planned(zone="UTC", window="22:00-05:00")
    assert free is not bool(why_not(one, utc(f"2026-01-02T{clock}")))


def test_windows_and_blackouts_are_local() -> None:
    """A blackout is a day of the zone: in Auckland it begins half a day before UTC's."""
    one = planned(zone="Pacific/Auckland", blackout=("2026-12-24..2026-12-26",))
    assert why_not(one, utc("2026-12-23T12:00")) == "blackout 2026-12-24..2026-12-26"
    assert not why_not(one, utc("2026-12-26T11:00"))


def test_order_is_by_priority_then_by_time() -> None:
    """The most important first; among equals the one that waits longest."""
    schedules = [
        planned("0 3 * * *", "UTC", name="later"),
        planned("0 1 * * *", "UTC", name="early"),
        planned("0 4 * * *", "UTC", name="first", priority=5),
    ]
    now = "2026-01-01T05:00"
    assert [name for name, _, _ in told(now, {}, *schedules)] == ["first", "early", "later"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60 * 24 * 9), min_size=1, max_size=30))
def test_no_run_is_started_twice_and_none_is_lost(looks: list[int]) -> None:
    """Whenever and in whatever order the clock is looked at: each night once at most, and the latest one."""
    begun: set[datetime] = set()
    for minutes in looks:  # the clock jumps both ways
        now = utc("2026-01-01T00:00") + minutes * MINUTE
        for one in due(now, [UTC_NIGHTLY], {"nightly": begun}):
            assert one.at not in begun and one.at <= now
            begun.add(one.at)
        last = list(occurrences(UTC_NIGHTLY, utc("2026-01-01T00:00"), now))[-1:]
        assert not last or last[0] in begun
        assert not waited(now, UTC_NIGHTLY, begun)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 7, 60, 900, 20_000]), st.sampled_from([0, 0, 0, 60, -60, 525_600, -525_600])
        ),
        min_size=5,
        max_size=120,
    )
)
def test_a_year_in_which_clocks_jump(steps: list[tuple[int, int]]) -> None:
    """Through both clock changes of a zone, off for a fortnight, set by an hour or a year and back: every run
    at a time that is meant and allowed, none twice, and the latest one whenever somebody looks."""
    one = planned("30 2 * * *", window="02:00-06:00", blackout=("2026-10-25", "2026-12-24..2026-12-26"))
    now, begun = utc("2026-01-01T00:00"), set[datetime]()
    for passed, jump in steps:
        now += (passed + jump) * MINUTE
        if now.year not in (2025, 2026, 2027):
            now = now.replace(year=2026, month=3, day=28)
        for run in due(now, [one], {"nightly": begun}):
            assert run.at not in begun and run.at <= now and not why_not(one, now)
            assert [run.at] == list(occurrences(one, run.at - MINUTE, run.at)) and not why_not(one, run.at)
            begun.add(run.at)
        assert why_not(one, now) or not waited(now, one, begun)


def test_the_week_ahead_says_why_a_run_is_left_out() -> None:
    """Every run is told, also those that will not be started."""
    one = planned(zone="UTC", cron="0 2,20 * * *", window="01:00-05:00", blackout=("2026-01-03",))
    runs = started("2026-01-02T02:00")
    week = coming(utc("2026-01-01T12:00"), utc("2026-01-03T12:00"), [one], runs)
    assert [(f"{run.at:%d %H}", run.why) for run in week] == [
        ("01 20", "outside the window 01:00-05:00"),
        ("02 02", "was started already, by a clock that was set back since"),
        ("02 20", "outside the window 01:00-05:00"),
        ("03 02", "blackout 2026-01-03"),
    ]


# -- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cron": "0 2 * *"}, "five fields"),
        ({"cron": "0 0 2 * * *"}, "five fields"),
        ({"cron": "61 2 * * *"}, "Bad minute"),
        ({"cron": "@daily"}, "five fields"),
        ({"cron": "0 0 31 2 *"}, "cannot be read"),
        ({"cron": "*/30 2 * * *"}, "more than once an hour"),
        ({"zone": "Europe/Wien"}, "no time zone"),
        ({"zone": "../../etc/passwd"}, "no time zone"),
        ({"window": "1-5"}, "a window is two times"),
        ({"window": "05:00-05:00"}, "a window is two times"),
        ({"window": "03:00-05:00"}, "no run would be started: outside the window"),
        ({"blackout": ("2026-12-26..2026-12-24",)}, "a blackout is"),
        ({"blackout": ("Christmas",)}, "a blackout is"),
        ({"priority": 101}, "a priority lies between -100 and 100"),
    ],
)
def test_what_means_nothing_is_refused(changes: dict[str, object], said: str) -> None:
    """With a sentence that names it and a hint."""
    with pytest.raises(UsageError, match=said) as raised:
        checked(planned(**{"cron": "0 2 * * *", "zone": "UTC"} | changes), utc("2026-01-01"))  # type: ignore[arg-type]
    assert raised.value.hint


@pytest.mark.parametrize("cron", ["0 2 29 2 *", "0 2 * * MON#1", "0 2 L * *", "30 1,2 * * *", " 0  2 * * 0 "])
def test_what_cron_can_say_is_taken(cron: str) -> None:
    """Leap days, names, first Mondays, last days; two times an hour apart in a night with a gap."""
    assert checked(planned(cron), utc("2026-03-28")).cron == " ".join(cron.split())


def test_without_a_zone_it_is_this_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TZ, else where /etc/localtime points, else UTC."""
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert checked(planned(zone=""), utc("2026-01-01")).zone == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "")
    link = tmp_path / "localtime"
    monkeypatch.setattr(module, "_LOCALTIME", link)
    assert zone_here() == "UTC"
    link.symlink_to(_zone_file("Europe/Vienna"))
    assert zone_here() == "Europe/Vienna"


def _zone_file(name: str) -> Path:
    import zoneinfo

    found: Iterable[Path] = (Path(folder) / name for folder in zoneinfo.TZPATH)
    return next(path for path in found if path.is_file())
