"""A log over several years: one history in several files, whatever interrupts the change of year."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import IntegrityError, LogUnwritable, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from tests.appliance.evidence_case import FrozenClock


def in_year(year: int) -> FrozenClock:
    """A clock that stands in the first hour of July, on a machine that runs since 2020."""
    utc_ms = round(datetime(year, 7, 1, tzinfo=UTC).timestamp() * 1000)
    return FrozenClock(utc_ms, (utc_ms - 1_577_836_800_000) * 1_000_000)


def years(directory: Path, *wanted: int, entries: int = 5) -> EvidenceLog:
    """A log with entries in each of these years."""
    log = None
    for year in wanted:
        log = EvidenceLog.open(directory, clock=in_year(year))
        for number in range(entries):
            log.append("models.add", log.identifier(f"{year} {number}"), "done")
    assert log is not None
    return log


def problem_of(directory: Path) -> str:
    """What the verifier finds; "" when it finds nothing."""
    try:
        checked.check_log(directory)
    except checked.Broken as broken:
        return str(broken)
    return ""


def test_each_year_has_its_own_files(tmp_path: Path) -> None:
    """Two changes of year: two closed folders, each ending with an entry that says so, under one tree."""
    log = years(tmp_path / "log", 2026, 2027, 2029)
    assert ("2026", "2027") == log.closed_years()
    assert [5 + 1, 6 + 5 + 1] == [entry.index for entry in log.entries(0, 99) if entry.act == "log.segment"]
    assert log.size == 18
    assert log.verify().intact
    again = EvidenceLog.open(tmp_path / "log", clock=in_year(2029))
    assert (log.size, log.root) == (again.size, again.root)
    assert log.entries(0, 99) == again.entries(0, 99)
    report = checked.check_log(tmp_path / "log")
    assert "years    2026, 2027 closed, 2029 open" in report.lines


def test_proofs_reach_over_years(tmp_path: Path) -> None:
    """Every entry of any year is proven under the last checkpoint, and every state grew into it."""
    log = years(tmp_path / "log", 2026, 2027, entries=300)
    key = checked.parse_key(log.verifier_key, "key")
    head = checked.open_checkpoint(log.checkpoint_at(log.size), key, "head")
    for index in (0, 5, 255, 299, 300, 301, 302, 512, log.size - 1):
        path = log.prove_entry(index, log.size)
        leaf = checked.leaf_hash(log.raw(index))
        assert checked.root_by_inclusion(index, log.size, leaf, path) == head.root
        old = checked.open_checkpoint(log.checkpoint_at(index + 1), key, "old")
        assert checked.is_consistent(old, head, log.prove_growth(index + 1, log.size))
    assert [1, 302] == [log.about(log.identifier(f"{year} 0"))[0].index for year in (2026, 2027)]


def test_a_reader_survives_the_change_of_year(tmp_path: Path) -> None:
    """A log that was open before reads, proves and appends after another process closed the year."""
    early = years(tmp_path / "log", 2026)
    before = early.entries(0, 9)
    years(tmp_path / "log", 2027)
    assert before == early.entries(0, 9)
    assert early.refresh() == 12
    assert early.append("a.b").index == 13  # behind `clock.back`: the year 2026 is not opened again
    assert early.verify().intact
    assert ("2026",) == early.closed_years()


@pytest.mark.parametrize("name", ["journal", "checkpoints", "checkpoint"])
def test_every_changed_byte_of_a_closed_year_is_seen(tmp_path: Path, name: str) -> None:
    """A flipped bit in a closed segment is reported under its name, by the verifier and at the next start."""
    years(tmp_path / "log", 2026, 2027, entries=2)
    path = tmp_path / "log" / "segments" / "2026" / name
    clean = path.read_bytes()
    assert problem_of(tmp_path / "log") == ""
    for place in range(0, len(clean), 1 if name != "checkpoint" else 5):
        path.write_bytes(clean[:place] + bytes([clean[place] ^ 1]) + clean[place + 1 :])
        assert problem_of(tmp_path / "log").startswith("segments/2026/"), f"byte {place}"
    path.write_bytes(clean[:-1])
    assert problem_of(tmp_path / "log").startswith("segments/2026/")
    with pytest.raises(IntegrityError, match="segments/2026/"):
        EvidenceLog.open(tmp_path / "log")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda home: shutil.rmtree(home / "2026"), "journal, start record|does not begin|are missing"),
        (lambda home: shutil.rmtree(home / "2027"), "does not begin where the segment before ends"),
        (lambda home: (home / "2026").rename(home / "2025"), "of the year 2026"),
        (lambda home: shutil.copytree(home / "2026", home / "2020"), "does not begin|of the year"),
    ],
    ids=["first gone", "second gone", "renamed", "doubled"],
)
def test_years_cannot_be_moved(tmp_path: Path, change: Callable[[Path], Any], said: str) -> None:
    """A year that is gone, renamed or there twice is seen."""
    years(tmp_path / "log", 2026, 2027, 2028, entries=2)
    change(tmp_path / "log" / "segments")
    with pytest.raises(checked.Broken, match=said):
        checked.check_log(tmp_path / "log")


class Stop(BaseException):
    """The process ends here."""


def stopping(patch: pytest.MonkeyPatch, at: int, error: Callable[[], BaseException]) -> list[str]:
    """Let the `at`-th call that changes a file not happen; the calls seen."""
    seen: list[str] = []
    names = ("mkdir", "open", "pwrite", "write", "ftruncate", "fsync", "rename", "unlink", "rmdir")
    for name in names:
        patch.setattr(os, name, _counted(getattr(os, name), seen, at, error))
    return seen


def _counted(
    call: Callable[..., Any], seen: list[str], at: int, error: Callable[[], BaseException]
) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        if call.__name__ == "open" and arguments[1] & os.O_ACCMODE == os.O_RDONLY:
            return call(*arguments, **named)
        seen.append(call.__name__)
        if len(seen) == at or (len(seen) > at and isinstance(error(), Stop)):
            raise error()
        return call(*arguments, **named)

    return counted


@pytest.mark.parametrize("kind", ["killed", "failing"])
def test_the_change_of_year_can_stop_anywhere(tmp_path: Path, kind: str) -> None:
    """Ended or failed before its n-th call, n = 1 … all: nothing acknowledged is lost, and no alarm."""
    error: Callable[[], BaseException] = Stop if kind == "killed" else lambda: OSError(5, "I/O error")
    years(tmp_path / "old", 2026)
    at, calls = 0, []
    while at <= len(calls):
        at += 1
        directory = Path(shutil.copytree(tmp_path / "old", tmp_path / f"log{at}"))
        log = EvidenceLog.open(directory, clock=in_year(2027))
        acknowledged = log.entries(0, 99)
        with pytest.MonkeyPatch.context() as patch:
            calls = stopping(patch, at, error)
            try:
                log.append("a.b")
            except (Stop, LogUnwritable):
                assert at <= len(calls)
        assert problem_of(directory) == "", f"{kind} at call {at}: {calls[-1]}"
        again = EvidenceLog.open(directory, clock=in_year(2027))
        assert acknowledged == again.entries(0, len(acknowledged))
        again.append("a.c")
        assert ("2026",) == again.closed_years()
        assert problem_of(directory) == ""
        assert sum(entry.act == "log.segment" for entry in again.entries(0, 99)) == 1
        shutil.rmtree(directory)
    assert at > 30


def test_a_pruned_year_is_gone_and_the_rest_still_proven(tmp_path: Path) -> None:
    """After an entry says so, the oldest year may be missing; what stays is intact and proven as before."""
    log = years(tmp_path / "log", 2020, 2027, 2028)
    origin, root = 7, log.root
    assert "2020" == log.remove_oldest_year("officer")
    assert origin == log.origin
    assert ("log.prune", "officer") == (log.entries(-1)[0].act, log.entries(-1)[0].actor)
    assert (False, True) == ((tmp_path / "log/segments/2020").exists(), log.verify().intact)
    lines = checked.check_log(tmp_path / "log").lines
    assert f"pruned   entries 0 to {origin - 1}, as an entry says" in lines
    again = EvidenceLog.open(tmp_path / "log", clock=in_year(2028))
    key = checked.parse_key(again.verifier_key, "key")
    head = checked.open_checkpoint(again.checkpoint_at(again.size), key, "head")
    for index in range(origin, again.size):
        leaf = checked.leaf_hash(again.raw(index))
        path = again.prove_entry(index, again.size)
        assert checked.root_by_inclusion(index, again.size, leaf, path) == head.root
    assert again.entries(0, 1)[0].index == origin
    assert again._subtree(0, 18).hex() == root
    with pytest.raises(UsageError, match="pruned"):
        again.prove_growth(3, again.size)


def test_years_lost_without_an_entry_are_an_alarm(tmp_path: Path) -> None:
    """The control of pruning: the same folder removed by hand is reported."""
    years(tmp_path / "log", 2020, 2027, entries=2)
    shutil.rmtree(tmp_path / "log" / "segments" / "2020")
    assert "entries 0 to 3 are missing, and no entry says why" in problem_of(tmp_path / "log")
    with pytest.raises(IntegrityError, match="no entry says why"):
        EvidenceLog.open(tmp_path / "log")


def test_a_clock_from_the_future_closes_one_year_only(tmp_path: Path) -> None:
    """A clock that was wrong for a day opens a later year once; set right, the log goes on in it."""
    years(tmp_path / "log", 2026, 2099, 2026, 2027, entries=2)
    log = EvidenceLog.open(tmp_path / "log", clock=in_year(2027))
    assert ("2026",) == log.closed_years()
    assert "clock.back" in [entry.act for entry in log.entries(0, 99)]
    assert log.append_all([Act("a.b")] * 2)[-1].index == log.size - 1
    assert log.verify().intact
