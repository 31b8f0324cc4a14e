"""A log is checked while somebody writes to it: no moment of either gives a false alarm."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.evidence import verify_evidence as checked
from appliance.evidence import witness_log, witnesses
from appliance.evidence.log import EvidenceLog
from tests.appliance.evidence_case import FrozenClock
from tests.appliance.test_log_segments import in_year, years

READING = {"check_log", "_check_log", "_files", "read_head", "walk_closed", "_unrolled", "is_copy"}


def _appends(log: EvidenceLog, clock: FrozenClock, stick: Path) -> None:
    for _ in range(3):
        log.append("a.b")


def _year_ends(log: EvidenceLog, clock: FrozenClock, stick: Path) -> None:
    clock.utc = in_year(2028).utc
    _appends(log, clock, stick)


def _prunes(log: EvidenceLog, clock: FrozenClock, stick: Path) -> None:
    log.remove_oldest_year()


def _is_witnessed(log: EvidenceLog, clock: FrozenClock, stick: Path) -> None:
    log.append("a.b")
    witnesses.accept(log, witness_log.sign(witnesses.request(log, "stick"), stick, clock.utc // 1000).data())


WRITING = {"appends": _appends, "year": _year_ends, "pruning": _prunes, "witness": _is_witnessed}


def interrupted(check: Callable[[], Any], at: int, meanwhile: Callable[[], None]) -> Any:
    """Run `check`, and before the `at`-th line of the verifier's reading do something; what it answers."""
    lines = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != checked.__file__ or frame.f_code.co_name not in READING:
            return None
        if event == "line":
            lines += 1
            if lines == at:
                meanwhile()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return check()
    finally:
        sys.settrace(before)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of two years that trusts a witness."""
    folder = tmp_path_factory.mktemp("log")
    log = years(folder / "log", 2026, 2027, entries=1)
    witnesses.trust(log, "stick", witness_log.init(folder / "stick").line())
    return folder


def alarms(tmp_path: Path, grown: Path, kind: str) -> tuple[int, list[str]]:
    """Do what a writer does before the n-th line of a verification, n = 1 … all: how many, what was said."""
    at, done, said = 0, True, []
    while done:
        at, done = at + 1, False
        place = Path(shutil.copytree(grown, tmp_path / str(at)))
        clock = in_year(2027)
        log = EvidenceLog.open(place / "log", clock=clock)
        size = log.size

        def meanwhile(log: EvidenceLog = log, clock: FrozenClock = clock, place: Path = place) -> None:
            nonlocal done
            done = True
            WRITING[kind](log, clock, place / "stick")

        try:
            report = interrupted(lambda place=place: checked.check_log(place / "log"), at, meanwhile)
            assert report.checkpoint.size >= size
        except (checked.Broken, OSError) as alarm:
            said.append(f"before line {at}: {alarm}")
        shutil.rmtree(place)
    return at - 1, said


@pytest.mark.parametrize("kind", WRITING)
def test_no_step_of_a_writer_is_taken_for_damage(tmp_path: Path, grown: Path, kind: str) -> None:
    """Whatever a writer does at whichever moment of a verification: the log is intact."""
    lines, said = alarms(tmp_path, grown, kind)
    assert (lines > 30, []) == (True, said)


def test_without_a_second_look_a_pruning_is_taken_for_damage(
    tmp_path: Path, grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a verifier that does not see that files went reports them as damage."""
    monkeypatch.setattr(checked, "_files", lambda directory: [])
    assert alarms(tmp_path, grown, "pruning")[1]


def test_an_older_checkpoint_is_found_beside_a_writer(tmp_path: Path, grown: Path) -> None:
    """The control: put back before the check begins, it is reported, also if appends follow elsewhere."""
    place = Path(shutil.copytree(grown, tmp_path / "log"))
    log = EvidenceLog.open(place / "log", clock=in_year(2027))
    older = (place / "log" / "checkpoint").read_bytes()
    log.append("a.b")
    log.append("a.b")
    (place / "log" / "checkpoint").write_bytes(older)
    with pytest.raises(checked.Broken, match="it was put back"):
        checked.check_log(place / "log")


def test_an_open_log_verifies_beside_an_appending_thread(tmp_path: Path) -> None:
    """The same object and another one check while a thread appends: intact, and no size is behind."""
    writer = EvidenceLog.open(tmp_path / "log")
    other = EvidenceLog.open(tmp_path / "log")
    stop = threading.Event()

    def write() -> None:
        while not stop.wait(0.01):
            writer.append("a.b")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            for log in (writer, other):
                health = log.verify()
                assert health.intact, health.problem
    finally:
        stop.set()
        thread.join()


def test_verify_says_what_another_process_wrote_is_not_witnessed(tmp_path: Path, grown: Path) -> None:
    """What was appended elsewhere, and what a witness has seen since, counts in the answer at once."""
    place = Path(shutil.copytree(grown, tmp_path / "log"))
    clock = in_year(2027)
    early, late = (EvidenceLog.open(place / "log", clock=clock) for _ in range(2))
    _is_witnessed(late, clock, place / "stick")
    assert early.verify().witnessed != "not yet"
    clock.utc += 30 * 86_400_000
    late.append("a.b")
    clock.utc += 30 * 86_400_000
    health = early.verify()
    assert (late.size, "unwitnessed") == (health.entries, health.witnessed)


def test_an_intact_log_of_another_history_is_not_this_one(tmp_path: Path) -> None:
    """A longer history under the same key verifies by itself; who has seen another one says so."""
    log = EvidenceLog.open(tmp_path / "log")
    shutil.copytree(tmp_path / "log", tmp_path / "fork")
    log.append("a.b")
    fork = EvidenceLog.open(tmp_path / "fork")
    for _ in range(3):
        fork.append("a.c")
    for name in ("journal", "checkpoints", "checkpoint"):
        shutil.copy(tmp_path / "fork" / name, tmp_path / "log" / name)
    checked.check_log(tmp_path / "log")
    health = log.verify()
    assert (False, True) == (health.intact, "checkpoint signed" in health.problem)


def test_files_that_never_stay_do_not_hold_a_verifier(
    tmp_path: Path, grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a file system numbers files anew at each look, damage is reported all the same."""
    place = Path(shutil.copytree(grown, tmp_path / "log")) / "log"
    (place / "checkpoints").write_bytes(b"")
    numbers = iter(range(1000))
    monkeypatch.setattr(checked, "_files", lambda directory: [("journal", next(numbers))])
    with pytest.raises(checked.Broken):
        checked.check_log(place)
