"""Schedules as acts: what is kept, what is started once, what the log and the overview say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from appliance import due_runs
from appliance.api import Appliance
from appliance.errors import Busy, NotNow, PolicyError, UsageError
from appliance.leases import Machine
from appliance.runs import queue
from appliance.runs.queue import Job, Order
from appliance.runs.standing import CUT_OFF
from appliance.schedule_records import Kept, Run
from appliance.schedule_views import Schedule
from appliance.schedule_words import moment, span
from appliance.workspace.rows import StoredModel
from appliance.workspace.turns import LOCK
from appliance.workspace.writer_lock import locked_file
from tests.appliance import ward
from tests.appliance.test_findings_commands import gradaudit

NIGHTLY = Schedule("nightly", "0 2 * * *", "Europe/Vienna", ward.MODEL, ward.COHORT, "default")
BEGIN = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday; Vienna is an hour ahead


class Clock:
    """Stands where it is set."""

    def __init__(self) -> None:
        self.now = BEGIN

    def utc_ms(self) -> int:
        """As the test says."""
        return round(self.now.timestamp() * 1000)

    def boot_ns(self) -> int:
        """Goes with it."""
        return round((self.now - BEGIN).total_seconds() * 1e9) + 10**15


class Site(Appliance):
    """A ward whose queue nobody works through."""

    failing: str = ""
    no_process: str = ""
    in_the_way: tuple[Exception, ...] = ()  # what asking ends in, one after the other

    def _job(self, run_id: str, model: str, cohort: str, asked: Mapping[str, Any]) -> Job:
        """What was asked for."""
        if model == self.failing:
            raise UsageError(f"{model} cannot be audited")
        if self.in_the_way:
            error, *after = self.in_the_way
            self.in_the_way = tuple(after)
            raise error
        return Job(run_id, model, cohort, "default", asked, 0, BEGIN.isoformat())

    def _begin_work(self) -> None:
        """Nobody, or not even that."""
        if self.no_process:
            raise NotNow(self.no_process)

    @property
    def ran(self) -> list[str]:
        """What stands in the queue."""
        jobs = queue.jobs(self._workspace.catalogue)
        return [f"{job.model} {job.cohort} {job.policy}" for job in jobs]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(root: Path, clock: Clock) -> Iterator[Site]:
    with Site.unlock(root, ward.PASSPHRASE) as opened:
        with opened._act("model.add", "two"):
            for name in (ward.MODEL, "other"):
                opened._workspace.catalogue.add_model(StoredModel(name, record_of(name), "2026-01-01"))
        opened._log.clock = clock
        yield opened


def record_of(name: str) -> dict[str, Any]:
    """Of a model that nobody opens."""
    texts = ("path", "family", "architecture", "preprocessor", "base_path", "vendor", "released")
    known: dict[str, Any] = dict.fromkeys(texts, "")
    return known | {"name": name, "digests": {}, "base_digests": {}, "parameters": 1}


def acts(site: Appliance, begin: int = 0) -> list[str]:
    """Acts of schedules and their outcomes."""
    rows = site._log.rows(begin, site._log.size)
    return [f"{row.act} {row.outcome}" for row in rows if row.act.startswith("schedule.")]


def test_a_schedule_is_kept_told_and_removed(site: Site) -> None:
    """With its next run in words, and entries for both acts."""
    view = site.add_schedule(NIGHTLY)
    assert view.next_told == "Saturday 02:00 Europe/Vienna, in 13 h 0 min"
    assert (view.next_utc, view.meaning) == ("2026-11-21T01:00:00+00:00", "At 02:00 every day")
    assert (view.last_told, view.waiting_utc) == ("never run", "")
    assert site.schedules() == (view,)
    site.remove_schedule("nightly")
    assert site.schedules() == ()
    assert acts(site) == [
        f"schedule.{act} {outcome}" for act in ("add", "remove") for outcome in ("begins", "done")
    ]


@pytest.mark.parametrize(
    "wrong",
    [{"model": "nobody"}, {"cohort": "nobody"}, {"policy": "nobody"}, {"policy": "policies/default.toml"},
     {"cron": "0 2 * *"}, {"name": "[@click=quit]"}],
)  # fmt: skip
def test_what_cannot_run_is_not_kept(site: Site, wrong: dict[str, str]) -> None:
    """No such model, cohort or policy; a policy file, which can change; a cron or name that is none."""
    with pytest.raises(UsageError):
        site.add_schedule(replace(NIGHTLY, **wrong))
    assert site.schedules() == ()


def test_a_policy_that_asks_for_more_people_is_not_kept(site: Site) -> None:
    """Nothing would be started at night; so the schedule is refused by day, with what to do."""
    with pytest.raises(PolicyError, match="quorum of 2") as refused:
        site.add_schedule(replace(NIGHTLY, policy="gdpr"))
    assert "users quorum 2" in refused.value.hint
    assert site.schedules() == () and acts(site) == []


def test_a_name_is_given_once_and_only_known_ones_go(site: Site) -> None:
    """Both refusals are entries."""
    site.add_schedule(NIGHTLY)
    with pytest.raises(UsageError, match="there is a schedule nightly"):
        site.add_schedule(NIGHTLY)
    with pytest.raises(UsageError, match="no schedule weekly"):
        site.remove_schedule("weekly")
    assert acts(site)[2:] == [
        "schedule.add begins", "schedule.add failed", "schedule.remove begins", "schedule.remove failed",
    ]  # fmt: skip


def test_what_is_due_is_started_once(site: Site, clock: Clock) -> None:
    """At its time, and not again; what came of it is told."""
    site.add_schedule(NIGHTLY)
    assert site.run_due() == ()
    size = site._log.size
    clock.now = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
    (row,) = site.run_due()
    assert (row.why, row.missed) == ("", 0)
    assert site.ran == [f"{ward.MODEL} {ward.COHORT} default"]
    assert site.run_due() == ()
    assert acts(site, size) == [
        "schedule.run begins", "schedule.run done", "schedule.started begins", "schedule.started done",
    ]  # fmt: skip
    (view,) = site.schedules()
    assert (view.last_told, view.audits) == (f"{ward.MODEL} waiting", (row.audit,))
    assert view.next_utc == "2026-11-22T01:00:00+00:00"


def test_missed_runs_are_caught_up_once_and_logged(site: Site, clock: Clock) -> None:
    """A week without a timer is one audit, an entry, and a line in the overview until then."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=7)
    (need,) = site._schedules_need()
    assert need.startswith("schedule nightly: 2026-11-21 02:00")
    (waiting, *ahead) = site.coming_runs()
    assert waiting.waiting and waiting.why.startswith("not started yet") and len(ahead) == 7
    (row,) = site.run_due()
    assert (row.missed, row.due_utc, len(site.ran)) == (6, "2026-11-27T01:00:00+00:00", 1)
    assert "schedule.missed noted" in acts(site)
    assert site.run_due() == () and site._schedules_need() == ()
    assert site.schedules()[0].last_told == f"{ward.MODEL} waiting; 6 earlier runs were missed"


