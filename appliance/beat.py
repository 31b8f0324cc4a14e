"""`service.beat` in the workspace: who looked last for runs that are due, and when.

It says that somebody looked although nothing was due, which the log does not. It holds no name and needs no
key to be read; it is written without waiting for the disk, and decides nothing.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from appliance.leases import Machine
from appliance.schedule_words import span
from appliance.service_views import ServiceView
from appliance.words.table import tell
from appliance.workspace.durable import write_new

FILE: Final = "service.beat"
DAEMON, TIMER = "daemon", "timer"
SILENT: Final = timedelta(days=1)
_MOST_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Beat:
    """What the file says.

    Attributes:
        kind: `daemon` (`gradaudit serve`) or `timer` (`gradaudit schedule run`, whoever calls it).
        boot, process, began: whose, as in a lease.
        at: by the settable clock.
    """

    kind: str
    boot: str
    process: int
    began: int
    at: datetime

    def alive(self, machine: Machine) -> bool:
        """Whether that is a daemon which still runs."""
        here = self.boot == machine.boot() and machine.lives(self.process, self.began)
        return self.kind == DAEMON and here


def write(root: Path, kind: str, machine: Machine, at: datetime) -> None:
    """Replace the file; what cannot be told is not told."""
    beside = root / f".{FILE}.{secrets.token_hex(8)}"
    process, began = machine.process()
    told = [1, kind, machine.boot(), process, began, at.isoformat(timespec="seconds")]
    try:
        write_new(beside, [json.dumps(told).encode("ascii")], sync=False)
        beside.replace(root / FILE)
    except OSError:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def read(root: Path) -> Beat | None:
    """What the file says; None where there is none, or none that can be read."""
    try:
        with os.fdopen(os.open(root / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            _, kind, boot, process, began, at = json.loads(file.read(_MOST_BYTES))
        told = datetime.fromisoformat(at)
        if kind not in (DAEMON, TIMER) or told.tzinfo is None:
            return None
        return Beat(kind, str(boot), int(process), int(began), told.astimezone(UTC))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def seen(found: Beat | None, now: datetime, machine: Machine) -> ServiceView:
    """What the file says, in words."""
    if found is None:
        return ServiceView("", False, "", tell("service.nobody"), True)
    alive, ago = found.alive(machine), max(now - found.at, timedelta())
    silent = not alive and ago >= SILENT
    what = "silent" if silent else "ended" if found.kind == DAEMON and not alive else found.kind
    told = tell(f"service.{what}", ago=span(ago))
    return ServiceView(found.kind, alive, found.at.isoformat(timespec="seconds"), told, silent)
