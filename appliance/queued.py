"""The acts around the queue of audits: ask for one, look, pause, go on, move first, cancel.

Audits that are asked for here run one after the other in a process of their own (`appliance.runs.runner`),
which any terminal may watch and give orders. An order is a change of the queue and an entry of the log; the
signal that follows only makes the process look.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from appliance.acts import log_unopened
from appliance.audited import Audited, asked_as
from appliance.carried_out import Stopped
from appliance.errors import ApplianceError, NotNow, UsageError
from appliance.redaction import fault_line
from appliance.runs import launching, progress, queue, standing
from appliance.runs.queue import Job, Order
from appliance.runs.views import RunState, RunView
from appliance.views import Progress
from appliance.workspace.turns import HOURS_S

PAUSE, CANCEL, FIRST, AGAIN = "audit.pause", "audit.cancel", "audit.first", "audit.requeue"
STOP: Final = "runs.stop"
_STOP_S: Final = 30.0
_LOOK_S: Final = 0.2
_FOREGROUND: Final = "it runs in the foreground of a terminal"


class Queued(Audited):
    """The queue of audits of one site."""

    _pausing = False  # what is at work here is to be paused, as against cut off

    def queue_audit(
        self,
        model: str,
        cohort: str,
        policy: str,
        *,
        as_published: bool = False,
        mask: str = "",
        spike_in: bool = False,
        spike_in_epochs: int = 0,
    ) -> RunView:
        """Ask for an audit: it runs in a process of its own, now or after those asked for before.

        Arguments as `run_audit`.

        Raises:
            UsageError, PolicyError, IntegrityError: as `run_audit`; nothing is asked for then.
            NotNow: it waits in the queue, and no process could be started.
        """
        from appliance.auditing import new_id

        asked = asked_as(self._policy(policy)[1], as_published, mask, spike_in, spike_in_epochs)
        job = self._job(new_id(), self._model(model).name, cohort, asked)
        with self._act("audit.queue", job.run_id, policy_digest=job.digest):
            queue.keep(self._workspace.catalogue, self._last(job))
        return self._at_work_on(job.run_id)

    def runs(self) -> tuple[RunView, ...]:
        """The audit at work, those that wait in their order, and those that were paused or cut off."""
        return standing.runs(self._workspace)

    def pause_run(self, run_id: str) -> RunView:
        """Let a run stop; what it has measured is kept. One that waits keeps waiting until it is resumed.

        Raises:
            UsageError: no such run, or it neither runs nor waits, or not in a process of its own.
        """
        with self._act(PAUSE, run_id):
            view = self._a_run(run_id, RunState.RUNNING, RunState.WAITING)
            self._order(run_id, Order.PAUSE)
            if view.at_work:
                self._signal(run_id)
        return self._a_run(run_id)

    def resume_run(self, run_id: str) -> RunView:
        """Let a run that was paused or cut off go on, before those that wait; its finished steps are read.

        Raises:
            UsageError: no such run, or it runs already; an earlier version began it.
            NotNow: as `queue_audit`.
        """
        states = (RunState.PAUSED, RunState.INTERRUPTED, RunState.REFUSED, RunState.WAITING)
        with self._act(AGAIN, run_id):
            self._a_run(run_id, *states)
            self._order(run_id, Order.WAIT, first=True)
        return self._at_work_on(run_id)

    def first_run(self, run_id: str) -> RunView:
        """Move a run that waits before the others.

        Raises:
            UsageError: no such run, or it does not wait.
            NotNow: as `queue_audit`.
        """
        with self._act(FIRST, run_id):
            self._a_run(run_id, RunState.WAITING)
            self._order(run_id, Order.WAIT, first=True)
        return self._at_work_on(run_id)

    def cancel_run(self, run_id: str) -> None:
        """Give a run up for good: what it has measured is removed.

        Raises:
            UsageError: no such run, or it runs in the foreground of a terminal.
        """
        with self._act(CANCEL, run_id, turn=self._beside_an_audit()):
            view = self._a_run(run_id, *RunState)
            if view.at_work:
                self._order(run_id, Order.CANCEL)
                self._signal(run_id)
            else:
                self._give_up(run_id)

    @staticmethod
    def holds_keys(root: Path) -> bool:
        """Whether a process that works through the queue holds keys of this workspace."""
        return launching.working(root)

    @staticmethod
    def stop_runs(root: Path) -> None:
        """Pause the audit at work, and let its process forget its keys; no key is needed for this.

        Raises:
            NotNow: it has not stopped in time, or belongs to another account.
        """
        if not launching.working(root):
            return
        log_unopened(root, STOP, "begins")
        deadline = time.monotonic() + _STOP_S
        while launching.working(root):
            if time.monotonic() > deadline:
                log_unopened(root, STOP, "failed")
                raise NotNow("the process for audits has not stopped", "look at it with `gradaudit runs ls`")
            told = progress.read(root)  # anew: it may just have begun, or have taken this for a cancelling
            if told is not None and told.here and told.alive():
                with suppress(OSError):
                    os.kill(told.process[0], launching.PAUSES)
            time.sleep(_LOOK_S)
        log_unopened(root, STOP, "done")

    # -- how it is done --------------------------------------------------------------------------------

    def _job(self, run_id: str, model: str, cohort: str, asked: Mapping[str, Any]) -> Job:
        """An audit that can be asked for, of exactly this version of a model. Raises as `queue_audit`."""
        record, _, loaded = self._asked_for(model, cohort, asked)
        names = (record.name, cohort, loaded.policy.name)
        with_claims = self._with_claims(asked, record.name)
        return Job(run_id, *names, with_claims, 0, _now(), digest=loaded.digest)

    def _last(self, job: Job) -> Job:
        """The job behind all others. Call it as the only writer."""
        return replace(job, place=queue.last_place(self._workspace.catalogue))

    def _a_run(self, run_id: str, *states: RunState) -> RunView:
        """A run, in one of these states where any are named.

        Raises:
            UsageError: there is none, or it is in another.
        """
        view = next((one for one in self.runs() if one.run_id == run_id), None)
        if view is None:
            raise UsageError(f"no run {run_id} waits or is at work", "see `gradaudit runs ls`")
        if states and view.state not in states:
            raise UsageError(f"run {run_id} is {view.state}", "see `gradaudit runs ls`")
        if states and view.at_work and not view.here:
            raise UsageError(f"run {run_id} takes no orders: {_FOREGROUND}", "press ctrl+c there")
        return view

    def _order(self, run_id: str, order: Order, *, first: bool = False) -> None:
        """What is to become of a run; one that was cut off in the foreground comes into the queue."""
        catalogue = self._workspace.catalogue
        job = queue.job(catalogue, run_id) or self._cut_off(run_id)
        place = queue.first_place(catalogue) if first else job.place
        queue.keep(catalogue, replace(job, order=order, place=place, why=""))

    def _cut_off(self, run_id: str) -> Job:
        stored = self._stored_audit(run_id)
        if "asked" not in stored.digests:
            raise UsageError(
                f"audit {run_id} cannot be resumed: an earlier version began it", "run a new audit"
            )
        asked = stored.digests["asked"]
        return Job(run_id, stored.model, stored.cohort, stored.policy, asked, 0, stored.started_utc)

    def _at_work_on(self, run_id: str) -> RunView:
        """The run as it stands, when a process works through the queue."""
        self._begin_work()
        return self._a_run(run_id)

    def _begin_work(self) -> None:
        """Let a process work through the queue, if none does. Raises NotNow, see `launching.start`."""
        launching.start(self._workspace.root, self._workspace.kept())

    def _signal(self, run_id: str) -> None:
        """Let the process at work look at its orders. Call it as the only writer: it takes no other job."""
        told = progress.read(self._workspace.root)
        if told is not None and told.run_id == run_id and told.here and told.alive():
            with suppress(OSError):
                os.kill(told.process[0], signal.SIGTERM)

    # -- the process that works through it -------------------------------------------------------------

    def _work_through(self, leave: Callable[[], None]) -> None:
        """One audit after the other.

        Args:
            leave: called as the only writer when none waits, so that nobody who asks then is overlooked.
        """
        self._takes_orders = True
        while (job := self._next(leave)) is not None:
            if not self._worked_on(job):
                return

    def _next(self, leave: Callable[[], None]) -> Job | None:
        catalogue = self._workspace.catalogue
        with self._workspace.writing(HOURS_S):
            for job in queue.jobs(catalogue):
                if job.order is Order.CANCEL:
                    self._give_up(job.run_id)
                elif job.order is Order.WORK and not job.why:
                    queue.keep(catalogue, replace(job, why=standing.CUT_OFF))  # its runner was killed
            waiting = next((job for job in queue.jobs(catalogue) if job.order is Order.WAIT), None)
            if waiting is None or self._stopping:
                leave()
                return None
            progress.Telling(self._workspace.root, waiting.run_id, {}, here=True)
            queue.keep(catalogue, replace(waiting, order=Order.WORK, why=""))
        return waiting

    def _worked_on(self, job: Job) -> bool:
        """Carry one out; whether the next one may follow."""

        def look(step: Progress) -> None:
            if self._stopping:
                raise Stopped

        why = ""
        try:
            while self._workspace.audited() and not self._stopping:
                time.sleep(_LOOK_S)  # in the foreground of a terminal
            if self._stopping:
                raise Stopped
            if not self._still_taken(job.run_id):
                return True
            if self._workspace.catalogue.audit(job.run_id) is None:
                self._audit_anew(
                    job.model, job.cohort, job.asked, look, audit_id=job.run_id, digest=job.digest
                )
            else:
                self.resume_audit(job.run_id, look)
        except Stopped:
            pass
        except ApplianceError as error:
            why = f"{error}; {error.hint}" if error.hint else str(error)
        except Exception as error:  # noqa: BLE001 - process border: a fault id may leave, no value
            why = fault_line(error)
        progress.forget(self._workspace.root)
        with self._workspace.writing(HOURS_S):
            return self._ended(job.run_id, why)

    def _still_taken(self, run_id: str) -> bool:
        """Whether nobody cancelled or paused a job while it waited; from here on orders come as a signal."""
        with self._workspace.writing(HOURS_S):
            job = queue.job(self._workspace.catalogue, run_id)
            if job is None or job.order is not Order.WORK:
                return False
            progress.Telling(self._workspace.root, run_id, {}, here=True)
            return True

    def _ended(self, run_id: str, why: str) -> bool:
        """What becomes of a job that nobody works on any more; whether the next one may follow."""
        catalogue = self._workspace.catalogue
        job, audit = queue.job(catalogue, run_id), catalogue.audit(run_id)
        if job is not None and job.order is Order.CANCEL:
            self._give_up(run_id)
            self._stopping = False
        elif job is not None and audit is not None and audit.state in ("done", "failed"):
            queue.remove(catalogue, run_id)
        elif job is not None and job.order is not Order.PAUSE and self._pausing:
            self._record(PAUSE, run_id, "done")
            queue.keep(catalogue, replace(job, order=Order.PAUSE))
        elif job is not None and job.order is not Order.PAUSE and self._stopping:
            queue.keep(catalogue, _cut_short(job, begun=audit is not None))
        elif job is not None and job.order is not Order.PAUSE:
            refused = audit is None
            queue.keep(catalogue, replace(job, order=Order.REFUSED if refused else Order.WORK, why=why))
            return refused
        return not self._stopping

    def _stop_working(self, *, pausing: bool = False) -> None:
        """Called by a signal: the worker goes at once, the rest follows where it is waited for.

        Args:
            pausing: a person wants it paused; otherwise it is cut off unless the queue has an order.
        """
        self._stopping = True
        self._pausing = self._pausing or pausing
        worker = self._at_work
        if worker is not None:
            worker.kill()


def _cut_short(job: Job, *, begun: bool) -> Job:
    """A job that nobody told to stop, as when the machine is switched off: that is no fault of its own."""
    if begun:
        return replace(job, order=Order.WORK, why=standing.CUT_OFF, gone_on=0)
    return replace(job, order=Order.WAIT, why="")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
