"""`gradaudit health`: how this site stands, for a monitoring system, without a key and without patient data.

It reads what lies in clear text: the log's head and its last entries, who looked last for runs that are due,
how many sealed files wait, the disk. It decides nothing and writes nothing.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from appliance import beat
from appliance.errors import UsageError
from appliance.evidence.verify_evidence import ENTRY, Broken, Checkpoint, read_head, ten_words
from appliance.leases import Machine
from appliance.schedule_words import span
from appliance.site.room import room
from appliance.site.settings import settings
from appliance.words.table import count, tell

Status = Literal["ok", "warning", "critical"]
STATUSES: Final[tuple[Status, ...]] = ("ok", "warning", "critical")
"""In the order of their exit codes: 0, 1, 2, as monitoring systems take them."""
_TAIL: Final = 1 << 20  # bytes of the journal that are looked at
_MOST_COUNTED: Final = 1_000_000
_RUN: Final = b'"act":"schedule.run"'
_FAILED: Final = ("failed", "refused")
_BEATS: Final = timedelta(minutes=2)  # a receiver that lives says so every quarter of one
_WAITED: Final = timedelta(minutes=10)  # `serve` takes in every minute


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One thing that was looked at.

    Attributes:
        name: fixed, for rules of the monitoring system.
        status: `ok`, `warning` or `critical`.
        told: one sentence without names, paths or patient data.
        value: the number it goes by, in `unit`; -1 where there is none.
    """

    name: str
    status: Status
    told: str
    value: int = -1
    unit: str = ""


@dataclass(frozen=True, slots=True)
class HealthView:
    """The worst of all checks, and each of them."""

    status: Status
    version: str
    checked_utc: str
    checks: tuple[HealthCheck, ...]


def health(root: Path, now: datetime | None = None, machine: Machine | None = None) -> HealthView:
    """Look at everything that needs no key.

    Args:
        root: the workspace.
        now: by the settable clock.
        machine: whose processes may live.
    """
    at, here = now or datetime.now(UTC), machine or Machine()
    looks: tuple[tuple[str, Callable[[], HealthCheck]], ...] = (
        ("configuration", _configuration),
        ("workspace", lambda: _workspace(root)),
        ("disk", lambda: _disk(root)),
        ("log", lambda: _log(root / "log")),
        ("service", lambda: _service(root, at, here)),
        ("schedule", lambda: _schedule(root / "log", at)),
        ("findings", lambda: _findings(root)),
        ("quarantine", lambda: _quarantine(root)),
        ("keys", lambda: _keys(root, at)),
        ("receiver", lambda: _receiver(root, at)),
        ("listening", lambda: _listening(root, at)),
        ("certificates", lambda: _certificates(at)),
    )
    found = tuple(_looked(name, look) for name, look in looks)
    worst = max((check.status for check in found), key=STATUSES.index)
    return HealthView(worst, version("gradaudit-appliance"), at.isoformat(timespec="seconds"), found)


def receiver_needs(root: Path, now: datetime) -> tuple[str, ...]:
    """What of the receiver needs a person, a sentence each; none where there is no receiver.

    Args:
        root: the workspace.
        now: by the settable clock.
    """
    late, aside = _late(root / "spool", now)[0], _files(root / "spool" / "quarantine")
    needs = [count("receiver.need.late", late)] * bool(late) + [count("receiver.need.aside", aside)] * bool(
        aside
    )
    for check in (
        _looked("listening", lambda: _listening(root, now)),
        _looked("certificates", lambda: _certificates(now)),
    ):
        if check.status != "ok":
            needs.append(tell(f"receiver.need.{check.name}", told=check.told))
    return tuple(needs)


def _looked(name: str, look: Callable[[], HealthCheck]) -> HealthCheck:
    """A look that the machine or the configuration refuses is a finding, not an end."""
    try:
        return look()
    except UsageError as wrong:
        return HealthCheck(name, "critical", str(wrong) if name == "configuration" else tell("health.unset"))
    except OSError as refused:
        return HealthCheck(name, "critical", tell("health.unreadable", why=os.strerror(refused.errno or 5)))


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
        if not _ends_there(folder, head):
            raise Broken("journal: the last entry that the checkpoint signed is not there")
    except Broken as broken:
        return HealthCheck("log", "critical", tell("health.log.broken", problem=str(broken)))
    words = ten_words(key.public)
    return HealthCheck("log", "ok", count("health.log", head.size, words=words), head.size, "entries")


def _ends_there(folder: Path, head: Checkpoint) -> bool:
    data, whole = _tail(folder / "journal")
    last = f'"id":{head.size - 1},'.encode()
    written = any(last in entry for entry in _entries(data))
    return written or not head.size or (whole and not any(_entries(data)))  # a year that has just begun


def _tail(journal: Path) -> tuple[bytes, bool]:
    """The end of the journal, and whether that is all of it."""
    with journal.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _TAIL))
        return file.read(_TAIL), size <= _TAIL


def _entries(data: bytes) -> Iterator[bytes]:
    return (found[0] for found in ENTRY.finditer(data))


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


