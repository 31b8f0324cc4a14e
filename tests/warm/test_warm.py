"""What is forked is as what is started: files, arguments, environment, exit status, box, and its end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from appliance.worker import SELF_PROBE, Worker
from tests import warm
from tests.conftest import TESTS, WARM

FOLDER = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}


@pytest.fixture
def forked(warm_processes: warm.Warm) -> Iterator[warm.Warm]:
    """Workers and commands are forked while a test lasts."""
    warm.install(warm_processes)
    yield warm_processes
    warm.remove()


def test_the_files_that_fork_are_there() -> None:
    """One that was renamed would start its processes again: the suite takes longer, and nobody sees why."""
    assert [name for name in WARM if not (TESTS / name).is_file()] == []


def test_the_way_workers_are_started_is_tried_elsewhere() -> None:
    """Isolation, limits and the beginning of a process are for files that start theirs, all or some."""
    names = ("isolation", "isolation_required", "worker_limits", "readers", "kill_and_canaries", "egress")
    started = {f"appliance/test_{name}.py" for name in (*names, "command_line")} | {"tui/test_officer.py"}
    assert all((TESTS / name).is_file() for name in started)
    assert started & set(WARM) == set()
    for name in ("audit_resumed", "cold_start"):  # a killed command, a first audit
        assert "warm.cold()" in (TESTS / "appliance" / f"test_{name}.py").read_text()


def test_a_command_says_what_it_says(forked: warm.Warm, tmp_path: Path) -> None:
    """Both ways: the same output, error line and exit status."""
    environment = {**os.environ, "GRADAUDIT_WORKSPACE": str(tmp_path / "none")}
    for words in (["glossary", "--json"], ["audit", "ls"], ["no-such-command"], ["audit", "ls", "--user"]):
        quick = warm.command(words, environment)
        command = [sys.executable, "-m", "appliance.cli", *words]
        slow = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert (quick.returncode, quick.stdout, quick.stderr) == (slow.returncode, slow.stdout, slow.stderr)


def test_a_descriptor_is_passed_under_its_number(forked: warm.Warm, tmp_path: Path) -> None:
    """A passphrase on a descriptor reaches the command: it makes a workspace with it."""
    reading, writing = os.pipe()
    os.write(writing, b"four random words here\n")
    os.close(writing)
    environment = {**os.environ, "GRADAUDIT_WORKSPACE": str(tmp_path / "workspace")}
    words = ["--passphrase-fd", str(reading), "init", "--site", "Test"]
    done = warm.command(words, environment, pass_fds=[reading])
    os.close(reading)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "workspace" / "keyring.json").is_file()


def _layers(worker: Worker) -> dict[str, str]:
    with worker:
        return worker.isolation


def test_a_box_is_as_closed(warm_processes: warm.Warm, tmp_path: Path) -> None:
    """A forked worker closes the layers that a started one closes, and nothing gets out of it."""
    started = _layers(Worker([tmp_path], "ingest"))
    warm.install(warm_processes)
    try:
        forked = Worker([tmp_path], "ingest")
        assert isinstance(forked._process, warm.Process)
        assert _layers(forked) == started
    finally:
        warm.remove()
    assert started[SELF_PROBE] == "on"


def _open_files(process: int) -> dict[str, str]:
    folder = Path(f"/proc/{process}/fd")
    return {file.name: str(file.readlink()).partition(":")[0] for file in folder.iterdir()}


def test_a_worker_has_its_pipes_and_no_more(forked: warm.Warm, tmp_path: Path) -> None:
    """What the server holds for others is not in its hands."""
    with Worker([tmp_path], "ingest") as worker:
        assert worker.isolation
        held = _open_files(worker._process.pid)
    kinds = sorted(held.values())
    assert kinds.count("pipe") == 2, held
    assert [kind for kind in kinds if kind in ("socket", "anon_inode")] == [], held


def _process(forked: warm.Warm, **given: Any) -> warm.Process:
    command = [sys.executable, "-P", "-m", "appliance.worker"]
    process = forked.popen(command, **FOLDER, env=dict(os.environ), cwd="/", **given)
    assert isinstance(process, warm.Process)
    return process


def test_it_can_be_killed(forked: warm.Warm) -> None:
    """Its number is its own, and the status says by which signal it ended."""
    process = _process(forked)
    assert process.poll() is None
    process.kill()
    assert process.wait(20.0) == -signal.SIGKILL


def test_two_threads_learn_of_its_end(forked: warm.Warm) -> None:
    """One waits while another kills it, as the readers of an ingest do: both get the status."""
    process = _process(forked)
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(process.wait, 20.0) for _ in range(2)]
        process.kill()
        assert [one.result() for one in waiting] == [-signal.SIGKILL] * 2
    assert process.wait() == -signal.SIGKILL


def test_it_ends_when_its_pipe_closes(forked: warm.Warm) -> None:
    """As a started one: status 0."""
    process = _process(forked)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20.0) == 0


def test_it_does_not_outlive_who_asked_for_it(warm_processes: warm.Warm, tmp_path: Path) -> None:
    """The asking side has gone: it is killed, whatever it does."""
    process = _process(warm_processes)
    watched = os.pidfd_open(process.pid)
    process._reply.close()
    assert select.select([watched], [], [], 20.0)[0]
    os.close(watched)


def test_other_commands_are_started(forked: warm.Warm) -> None:
    """A program of a test's own is no module of ours: nothing of it is forked."""
    done = forked.popen([sys.executable, "-c", "import sys; print(len(sys.modules))"], **FOLDER)
    assert isinstance(done, subprocess.Popen)
    with done:
        assert done.stdout is not None
        assert int(done.stdout.read()) < 200


def test_a_failing_command_shows_no_values(forked: warm.Warm, tmp_path: Path) -> None:
    """The last border of a command holds in a forked one: a fault's id, no traceback."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "keyring.json").write_text(json.dumps({"secret": "quillwort"}))
    done = warm.command(["audit", "ls"], {**os.environ, "GRADAUDIT_WORKSPACE": str(folder)})
    assert done.returncode != 0
    assert "Traceback" not in done.stderr and "quillwort" not in done.stderr
