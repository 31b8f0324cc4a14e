"""Programs with one protection removed, and the kind of fault by which each must be found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any
from unittest import mock

from cronsim import CronSim

from appliance import schedule
from appliance.claims import accounting
from appliance.claims.records import Recomputed
from appliance.due_runs import DueRuns
from appliance.leases import Machine
from appliance.watch import looking


@dataclass(frozen=True)
class Mutant:
    """Attributes:
    kind: of what is wrong then.
    without: takes the protection away.
    days, lines, schedules: of the story that needs it.
    """

    name: str
    kind: str
    without: Callable[[], AbstractContextManager[object]]
    days: int = 40
    lines: tuple[str, ...] = ("calm",)
    schedules: tuple[str, ...] = ()


def _no_missed() -> AbstractContextManager[object]:
    due = schedule.due

    def prompt(now: datetime, *given: Any) -> Any:
        return tuple(one for one in due(now, *given) if now - one.at < schedule.LATE)

    return mock.patch.object(schedule, "due", prompt)


def _shown_twice() -> AbstractContextManager[object]:
    def instants(cron: str, zone: tzinfo, begin: datetime) -> Iterator[datetime]:
        for local in CronSim(cron, begin.astimezone(zone).replace(tzinfo=None)):
            yield from sorted(schedule._shown(local, zone))

    return mock.patch.object(schedule, "_instants", instants)


def _no_adapters() -> AbstractContextManager[object]:
    look = looking.look

    def blind(record: Any, *given: Any) -> Any:
        found = look(record, *given)
        return replace(found, digests={**found.digests, "adapter": record.peft_digests})

    return mock.patch.object(looking, "look", blind)


def _any_time() -> AbstractContextManager[object]:
    return mock.patch.object(schedule, "why_not", lambda *_: "")


def _no_heir() -> AbstractContextManager[object]:
    return mock.patch.object(DueRuns, "_left", lambda *_: None)


def _for_ever() -> AbstractContextManager[object]:
    return mock.patch.object(Machine, "is_free", lambda *_: False)


def _no_accountant() -> AbstractContextManager[object]:
    return mock.patch.object(accounting, "recomputed", lambda _: Recomputed())


NIGHTLY = ("watch",)
MUTANTS = (
    Mutant("missed runs are dropped", "run", _no_missed, schedules=NIGHTLY),
    Mutant(
        "an hour that comes twice is run twice, one that is left out never", "run", _shown_twice, 100,
        schedules=("half-past-two",),
    ),
    Mutant("windows and blackouts are ignored", "run", _any_time, 220, schedules=("monthly",)),
    Mutant("nobody goes on with what a killed daemon has claimed", "run", _no_heir, schedules=NIGHTLY),
    Mutant("a lease outlives its daemon", "run", _for_ever, schedules=NIGHTLY),
    Mutant("adapters are not looked at", "change", _no_adapters, 40, ("sprig",), NIGHTLY),
    Mutant("the accountant is not run", "verdict", _no_accountant, 40, ("sprig",)),
)  # fmt: skip
