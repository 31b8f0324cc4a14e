"""Schedules as they are stored: each with the runs that were begun, and the audits that those planned.

A run is written down before anything of it happens: under a lease, with the ids that its audits will have.
An audit and the line that says that it is queued are one transaction. So whoever goes on with a run that was
cut off queues what is missing, and nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from appliance import codec
from appliance.leases import Lease
from appliance.schedule_views import Schedule

SETTING: Final = "schedules"
_RUNS: Final = 64  # of a schedule: what is older says nothing that the log does not
_EARLIER: Final = 1000  # times of older ones: a clock that is set back does not start them again


@dataclass(frozen=True, slots=True)
class Planned:
    """One audit that a run asks for.

    Attributes:
        model: exactly this version.
        audit: the id it has, or will have; empty where the model cannot be audited.
        queued: whether it was put into the queue.
        why: why it could not be, or does not begin; else empty.
    """

    model: str
    audit: str
    queued: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run that was begun.

    Attributes:
        at_utc: when it was due.
        missed: earlier runs for which it stands.
        audits: that came of it, in the order of models.
        why: what kept a model from being audited; empty where nothing did.
        over: whether it is known what came of it.
        planned: its audits; None while that is not known: a run that watches looks first.
        lease: whose it is while it is not over; None of runs that earlier versions began.
    """

    at_utc: str
    begun_utc: str
    missed: int
    audits: tuple[str, ...] = ()
    why: str = ""
    over: bool = False
    planned: tuple[Planned, ...] | None = None
    lease: Lease | None = None

    @property
    def open(self) -> bool:
        """Whether somebody goes on with it, or can."""
        return not self.over and self.lease is not None

    def with_planned(self, changed: Planned) -> Run:
        """The same, one of its audits changed."""
        planned = (changed if one.audit == changed.audit else one for one in self.planned or ())
        return replace(self, planned=tuple(planned))


@dataclass(frozen=True, slots=True)
class Kept:
    """A schedule as it is stored, with its last runs by when they were due.

    Attributes:
        earlier: when runs before those were due, ISO.
    """

    schedule: Schedule
    runs: tuple[Run, ...] = ()
    earlier: tuple[str, ...] = ()

    def begun(self) -> set[datetime]:
        """When runs were due that nobody begins again."""
        return {datetime.fromisoformat(at) for at in (*self.earlier, *(run.at_utc for run in self.runs))}

    def run(self, at_utc: str) -> Run | None:
        """The run that was due then."""
        return next((run for run in self.runs if run.at_utc == at_utc), None)

    def with_run(self, run: Run) -> Kept:
        """The same, with a run added or in place of the one of that time; what is old and over goes."""
        others = [one for one in self.runs if one.at_utc != run.at_utc]
        runs = sorted([*others, run], key=lambda one: one.at_utc)
        old = [one for one in runs[:-_RUNS] if not one.open and one != run]
        earlier = sorted({*self.earlier, *(one.at_utc for one in old)})[-_EARLIER:]
        return replace(self, runs=tuple(one for one in runs if one not in old), earlier=tuple(earlier))


def unpacked(text: str | None) -> dict[str, Kept]:
    """Schedules by name, from their setting.

    Raises:
        IntegrityError: it is not one.
    """
    return {one.schedule.name: one for one in codec.load(tuple[Kept, ...], text or "[]")}


def packed(kept: Mapping[str, Kept]) -> dict[str, str]:
    """The setting they are stored in."""
    ordered = tuple(kept[name] for name in sorted(kept))
    return {SETTING: codec.dump(ordered, tuple[Kept, ...])}
