"""While a watch waits, for a worker or another writer, its caller hears of it and may stop it.

A daemon that says nothing for ten minutes is taken for dead by systemd; opening a large model takes longer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import enrolment, registry, watched
from appliance.carried_out import Stopped
from appliance.errors import Busy
from appliance.views import Progress
from appliance.watch.views import WatchState
from appliance.worker import Worker
from appliance.workspace.turns import LOCK
from appliance.workspace.writer_lock import locked_file
from tests.appliance.sealed_by_hand import Reader
from tests.appliance.taken_over import worker as taken_over
from tests.appliance.watched_site import WEIGHTS, Site, flip, in_process


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One workspace for all tests; each has a line of its own."""
    with Worker([], "audit", threads=1) as worker:
        opened = Site(tmp_path_factory.mktemp("site"), worker)
        yield opened
        opened.appliance.close()


class Hearing:
    """Somebody who listens, and stops what says a phase for the n-th time."""

    def __init__(self, phase: str, times: int) -> None:
        self.heard: list[Progress] = []
        self._phase, self._times = phase, times

    def __call__(self, step: Progress) -> None:
        self.heard.append(step)
        if sum(one.phase == self._phase for one in self.heard) == self._times:
            raise Stopped


def test_a_worker_that_says_nothing_is_heard_of(tmp_path: Path) -> None:
    """About once a second; who raises leaves the job at once."""
    calls: list[float] = []

    def waits() -> None:
        calls.append(time.monotonic())
        if len(calls) == 2:
            raise Stopped

    with (
        pytest.raises(Stopped),
        taken_over(tmp_path, "import time\ntime.sleep(60)\nreturn {}") as child,
    ):
        child.call({"type": "audit"}, on_wait=waits)
    assert calls[1] - calls[0] < 30.0


@pytest.mark.parametrize("phase", [enrolment.SEALING, enrolment.TRIAL])
def test_weights_and_trial_are_heard_of(site: Site, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that only waits, for a first piece or its trial: told each time, and nothing is registered."""
    in_process(monkeypatch)
    folder = site.line(phase.replace(" ", "-"))
    monkeypatch.undo()
    flip(folder / "model" / WEIGHTS)

    def silent(self: object, job: dict[str, Any], *, on_wait: Any, **others: Any) -> dict[str, Any]:
        while True:
            on_wait()

    reader = type("Silent", (Reader,), {"call": silent}) if phase == enrolment.SEALING else Reader
    monkeypatch.setattr(enrolment, "Worker", reader)
    monkeypatch.setattr(site.worker, "call", lambda job, **given: silent(None, job, **given))
    hearing = Hearing(phase, 3)
    with pytest.raises(Stopped):
        site.look(folder.name, hearing)
    assert len(site.records(folder.name)) == 1
    assert site.acts("model.add")[-1] == "cancelled"


def test_another_writer_is_heard_of(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a version is registered, and before a look is kept; the next watch does what is missing."""
    in_process(monkeypatch)
    folder = site.line("written")
    for changed in (True, False):
        if changed:
            flip(folder / "model" / WEIGHTS)
        with (
            locked_file(site.root / LOCK, time.monotonic(), Busy("somebody writes")),
            pytest.raises(Stopped),
        ):
            site.look("written", Hearing(watched.WAITING, 3))
        assert site.look("written").state is (WatchState.CHANGED if changed else WatchState.UNCHANGED)


def test_files_that_are_looked_at_again_are_heard_of(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pickled weights are read a second time, piece by piece."""
    in_process(monkeypatch)
    site.line("again")
    pieces: list[int] = []
    registry.checked(site.records("again")[0], lambda: pieces.append(1))
    assert pieces
