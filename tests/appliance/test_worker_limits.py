"""What a job may cost: memory, silence, processor time, processes. Each limit is exceeded, and once kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import limits
from appliance.channel import Channel
from appliance.errors import NotNow, WorkerSilent
from audit_core.estimates import Trial
from tests.appliance.taken_over import worker

ROOT = Path(__file__).parent.parent.parent
MIB = 1 << 20
GRAB = """
taken = []
try:
    for _ in range(400):
        taken.append(bytearray(1 << 20))
except MemoryError:
    pass
return {"got": len(taken)}
"""
SHARE = """
import mmap, time
area = mmap.mmap(-1, {size} << 20)  # shared and without a name: no limit of the kernel counts it
for place in range(0, len(area), 4096):
    area[place] = 1
time.sleep({rest})
return {{"got": len(area) >> 20}}
"""
SPIN = """
import resource, time
hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
end = time.process_time() + {seconds}
while time.process_time() < end:
    pass
return {{}}
"""
FORK = """
import os, threading
done = []
thread = threading.Thread(target=done.append, args=(1,))
thread.start(); thread.join()
try:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    forked = True
except PermissionError:
    forked = False
{report}
"""


@pytest.mark.parametrize(("allowed", "kept"), [(200 * MIB, False), (2048 * MIB, True)])
def test_memory_ends_where_it_was_said(tmp_path: Path, allowed: int, kept: bool) -> None:
    """A job that takes more private memory than allowed does not get it; with more allowed it does."""
    with worker(tmp_path, GRAB, memory_bytes=allowed) as child:
        got = child.call({"type": "audit"})["got"]
    assert (got == 400) is kept
    assert got * MIB < allowed


@pytest.mark.parametrize(("size", "kept"), [(400, False), (10, True)])
def test_shared_memory_counts_too(tmp_path: Path, size: int, kept: bool) -> None:
    """Memory that the kernel's limit does not count is seen by the parent, which ends the child."""
    body = SHARE.format(size=size, rest=0 if kept else 60)
    with worker(tmp_path, body, memory_bytes=300 * MIB) as child:
        if kept:
            assert child.call({"type": "audit"})["got"] == size
        else:
            with pytest.raises(NotNow, match="more memory than it may"):
                child.call({"type": "audit"})


@pytest.mark.parametrize(("rest", "kept"), [(60.0, False), (0.0, True)])
def test_silence_ends_a_job(tmp_path: Path, rest: float, kept: bool) -> None:
    """A job that says nothing for too long is given up."""
    with worker(tmp_path, f"import time\ntime.sleep({rest})\nreturn {{}}") as child:
        if kept:
            assert child.call({"type": "audit"}, timeout_s=30.0)["type"] == "answer"
        else:
            with pytest.raises(WorkerSilent, match="did not answer in time"):
                child.call({"type": "audit"}, timeout_s=0.5)
            child.kill()


@pytest.mark.parametrize(("allowed", "kept"), [(0.5, False), (float("inf"), True)])
def test_processor_time_ends_a_job_that_lifts_its_own_limit(
    tmp_path: Path, allowed: float, kept: bool
) -> None:
    """The parent counts: a job that raised its own limit ends all the same."""
    with worker(tmp_path, SPIN.format(seconds=0.2 if kept else 120)) as child:
        if kept:
            assert child.call({"type": "audit"}, processor_s=allowed)["type"] == "answer"
        else:
            with pytest.raises(WorkerSilent, match="used up its processor time"):
                child.call({"type": "audit"}, processor_s=allowed)


def test_threads_yes_processes_no(tmp_path: Path) -> None:
    """A job may start threads and no process; the same lines outside the box start one."""
    with worker(tmp_path, FORK.format(report="return {'forked': forked, 'threads': len(done)}")) as child:
        answer = child.call({"type": "audit"})
    assert (answer["forked"], answer["threads"]) == (False, 1)
    outside = FORK.format(report="print(forked, len(done))")
    done = subprocess.run([sys.executable, "-c", outside], capture_output=True, text=True, check=True)
    assert done.stdout == "True 1\n"


@pytest.mark.parametrize("size", [4 * MIB, 10])
def test_a_child_that_takes_nothing_is_given_up(size: int) -> None:
    """Sending waits for a reader as long as it may and no longer; what fits into the pipe needs none."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    ends = Channel(read_fd, write_fd, send_s=0.1)
    if size > MIB:
        with pytest.raises(WorkerSilent, match="takes nothing"):
            ends.send({}, bytes(size))
    else:
        ends.send({}, bytes(size))
        assert ends.receive(1.0) == ({}, bytes(size))
    ends.close()


def test_limits_follow_the_estimate() -> None:
    """More pairs may cost more, nothing more than the machine has; without a trial the machine ends it."""
    trial = Trial({}, 1, (), 4, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1 << 30, 1000, 100)
    assert trial.bytes(10) < limits.audit_bytes(trial, 10) <= limits.machine_bytes()
    assert limits.audit_bytes(None, 10) == limits.machine_bytes()
    assert trial.seconds(100) < limits.audit_seconds(trial, 100) < limits.audit_seconds(trial, 100, epochs=2)
    assert limits.audit_seconds(None, 100) == float("inf")
