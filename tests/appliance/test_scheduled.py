"""Schedules as acts: what is kept, what is started once, what the log and the overview say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from appliance.api import Appliance
from appliance.errors import Busy, NotNow, UsageError
from appliance.runs.views import RunState, RunView
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
    """A ward whose audits have ended at once."""

    ran: list[str]
    failing: str = ""
    in_the_way: tuple[Exception, ...] = ()  # what asking ends in, one after the other
    queued: tuple[RunView, ...] = ()

    def runs(self) -> tuple[RunView, ...]:
        """What waits."""
        return self.queued

    def queue_audit(self, model: str, cohort: str, policy: str, **_: Any) -> RunView:
        """What was asked for; the ward's own audit comes of it."""
        if model == self.failing:
            raise UsageError(f"{model} cannot be audited")
        if self.in_the_way:
            error, *after = self.in_the_way
            self.in_the_way = tuple(after)
            if isinstance(error, NotNow):
                self.queued = (RunView("R-1", RunState.WAITING, model, cohort, policy, 1, ""),)
            raise error
        self.ran.append(f"{model} {cohort} {policy}")
        return RunView(ward.AUDIT, RunState.WAITING, model, cohort, policy, 1, "")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(root: Path, clock: Clock) -> Iterator[Site]:
    with Site.unlock(root, ward.PASSPHRASE) as opened:
        opened.ran = []
        with opened._act("model.add", "two"):
            for name in (ward.MODEL, "other"):
                opened._workspace.catalogue.add_model(StoredModel(name, _model(name), "2026-01-01"))
        opened._log.clock = clock
        yield opened


def _model(name: str) -> dict[str, Any]:
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
    assert (row.audit, row.why, row.missed) == (ward.AUDIT, "", 0)
    assert site.ran == [f"{ward.MODEL} {ward.COHORT} default"]
    assert site.run_due() == ()
    assert acts(site, size) == [
        "schedule.run begins", "schedule.run done", "schedule.started begins", "schedule.started done",
    ]  # fmt: skip
    (view,) = site.schedules()
    assert (view.last_told, view.audits) == (f"{ward.MODEL} REVIEW", (ward.AUDIT,))
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
    assert site.schedules()[0].last_told == f"{ward.MODEL} REVIEW; 6 earlier runs were missed"


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


def test_a_claimed_run_waits_for_whoever_is_writing(site: Site, clock: Clock) -> None:
    """It comes only once: a lock that is held for a moment does not lose it."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    site.in_the_way = (Busy("another command is writing"),) * 2
    (row,) = site.run_due()
    assert (row.audit, row.why, len(site.ran)) == (ward.AUDIT, "", 1)


def test_busy_before_anything_is_claimed_is_an_error(site: Site, clock: Clock, root: Path) -> None:
    """Nothing is lost by it: the next call starts the run."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    with locked_file(root / LOCK, 0.0, Busy("somebody writes")), pytest.raises(Busy):
        site.run_due()
    assert [row.audit for row in site.run_due()] == [ward.AUDIT]


def test_a_run_that_is_queued_and_waits_for_a_process_is_kept(site: Site, clock: Clock) -> None:
    """No process could be started: the run is told by its id, with why it does not run."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    site.in_the_way = (NotNow("the process for audits did not start"),)
    (row,) = site.run_due()
    assert (row.audit, row.why, site.ran) == ("R-1", "the process for audits did not start", [])
    assert site.schedules()[0].audits == ("R-1",)
    assert any("did not start" in need for need in site._schedules_need())


def test_what_was_cut_off_is_told_and_not_started_again(site: Site, clock: Clock) -> None:
    """Killed between the entry and the audit: never twice, and never in silence."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    assert site._claimed("nightly") is not None
    assert site.run_due() == () and site.ran == []
    assert "cut off" in site.schedules()[0].last_told
    assert any("cut off" in need for need in site._schedules_need())


def test_two_commands_at_once_start_it_once(site: Site, clock: Clock) -> None:
    """Whoever comes second finds it claimed."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    assert site._claimed("nightly") is not None
    assert site._claimed("nightly") is None


def test_a_schedule_removed_while_it_runs(site: Site, clock: Clock) -> None:
    """What came of it is kept nowhere, and nothing breaks."""
    site.add_schedule(NIGHTLY)
    clock.now += timedelta(days=1)
    claimed = site._claimed("nightly")
    site.remove_schedule("nightly")
    assert claimed is not None and len(site._started(claimed)) == 1
    assert site.schedules() == ()


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