def test_a_clock_set_back_starts_nothing_twice(site: Site, clock: Clock) -> None:
    """The same night comes again, and the week ahead says why it is left out."""
    site.add_schedule(NIGHTLY)
    clock.now = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
    site.run_due()
    clock.now -= timedelta(hours=3)
    assert site.coming_runs()[0].why.startswith("was started already")
    clock.now += timedelta(hours=4)
    assert site.run_due() == () and len(site.ran) == 1


def test_all_models_are_audited_and_one_that_fails_stops_no_other(site: Site, clock: Clock) -> None:
    """What kept one from it is told by the act, the list and the overview."""
    site.failing = ward.MODEL
    site.add_schedule(replace(NIGHTLY, model="all"))
    clock.now += timedelta(days=1)
    rows = {row.model: row for row in site.run_due()}
    assert rows[ward.MODEL].why == f"{ward.MODEL} cannot be audited" and not rows[ward.MODEL].audit
    assert rows["other"].audit and site.ran == [f"other {ward.COHORT} default"]
    assert f"{ward.MODEL} cannot be audited" in site.schedules()[0].last_told
    assert any("did not start" in need for need in site._schedules_need())


def test_a_claimed_run_goes_on_after_another_writer(site: Site, clock: Clock) -> None:
    """A lock that is held for longer ends the call, and the next one queues what is missing."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    site.in_the_way = (Busy("another command is writing"),)
    with pytest.raises(Busy):
        site.run_due()
    assert (site.schedules()[0].last_told, site.ran) == ("was begun, and is not over yet", [])
    (row,) = site.run_due()
    assert (row.why, len(site.ran)) == ("", 1) and site.run_due() == ()
    assert [act for act in acts(site) if "resume" in act] == [
        "schedule.resume begins", "schedule.resume done",
    ]  # fmt: skip


def test_busy_before_anything_is_claimed_is_an_error(
    site: Site, clock: Clock, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost by it: the next call starts the run."""
    monkeypatch.setattr(due_runs, "_WAIT_S", 0.1)
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    with locked_file(root / LOCK, 0.0, Busy("somebody writes")), pytest.raises(Busy):
        site.run_due()
    assert [row.why for row in site.run_due()] == [""] and len(site.ran) == 1


