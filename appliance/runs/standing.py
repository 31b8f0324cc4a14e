"""How the runs of a workspace stand: the queue, the audits that have not ended, and who is at work."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from appliance.runs import launching, progress, queue
from appliance.runs.progress import Told
from appliance.runs.queue import Job, Order
from appliance.runs.views import RunState, RunView
from appliance.workspace.rows import StoredAudit
from appliance.workspace.workspace import Workspace

_AT_WORK = {Order.PAUSE: RunState.PAUSING, Order.CANCEL: RunState.CANCELLING}
_AT_REST = {
    Order.WAIT: RunState.WAITING,
    Order.PAUSE: RunState.PAUSED,
    Order.CANCEL: RunState.CANCELLING,
    Order.REFUSED: RunState.REFUSED,
    Order.WORK: RunState.INTERRUPTED,
}
CUT_OFF: Final = "cut off; resuming it goes on where it stopped"
_NOBODY = "nobody works through the queue: resuming a run starts it again"


def runs(workspace: Workspace) -> tuple[RunView, ...]:
    """Who is at work first, then those that wait in their order, then the others."""
    told = progress.read(workspace.root)
    if told is not None and not told.alive():
        told = None
    working = launching.working(workspace.root)
    jobs = queue.jobs(workspace.catalogue)
    waiting = [job.run_id for job in jobs if _waits(job, told, working)]
    views = [_of_job(job, told, waiting, working) for job in jobs]
    known = {job.run_id for job in jobs}
    busy = workspace.audited()
    others = (row for row in workspace.catalogue.unfinished_audits() if row.audit_id not in known)
    views += [_of_audit(row, told, busy) for row in others]
    return tuple(sorted(views, key=lambda view: (not view.at_work, view.place == 0, view.place)))


def _waits(job: Job, told: Told | None, working: bool) -> bool:
    """Whether its turn comes: also when a runner has taken it and an audit in the foreground is before it."""
    if job.order is Order.WORK and not job.why and working:
        return told is not None and told.run_id != job.run_id and not told.here
    return job.order is Order.WAIT


def _of_job(job: Job, told: Told | None, waiting: list[str], working: bool) -> RunView:
    here = told if told is not None and told.run_id == job.run_id else None
    state = _AT_WORK.get(job.order, RunState.RUNNING) if here else _AT_REST[job.order]
    if job.run_id in waiting and not here:
        state = RunState.WAITING
    why = job.why
    if state is RunState.INTERRUPTED:
        why = why or CUT_OFF
    elif state is RunState.WAITING and not working:
        why = _NOBODY
    place = waiting.index(job.run_id) + 1 if state is RunState.WAITING else 0
    view = RunView(job.run_id, state, job.model, job.cohort, job.policy, place, job.asked_utc, why)
    return _told(view, here) if here else view


def _of_audit(audit: StoredAudit, told: Told | None, busy: bool) -> RunView:
    """One that was begun in the foreground of a terminal."""
    running = audit.state == "running" and busy
    state = RunState.RUNNING if running else RunState.INTERRUPTED
    view = RunView(
        audit.audit_id, state, audit.model, audit.cohort, audit.policy, 0, audit.started_utc,
        "" if running else CUT_OFF,
    )  # fmt: skip
    return _told(view, told) if running and told is not None and told.run_id == audit.audit_id else view


def _told(view: RunView, told: Told) -> RunView:
    return replace(
        view,
        here=told.here,
        phases=told.phases,
        elapsed_s=told.elapsed_s(),
        left_s=told.still_left_s(),
    )
