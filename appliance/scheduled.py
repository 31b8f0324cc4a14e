"""The acts around schedules: keep one, remove one, say what is to come, start what is due.

Schedules lie in the catalogue's settings, each with the runs that were started. A run is written down as
started before it is: whatever cuts it off, it is never started twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from appliance import codec, schedule
from appliance.errors import ApplianceError, Busy, UsageError
from appliance.policies import shelf
from appliance.queued import Queued
from appliance.schedule_views import ALL, ComingRun, Schedule, ScheduleView, StartedRun
from appliance.schedule_words import moment
from appliance.words.table import count, tell
from appliance.workspace.turns import HOURS_S

if TYPE_CHECKING:
    from appliance.schedule import Due

SETTING = "schedules"
_KEPT = 64  # runs of a schedule: what is older says nothing that the log does not
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Run:
    """One run that was started.

    Attributes:
        at_utc: when it was due.
        missed: earlier runs for which it stands.
        audits: that came of it, in the order of models.
        why: what kept a model from being audited; empty where nothing did.
        over: whether it is known what came of it.
    """

    at_utc: str
    begun_utc: str
    missed: int
    audits: tuple[str, ...] = ()
    why: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """A schedule as it is stored, with its last runs by when they were due."""

    schedule: Schedule
    runs: tuple[Run, ...] = ()


class Scheduled(Queued):
    """Audits that are due by themselves."""

    def schedules(self) -> tuple[ScheduleView, ...]:
        """Every schedule by name, with its next run and what came of the last one."""
        kept, now = self._kept(), self._now()
        return tuple(self._schedule_view(one, now) for one in kept.values())

    def add_schedule(self, wanted: Schedule) -> ScheduleView:
        """Keep a schedule; its runs count from now.

        Raises:
            UsageError: the name is taken, a time means nothing, or there is no such model, cohort or policy.
        """
        from appliance.cohorts import check_name

        check_name(wanted.name, "schedule")
        now = self._now()
        added = replace(schedule.checked(wanted, now), added_utc=now.isoformat(timespec="seconds"))
        if added.model != ALL:
            self._model(added.model)
        self._cohort(added.cohort)
        if added.policy not in shelf.names(self._workspace, self._log):
            raise UsageError(f"no policy {added.policy}", "see `gradaudit policy ls`")
        with self._act("schedule.add", added.name):
            kept = self._kept()
            if added.name in kept:
                raise UsageError(
                    f"there is a schedule {added.name}", "choose another name, or remove that one first"
                )
            self._keep(kept | {added.name: Kept(added)})
        return self._schedule_view(Kept(added), now)

    def remove_schedule(self, name: str) -> None:
        """Forget a schedule; audits it has started go on, and the log keeps what it did.

        Raises:
            UsageError: there is none of that name.
        """
        with self._act("schedule.remove", name):
            kept = self._kept()
            if name not in kept:
                raise UsageError(f"no schedule {name}", "see `gradaudit schedule ls`")
            self._keep({other: one for other, one in kept.items() if other != name})

    def coming_runs(self, days: int = _WEEK) -> tuple[ComingRun, ...]:
        """What waits to be started, then every run of so many days, and why one will not be started."""
        kept, now = self._kept(), self._now()
        schedules = [one.schedule for one in kept.values()]
        runs = _last_runs(kept)
        waiting = []
        for one in schedules:
            if times := schedule.waited(now, one, runs[one.name]):
                held = schedule.why_not(one, now)
                why = tell("schedule.waits", why=held) if held else tell("schedule.waiting")
                waiting.append(_coming(one, times[-1], now, why, waiting=True))
        ahead = schedule.coming(now, now + timedelta(days=days), schedules, runs)
        return (*waiting, *(_coming(one.schedule, one.at, now, one.why, waiting=False) for one in ahead))

    def run_due(self) -> tuple[StartedRun, ...]:
        """Ask for what is due now, the highest priority first; nothing is done and logged where nothing is.

        A model that cannot be audited keeps no other from it: `StartedRun.why` says so.

        Raises:
            Busy: another command is writing; nothing of what is left was started.
        """
        started: list[StartedRun] = []
        for one in self._due():
            claimed = self._claimed(one.schedule.name)
            if claimed is not None:
                started += self._started(claimed)
        return tuple(started)

    # -- how it is done --------------------------------------------------------------------------------

    def _due(self) -> tuple[Due, ...]:
        kept = self._kept()
        return schedule.due(self._now(), [one.schedule for one in kept.values()], _last_runs(kept))

    def _claimed(self, name: str) -> Due | None:
        """Write down that a run is started, unless another command was first."""
        with self._act("schedule.run", name):
            found = next((one for one in self._due() if one.schedule.name == name), None)
            if found is None:
                return None
            now = self._now()
            if found.missed or now - found.at >= schedule.LATE:
                self._record("schedule.missed", name, "noted")
            run = Run(_iso(found.at), _iso(now), len(found.missed))
            self._with_run(name, run)
            return found

    def _started(self, claimed: Due) -> list[StartedRun]:
        """One audit a model, and what came of it kept."""
        wanted, at = claimed.schedule, _iso(claimed.at)
        names = [view.name for view in self.models()] if wanted.model == ALL else [wanted.model]
        rows = []
        for model in names:
            audit, why = self._started_one(model, wanted)
            rows.append(StartedRun(wanted.name, model, at, len(claimed.missed), audit, why))
        with self._act("schedule.started", wanted.name, turn=self._workspace.writing(HOURS_S)):
            kept = self._kept().get(wanted.name)
            for run in kept.runs if kept else ():  # none where somebody has removed it meanwhile
                if run.at_utc == at:
                    why = "; ".join(f"{row.model}: {row.why}" for row in rows if row.why)
                    audits = tuple(row.audit for row in rows if row.audit)
                    self._with_run(wanted.name, replace(run, audits=audits, why=why, over=True))
        return rows

    def _started_one(self, model: str, wanted: Schedule) -> tuple[str, str]:
        """The audit's id, or why there is none; both where it is queued and nobody works on it yet.

        Its run is claimed and comes only once, so it waits for whoever is writing.
        """
        known, end = {row.run_id for row in self.runs()}, time.monotonic() + HOURS_S
        while True:
            try:
                return self.queue_audit(model, wanted.cohort, wanted.policy).run_id, ""
            except ApplianceError as error:
                queued = [row.run_id for row in self.runs() if row.model == model]
                audit = next((one for one in queued if one not in known), "")
                if audit or not isinstance(error, Busy) or time.monotonic() > end:
                    return audit, str(error)

    def _with_run(self, name: str, run: Run) -> None:
        kept = self._kept()
        others = [one for one in kept[name].runs if one.at_utc != run.at_utc]
        runs = sorted([*others, run], key=lambda one: one.at_utc)[-_KEPT:]
        self._keep(kept | {name: replace(kept[name], runs=tuple(runs))})

    def _kept(self) -> dict[str, Kept]:
        text = self._workspace.catalogue.setting(SETTING) or "[]"
        return {one.schedule.name: one for one in codec.load(tuple[Kept, ...], text)}

    def _keep(self, kept: Mapping[str, Kept]) -> None:
        ordered = tuple(kept[name] for name in sorted(kept))
        self._workspace.catalogue.set_setting(SETTING, codec.dump(ordered, tuple[Kept, ...]))

    def _now(self) -> datetime:
        """By the log's clock."""
        return datetime.fromtimestamp(self._log.clock.utc_ms() // 1000, UTC)

    # -- how it is told --------------------------------------------------------------------------------

    def _schedule_view(self, kept: Kept, now: datetime) -> ScheduleView:
        one = kept.schedule
        times = _last_runs({one.name: kept})[one.name]
        following, waiting = schedule.following(now, one, times), schedule.waited(now, one, times)
        last = kept.runs[-1] if kept.runs else None
        return ScheduleView(
            schedule=one,
            meaning=schedule.meaning(one.cron),
            next_utc=_iso(following) if following else "",
            next_told=moment(following, one.zone, now) if following else tell("schedule.never"),
            waiting_utc=_iso(waiting[0]) if waiting else "",
            last_utc=last.at_utc if last else "",
            last_told=self._came_of(last),
            audits=last.audits if last else (),
        )

    def _came_of(self, run: Run | None) -> str:
        """What came of a run, by how its audits stand now."""
        if run is None:
            return tell("schedule.not_yet")
        if not run.over:
            return tell("schedule.cut_off")
        stands = {row.audit_id: f"{row.model} {row.verdict or row.state}" for row in self.audits()}
        stands |= {row.run_id: f"{row.model} {row.state}" for row in self.runs()}
        told = [stands[audit] for audit in run.audits if audit in stands]
        told += [run.why] * bool(run.why)
        told += [count("schedule.caught_up", run.missed)] * bool(run.missed)
        return "; ".join(told)

    def _next_by_model(self) -> dict[str, str]:
        """Model -> when its next audit is due, ISO in UTC; those without a schedule are left out."""
        kept, now = self._kept(), self._now()
        found: dict[str, str] = {}
        for view in (self._schedule_view(one, now) for one in kept.values()):
            names = [stored.name for stored in self._workspace.catalogue.models()]
            at = view.waiting_utc or view.next_utc
            for name in names if view.schedule.model == ALL else [view.schedule.model]:
                if at and (name not in found or at < found[name]):
                    found[name] = at
        return found

    def _schedules_need(self) -> tuple[str, ...]:
        """What somebody has to do about schedules: runs that nobody started, and runs that did not begin."""
        needs, now = [], self._now()
        for name, one in self._kept().items():
            zone = one.schedule.zone
            waiting = schedule.waited(now, one.schedule, _last_runs({name: one})[name])
            if waiting and now - waiting[0] >= schedule.LATE and not schedule.why_not(one.schedule, now):
                needs.append(tell("schedule.overdue", name=name, moment=moment(waiting[0], zone, now)))
            if one.runs and (one.runs[-1].why or not one.runs[-1].over):
                why = one.runs[-1].why or tell("schedule.cut_off")
                needs.append(tell("schedule.failed", name=name, why=why))
        return tuple(needs)


def _last_runs(kept: Mapping[str, Kept]) -> dict[str, set[datetime]]:
    return {name: {datetime.fromisoformat(run.at_utc) for run in one.runs} for name, one in kept.items()}


def _coming(one: Schedule, at: datetime, now: datetime, why: str, *, waiting: bool) -> ComingRun:
    local = at.astimezone(schedule.zone_of(one.zone)).isoformat(timespec="minutes")
    return ComingRun(one.name, one.model, _iso(at), local, moment(at, one.zone, now), why, waiting)


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
