"""How far an audit is said to be: rates, time left, and the file that tells it to other terminals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from appliance.runs import pace, progress
from appliance.runs.pace import Meter
from appliance.views import Progress
from audit_core.estimates import Trial
from audit_core.samples import SelfCheck

ROLES = {"member": 200, "fitting": 200, "calibration": 300, "target": 300}


def trial(**seconds: float) -> Trial:
    """A model's trial; times a pair unless their name says otherwise."""
    given: dict[str, Any] = {
        "facts": {}, "parameters": 7, "towers": (), "pairs": 4, "open_s": 20.0, "reference_s": 1.0,
        "signal_s": 1.5, "fold_s": 2.0, "forward_s": 0.5, "bank_s": 0.0, "peak_bytes": 1,
        "audited_numbers": 1, "slices": 1, "self_check": SelfCheck((1.0,), (), "float32", "cpu"),
    }  # fmt: skip
    return Trial(**{**given, **seconds})


def audited(
    plan: dict[str, float], slower: float, kept: float = 0.0
) -> tuple[Meter, list[tuple[float, float]]]:
    """Follow an audit whose pairs take `slower` times their plan; time gone and total as said at each step.

    Args:
        kept: share of the signals that were kept before, and go by in no time.
    """
    meter, now, said = Meter(0.0, plan), 0.0, []
    for name, planned in plan.items():
        called = {pace.SHUFFLED: pace.SIGNALS, pace.READINGS: "word_rows"}.get(name, name)
        unit = "steps" if name in (pace.OPEN, pace.JUDGE) else pace.PAIRS
        for done in range(0, 1001, 8):
            if done and not (name == pace.SIGNALS and done <= 1000 * kept):
                now += planned * 8 / 1000 * (slower if unit == pace.PAIRS else 1.0)
            meter.step(Progress(called, done, 1000, unit), now)
            left = meter.left_s(now)
            assert left is not None
            said.append((now, now + left))
    return meter, said


@pytest.mark.parametrize("slower", [0.4, 1.0, 3.0])
def test_the_time_left_is_right_after_a_twentieth(slower: float) -> None:
    """However far the trial was off, what is said after 5 % lies within 20 % of what comes."""
    plan = pace.planned(trial(), ROLES, has_base=True, passes=3.0, judge_s=30.0)
    _, said = audited(plan, slower)
    whole = said[-1][0]
    late = [total for gone, total in said if gone >= 0.05 * whole]
    assert late and all(abs(total - whole) <= 0.2 * whole for total in late)


def test_steps_that_were_kept_do_not_flatter_the_rate() -> None:
    """Half of the signals go by at once on resuming; soon after, the rest is told by what it takes now."""
    plan = pace.planned(trial(), ROLES, has_base=True, passes=3.0, judge_s=30.0)
    _, said = audited(plan, 1.0, kept=0.5)
    whole = said[-1][0]
    late = [total for gone, total in said if gone >= 0.5 * whole]
    assert all(abs(total - whole) <= 0.2 * whole for total in late)


def test_the_first_estimate_needs_no_event() -> None:
    """Before the worker says anything the plan stands, less what is gone; without a trial nobody knows."""
    plan = pace.planned(trial(), ROLES, has_base=False, judge_s=30.0)
    assert list(plan) == ["open", "references", "signals", "readings", "shuffled pairs", "judge"]
    assert Meter(0.0, plan).left_s(10.0) == pytest.approx(sum(plan.values()) - 10.0)
    assert pace.planned(None, ROLES, has_base=False) == {}
    meter = Meter(0.0, {})
    assert meter.left_s(1.0) is None
    meter.step(Progress("signals", 0, 40), 1.0)
    assert meter.left_s(1.0) is None
    meter.step(Progress("signals", 10, 40), 6.0)
    assert meter.phases[-1].rate == 2 and meter.left_s(6.0) == 15
    assert meter.left_s(600.0) == 0
    meter.step(Progress("spike-in", 0, 0), 7.0)
    assert [phase.name for phase in meter.phases] == ["signals", "spike-in"] and meter.phases[-1].share == 0


def test_the_file_tells_and_is_nobody_elses(tmp_path: Path) -> None:
    """Mode 0600, counts and names of phases only; it is gone when nobody is at work."""
    telling = progress.Telling(tmp_path, "A-0123456789ab", {"signals": 90.0}, here=True)
    heard: list[Progress] = []
    telling.following(heard.append)(Progress("signals", 1, 4))
    path = tmp_path / progress.FILE
    assert path.stat().st_mode & 0o777 == 0o600
    told = progress.read(tmp_path)
    assert told is not None and told.alive() and told.here
    assert (told.run_id, told.process[0]) == ("A-0123456789ab", os.getpid())
    assert [(one.name, one.done, one.total) for one in told.phases] == [("signals", 1, 4)]
    left = told.still_left_s()
    assert left is not None and 0 < left <= 90 and told.elapsed_s() >= 0
    assert heard == [Progress("signals", 1, 4)]
    assert set(json.loads(path.read_text())) == {
        "version", "run", "process", "here", "began", "told", "left_s", "phases",
    }  # fmt: skip
    (tmp_path / f".{progress.FILE}.{'0' * 16}").touch()
    progress.forget(tmp_path)
    assert list(tmp_path.iterdir()) == [] and progress.read(tmp_path) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"run": 3}', b"[" * 9_999, b"1"])
def test_a_file_that_means_nothing_tells_nothing(content: bytes, tmp_path: Path) -> None:
    """Half of one, another one, or rubbish: nobody is at work, and nothing falls over."""
    (tmp_path / progress.FILE).write_bytes(content)
    assert progress.read(tmp_path) is None


def test_a_process_that_is_gone_is_not_alive() -> None:
    """Neither a dead one, nor another one that has its number now."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        began = progress.started(other.pid)
        assert began > 0
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet asked about
        assert progress.started(other.pid) == 0
    assert progress.started(os.getpid()) != began