def test_a_run_that_is_queued_and_waits_for_a_process_is_kept(site: Site, clock: Clock) -> None:
    """No process could be started: the run is told by its id, with why; the next call tries again."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    site.no_process = "the process for audits did not start"
    (row,) = site.run_due()
    assert (bool(row.audit), row.why, len(site.ran)) == (True, site.no_process, 1)
    assert site.schedules()[0].audits == (row.audit,)
    assert any("did not start" in need for need in site._schedules_need())
    with pytest.raises(NotNow):
        site.run_due()
    site.no_process = ""
    assert site.run_due() == () and len(site.ran) == 1


def test_what_an_earlier_version_was_cut_off_in_is_told_and_not_begun_again(site: Site, clock: Clock) -> None:
    """It did not say which audits it meant: never twice, and never in silence."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    run = site._claimed("nightly")
    assert run is not None
    with site._act("schedule.run", "nightly"):
        site._with_run("nightly", replace(run, planned=None, lease=None))
    assert site.run_due() == () and site.ran == []
    assert "cut off" in site.schedules()[0].last_told
    assert any("cut off" in need for need in site._schedules_need())


def test_a_schedule_removed_while_it_runs(site: Site, clock: Clock) -> None:
    """What it has not asked for is not asked for any more, and nothing breaks."""
    site.add_schedule(replace(NIGHTLY, model="all"))
    clock.now += timedelta(days=1)
    claimed = site._claimed("nightly")
    assert claimed is not None and claimed.planned is not None
    asked = site._queue_planned("nightly", claimed.at_utc, claimed.planned[0])
    site.remove_schedule("nightly")
    left = site._queue_planned("nightly", claimed.at_utc, claimed.planned[1])
    site._close_run("nightly", claimed.at_utc, [asked, left])
    assert (asked.queued, left.queued, left.why) == (True, False, "schedule nightly was removed")
    assert site.schedules() == () and len(site.ran) == 1


def test_a_window_holds_a_missed_run(site: Site, clock: Clock) -> None:
    """By day it waits, says so, and is nobody's fault."""
    site.add_schedule(replace(NIGHTLY, window="01:00-05:00"))
    clock.now += timedelta(days=1)
    assert site.run_due() == () and site._schedules_need() == ()
    assert site.coming_runs()[0].why == "not started yet, and waits: outside the window 01:00-05:00"


