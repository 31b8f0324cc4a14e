"""The queue of audits: settings of the catalogue, so sealed, kept over a restart, and told to the log.

One job is one setting, from the moment an audit is asked for until it has ended. Whoever changes a job holds
the writer's lock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import delete

from appliance.workspace.catalogue import Catalogue
from appliance.workspace.tables import SETTINGS

PREFIX: Final = "runs/"  # settings: what is asked for and has not ended


class Order(StrEnum):
    """What is to become of a job."""

    WAIT = "wait"  # its turn comes
    WORK = "work"  # a runner has taken it
    PAUSE = "pause"
    CANCEL = "cancel"
    REFUSED = "refused"  # it could not even begin


@dataclass(frozen=True, slots=True)
class Job:
    """One audit that is asked for.

    Attributes:
        run_id: of the audit it is or will be.
        policy: its name, for a reader.
        asked: how exactly the audit was asked for besides model and cohort.
        place: the smallest one is next.
        why: what stopped it.
        digest: of the policy when it was asked for; empty where an earlier version asked.
        gone_on: how often it was gone on with by itself after it was cut off.
    """

    run_id: str
    model: str
    cohort: str
    policy: str
    asked: Mapping[str, Any]
    place: int
    asked_utc: str
    order: Order = Order.WAIT
    why: str = ""
    digest: str = ""
    gone_on: int = 0


def jobs(catalogue: Catalogue) -> tuple[Job, ...]:
    """All of them, in the order in which they will be taken."""
    found = (json.loads(told) for told in catalogue.settings(PREFIX).values())
    known = (Job(**{**told, "order": Order(told["order"])}) for told in found)
    return tuple(sorted(known, key=lambda job: (job.place, job.asked_utc, job.run_id)))


def job(catalogue: Catalogue, run_id: str) -> Job | None:
    """One of them, or None."""
    return next((one for one in jobs(catalogue) if one.run_id == run_id), None)


def keep(catalogue: Catalogue, changed: Job) -> None:
    """Store a job, in place of the same one before."""
    catalogue.set_settings(as_setting(changed))


def as_setting(job: Job) -> dict[str, str]:
    """A job as it is stored."""
    return {PREFIX + job.run_id: json.dumps(asdict(job), sort_keys=True)}


def remove(catalogue: Catalogue, run_id: str) -> None:
    """It has ended."""
    with catalogue.changing() as connection:
        connection.execute(delete(SETTINGS).where(SETTINGS.c.key == PREFIX + run_id))


def last_place(catalogue: Catalogue) -> int:
    """Behind all others."""
    return max((one.place for one in jobs(catalogue)), default=0) + 1


def first_place(catalogue: Catalogue) -> int:
    """Before all others."""
    return min((one.place for one in jobs(catalogue)), default=0) - 1
