"""What `gradaudit health` says of schedules, by the last entries of the log: the last run of each.

Which window or blackout keeps a run waiting is encrypted: a run that was cut off and waits for its window is
told as one that is not over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from appliance.leases import LASTS_S
from appliance.schedule_words import span
from appliance.site.checks import HealthCheck, last_entries
from appliance.words.table import tell

_OF_RUNS: Final = b'"act":"schedule.'
_BEGINS: Final = ("run", "resume")
_FAILED: Final = ("failed", "cancelled", "refused")
_CLOSES: Final = timedelta(seconds=LASTS_S)  # a run is over by then, or somebody else may go on with it


@dataclass(frozen=True, slots=True)
class _Last:
    """The last run of one schedule.

    Attributes:
        began: when it was claimed; of several that are not over, the first.
        over: whether it was closed: it is known what came of it.
        failed: whether something of it could not be audited.
    """

    began: datetime
    over: bool = False
    failed: bool = False

    def cut_off(self, now: datetime) -> bool:
        """Whether it is not over although its lease is: nobody goes on with it, or nobody gets through."""
        return not self.over and now - self.began >= _CLOSES


def schedules(log: Path, now: datetime) -> HealthCheck:
    """The last run of each schedule: what of it failed, and what was begun and never closed."""
    last: dict[str, _Last] = {}
    if (log / "journal").is_file():
        for entry in last_entries(log / "journal"):
            if _OF_RUNS in entry:
                _follow(json.loads(entry), last)
    if not last:
        return HealthCheck("schedule", "ok", tell("health.schedule.none"))
    failed = max((one.began for one in last.values() if one.failed), default=None)
    left = min((one.began for one in last.values() if one.cut_off(now)), default=None)
    told = []
    if failed is not None:
        told.append(tell("health.schedule.failed", ago=span(_since(failed, now))))
    if left is not None:
        told.append(tell("health.schedule.open", ago=span(_since(left, now))))
    ago = _since(failed or left or max(one.began for one in last.values()), now)
    said = "; ".join(told) or tell("health.schedule", ago=span(ago))
    return HealthCheck("schedule", "warning" if told else "ok", said, int(ago.total_seconds()), "seconds")


def _since(began: datetime, now: datetime) -> timedelta:
    return max(now - began, timedelta())


def _follow(entry: Mapping[str, Any], last: dict[str, _Last]) -> None:
    """What one entry says of its schedule's last run; of one that begins further back it says nothing."""
    act, name, outcome = entry["act"].removeprefix("schedule."), entry["object"], entry["outcome"]
    known = last.get(name)
    if act == "run" and outcome == "begins":
        began = known.began if known is not None and not known.over else datetime.fromisoformat(entry["utc"])
        last[name] = _Last(began)
    elif act == "remove" and outcome == "done":
        last.pop(name, None)
    elif known is not None:
        failed = act == "failed" or outcome in _FAILED
        over = (act == "started" and outcome == "done") or (act == "run" and failed)  # then none was claimed
        again = act in _BEGINS and outcome == "begins"
        last[name] = replace(known, over=known.over or over, failed=not again and (known.failed or failed))
