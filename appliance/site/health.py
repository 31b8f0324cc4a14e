"""`gradaudit health`: how this site stands, for a monitoring system, without a key and without patient data.

It reads what lies in clear text: the log's head and its last entries, who looked last for runs that are due,
how many sealed files wait, the disk. It decides nothing and writes nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from appliance import beat
from appliance.config import workspace_root
from appliance.errors import UsageError
from appliance.evidence.verify_evidence import (
    Broken,
    Checkpoint,
    Key,
    closed_segments,
    open_checkpoint,
    read_head,
    read_log_file,
    read_start,
    ten_words,
)
from appliance.leases import Machine
from appliance.site.checks import STATUSES, HealthCheck, Status, files, last_entries
from appliance.site.health_receiver import certificates, late, listening, received
from appliance.site.health_schedule import schedules
from appliance.site.room import room
from appliance.site.settings import settings
from appliance.words.table import count, tell


@dataclass(frozen=True, slots=True)
class HealthView:
    """The worst of all checks, and each of them."""

    status: Status
    version: str
    checked_utc: str
    checks: tuple[HealthCheck, ...]


def site_health(option: Path | None = None) -> HealthView:
    """The health of the workspace that a command would open; also where the configuration names none.

    Args:
        option: of the command line.
    """
    root: Path | None
    try:
        root = workspace_root(option)
    except UsageError:
        root = option.expanduser().absolute() if option else None
    return health(root)


def health(root: Path | None, now: datetime | None = None, machine: Machine | None = None) -> HealthView:
    """Look at everything that needs no key.

    Args:
        root: the workspace; None where nobody can say which.
        now: by the settable clock.
        machine: whose processes may live.
    """
    at, here = now or datetime.now(UTC), machine or Machine()
    looks = _looks(root, at, here) if root is not None else _looks(Path(), at, here)
    found = tuple(_looked(name, look if name == "configuration" or root else _unset) for name, look in looks)
    worst = max((check.status for check in found), key=STATUSES.index)
    return HealthView(worst, version("gradaudit-appliance"), at.isoformat(timespec="seconds"), found)


def _looks(root: Path, at: datetime, here: Machine) -> tuple[tuple[str, Callable[[], HealthCheck]], ...]:
    return (
        ("configuration", _configuration),
        ("workspace", lambda: _workspace(root)),
        ("disk", lambda: _disk(root)),
        ("log", lambda: _log(root / "log")),
        ("service", lambda: _service(root, at, here)),
        ("schedule", lambda: schedules(root / "log", at)),
        ("findings", lambda: _findings(root)),
        ("keys", lambda: _keys(root, at)),
        ("receiver", lambda: received(root, at)),
        ("listening", lambda: listening(root, at)),
        ("certificates", lambda: certificates(at)),
    )


def receiver_needs(root: Path, now: datetime) -> tuple[str, ...]:
    """What of the receiver needs a person, a sentence each; none where there is no receiver.

    Args:
        root: the workspace.
        now: by the settable clock.
    """
    spool, waiting, aside = _looked("receiver", lambda: received(root, now)), 0, 0
    with suppress(OSError):  # then the look has said so
        waiting, aside = late(root / "spool", now)[0], files(root / "spool" / "quarantine")
    needs = [count("receiver.need.late", waiting)] * bool(waiting) + [
        count("receiver.need.aside", aside)
    ] * bool(aside)
    if spool.status == "critical" and not waiting:
        needs.append(tell("receiver.need.spool", told=spool.told))
    for check in (
        _looked("listening", lambda: listening(root, now)),
        _looked("certificates", lambda: certificates(now)),
    ):
        if check.status != "ok":
            needs.append(tell(f"receiver.need.{check.name}", told=check.told))
    return tuple(needs)


def _looked(name: str, look: Callable[[], HealthCheck]) -> HealthCheck:
    """A look that does not come to its end is a finding, critical by itself; it keeps no other from it.

    What a configuration holds and where it lies is not said here: `gradaudit config show` says it.
    """
    try:
        return look()
    except UsageError:
        own = name == "configuration"
        return HealthCheck(name, "critical", tell("health.configuration.wrong" if own else "health.unset"))
    except OSError as refused:
        return HealthCheck(name, "critical", tell("health.unreadable", why=os.strerror(refused.errno or 5)))
    except Exception:  # noqa: BLE001 - what lies there may be anything; a monitoring system needs an answer
        return HealthCheck(name, "critical", tell("health.fault"))


def _unset() -> HealthCheck:
    raise UsageError("nobody says which workspace")


def _configuration() -> HealthCheck:
    found = sum(1 for one in settings().values() if one.place)
    return HealthCheck("configuration", "ok", count("health.configuration", found), found, "keys")


def _workspace(root: Path) -> HealthCheck:
    if not (root / "keyring.json").is_file():
        return HealthCheck("workspace", "critical", tell("health.workspace.none"))
    return HealthCheck("workspace", "ok", tell("health.workspace"))


def _disk(root: Path) -> HealthCheck:
    found = room(root)
    status: Status = "critical" if found.short else "warning" if found.tight else "ok"
    return HealthCheck("disk", status, found.told, found.free, "bytes")


def _log(folder: Path) -> HealthCheck:
    """The head is signed, and the last entry it speaks of is there; `log verify` re-derives all of it."""
    try:
        key, head = read_head(folder)
        if not _ends_there(folder, key, head):
            raise Broken("journal: the last entry that the checkpoint signed is not there")
    except Broken as broken:
        return HealthCheck("log", "critical", tell("health.log.broken", problem=str(broken)))
    words = ten_words(key.public)
    return HealthCheck("log", "ok", count("health.log", head.size, words=words), head.size, "entries")


def _ends_there(folder: Path, key: Key, head: Checkpoint) -> bool:
    """Whether the journal begins as one does and has the last entry, or its year begins where `head` is."""
    with (folder / "journal").open("rb") as journal:
        start = read_start(journal, key, "journal")
    if start.checkpoint != head:
        last = f'"id":{head.size - 1},'.encode()
        return any(last in entry for entry in last_entries(folder / "journal"))
    if not head.size:
        return True
    closed = closed_segments(folder)[-1:]  # removing years is an entry, so the one before is there
    return any(
        head == open_checkpoint(read_log_file(year, "checkpoint", 1024), key, "checkpoint") for year in closed
    )


def _service(root: Path, now: datetime, machine: Machine) -> HealthCheck:
    found = beat.read(root)
    told = beat.seen(found, now, machine).told
    if found is None:
        return HealthCheck("service", "ok", told)
    ago = max(now - found.at, timedelta())
    silent = not found.alive(machine) and ago >= timedelta(hours=int(settings()["health.silent_hours"].value))
    ended = found.kind == beat.DAEMON and not found.alive(machine)
    status: Status = "critical" if silent else "warning" if ended else "ok"
    return HealthCheck("service", status, told, int(ago.total_seconds()), "seconds")


def _findings(root: Path) -> HealthCheck:
    """Batches that wait for an officer's key, and those that were set aside because they do not open."""
    waiting, damaged = files(root / "evidence" / "waiting"), files(root / "evidence" / "damaged")
    if damaged:
        return HealthCheck("findings", "warning", count("health.findings.damaged", damaged), damaged, "files")
    return HealthCheck("findings", "ok", count("health.findings", waiting), waiting, "files")


def _keys(root: Path, now: datetime) -> HealthCheck:
    """When the keys to the workspace were changed last: by adding, removing, or a new passphrase."""
    path = root / "keyring.json"
    if not path.is_file():
        return HealthCheck("keys", "critical", tell("health.workspace.none"))
    status = path.stat()
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return HealthCheck("keys", "warning", tell("health.keys.open"))
    days = max(0, (now - datetime.fromtimestamp(status.st_mtime, UTC)).days)
    return HealthCheck("keys", "ok", count("health.keys", days), days, "days")
