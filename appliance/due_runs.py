"""What is due is begun, exactly once: claimed under a lease, planned, queued audit by audit, closed.

Every step is one transaction that is written before the next one begins, and looks again, as the only writer,
whether it is still to be done. So it may be cut off anywhere, two may do it at the same time, and clocks may
jump: whoever comes next goes on with what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from appliance import schedule
from appliance.audited import asked_as
from appliance.errors import (
    ApplianceError,
    Busy,
    CannotWrite,
    LogUnwritable,
    NotNow,
    NotPermitted,
    UsageError,
)
from appliance.leases import Machine
from appliance.queued import AGAIN, Queued
from appliance.redaction import fault_line
from appliance.runs import launching, queue
from appliance.runs.queue import Order
from appliance.runs.standing import CUT_OFF
from appliance.schedule_records import SETTING, Kept, Planned, Run, packed, unpacked
from appliance.schedule_views import ALL, Schedule, StartedRun
from appliance.views import Progress
from appliance.watch.due import Panel, due_at
from appliance.watch.views import WatchState

if TYPE_CHECKING:
    from appliance.runs.queue import Job

Step = Callable[[Progress], None]
_WAIT_S: Final = 10.0  # for another writer; then the next call goes on
_GO_ON: Final = 3  # times with one audit: what kills its process each time waits for a person
_LATER: Final = (Busy, CannotWrite, LogUnwritable, NotPermitted)  # nothing is wrong with the run itself
_KNOWN: Final = (WatchState.UNCHANGED, WatchState.CHANGED, WatchState.ABSENT)  # nothing else lies there


class DueRuns(Queued):
    """Runs that are due by themselves."""

    _machine: Machine = Machine()

    def run_due(self, step: Step = lambda _: None) -> tuple[StartedRun, ...]:
        """Ask for what is due now, the highest priority first; nothing is done and logged where nothing is.

        Runs that were cut off come first. A model that cannot be audited keeps no other from it:
        `StartedRun.why` says so. An audit of the queue whose process was killed, as by a restart of the
        machine, is gone on with.

        Args:
            step: told while folders are looked at; may raise to stop, and the next call goes on.

        Raises:
            Busy: another command is writing; the next call goes on with what is left.
            CannotWrite, LogUnwritable: no room; likewise.
            NotNow: nothing is due, audits wait, and no process for them could be started.
        """
        started: list[StartedRun] = []
        for name in self._to_begin():
            while (claimed := self._claimed(name)) is not None:
                started += self._carried_on(name, claimed, step)
        self._go_on_with_cut_off()
        if not started and self._nobody_works():
            self._begin_work()
        return tuple(started)

    # -- one step after the other ----------------------------------------------------------------------

    def _to_begin(self) -> tuple[str, ...]:
        """Schedules with a run to begin or to go on with."""
        kept, now = self._kept(), self._now()
        cut_off = [name for name, one in kept.items() if self._left(one, now) is not None]
        due = schedule.due(now, [one.schedule for one in kept.values()], _begun(kept))
        return tuple(dict.fromkeys([*cut_off, *(one.schedule.name for one in due)]))

    def _claimed(self, name: str) -> Run | None:
        """A run of this schedule, written down as begun by this process; None where there is none."""
        with self._workspace.writing(_WAIT_S):
            kept, now = self._kept().get(name), self._now()
            if kept is None:
                return None
            lease = self._machine.lease(self._boot_s())
            if (left := self._left(kept, now)) is not None:
                with self._act("schedule.resume", name, turn=nullcontext()):
                    return self._with_run(name, replace(left, lease=lease))
            due = next(iter(schedule.due(now, [kept.schedule], _begun({name: kept}))), None)
            if due is None:
                return None
            with self._act("schedule.run", name, turn=nullcontext()):
                if due.missed or now - due.at >= schedule.LATE:
                    self._record("schedule.missed", name, "noted")
                planned = None if kept.schedule.watch else self._every(kept.schedule)
                run = Run(iso(due.at), iso(now), len(due.missed), planned=planned, lease=lease)
                return self._with_run(name, run)

    def _carried_on(self, name: str, run: Run, step: Step) -> list[StartedRun]:
        """From a run that is claimed to one of which it is known what came of it."""
        wanted, at = self._kept()[name].schedule, run.at_utc
        planned = run.planned if run.planned is not None else self._plan_run(name, at, step)
        told = [self._queue_planned(name, at, one) for one in planned]
        if any(one.queued for one in told):
            told = self._told_to_begin(told)
        self._close_run(name, at, told)
        found = [
            StartedRun(name, one.model, at, run.missed, one.audit if one.queued else "", one.why)
            for one in told
        ]
        return found or [StartedRun(name, wanted.model, at, run.missed, "", "")]

    def _plan_run(self, name: str, at: str, step: Step) -> tuple[Planned, ...]:
        """What a run that watches has to audit, written down before any of it is asked for."""
        wanted = self._kept()[name].schedule
        try:
            planned = self._to_audit(wanted, step)
        except _LATER:
            raise
        except ApplianceError as error:
            planned = (Planned(wanted.model, "", why=str(error)),)
        except Exception as error:  # noqa: BLE001 - one schedule's fault is told, and keeps no other from it
            planned = (Planned(wanted.model, "", why=fault_line(error)),)
        with self._workspace.writing(_WAIT_S):
            run = self._open_run(name, at)
            if run is None or run.planned is not None:  # removed, or another process was first
                return run.planned or () if run else ()
            with self._act("schedule.plan", name, turn=nullcontext()):
                lease = self._machine.lease(self._boot_s())
                self._with_run(name, replace(run, planned=planned, lease=lease))
        return planned

    def _queue_planned(self, name: str, at: str, one: Planned) -> Planned:
        """One audit into the queue, unless it was put there; it and the line that says so, or neither."""
        if one.queued or not one.audit:
            return one
        wanted = self._kept().get(name)
        if wanted is None:
            return replace(one, why=f"schedule {name} was removed")
        try:
            job = self._job_of(wanted.schedule, one)
        except _LATER:
            raise
        except ApplianceError as error:
            return replace(one, why=str(error))
        with self._workspace.writing(_WAIT_S):
            run = self._open_run(name, at)
            found = next((row for row in run.planned or () if row.audit == one.audit), None) if run else None
            if run is None or found is None or found.queued:
                return found or replace(one, why=f"schedule {name} was removed")
            queued = replace(one, queued=True)
            with self._act("audit.queue", job.run_id, policy_digest=job.digest, turn=nullcontext()):
                run = replace(run.with_planned(queued), lease=self._machine.lease(self._boot_s()))
                settings = self._stored_with(name, run) | queue.as_setting(self._last(job))
                self._workspace.catalogue.set_settings(settings)
            return queued

    def _told_to_begin(self, told: list[Planned]) -> list[Planned]:
        """The same; where no process could be started, with why."""
        try:
            self._begin_work()
        except NotNow as error:
            return [replace(one, why=str(error)) if one.queued else one for one in told]
        return told

    def _close_run(self, name: str, at: str, told: list[Planned]) -> None:
        """Write down what came of a run, unless it was removed or another process has."""
        with self._workspace.writing(_WAIT_S):
            run = self._open_run(name, at)
            if run is None:
                return
            audits = tuple(one.audit for one in told if one.queued)
            why = "; ".join(f"{one.model}: {one.why}" for one in told if one.why)
            with self._act("schedule.started", name, turn=nullcontext()):
                if why:
                    self._record("schedule.failed", name, "noted")
                self._with_run(
                    name, replace(run, audits=audits, why=why, over=True, planned=None, lease=None)
                )

    # -- how it is done --------------------------------------------------------------------------------

    def _left(self, kept: Kept, now: datetime) -> Run | None:
        """A run that was begun, is not over, and may be gone on with by this process at this moment."""
        if schedule.why_not(kept.schedule, now):
            return None
        free = (
            run
            for run in kept.runs
            if run.open and run.lease is not None and self._machine.is_free(run.lease, self._boot_s())
        )
        return next(free, None)

    def _every(self, wanted: Schedule) -> tuple[Planned, ...]:
        """Audits of every model that a schedule names."""
        try:
            return tuple(map(_new, self._named(wanted)))
        except UsageError as error:
            return (Planned(wanted.model, "", why=str(error)),)

    def _named(self, wanted: Schedule) -> list[str]:
        """The models of a schedule, each in its newest version.

        Raises:
            UsageError: there is none of that name.
        """
        return (
            [view.name for view in self.models()] if wanted.model == ALL else [self._model(wanted.model).name]
        )

    def _to_audit(self, wanted: Schedule, step: Step) -> tuple[Planned, ...]:
        """Look at the vendors' folders, then audits of what has none on this panel, or only an old one."""
        names = () if wanted.model == ALL else (wanted.model,)
        now, planned, due_since = self._now(), list[Planned](), self._due_since(wanted)
        for row in self.watch_models(names, step=step):
            if row.state not in _KNOWN:
                planned.append(Planned(row.model, "", why=row.why or str(row.state)))
            elif (since := due_since(row.model)) is not None and since <= now:
                planned.append(_new(row.model))
        return tuple(planned)

    def _due_since(self, wanted: Schedule) -> Callable[[str], datetime | None]:
        """For the panel of a schedule: from when on it has to see a version; None where nothing says so."""
        loaded, catalogue = self._policy(wanted.policy)[0], self._workspace.catalogue
        panel = Panel(wanted.cohort, loaded.policy.name)
        audits, jobs = catalogue.audit_heads(), queue.jobs(catalogue)

        def since(model: str) -> datetime | None:
            days = loaded.governance.cadence_days(self._exactly(model).family)
            return due_at(model, panel, audits, jobs, days)

        return since

    def _job_of(self, wanted: Schedule, one: Planned) -> Job:
        """Raises as `queue_audit`."""
        asked = asked_as(self._policy(wanted.policy)[1], False, "", False, 0)
        return self._job(one.audit, one.model, wanted.cohort, asked)

    def _go_on_with_cut_off(self) -> None:
        """Put audits back into the queue whose process was killed; one that failed keeps waiting."""
        catalogue = self._workspace.catalogue
        if not self._nobody_works(Order.WORK):
            return
        with self._workspace.writing(_WAIT_S):
            for job in reversed(queue.jobs(catalogue)) if self._nobody_works(Order.WORK) else ():
                cut_off = job.order is Order.WORK and job.why in ("", CUT_OFF)
                if cut_off and job.gone_on < _GO_ON:
                    with self._act(AGAIN, job.run_id, turn=nullcontext()):
                        place = queue.first_place(catalogue)
                        changed = replace(job, order=Order.WAIT, place=place, why="", gone_on=job.gone_on + 1)
                        queue.keep(catalogue, changed)

    def _nobody_works(self, order: Order = Order.WAIT) -> bool:
        """Whether there are jobs of this order, no process for them, and nobody has paused the queue."""
        orders = {job.order for job in queue.jobs(self._workspace.catalogue)}
        return order in orders and Order.PAUSE not in orders and not launching.working(self._workspace.root)

    def _open_run(self, name: str, at: str) -> Run | None:
        kept = self._kept().get(name)
        run = kept.run(at) if kept is not None else None
        return run if run is not None and run.open else None

    def _with_run(self, name: str, run: Run) -> Run:
        self._workspace.catalogue.set_settings(self._stored_with(name, run))
        return run

    def _stored_with(self, name: str, run: Run) -> dict[str, str]:
        kept = self._kept()
        return packed(kept | {name: kept[name].with_run(run)})

    def _kept(self) -> dict[str, Kept]:
        return unpacked(self._workspace.catalogue.setting(SETTING))

    def _now(self) -> datetime:
        """By the log's clock."""
        return datetime.fromtimestamp(self._log.clock.utc_ms() // 1000, UTC)

    def _boot_s(self) -> float:
        return self._log.clock.boot_ns() / 1e9


def iso(at: datetime) -> str:
    """An instant as it is stored and shown."""
    return at.isoformat(timespec="seconds")


def _new(model: str) -> Planned:
    from appliance.auditing import new_id

    return Planned(model, new_id())


def _begun(kept: Mapping[str, Kept]) -> dict[str, set[datetime]]:
    return {name: one.begun() for name, one in kept.items()}
