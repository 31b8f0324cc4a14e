"""Boxed readers with real worker processes: order, deaths, hangs, limits, and stopping early."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import limits
from appliance.errors import ApplianceError, WorkerFailed
from appliance.readers import Readers, parser
from appliance.reading import PARSER_DIED, PARSER_TIMEOUT, Reading
from appliance.worker import Worker
from medio.records import Outcome

ROOT = Path(__file__).parents[2]


@pytest.fixture
def notes(tmp_path: Path) -> list[Path]:
    """Forty plain reports, in the order of their names."""
    paths = [tmp_path / f"{number:02}.txt" for number in range(40)]
    for path in paths:
        path.write_text(f"Chest radiograph {path.stem}. The heart is of normal size. No effusion.")
    return paths


class Site:
    """Starts workers and remembers them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[Worker] = []

    def start(self) -> Worker:
        """One more."""
        self.started.append(parser([self._folder]))
        return self.started[-1]

    def newest(self) -> int:
        """Process id of the worker started last."""
        return self.started[-1]._process.pid

    def readers(
        self, workers: int = 1, wanted: Callable[[str], bool] = lambda digest: True
    ) -> Readers[tuple[str, Reading]]:
        """Readers that keep the name and what was said."""
        return Readers(
            self.start, lambda path, reading, frame: (path.stem, reading), workers=workers, wanted=wanted
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def at_the(number: int, act: Callable[[], None]) -> Callable[[str], bool]:
    """A `wanted` that does something when asked the n-th time: between the look at a file and its reading."""
    asked = 0

    def wanted(digest: str) -> bool:
        nonlocal asked
        asked += 1
        if asked == number:
            act()
        return True

    return wanted


def test_readings_come_in_the_order_of_the_paths(site: Site, notes: list[Path]) -> None:
    """Two workers side by side; each file gives one reading with its own words."""
    found = list(site.readers(2).read(iter(notes)))
    assert [path.stem for path in notes] == [name for name, _ in found]
    assert all(f"radiograph {name}." in reading.reports[0].text for name, reading in found)
    assert len(site.started) == 2


def test_few_files_start_one_worker(site: Site, notes: list[Path]) -> None:
    """A second process for three files would cost more than it gives."""
    assert len(list(site.readers(4).read(iter(notes[:3])))) == 3
    assert len(site.started) == 1


def test_a_death_is_tried_again_in_a_fresh_worker(site: Site, notes: list[Path]) -> None:
    """The machine may have been short of memory: the file is read after all, and all others."""
    killing = at_the(3, lambda: os.kill(site.newest(), signal.SIGKILL))
    found = list(site.readers(wanted=killing).read(iter(notes[:5])))
    assert [Outcome.REPORT] * 5 == [reading.outcome for _, reading in found]
    assert len(site.started) == 2


def test_a_file_that_kills_twice_is_set_aside(site: Site, notes: list[Path]) -> None:
    """It costs itself alone, and keeps the digest it was looked at with."""
    deadly = notes[2]

    def wanted(digest: str) -> bool:
        if digest == digest_of(deadly):
            os.kill(site.newest(), signal.SIGKILL)
        return True

    found = dict(site.readers(wanted=wanted).read(iter(notes[:5])))
    assert (Outcome.REJECTED, PARSER_DIED) == (found["02"].outcome, found["02"].reason)
    assert digest_of(deadly) == found["02"].digest
    assert [Outcome.REPORT] * 4 == [reading.outcome for name, reading in found.items() if name != "02"]


def digest_of(path: Path) -> str:
    """As the worker names its bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_hang_is_ended_and_not_tried_again(
    site: Site, notes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next file goes to a fresh worker; the sleeping one is gone."""
    monkeypatch.setattr(limits, "wall_seconds", lambda size: 0.5)
    sleeping = at_the(2, lambda: os.kill(site.newest(), signal.SIGSTOP))
    found = dict(site.readers(wanted=sleeping).read(iter(notes[:4])))
    assert (Outcome.REJECTED, PARSER_TIMEOUT) == (found["01"].outcome, found["01"].reason)
    assert Outcome.REPORT == found["03"].outcome
    assert len(site.started) == 2
    assert not is_running(site.started[0]._process.pid)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_has_grown_makes_room(
    site: Site, notes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a library leaks ends with its process."""
    monkeypatch.setattr(limits, "RESIDENT_BYTES", 1)
    assert len(list(site.readers().read(iter(notes[:3])))) == 3
    assert len(site.started) == 3


def test_a_worker_that_cannot_start_is_no_files_fault(notes: list[Path]) -> None:
    """Nothing is set aside for it; the caller learns what is wrong."""

    def broken() -> Worker:
        raise WorkerFailed("no worker on this machine")

    readers = Readers(broken, lambda path, reading, frame: reading, workers=2)
    with pytest.raises(WorkerFailed, match="on this machine"):
        list(readers.read(iter(notes)))


def test_what_keep_raises_reaches_the_caller(site: Site, notes: list[Path]) -> None:
    """A full disk in a thread stops the reading, and every worker with it."""

    def full(path: Path, reading: Reading, frame: bytes) -> None:
        raise ApplianceError("cannot write to the vault")

    with pytest.raises(ApplianceError, match="vault"):
        list(Readers(site.start, full, workers=2).read(iter(notes)))
    assert not any(is_running(worker._process.pid) for worker in site.started)


def test_closing_early_ends_the_workers_at_once(site: Site, notes: list[Path]) -> None:
    """Also one that sleeps over a file: nobody waits for its time limit."""
    asleep = at_the(2, lambda: os.kill(site.newest(), signal.SIGSTOP))
    readings = site.readers(wanted=asleep).read(iter(notes))
    next(readings)
    begun = time.monotonic()
    readings.close()
    assert time.monotonic() - begun < 5
    assert not is_running(site.newest())


def test_paths_are_taken_as_they_are_needed(site: Site, notes: list[Path]) -> None:
    """A listing of a million files is never held: no more are out than may be done ahead."""
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield notes[0]

    readings = site.readers().read(endless())
    for _ in range(3):
        next(readings)
    assert taken <= 3 + limits.AHEAD + 1
    readings.close()


def test_memory_of_a_parser_ends_somewhere(tmp_path: Path) -> None:
    """With too little to import its libraries in, the worker fails instead of the machine."""
    with pytest.raises(WorkerFailed), Worker([tmp_path], "ingest", memory_bytes=20 << 20) as worker:
        worker.begin({"type": "ingest", "statistics": False})
        worker.ask({"type": "look", "path": str(tmp_path)}, 30.0)


def test_processor_time_of_a_file_ends_somewhere() -> None:
    """The kernel ends a reader that calculates for ever, from inside no signal is caught."""
    code = "from appliance.pipeline import _limit_processor_time as limit; limit(0)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60)
    assert -signal.SIGXCPU == done.returncode


def test_limits_grow_with_the_file() -> None:
    """A gigabyte may take minutes; ten kilobytes may not."""
    assert limits.cpu_seconds(10_000) == 10
    assert 60 < limits.cpu_seconds(1 << 30) < 600
    assert limits.wall_seconds(0) > limits.cpu_seconds(0)


def test_no_parser_outlives_a_killed_appliance(notes: list[Path]) -> None:
    """kill -9 of the parent ends a worker that is busy: the kernel sees to it."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom appliance.readers import parser\n"
        "worker = parser([Path(sys.argv[1])])\nworker.begin({'type': 'ingest', 'statistics': False})\n"
        "os.kill(worker._process.pid, signal.SIGSTOP)\n"
        "print(worker._process.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, notes[0]], cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    pid = int(done.stdout)
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)
