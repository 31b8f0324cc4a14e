"""A service that is killed at any write, and two at the same instant: each planned audit is queued once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest

from appliance import leases
from appliance.leases import Lease, Machine
from appliance.runs.progress import started
from appliance.schedule_views import StartedRun
from appliance.workspace.rows import StoredModel
from tests.appliance import ward
from tests.appliance.test_scheduled import NIGHTLY, Clock, Site, record_of

# One process forks a child for every step: before and after each change of the catalogue, and after each
# entry of the log; the child kills itself at the n-th, until one gets through. What a log does that is killed
# inside an entry, and a catalogue inside a commit, is tested elsewhere.
_KILLED = """
import os, shutil, signal, sys
from datetime import timedelta
from pathlib import Path
from appliance.evidence.log import EvidenceLog
from appliance.workspace.catalogue import Catalogue
from tests.appliance import ward
from tests.appliance.test_scheduled import Clock, Site

origin, folder = Path(sys.argv[1]), Path(sys.argv[2])
left = [0]

def step():
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def child(root, fatal):
    opened = Site.unlock(root, ward.PASSPHRASE)
    opened._log.clock = clock = Clock()
    clock.now += timedelta(days=1)
    left[0] = fatal
    change, append = Catalogue.set_settings, EvidenceLog.append_all
    def changing(self, settings):
        step()
        change(self, settings)
        step()
    def appending(self, acts):
        written = append(self, acts)
        step()
        return written
    Catalogue.set_settings, EvidenceLog.append_all = changing, appending
    opened.run_due()
    os._exit(0)

killed = 0
while True:
    root = folder / str(killed)
    shutil.copytree(origin, root)
    child_id = os.fork()
    if child_id == 0:
        try:
            child(root, killed)
        finally:
            os._exit(3)
    code = os.waitstatus_to_exitcode(os.waitpid(child_id, 0)[1])
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    killed += 1
print(killed)
"""


@pytest.fixture
def planned(root: Path) -> Path:
    """A ward with two models and a schedule of all of them; a day later both are due."""
    with Site.unlock(root, ward.PASSPHRASE) as opened:
        opened._log.clock = Clock()
        with opened._act("model.add", "two"):
            for name in (ward.MODEL, "other"):
                opened._workspace.catalogue.add_model(StoredModel(name, record_of(name), "2026-01-01"))
        opened.add_schedule(replace(NIGHTLY, model="all"))
    return root


class OtherMachine(Machine):
    """A process of another id, which sees that of `gone` no more."""

    def __init__(self, process: int, gone: tuple[int, ...] = ()) -> None:
        self._process = process
        self._gone = gone

    def process(self) -> tuple[int, int]:
        """Its own."""
        return self._process, 1

    def lives(self, process: int, began: int) -> bool:
        """All but those."""
        return process not in self._gone


@pytest.fixture
def two(planned: Path) -> Iterator[tuple[Site, Site]]:
    """Two services of one workspace, a day after the schedule was added."""
    with Site.unlock(planned, ward.PASSPHRASE) as first, Site.unlock(planned, ward.PASSPHRASE) as second:
        first._machine, second._machine = OtherMachine(1), OtherMachine(2)
        clock = Clock()
        clock.now += timedelta(days=1)
        first._log.clock = second._log.clock = clock
        yield first, second


def test_a_kill_at_any_write_loses_nothing_and_repeats_nothing(planned: Path, tmp_path: Path) -> None:
    """Whoever comes next, after a restart or an hour, queues what is missing: every model once."""
    (tmp_path / "killed").mkdir()
    given = [str(planned), str(tmp_path / "killed")]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 20
    ends = set()
    for root in (tmp_path / "killed").iterdir():
        with Site.unlock(root, ward.PASSPHRASE) as site:
            site._log.clock = clock = Clock()
            clock.now += timedelta(days=1, minutes=1)
            before = site.ran
            rows = site.run_due()
            assert site.ran == [f"{name} {ward.COHORT} default" for name in (ward.MODEL, "other")]
            assert site.run_due() == () and not any(row.why for row in rows)
            (view,) = site.schedules()
            assert len(view.audits) == 2 and view.last_told == f"{ward.MODEL} waiting; other waiting"
            ends.add((len(before), bool(rows)))
    assert ends == {(0, True), (1, True), (2, True), (2, False)}  # killed before, between, after, not at all


def test_a_run_of_another_service_is_left_alone_until_that_is_gone(two: tuple[Site, Site]) -> None:
    """Claimed and not yet queued: nobody else's while its process lives, then the next one's."""
    first, second = two
    assert first._claimed("nightly") is not None
    assert second._claimed("nightly") is None and second.run_due() == ()
    second._machine = OtherMachine(2, gone=(1,))
    assert len(second.run_due()) == 2 and len(second.ran) == 2
    assert first.run_due() == () and len(first.ran) == 2


def test_a_process_that_cannot_be_seen_is_not_taken_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two units /proc shows nothing of the other: its lease stands until it ends, or its process."""
    with subprocess.Popen(["sleep", "60"]) as other:
        whose = (other.pid, started(other.pid))
        assert Machine().lives(*whose) and not Machine().lives(other.pid, whose[1] + 1)
        shown = Path.exists, leases.started
        monkeypatch.setattr(leases, "started", lambda process: 0)
        monkeypatch.setattr(Path, "exists", lambda path, **_: not path.is_relative_to("/proc"))
        lease = Lease(Machine().boot(), *whose, until_s=100.0)
        assert not Machine().is_free(lease, 99.0) and Machine().is_free(lease, 100.0)
        monkeypatch.setattr(Path, "exists", shown[0])
        monkeypatch.setattr(leases, "started", shown[1])
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert Machine().is_free(lease, 99.0)  # dead, and nobody has asked about it yet
        monkeypatch.setattr(leases, "started", lambda process: 0)
    assert Machine().is_free(lease, 99.0)


