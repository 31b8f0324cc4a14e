"""The long harnesses of the log, short: kills, failing system calls, power cuts, and two verifiers."""

from __future__ import annotations

import shutil

import log_faults
import log_kill
import log_powercut
import log_verifiers
import pytest


def clean(found: dict[str, object]) -> bool:
    """Nothing lost, nobody wrongly accused."""
    return (found["lost"], found["false_alarms"]) == (0, 0)


def test_killed_writers_lose_nothing() -> None:
    """Fifteen kills -9, some around the end of a year."""
    found = log_kill.run(15, seed=1)
    assert clean(found), found
    assert found["acknowledged"]


def test_a_hasty_writer_is_caught() -> None:
    """The mutant: a writer that acknowledges before it writes is seen to lose entries."""
    assert log_kill.run(8, seed=1, hasty=True)["lost"] > 0


@pytest.fixture
def strace() -> None:
    """Needs strace, and the right to use it."""
    if shutil.which("strace") is None:
        pytest.skip("not shown: needs strace")


def test_failing_system_calls_lose_nothing(strace: None) -> None:
    """Sixty of the system calls of an append fail or kill; what was acknowledged is there."""
    found = log_faults.run(60, seed=1)
    assert clean(found), found
    assert found["tried"] == 60


def test_a_careless_writer_is_caught(strace: None) -> None:
    """The mutant: a program that goes on after a failed call is found out."""
    found = log_faults.run(calls=("rename", "pwrite64"), years=(2026,), careless=True)
    assert found["lost"] or found["false_alarms"], found


def test_power_cuts_lose_nothing() -> None:
    """Two hundred disks as a power cut after each step of appends and of a year's end may leave them."""
    found = log_powercut.run(200, seed=1, mutants=False)
    assert clean(found), found
    assert found["torn_tails"]


def test_each_fsync_is_needed() -> None:
    """Without any one of the waits for the disk, some power cut is found to lose or to alarm."""
    found = log_powercut.run(0, seed=1)
    assert (28, []) == (found["mutants"], found["missed"])


def test_two_verifiers_agree() -> None:
    """Two hundred logs, intact and damaged at random: both say the same of each; a blind one does not."""
    found = log_verifiers.run(200, seed=1)
    assert (0, 0) == (found["disagreements"], found["missed_mutants"]), found
    assert found["broken"] > 50
    assert found["intact"] > 20
