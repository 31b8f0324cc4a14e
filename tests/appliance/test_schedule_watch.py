"""Schedules that watch: what they audit follows from how things stand, whatever the look has just found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import Busy, UsageError
from appliance.policies.governance import Governance
from appliance.runs.queue import Job, Order
from appliance.schedule_views import Schedule
from appliance.views import Progress
from appliance.watch.due import NEVER, Panel, due_at
from appliance.watch.views import WatchedModel, WatchState
from appliance.workspace.rows import StoredAudit, StoredModel
from tests.appliance import test_scheduled, ward
from tests.appliance.test_scheduled import Clock, record_of

OLD = datetime(2026, 11, 1, tzinfo=UTC)
NIGHT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
WATCH = Schedule("watch", "0 2 * * *", "UTC", "all", ward.COHORT, "default", watch=True)
NAMES = ("lumen", "other")


def audit(state: str, finished: str = "2026-11-01T00:00:00+00:00", **more: str) -> StoredAudit:
    """One of `other` on the panel, unless said otherwise."""
    facts = {"model": "other", "cohort": ward.COHORT, "policy": "default"} | more
    return StoredAudit(f"A-{state}", **facts, started_utc=finished, finished_utc=finished, state=state)


def job(order: Order) -> Job:
    """One of `other` in the queue."""
    return Job("R-1", "other", ward.COHORT, "default", {}, 1, OLD.isoformat(), order)


TABLE: dict[str, tuple[list[StoredAudit], list[Job], int | None, datetime | None]] = {
    "never audited": ([], [], None, NEVER),
    "waits in the queue": ([], [job(Order.WAIT)], None, None),
    "paused": ([], [job(Order.PAUSE)], None, None),
    "refused in the queue": ([], [job(Order.REFUSED)], None, NEVER),
    "at work": ([audit("running")], [job(Order.WORK)], None, None),
    "cut off": ([audit("interrupted")], [], None, None),
    "cut off long ago, and a cadence": ([audit("interrupted")], [], 30, OLD + timedelta(days=30)),
    "killed before it began, and a cadence": ([], [job(Order.WORK)], 30, OLD + timedelta(days=30)),
    "failed": ([audit("failed")], [], None, NEVER),
    "failed after one that finished": ([audit("done"), audit("failed")], [], None, None),
    "finished": ([audit("done")], [], None, None),
    "finished, and a cadence": ([audit("done")], [], 30, OLD + timedelta(days=30)),
    "the youngest counts": (
        [audit("done", "2026-11-09T00:00:00+00:00"), audit("done")], [], 30, OLD + timedelta(days=38),
    ),
    "of another version": ([audit("done", model="other@2")], [], None, NEVER),
    "on another cohort": ([audit("done", cohort="autumn")], [], None, NEVER),
    "under another policy": ([audit("done", policy="gdpr")], [], None, NEVER),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLE)
def test_from_when_on_a_version_is_due(case: str) -> None:
    """By its audits on this panel, the queue, and the cadence."""
    audits, jobs, cadence, expected = TABLE[case]
    assert expected == due_at("other", Panel(ward.COHORT, "default"), audits, jobs, cadence)


class Site(test_scheduled.Site):
    """A ward whose vendors' folders are told, not looked at."""

    states: dict[str, WatchState]
    error: Exception | None = None
    looked: int = 0

    def watch_models(
        self, names: Iterable[str] = (), step: Callable[[Progress], None] = lambda _: None, worker: Any = None
    ) -> tuple[WatchedModel, ...]:
        """What was told."""
        self.looked += 1
        if self.error is not None:
            raise self.error
        wanted = tuple(names) or NAMES
        return tuple(WatchedModel(name, name, 1, self.states[name], why=f"{name} is odd") for name in wanted)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Two models; the ward has audited `lumen` on the panel."""
    with Site.unlock(root, ward.PASSPHRASE) as opened:
        opened.states = dict.fromkeys(NAMES, WatchState.UNCHANGED)
        with opened._act("model.add", "two"):
            for name in NAMES:
                record = record_of(name) | {"family": "image-text-to-text"}
                opened._workspace.catalogue.add_model(StoredModel(name, record, "2026-01-01"))
            lumen = opened._workspace.catalogue.audit(ward.AUDIT)
            assert lumen is not None
        opened._log.clock = clock
        opened.add_schedule(WATCH)
        yield opened


def models(site: Site) -> list[str]:
    """What stands in the queue."""
    return [line.split()[0] for line in site.ran]


def test_what_has_no_audit_is_audited_once(site: Site, clock: Clock) -> None:
    """Night after night: the one that was audited is left alone, and so is the one that waits."""
    clock.now = NIGHT
    (row,) = site.run_due()
    assert (row.model, row.why, models(site)) == ("other", "", ["other"])
    clock.now += timedelta(days=1)
    (nothing,) = site.run_due()
    assert (nothing.model, nothing.audit, nothing.why) == ("all", "", "")
    assert (site.looked, models(site)) == (2, ["other"])
    acts = [row.act for row in site._log.rows(0, site._log.size) if row.outcome == "done"]
    assert (acts.count("schedule.plan"), acts.count("schedule.started")) == (2, 2)


@pytest.mark.parametrize("state", [WatchState.REFUSED, WatchState.UNREADABLE, WatchState.CHANGING])
def test_what_lies_there_and_is_not_known_is_not_audited(site: Site, clock: Clock, state: WatchState) -> None:
    """The run says why, and the others are audited."""
    site.states["lumen"] = state
    clock.now = NIGHT
    rows = {row.model: row for row in site.run_due()}
    assert (rows["lumen"].why, rows["lumen"].audit, models(site)) == ("lumen is odd", "", ["other"])


def test_an_absent_folder_keeps_no_audit_from_being_made(site: Site, clock: Clock) -> None:
    """The sealed copy is what was registered."""
    site.states["other"] = WatchState.ABSENT
    clock.now = NIGHT
    assert [row.why for row in site.run_due()] == [""] and models(site) == ["other"]


def test_a_cadence_that_is_over_asks_for_an_audit(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a day before; and the week ahead names the run that will make it."""
    finished = datetime.fromisoformat(_finished(site))
    loaded, text = site._policy("default")
    days = (NIGHT - finished).days + 3
    demand = Governance(generative_days=days)
    monkeypatch.setattr(site, "_policy", lambda name: (replace(loaded, governance=demand), text))
    week = {run.audits: datetime.fromisoformat(run.at_utc) for run in site.coming_runs() if run.audits}
    assert list(week) == [("other",), ("lumen",)]
    due = week[("lumen",)]
    assert timedelta(days=days) <= due - finished < timedelta(days=days + 1)
    assert site._next_by_model()["lumen"] == due.isoformat()
    for at, expected in ((NIGHT, ["other"]), (due - timedelta(days=1), ["other"]), (due, ["other", "lumen"])):
        clock.now = at
        site.run_due()
        assert models(site) == expected


