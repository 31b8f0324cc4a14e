"""The clocks of a case: what they say of dates, and that setting the machine's clock changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.cases.clocks import CLOCKS, reading, span
from appliance.cases.views import ClockState, ClockView
from appliance.evidence import witness_log, witnesses
from appliance.evidence.clock import DAY_MS
from appliance.evidence.elapsed import Elapsed
from appliance.evidence.entries import Entry, claimed_ms
from appliance.evidence.log import EvidenceLog
from tests.appliance.evidence_case import FrozenClock
from tests.appliance.test_log_clock import run_for

HOUR_MS = 3_600_000
GDPR, HIPAA = CLOCKS


def ms(moment: str) -> int:
    """A time in UTC, in milliseconds."""
    return round(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)


def stands(known: str, now: str, answered: str = "") -> tuple[ClockView, ClockView]:
    """Both clocks, from dates."""
    passed, done = ms(now) - ms(known), ms(answered) - ms(known) if answered else None
    gdpr, hipaa = (reading(clock, passed, done, ms(now)) for clock in CLOCKS)
    return gdpr, hipaa


@pytest.mark.parametrize(
    ("known", "now", "gdpr", "hipaa"),
    [
        ("2026-03-01T10:00", "2026-03-01T10:00", "3 d 0 h left", "60 d left"),
        ("2026-03-01T10:00", "2026-03-02T05:59", "2 d 4 h left", "59 d left"),
        ("2026-03-01T10:00", "2026-03-04T10:00", "0 min left", "57 d left"),
        ("2026-03-01T10:00", "2026-03-04T10:01", "overdue by 1 min", "56 d left"),
        ("2026-03-01T10:00", "2026-03-04T13:30", "overdue by 3 h", "56 d left"),
        # summer time begins in between; UTC does not notice
        ("2026-03-28T22:00", "2026-03-31T21:59", "1 min left", "57 d left"),
        # a leap day counts as a day, the turn of a year does not count at all
        ("2028-02-27T00:00", "2028-03-01T00:00", "0 min left", "57 d left"),
        ("2026-12-30T12:00", "2027-02-28T12:00", "overdue by 57 d", "0 min left"),
        ("2028-01-30T12:00", "2028-03-30T12:00", "overdue by 57 d", "0 min left"),
        ("2026-01-30T12:00", "2026-03-31T12:01", "overdue by 57 d", "overdue by 1 min"),
    ],
)
def test_time_left(known: str, now: str, gdpr: str, hipaa: str) -> None:
    """72 hours and sixty days from first knowledge, in UTC, to the minute."""
    assert (gdpr, hipaa) == tuple(clock.said for clock in stands(known, now))


def test_the_limit_is_a_moment() -> None:
    """What is due when is said as a time, and stays what it was once the clock was answered."""
    running = stands("2028-02-27T08:30", "2028-02-28T09:00")
    assert [clock.due_utc for clock in running] == ["2028-03-01T08:30:00Z", "2028-04-27T08:30:00Z"]
    assert [clock.state for clock in running] == [ClockState.RUNNING] * 2
    later = stands("2028-02-27T08:30", "2029-01-01T00:00", answered="2028-03-02T09:30")
    assert [clock.due_utc for clock in later] == ["2028-03-01T08:30:00Z", "2028-04-27T08:30:00Z"]
    assert [clock.state for clock in later] == [ClockState.LATE, ClockState.ANSWERED]
    assert [clock.said for clock in later] == ["answered late, after 4 d 1 h", "answered in 4 d 1 h"]


@given(st.integers(0, 400 * DAY_MS), st.integers(0, 400 * DAY_MS))
def test_a_clock_never_says_more_than_there_is(passed: int, more: int) -> None:
    """What is left is rounded down, shrinks as time passes, and at the limit turns once."""
    for clock in CLOCKS:
        one, other = (reading(clock, time, None, 0) for time in (passed, passed + more))
        assert other.left_s <= one.left_s
        assert (one.state is ClockState.OVERDUE) == (passed > clock.limit_ms)
        assert one.left_s * 1000 <= clock.limit_ms - passed
        answered = reading(clock, passed + more, passed, 0)
        assert (answered.state is ClockState.ANSWERED) == (passed <= clock.limit_ms)


@given(st.integers(0, 400 * DAY_MS))
def test_a_span_is_at_most_the_time(passed: int) -> None:
    """The words of a time say no more than it has."""
    units = {"d": DAY_MS, "h": HOUR_MS, "min": 60_000}
    words = span(passed).split()
    said = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert said <= passed < said + (DAY_MS if said >= 10 * DAY_MS else HOUR_MS)


# -- what the log can prove --------------------------------------------------------------------------------


def begun(directory: Path) -> tuple[EvidenceLog, FrozenClock, Entry]:
    """A log with an entry from which a clock runs."""
    clock = FrozenClock()
    log = EvidenceLog.open(directory, clock=clock)
    return log, clock, log.append("a.b")


def since(log: EvidenceLog, entry: Entry) -> float:
    """Hours since an entry."""
    return Elapsed(log).since(entry.index, claimed_ms(entry)) / HOUR_MS


def test_time_passes_as_claimed(tmp_path: Path) -> None:
    """Running, and switched off overnight."""
    log, clock, entry = begun(tmp_path / "log")
    run_for(clock, 5)
    assert since(log, entry) == 5
    clock.utc, clock.boot = clock.utc + 10 * HOUR_MS, 0
    log.append("a.b")
    assert since(log, entry) == 15
    assert Elapsed(log).set_back == ()


@pytest.mark.parametrize("logged", [True, False])
def test_setting_the_clock_back_gains_nothing(tmp_path: Path, logged: bool) -> None:
    """Two days taken back count all the same: before an entry says so, after it, and after a restart."""
    log, clock, entry = begun(tmp_path / "log")
    run_for(clock, 60)
    log.append("a.b")
    clock.utc -= 48 * HOUR_MS
    if logged:
        log.append("a.b")
        assert Elapsed(log).set_back == (log.size - 2,)
    assert since(log, entry) == 60
    run_for(clock, 1)
    later = log.append("a.b")
    assert since(log, entry) == 61
    clock.utc, clock.boot = clock.utc + HOUR_MS, 0
    assert since(log, entry) == 62
    assert (
        Elapsed(log).between(entry.index, claimed_ms(entry), later.index, claimed_ms(later)) == 61 * HOUR_MS
    )
    assert since(log, later) == 1, "an entry after it has lost nothing"


def test_without_the_log_a_clock_set_back_would_gain(tmp_path: Path) -> None:
    """The control: by its claims alone only twelve of sixty hours have passed."""
    _, clock, entry = begun(tmp_path / "log")
    run_for(clock, 60)
    clock.utc -= 48 * HOUR_MS
    assert (clock.utc - claimed_ms(entry)) / HOUR_MS == 12


def test_a_witness_has_seen_it_later(tmp_path: Path) -> None:
    """Set back while the machine was off leaves no trace; a witness that has seen it later is believed."""
    log, clock, entry = begun(tmp_path / "log")
    witnesses.trust(log, "stick", witness_log.init(tmp_path / "stick").line())
    clock.boot = 0
    seen_s = (claimed_ms(entry) + 100 * HOUR_MS) // 1000
    answer = witness_log.sign(witnesses.request(log, "stick"), tmp_path / "stick", seen_s)
    assert since(log, entry) == 0
    witnesses.accept(log, answer.data())
    assert since(log, entry) == pytest.approx(100, abs=0.001)


def test_sixty_days_are_5184000_seconds() -> None:
    """The limits, by another way of counting."""
    assert (GDPR.limit_ms, HIPAA.limit_ms) == (259_200_000, 5_184_000_000)