def test_every_model_knows_when_it_is_due(site: Site, clock: Clock) -> None:
    """The earliest of its schedules; a run that waits is in the past."""
    site.add_schedule(NIGHTLY)
    site.add_schedule(replace(NIGHTLY, name="monthly", cron="0 0 1 * *", model="all"))
    assert site._next_by_model() == {
        ward.MODEL: "2026-11-21T01:00:00+00:00",
        "other": "2026-11-30T23:00:00+00:00",
    }
    clock.now += timedelta(days=2)
    assert site._next_by_model()[ward.MODEL] == "2026-11-21T01:00:00+00:00"


def test_a_line_with_a_second_version_knows_when_it_is_due_and_what_stood_before(site: Site) -> None:
    """The overview has the newest version: its next run, and the verdict before until it has one."""
    site.add_schedule(NIGHTLY)
    with site._act("model.add", f"{ward.MODEL}@2"):
        second = record_of(f"{ward.MODEL}@2") | {"of_line": ward.MODEL, "version": 2, "replaces": ward.MODEL}
        site._workspace.catalogue.add_model(StoredModel(f"{ward.MODEL}@2", second, "2026-11-01"))
    row = next(row for row in site.overview().models if row.model == f"{ward.MODEL}@2")
    before = site._workspace.catalogue.audit(ward.AUDIT)
    assert before is not None and before.verdict
    assert (row.due, row.verdict) == ("2026-11-21T01:00:00+00:00", None)
    assert row.why.startswith(f"{ward.MODEL}@1: {before.verdict}, never audited since:")
    assert site.model(f"{ward.MODEL}@2").replaces == f"{ward.MODEL}@1"
    other = next(row for row in site.overview().models if row.model == "other")
    assert other.why == "never audited"


def test_one_version_is_audited_and_not_watched(site: Site, clock: Clock) -> None:
    """A schedule that watches goes by lines; a plain one of NAME@1 audits the first version."""
    pinned = replace(NIGHTLY, model=f"{ward.MODEL}@1")
    with pytest.raises(UsageError, match="one version"):
        site.add_schedule(replace(pinned, watch=True))
    with site._act("model.add", f"{ward.MODEL}@2"):
        second = record_of(f"{ward.MODEL}@2") | {"of_line": ward.MODEL, "version": 2, "replaces": ward.MODEL}
        site._workspace.catalogue.add_model(StoredModel(f"{ward.MODEL}@2", second, "2026-11-01"))
    site.add_schedule(pinned)
    clock.now += timedelta(days=1)
    assert [row.model for row in site.run_due()] == [ward.MODEL]
    assert site.schedules()[0].last_told == f"{ward.MODEL}@1 waiting"


def test_runs_of_long_ago_are_known_by_their_times() -> None:
    """The list holds the last ones; a clock that is set back by months starts none of the others again."""
    kept = Kept(NIGHTLY)
    for day in range(400):
        kept = kept.with_run(Run((BEGIN + timedelta(days=day)).isoformat(), "", 0, over=True))
    assert len(kept.runs) < 100 and len(kept.begun()) == 400
    lease = Machine().lease(0.0)
    kept = Kept(NIGHTLY).with_run(Run(BEGIN.isoformat(), "", 0, lease=lease))
    for day in range(1, 100):
        kept = kept.with_run(Run((BEGIN + timedelta(days=day)).isoformat(), "", 0, over=True))
    assert kept.runs[0].open


def test_times_in_words() -> None:
    """A weekday where it tells the day, else the date; both directions."""
    at = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
    assert moment(at, "Europe/Vienna", BEGIN) == "Sunday 02:00 Europe/Vienna, in 1 d 13 h"
    assert moment(at, "UTC", at + timedelta(hours=3)) == "Sunday 01:00 UTC, 3 h 0 min ago"
    far = "2026-12-06 02:00 Europe/Vienna, in 15 d 13 h"
    assert moment(at + timedelta(days=14), "Europe/Vienna", BEGIN) == far
    assert [span(timedelta(minutes=one)) for one in (0, 59, 60, 1439, 1440)] == [
        "0 min", "59 min", "1 h 0 min", "23 h 59 min", "1 d 0 h",
    ]  # fmt: skip


