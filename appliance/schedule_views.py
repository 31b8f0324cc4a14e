"""Schedules as both front ends see them: what an officer asks for, what is to come, what was started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ALL: Final = "all"  # models: every registered one, as they are when it runs

OWN: Final = "own cron"
USUAL: Final = {
    "every night": "{minute} {hour} * * *",
    "Sundays": "{minute} {hour} * * 0",
    "1st of month": "{minute} {hour} 1 * *",
}
"""What most sites want, as cron expressions; the time is put in by `usual`."""


def usual(choice: str, clock: str) -> str:
    """The cron expression of a usual choice at a time such as 02:00; cron refuses what is no time."""
    hour, _, minute = clock.partition(":")
    return USUAL[choice].format(hour=hour.lstrip("0") or "0", minute=minute.lstrip("0") or "0")


@dataclass(frozen=True, slots=True)
class Schedule:
    """Which audit is due when.

    Attributes:
        cron: minute, hour, day of month, month, day of week.
        zone: IANA name; empty for the zone of this machine, which is named when the schedule is kept.
        model: name, or `ALL`.
        window: `HH:MM-HH:MM`, the local times from which on and before which a run may be started; may go
            over midnight; empty for always.
        blackout: `YYYY-MM-DD..YYYY-MM-DD`, local dates on which no run is started, both ends included.
        priority: a higher one is started first.
        added_utc: ISO; runs count from here.
        watch: look at the vendors' folders first, and audit only what has no audit on this cohort yet or
            whose last one is older than the policy's cadence; otherwise every run audits.
    """

    name: str
    cron: str
    zone: str
    model: str
    cohort: str
    policy: str
    window: str = ""
    blackout: tuple[str, ...] = ()
    priority: int = 0
    added_utc: str = ""
    watch: bool = False


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """One schedule, what comes next, and what came of its last run.

    Attributes:
        meaning: the cron expression in words.
        next_utc: of the next run that will be started, ISO; empty where none is in sight.
        next_told: the same in words, in the schedule's zone.
        waiting_utc: when the oldest run was due that nobody has started; empty where none waits.
        last_utc: when the last run was due.
        last_told: what came of it, in words.
        audits: of that run.
    """

    schedule: Schedule
    meaning: str
    next_utc: str
    next_told: str
    waiting_utc: str
    last_utc: str
    last_told: str
    audits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ComingRun:
    """One run of the days ahead, or one that waits to be started.

    Attributes:
        at_utc: ISO.
        local: date, time and offset in the schedule's zone, ISO.
        told: the same in words.
        why: why it is not started; empty where it will be.
        waiting: whether it was due already.
        watch: whether it looks at the vendors' folders first.
        audits: of a run that watches: the models it will audit even if no folder has changed, by what is
            known now: those without an audit, and those whose cadence is over by then.
    """

    schedule: str
    model: str
    at_utc: str
    local: str
    told: str
    why: str
    waiting: bool
    watch: bool = False
    audits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StartedRun:
    """One audit of a run that was due; a run that watches and finds nothing to audit has none.

    Attributes:
        due_utc: when it was due.
        missed: earlier runs of the schedule for which it stands.
        audit: id; empty where it could not be started.
        why: why not, else empty.
    """

    schedule: str
    model: str
    due_utc: str
    missed: int
    audit: str
    why: str