def _schedule(log: Path, now: datetime) -> HealthCheck:
    """The last run that was due, among the last entries of the log."""
    if not (log / "journal").is_file():
        return HealthCheck("schedule", "ok", tell("health.schedule.none"))
    last: dict[str, Any] = {}
    for entry in _entries(_tail(log / "journal")[0]):
        if _RUN in entry and b'"outcome":"begun"' not in entry:
            last = json.loads(entry)
    if not last:
        return HealthCheck("schedule", "ok", tell("health.schedule.none"))
    ago = max(now - datetime.fromisoformat(last["utc"]), timedelta())
    failed = last["outcome"] in _FAILED
    told = tell("health.schedule.failed" if failed else "health.schedule", ago=span(ago))
    return HealthCheck("schedule", "warning" if failed else "ok", told, int(ago.total_seconds()), "seconds")


def _findings(root: Path) -> HealthCheck:
    """Batches that wait for an officer's key, and those that were set aside because they do not open."""
    waiting, damaged = _files(root / "evidence" / "waiting"), _files(root / "evidence" / "damaged")
    if damaged:
        return HealthCheck("findings", "warning", count("health.findings.damaged", damaged), damaged, "files")
    return HealthCheck("findings", "ok", count("health.findings", waiting), waiting, "files")


def _quarantine(root: Path) -> HealthCheck:
    files = _files(root / "quarantine")
    return HealthCheck("quarantine", "ok", count("health.quarantine", files), files, "files")


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


def _receiver(root: Path, now: datetime) -> HealthCheck:
    """What was received and waits to be taken in, and what could not be."""
    spool = root / "spool"
    if not spool.is_dir():
        return HealthCheck("receiver", "ok", tell("health.receiver.none"))
    waiting = sum(_files(spool / name) for name in ("arriving", "ready"))
    refused = _files(spool / "quarantine")
    if refused:
        return HealthCheck("receiver", "warning", count("health.receiver.refused", refused), refused, "files")
    studies, since = _late(spool, now)
    many = studies or waiting >= int(settings()["health.spool_files"].value)
    told = count("health.receiver.late" if studies else "health.receiver", waiting, ago=span(since))
    return HealthCheck("receiver", "warning" if many else "ok", told, waiting, "files")


def _late(spool: Path, now: datetime) -> tuple[int, timedelta]:
    """How many studies and messages are complete and not taken in, and since when; none before a while."""
    groups, since = set(), timedelta()
    if (spool / "ready").is_dir():
        with os.scandir(spool / "ready") as found:
            for one in found:
                groups.add(one.name.partition("-")[0])
                with suppress(FileNotFoundError):  # taken in meanwhile
                    moved = datetime.fromtimestamp(one.stat(follow_symlinks=False).st_ctime, UTC)
                    since = max(since, now - moved)
    return (len(groups), since) if since >= _WAITED else (0, since)


def _listening(root: Path, now: datetime) -> HealthCheck:
    """Whether a receiver that should run does: one that nobody has stopped, or that the site names."""
    lock, named = root / "spool" / "lock", settings()["receiver.file"].value
    if not lock.is_file():
        told = tell("health.listening.never" if named else "health.receiver.none")
        return HealthCheck("listening", "critical" if named else "ok", told)
    found = lock.stat()
    ago = max(now - datetime.fromtimestamp(found.st_mtime, UTC), timedelta())
    stopped = not found.st_size
    if not stopped and ago < _BEATS:
        return HealthCheck("listening", "ok", tell("health.listening"), int(ago.total_seconds()), "seconds")
    told = tell("health.listening.stopped" if stopped else "health.listening.ended", ago=span(ago))
    status: Status = "critical" if named or not stopped else "ok"
    return HealthCheck("listening", status, told, int(ago.total_seconds()), "seconds")


def _certificates(now: datetime) -> HealthCheck:
    """The receiver's own certificate and those of its authorities: the one that ends first."""
    given = settings()["receiver.file"].value
    if not given:
        return HealthCheck("certificates", "ok", tell("health.certificates.none"))
    from cryptography.x509 import load_pem_x509_certificates

    from appliance.receiver.settings import read

    try:
        receiver = read(Path(str(given)))
        pems = [path.read_bytes() for path in (receiver.certificate, receiver.authorities)]
        ends = min(one.not_valid_after_utc for pem in pems for one in load_pem_x509_certificates(pem))
    except (UsageError, ValueError):
        return HealthCheck("certificates", "critical", tell("health.certificates.unreadable"))
    left = ends - now
    near = left < timedelta(days=int(settings()["health.certificate_days"].value))
    status: Status = "critical" if left <= timedelta() else "warning" if near else "ok"
    sentence = (
        tell("health.certificates.over") if left <= timedelta() else count("health.certificates", left.days)
    )
    return HealthCheck("certificates", status, sentence, left.days, "days")


def _files(folder: Path) -> int:
    """How many files lie in a folder; none where there is no folder."""
    if not folder.is_dir():
        return 0
    with os.scandir(folder) as found:
        return min(_MOST_COUNTED, sum(1 for one in found if not one.name.startswith(".")))