def test_the_command_line_says_the_same(site: Site, root: Path) -> None:
    """add, ls, next, run and rm, for readers and for programs."""
    site.close()
    given = ("--cron", "0 2 * * 0", "--zone", "Europe/Vienna", "--cohort", ward.COHORT, "--priority", "5")
    code, out, _ = gradaudit(root, "schedule", "add", "weekly", *given, "--window", "01:00-05:00")
    assert code == 0
    for words in ("At 02:00 on Sunday", "all on spring under default, priority 5", "window 01:00-05:00"):
        assert words in out
    code, out, _ = gradaudit(root, "schedule", "ls", "--json")
    row = json.loads(out)
    assert (code, row["schedule"]["name"], row["schedule"]["zone"]) == (0, "weekly", "Europe/Vienna")
    code, out, _ = gradaudit(root, "schedule", "next", "--json")
    (run,) = map(json.loads, out.splitlines())
    assert code == 0 and run["at_utc"] == row["next_utc"] and "T02:00" in run["local"]
    code, out, said = gradaudit(root, "schedule", "run")
    assert (code, out, said.splitlines()[-1]) == (0, "", "nothing is due")
    assert gradaudit(root, "schedule", "rm", "weekly")[0] == 0
    code, _, said = gradaudit(root, "schedule", "rm", "weekly")
    assert (code, "no schedule weekly" in said) == (2, True)


def cut_off(site: Site, order: Order = Order.WORK, why: str = "") -> Job:
    """An audit of the queue with nobody at work on it."""
    job = Job("A-000000000001", ward.MODEL, ward.COHORT, "default", {}, 4, BEGIN.isoformat(), order, why)
    with site._act("audit.queue", job.run_id):
        queue.keep(site._workspace.catalogue, job)
    return job


def stands(site: Site) -> Job:
    """The same now."""
    found = queue.job(site._workspace.catalogue, "A-000000000001")
    assert found is not None
    return found


def test_an_audit_whose_process_was_killed_is_gone_on_with(site: Site) -> None:
    """A restart of the machine costs no audit; what kills its process every time waits for a person."""
    cut_off(site)
    for times in (1, 2, 3):
        site.run_due()
        assert (stands(site).order, stands(site).why, stands(site).gone_on) == (Order.WAIT, "", times)
        with site._act("audit.queue", "again"):
            queue.keep(site._workspace.catalogue, replace(stands(site), order=Order.WORK, why=CUT_OFF))
    site.run_due()
    assert (stands(site).order, stands(site).gone_on) == (Order.WORK, 3)
    entries = [row.act for row in site._log.rows(0, site._log.size)]
    assert entries.count("audit.requeue") == 6  # begins and done, thrice


@pytest.mark.parametrize(
    ("order", "why"), [(Order.PAUSE, ""), (Order.WORK, "the disk is full"), (Order.REFUSED, "no such cohort")]
)
def test_what_a_person_or_a_fault_stopped_waits_for_a_person(site: Site, order: Order, why: str) -> None:
    """Paused, failed with a reason, refused: not gone on with."""
    before = cut_off(site, order, why)
    site.run_due()
    assert stands(site) == before


def test_a_paused_queue_stays_paused(site: Site) -> None:
    """Somebody wanted the machine: what was cut off beside it waits too."""
    cut_off(site)
    with site._act("audit.queue", "paused"):
        queue.keep(site._workspace.catalogue, replace(stands(site), run_id="A-2", order=Order.PAUSE))
    site.run_due()
    assert stands(site).order is Order.WORK
