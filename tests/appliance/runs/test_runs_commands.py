"""`gradaudit runs …` and `audit run --queue` as typed; the process that works is for tests of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance import queued
from appliance.errors import Busy
from appliance.runs import launching
from appliance.workspace.writer_lock import locked_file
from tests.appliance import small_site, whole_site

assert small_site.PASSPHRASE == whole_site.PASSPHRASE
ASK = ("audit", "run", "--model", "tiny", "--cohort", "spring", "--policy", "demo", "--queue")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace up to the frozen cohort, of this file alone."""
    return small_site.build(tmp_path_factory.mktemp("site"))


@pytest.fixture(autouse=True)
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is asked for waits."""
    monkeypatch.setattr(launching, "start", lambda root, kept: None)
    yield


def test_the_queue_as_commands(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for, listed, shown, moved first, paused, resumed and cancelled, each with JSON and words."""

    def run(*words: str) -> SimpleNamespace:
        said = whole_site.run(monkeypatch, root, *words)
        return SimpleNamespace(code=said.code, out=said.out, err=said.err)

    asked = [json.loads(run(*ASK, "--json").out) for _ in range(2)]
    assert [one["state"] for one in asked] == ["waiting"] * 2
    first, second = (one["run_id"] for one in asked)
    listed = run("runs", "ls")
    assert listed.code == 0 and listed.out.index(first) < listed.out.index(second)
    assert "waiting 1" in listed.out and "waiting 2" in listed.out
    assert json.loads(run("runs", "first", second, "--json").out)["place"] == 1
    assert json.loads(run("runs", "pause", first, "--json").out)["state"] == "paused"
    assert run("runs", "pause", first).code == 2
    shown = run("runs", "show", second)
    assert second in shown.out and "nobody works through the queue" in shown.err
    assert json.loads(run("runs", "resume", first, "--json").out)["place"] == 1
    for run_id in (first, second):
        assert run("runs", "cancel", run_id).code == 0
    empty = run("runs", "ls")
    assert (empty.code, empty.out) == (0, "") and "gradaudit audit ls" in empty.err
    for words in (("show", first), ("cancel", first), ("resume", "A-000000000000")):
        missing = run("runs", *words)
        assert missing.code == 2 and "gradaudit runs ls" in missing.err


@pytest.mark.usefixtures("memory")
def test_lock_says_that_a_run_holds_keys(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a process works through the queue locking says so, and how to stop it; otherwise it does not."""
    with locked_file(root / launching.RUNNER, time.monotonic(), Busy("somebody works")):
        said = whole_site.run(monkeypatch, root, "lock")
    assert said.code == 0 and "gradaudit lock --stop-runs" in said.err
    said = whole_site.run(monkeypatch, root, "lock", "--stop-runs")
    assert said.code == 0 and "holds keys" not in said.err


def test_lock_locks_also_where_a_run_does_not_stop(
    root: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot be told to stop: the command says so, and the keys are forgotten all the same."""
    monkeypatch.setattr(queued, "_STOP_S", 0.0)
    assert whole_site.run(monkeypatch, root, "unlock").code == 0
    assert any(path.is_file() for path in memory.rglob("*"))
    with locked_file(root / launching.RUNNER, time.monotonic(), Busy("somebody works")):
        said = whole_site.run(monkeypatch, root, "lock", "--stop-runs")
    assert said.code != 0 and "has not stopped" in said.err
    assert not any(path.is_file() for path in memory.rglob("*"))
