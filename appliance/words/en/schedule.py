"""When audits are due, and what became of those that were."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "schedule.weekday.0": "Monday",
    "schedule.weekday.1": "Tuesday",
    "schedule.weekday.2": "Wednesday",
    "schedule.weekday.3": "Thursday",
    "schedule.weekday.4": "Friday",
    "schedule.weekday.5": "Saturday",
    "schedule.weekday.6": "Sunday",
    "schedule.near": "{weekday} {clock} {zone}",
    "schedule.far": "{day} {clock} {zone}",
    "schedule.ahead": "{moment}, in {left}",
    "schedule.ago": "{moment}, {left} ago",
    "schedule.days": "{days} d {hours} h",
    "schedule.hours": "{hours} h {minutes} min",
    "schedule.minutes": "{minutes} min",
    "schedule.never": "no run to come",
    "schedule.blackout": "blackout {span}",
    "schedule.outside": "outside the window {window}",
    "schedule.started_before": "was started already, by a clock that was set back since",
    "schedule.waiting": "not started yet: `gradaudit schedule run` starts it",
    "schedule.waits": "not started yet, and waits: {why}",
    "schedule.caught_up": ("{number} earlier run was missed", "{number} earlier runs were missed"),
    "schedule.not_yet": "never run",
    "schedule.cut_off": "was cut off before it could be written down what came of it",
    "schedule.overdue": "schedule {name}: {moment} was not started: `gradaudit schedule run`, or its timer",
    "schedule.failed": "schedule {name}: the last run did not start; {why}",
    "schedule.removed": "schedule {name} is removed",
    "schedule.nothing_due": "nothing is due",
    "schedule.none": "no schedule yet: `gradaudit schedule add NAME --cron … --cohort …`",
}
