"""Which models a run that watches has to audit: state decides, not what happened. Pure; instants are UTC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from appliance.runs.queue import Job, Order
from appliance.workspace.rows import StoredAudit

_SAID = ("running", "interrupted")  # it is on its way, or waits for a person


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

    One that is queued, at work, or was cut off counts as audited; one that failed or was refused does not.

    Args:
        model: exactly this version.
        panel: where.
        audits: all of the workspace.
        jobs: the queue.
        cadence_days: how old its last audit may be; None for any age.

    Returns:
        None where nothing makes it due.
    """
    if any(_of(job, model, panel) and job.order is not Order.REFUSED for job in jobs):
        return None
    rows = [row for row in audits if _of(row, model, panel)]
    if any(row.state in _SAID for row in rows):
        return None
    done = [datetime.fromisoformat(row.finished_utc) for row in rows if row.state == "done"]
    if not done:
        return NEVER
    return None if cadence_days is None else max(done) + timedelta(days=cadence_days)


def _of(one: StoredAudit | Job, model: str, panel: Panel) -> bool:
    return (one.model, one.cohort, one.policy) == (model, panel.cohort, panel.policy)


NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