@pytest.mark.parametrize("change", ["an hour of the machine", "a restart"])
def test_a_lease_ends_by_the_machines_own_clock(
    two: tuple[Site, Site], change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the clock that people set; and a restart ends all."""
    first, second = two
    assert first._claimed("nightly") is not None
    clock = second._log.clock
    assert isinstance(clock, Clock)
    set_forward = Clock()
    set_forward.now = clock.now + timedelta(hours=3)
    monkeypatch.setattr(set_forward, "boot_ns", clock.boot_ns)
    second._log.clock = set_forward
    assert second.run_due() == ()
    if change == "a restart":
        monkeypatch.setattr(OtherMachine, "boot", lambda self: "another start")
    else:
        clock.now += timedelta(hours=1)
    assert len(second.run_due()) == 2


@pytest.mark.parametrize("place", ["claimed", "queued once", "queued twice"])
def test_a_service_that_wakes_up_late_does_nothing_twice(two: tuple[Site, Site], place: str) -> None:
    """Its lease has ended, another one has gone on; then the first goes on where it stood."""
    first, second = two
    run = first._claimed("nightly")
    assert run is not None and run.planned is not None
    told = [
        first._queue_planned("nightly", run.at_utc, one)
        for one in run.planned[: ["claimed", "queued once", "queued twice"].index(place)]
    ]
    second._machine = OtherMachine(2, gone=(1,))
    second.run_due()
    told += [first._queue_planned("nightly", run.at_utc, one) for one in run.planned[len(told) :]]
    first._close_run("nightly", run.at_utc, told)
    assert len(first.ran) == 2 and len(first.schedules()[0].audits) == 2


def test_two_at_the_same_instant(two: tuple[Site, Site]) -> None:
    """Threads of one process here, each with the workspace open: one of them has all, or both a part."""
    with ThreadPoolExecutor(2) as pool:
        barrier = Barrier(2)

        def go(site: Site) -> tuple[StartedRun, ...]:
            barrier.wait()
            return site.run_due()

        rows = [row for found in pool.map(go, two) for row in found]
    assert len(two[0].ran) == 2 and sorted(row.model for row in rows) == [ward.MODEL, "other"]
    acts = [row.act for row in two[0]._log.rows(0, two[0]._log.refresh()) if row.outcome == "done"]
    assert (acts.count("schedule.run"), acts.count("audit.queue")) == (1, 2)


def test_a_run_that_was_cut_off_heeds_its_window(planned: Path) -> None:
    """What may not be started now is not started because it was begun before."""
    with Site.unlock(planned, ward.PASSPHRASE) as site:
        site._log.clock = clock = Clock()
        site.remove_schedule("nightly")
        site.add_schedule(replace(NIGHTLY, model="all", window="01:00-03:00"))
        clock.now = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
        assert site._claimed("nightly") is not None
        clock.now += timedelta(hours=2)
        assert site.run_due() == () and site._schedules_need() == ()
        clock.now += timedelta(hours=22)
        assert len(site.run_due()) == 4  # the one that was cut off, and the one of that night
