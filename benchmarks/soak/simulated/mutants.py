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
from appliance.schedule_records import Kept
from appliance.watch import looking


@dataclass(frozen=True)
class Mutant:
    """Attributes:
    kind: of what is wrong then.
    without: takes the protection away.
    days, lines: of the story that needs it.
    """

    name: str
    kind: str
    without: Callable[[], AbstractContextManager[object]]
    days: int = 110
    lines: tuple[str, ...] = ("calm",)


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


def _last_only() -> AbstractContextManager[object]:
    def begun(self: Kept) -> set[datetime]:
        return {datetime.fromisoformat(run.at_utc) for run in self.runs[-1:]}

    return mock.patch.object(Kept, "begun", begun)


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


MUTANTS = (
    Mutant("missed runs are dropped", "run", _no_missed),
    Mutant("the hour that comes twice is run twice, the one left out never", "run", _shown_twice),
    Mutant("only the last run is remembered", "run", _last_only, 60),
    Mutant("windows and blackouts are ignored", "run", _any_time, 240),
    Mutant("nobody goes on with what a killed daemon has claimed", "audit", _no_heir, 110),
    Mutant("a lease outlives its daemon", "audit", _for_ever, 110),
    Mutant("adapters are not looked at", "change", _no_adapters, 40, ("sprig",)),
    Mutant("the accountant is not run", "verdict", _no_accountant, 40, ("sprig",)),
)