def _finished(site: Site) -> str:
    (stored,) = (row for row in site._workspace.catalogue.audits() if row.audit_id == ward.AUDIT)
    return stored.finished_utc or stored.started_utc


def test_a_look_that_fails_is_told_and_one_that_waits_is_tried_again(site: Site, clock: Clock) -> None:
    """A fault closes the run with why; a writer in the way leaves it open."""
    clock.now = NIGHT
    site.error = Busy("somebody writes")
    with pytest.raises(Busy):
        site.run_due()
    site.error = UsageError("no such line")
    (row,) = site.run_due()
    assert (row.why, row.audit) == ("no such line", "")
    site.error = ValueError("PatientName=DOE^JANE")
    clock.now += timedelta(days=1)
    (row,) = site.run_due()
    assert row.why.startswith("unexpected fault") and "DOE" not in row.why
    assert site.run_due() == ()


def test_a_kill_between_looking_and_auditing_loses_nothing(site: Site, clock: Clock) -> None:
    """The next call looks again, and audits what has no audit."""
    clock.now = NIGHT
    assert site._claimed("watch") is not None
    assert len(site.run_due()) == 1 and models(site) == ["other"]


def test_the_week_ahead_names_what_has_no_audit_yet(site: Site) -> None:
    """In the first run to come, and in no other."""
    week = [run.audits for run in site.coming_runs()]
    assert week == [("other",), *[()] * 6]
    assert site._next_by_model()["other"] == NIGHT.isoformat()
