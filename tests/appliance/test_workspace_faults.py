"""The long harness of the workspace, short: system calls that fail or kill, in every act that writes."""

from __future__ import annotations

import shutil

import pytest
import workspace_faults

from appliance.workspace.querying import Queries


@pytest.fixture(autouse=True)
def _strace() -> None:
    """Needs strace, and the right to use it."""
    if shutil.which("strace") is None:
        pytest.skip("not shown: needs strace")


def test_failing_system_calls_lose_nothing_that_was_acknowledged() -> None:
    """Forty calls of put, rows, audit close and backup fail or kill: no loss, no false alarm."""
    found = workspace_faults.run(40, seed=2)
    assert (40, 0, 0) == (found["tried"], found["lost"], found["false_alarms"]), found


def test_a_hasty_writer_is_caught() -> None:
    """The mutant: a child that acknowledges before it acts is seen to lose."""
    assert workspace_faults.run(6, seed=0, hasty=True, acts=("rows", "close"))["lost"] > 0


def test_a_failed_commit_that_comes_back_is_no_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed fsync leaves a commit that recovery may find whole; without `make_sure` that alarms."""
    monkeypatch.setattr(workspace_faults, "CALLS", ("fsync",))
    monkeypatch.setattr(workspace_faults, "FAULTS", ("error=EIO",))
    found = workspace_faults.run(acts=("close",))
    assert (0, 0) == (found["lost"], found["false_alarms"]), found
    monkeypatch.setattr(Queries, "make_sure", lambda self: None)
    assert workspace_faults.run(acts=("close",))["false_alarms"] > 0
