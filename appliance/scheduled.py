"""The acts around schedules: keep one, remove one, say what is to come, and what came of what was due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from appliance import schedule
from appliance.due_runs import DueRuns, iso
from appliance.errors import UsageError
from appliance.policies import shelf
from appliance.policies.demands import check_quorum
from appliance.schedule_records import Kept, Run, packed
from appliance.schedule_views import ALL, ComingRun, Schedule, ScheduleView
from appliance.schedule_words import moment
from appliance.watch import versions
from appliance.words.table import count, tell

_WEEK = 7


class Scheduled(DueRuns):
    """Audits that are due by themselves."""

    def schedules(self) -> tuple[ScheduleView, ...]:
        """Every schedule by name, with its next run and what came of the last one."""
        kept, now = self._kept(), self._now()
        return tuple(self._schedule_view(one, now) for one in kept.values())

    def add_schedule(self, wanted: Schedule) -> ScheduleView:
        """Keep a schedule; its runs count from now.

        Raises:
            UsageError: the name is taken, a time means nothing, there is no such model, cohort or policy, or
                one version is to be watched.
            PolicyError: the policy cannot be used, or asks for more people than open findings here.
        """
        from appliance.cohorts import check_name

        check_name(wanted.name, "schedule")
        now = self._now()
        added = replace(schedule.checked(wanted, now), added_utc=now.isoformat(timespec="seconds"))
        if added.model != ALL:
            self._model(added.model)
            if added.watch and "@" in added.model:
                raise UsageError(
                    f"a schedule that watches goes by lines, and {added.model} is one version",
                    "name the line without @, or leave the watching out: then that version is audited",
                )
        self._cohort(added.cohort)
        if added.policy not in shelf.names(self._workspace, self._log):
            raise UsageError(f"no policy {added.policy}", "see `gradaudit policy ls`")
        loaded, _ = shelf.loaded(self._workspace, self._log, added.policy)
        check_quorum(loaded, self._workspace.keyring.quorum)
        with self._act("schedule.add", added.name):
            kept = self._kept()
            if added.name in kept:
                raise UsageError(
                    f"there is a schedule {added.name}", "choose another name, or remove that one first"
                )
            self._workspace.catalogue.set_settings(packed(kept | {added.name: Kept(added)}))
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
            left = {other: one for other, one in kept.items() if other != name}
            self._workspace.catalogue.set_settings(packed(left))

    def coming_runs(self, days: int = _WEEK) -> tuple[ComingRun, ...]:
        """What waits to be started, then every run of so many days, and why one will not be started."""
        kept, now = self._kept(), self._now()
        schedules = [one.schedule for one in kept.values()]
        begun = {name: one.begun() for name, one in kept.items()}
        found = []
        for one in schedules:
            if times := schedule.waited(now, one, begun[one.name]):
                held = schedule.why_not(one, now)
                why = tell("schedule.waits", why=held) if held else tell("schedule.waiting")
                found.append(_coming(one, times[-1], now, why, waiting=True))
        ahead = schedule.coming(now, now + timedelta(days=days), schedules, begun)
        found += [_coming(one.schedule, one.at, now, one.why, waiting=False) for one in ahead]
        for one in schedules:
            if one.watch:
                found = self._saying_audits(one, found, now)
        return tuple(found)

    # -- how it is told --------------------------------------------------------------------------------

    def _saying_audits(self, wanted: Schedule, runs: Sequence[ComingRun], now: datetime) -> list[ComingRun]:
        """The same runs; those of a schedule that watches say which models they will audit, as it stands."""
        mine = [run for run in runs if run.schedule == wanted.name and (run.waiting or not run.why)]
        audits: dict[str, list[str]] = {}
        for model, since in self._due_models(wanted):
            begins = since if since > now else datetime.min.replace(tzinfo=since.tzinfo)
            run = next((run for run in mine if datetime.fromisoformat(run.at_utc) >= begins), None)
            if run is not None:
                audits.setdefault(run.at_utc, []).append(model)
        return [
            replace(run, audits=tuple(audits.get(run.at_utc, ()))) if run in mine else run for run in runs
        ]

    def _due_models(self, wanted: Schedule) -> list[tuple[str, datetime]]:
        """Models that the panel of a schedule has to see, and from when on; none for a name of nothing."""
        try:
            due_since = self._due_since(wanted)
            since = ((model, due_since(model)) for model in self._named(wanted))
            return [(model, at) for model, at in since if at is not None]
        except UsageError:  # its runs say so
            return []

    def _schedule_view(self, kept: Kept, now: datetime) -> ScheduleView:
        one = kept.schedule
        times = kept.begun()
        following, waiting = schedule.following(now, one, times), schedule.waited(now, one, times)
        last = kept.runs[-1] if kept.runs else None
        return ScheduleView(
            schedule=one,
            meaning=schedule.meaning(one.cron),
            next_utc=iso(following) if following else "",
            next_told=moment(following, one.zone, now) if following else tell("schedule.never"),
            waiting_utc=iso(waiting[0]) if waiting else "",
            last_utc=last.at_utc if last else "",
            last_told=self._came_of(last),
            audits=last.audits if last else (),
        )

    def _came_of(self, run: Run | None) -> str:
        """What came of a run, by how its audits stand now."""
        if run is None:
            return tell("schedule.not_yet")
        if not run.over:
            return tell("schedule.under_way" if run.open else "schedule.cut_off")
        heads = self._as_they_stand(self._workspace.catalogue.audit_heads())
        said = versions.said(self._workspace.catalogue.models())
        stands = {
            row.audit_id: f"{said.get(row.model, row.model)} {row.verdict or row.state}" for row in heads
        }
        stands |= {row.run_id: f"{said.get(row.model, row.model)} {row.state}" for row in self.runs()}
        told = [stands[audit] for audit in run.audits if audit in stands]
        told += [run.why] * bool(run.why)
        told += [count("schedule.caught_up", run.missed)] * bool(run.missed)
        return "; ".join(told)

    def _next_by_model(self) -> dict[str, str]:
        """Model -> when its next audit is due, ISO in UTC; those without a schedule are left out."""
        now = self._now()
        found: dict[str, str] = {}
        for one in self._kept().values():
            for name, at in self._next_audits(one, now):
                if at and (name not in found or at < found[name]):
                    found[name] = at
        return found

    def _next_audits(self, kept: Kept, now: datetime) -> list[tuple[str, str]]:
        """Models of a schedule, and when each is audited next by today's facts; empty where never."""
        view = self._schedule_view(kept, now)
        at, wanted = view.waiting_utc or view.next_utc, kept.schedule
        if not wanted.watch:
            return [(name, at) for name in self._named(wanted)]
        found = []
        for name, since in self._due_models(wanted):
            later = schedule.following(since, wanted, kept.begun()) if since > now else None
            found.append((name, iso(later) if later else at))
        return found

    def _schedules_need(self) -> tuple[str, ...]:
        """What somebody has to do about schedules: runs that nobody started, and runs that did not begin."""
        needs, now = [], self._now()
        for name, one in self._kept().items():
            zone = one.schedule.zone
            waiting = schedule.waited(now, one.schedule, one.begun())
            if waiting and now - waiting[0] >= schedule.LATE and not schedule.why_not(one.schedule, now):
                needs.append(tell("schedule.overdue", name=name, moment=moment(waiting[0], zone, now)))
            last = one.runs[-1] if one.runs else None
            if last is not None and last.open and self._left(one, now) is last:
                needs.append(tell("schedule.left", name=name))
            elif last is not None and not last.open and (last.why or not last.over):
                needs.append(tell("schedule.failed", name=name, why=last.why or tell("schedule.cut_off")))
        return tuple(needs)


def _coming(one: Schedule, at: datetime, now: datetime, why: str, *, waiting: bool) -> ComingRun:
    local = at.astimezone(schedule.zone_of(one.zone)).isoformat(timespec="minutes")
    return ComingRun(one.name, one.model, iso(at), local, moment(at, one.zone, now), why, waiting, one.watch)
