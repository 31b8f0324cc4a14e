"""Which models a run that watches has to audit: state decides, not what happened. Pure; instants are UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from appliance.runs.queue import Job, Order
from appliance.workspace.rows import StoredAudit


@dataclass(frozen=True, slots=True)
class Panel:
    """What a run audits on: only audits of this cohort under this policy count, of whatever version."""

    cohort: str
    policy: str


def due_at(
    model: str,
    panel: Panel,
    audits: Iterable[StoredAudit],
    jobs: Iterable[Job],
    cadence_days: int | None,
) -> datetime | None:
    """From when on a model has to be audited; the earliest instant there is where it never was.

    One that waits makes nothing due. One that is at work or was cut off counts from when it began; one that
    failed or was refused does not count.

    Args:
        model: exactly this version.
        panel: where.
        audits: all of the workspace; results are not looked at.
        jobs: the queue.
        cadence_days: how old its last audit may be; None for any age.

    Returns:
        None where nothing makes it due.
    """
    mine = [job for job in jobs if _of(job, model, panel) and job.order is not Order.REFUSED]
    if any(job.order is not Order.WORK for job in mine):
        return None
    rows = [row for row in audits if _of(row, model, panel) and row.state != "failed"]
    times = [row.finished_utc or row.started_utc for row in rows] + [job.asked_utc for job in mine]
    if not times:
        return NEVER
    latest = max(map(datetime.fromisoformat, times))
    return None if cadence_days is None else latest + timedelta(days=cadence_days)


def _of(one: StoredAudit | Job, model: str, panel: Panel) -> bool:
    return (one.model, one.cohort, one.policy) == (model, panel.cohort, panel.policy)


NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
