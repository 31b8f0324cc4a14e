"""A long act: rate and time left from the present phase, and no flood of messages however fast it goes."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.errors import ApplianceError
from appliance.views import Progress
from tui.work import Labour, Step, Work, WorkEnded


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def test_time_left_is_by_the_present_phase() -> None:
    """A second phase forgets the rate of the first; what was done when it began does not count."""
    clock = Clock()
    work = Work("ingest", clock)
    assert (work.share, work.left) == (0.0, "time left not known yet")
    work.take(Progress("one", 10, 100, "files"))
    assert work.left == "time left not known yet"
    clock.now = 10.0
    work.take(Progress("one", 30, 100, "files"))
    assert (work.share, work.left) == (0.3, "2.0 files/s, about 35 s left")
    work.take(Progress("two", 5, 10, "pairs"))
    assert work.left == "time left not known yet" and work.summary == "ingest: 50 %"


class Host:
    """An app that runs threads at once and never looks at its messages."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.messages: list[Any] = []

    def run_worker(self, call: Any, **_: Any) -> None:
        """Now."""
        call()

    def post_message(self, message: Any) -> None:
        """Kept."""
        self.messages.append(message)


def test_a_busy_terminal_is_told_once_until_it_looks() -> None:
    """A hundred thousand steps are two messages, and the work knows the last of them."""
    host = Host()
    labour = Labour(host)

    def fast(step: Step) -> str:
        for done in range(100_000):
            step(Progress("ingest", done, 100_000, "files"))
        return "done"

    work = labour.begin("ingest", fast)
    assert len(host.messages) == 2 and isinstance(host.messages[-1], WorkEnded)
    assert work.step is not None and (work.step.done, work.result) == (99_999, "done")


def test_one_long_act_at_a_time() -> None:
    """A second one is refused while the first runs, and not after."""
    host = Host()
    labour = Labour(host)

    def nested(step: Step) -> None:
        with pytest.raises(ApplianceError, match="ingest is under way"):
            labour.begin("cohort", lambda _: None)

    assert labour.begin("ingest", nested).error is None
    assert labour.begin("cohort", lambda _: None).over


def test_cancelled_at_its_last_step_it_is_done() -> None:
    """Whoever cancels too late is told what is, not that nothing is."""
    host = Host()
    labour = Labour(host)

    def late(step: Step) -> str:
        labour.cancel()
        return "kept"

    def stopped(step: Step) -> str:
        labour.cancel()
        step(Progress("ingest", 1, 2, "files"))
        return "never"

    assert (labour.begin("ingest", late).cancelled, labour.work.result if labour.work else "") == (
        False,
        "kept",
    )
    work = labour.begin("ingest", stopped)
    assert (work.cancelled, work.result, work.over) == (True, None, True)
