"""A clock set forward: an entry says so, and no year of the log is old because of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.evidence import keeping, witness_log, witnesses
from appliance.evidence.clock import DAY_MS
from appliance.evidence.log import EvidenceLog
from tests.appliance.evidence_case import FrozenClock
from tests.appliance.test_log_segments import in_year

HOUR_NS = 3_600_000_000_000


def run_for(clock: FrozenClock, hours: float) -> None:
    """Both clocks go on."""
    clock.utc += round(hours * 3_600_000)
    clock.boot += round(hours * HOUR_NS)


def test_a_clock_set_forward_is_an_entry(tmp_path: Path) -> None:
    """More than 31 days beyond the machine's own time are noted; a machine that was off is not."""
    clock = FrozenClock()
    log = EvidenceLog.open(tmp_path / "log", clock=clock)
    run_for(clock, 24 * 4)
    log.append("ran.on")
    clock.utc += 31 * DAY_MS
    log.append("a.month")
    clock.utc += 31 * DAY_MS + 1
    log.append("more.than")
    clock.utc, clock.boot = clock.utc + 31 * DAY_MS, 0
    log.append("a.month.off")
    run_for(clock, 1)
    log.append("ran.on")
    clock.utc, clock.boot = clock.utc + 31 * DAY_MS + 3_600_001, HOUR_NS - 1
    log.append("longer.off")
    said = [entry.act for entry in log.entries(1, 20) if entry.act != "log.segment"]
    assert said == [
        *("ran.on", "a.month", "clock.forward", "more.than", "a.month.off", "ran.on"),
        *("clock.forward", "longer.off"),
    ]


def set_forward(directory: Path) -> tuple[EvidenceLog, FrozenClock]:
    """A log of 2026 whose clock was set to 2034, and which was written to since."""
    clock = in_year(2026)
    log = EvidenceLog.open(directory, clock=clock)
    log.append("a.b")
    run_for(clock, 1)
    clock.utc = in_year(2034).utc
    log.append("a.b")
    assert ("2026",) == log.closed_years()
    return log, clock


def test_a_clock_set_forward_ages_nothing(tmp_path: Path) -> None:
    """Years become old by a month of running under the same claim, not by setting a clock; nothing goes."""
    log, clock = set_forward(tmp_path / "log")
    for _ in range(30):
        with pytest.raises(UsageError, match="has said 2033 or later for less than 30 days"):
            keeping.prune(log, 2027, 6, clock.utc)
        run_for(clock, 24)
        log.append("a.b")
    assert ["2026"] == keeping.prune(log, 2027, 6, clock.utc)


def test_without_the_month_a_clock_set_forward_removes_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    log, clock = set_forward(tmp_path / "log")
    monkeypatch.setattr(keeping, "STANDS_NS", 0)
    assert ["2026"] == keeping.prune(log, 2027, 6, clock.utc)


def test_small_steps_and_restarts_are_no_month(tmp_path: Path) -> None:
    """Months in steps of 20 hours leave no note, and still no year is old; nor by many restarts."""
    clock = in_year(2026)
    log = EvidenceLog.open(tmp_path / "log", clock=clock)
    run_for(clock, (in_year(2032).utc - clock.utc) / 3_600_000 + 24 * 160)
    while clock.utc < in_year(2033).utc:
        clock.utc += DAY_MS * 20 // 24
        log.append("a.b")
    assert "clock.forward" not in [entry.act for entry in log.entries(0, 10**6)]
    for number in range(40):
        clock.utc, clock.boot = clock.utc + 3_600_000, HOUR_NS - number
        log.append("a.b")
    with pytest.raises(UsageError, match="less than 30 days"):
        keeping.prune(log, 2027, 6, clock.utc)


def test_a_machine_that_is_off_at_night_grows_old_too(tmp_path: Path) -> None:
    """Ten hours a day count as ten hours: after 72 days a year that is old may go."""
    log, clock = set_forward(tmp_path / "log")
    for _ in range(73):
        clock.utc, clock.boot = clock.utc + 14 * HOUR_NS // 10**6, 0
        log.append("a.b")
        run_for(clock, 10)
        log.append("a.b")
    assert ["2026"] == keeping.prune(log, 2027, 6, clock.utc)


@pytest.mark.parametrize(("year", "removed"), [(2026, []), (2031, []), (2033, ["2026"])])
def test_where_there_is_a_witness_its_clock_decides(tmp_path: Path, year: int, removed: list[str]) -> None:
    """What a witness saw last is the latest that it is; the site's own clock says nothing then."""
    log, clock = set_forward(tmp_path / "log")
    witnesses.trust(log, "stick", witness_log.init(tmp_path / "stick").line())
    answer = witness_log.sign(witnesses.request(log, "stick"), tmp_path / "stick", in_year(year).utc // 1000)
    witnesses.accept(log, answer.data())
    run_for(clock, 24 * 60)
    log.append("a.b")
    if removed:
        assert removed == keeping.prune(log, 2027, 6, clock.utc)
    else:
        with pytest.raises(UsageError, match="the clock of the last witness"):
            keeping.prune(log, 2027, 6, clock.utc)
    assert log.verify().intact
