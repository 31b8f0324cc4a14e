"""What `gradaudit health` says of the receiver, by what lies in clear text: its spool, its lock, its file."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from appliance.errors import ApplianceError, UsageError
from appliance.schedule_words import span
from appliance.site.checks import HealthCheck, Status, files, listed
from appliance.site.settings import settings
from appliance.words.table import count, tell

_BEATS: Final = timedelta(minutes=2)  # a receiver that lives says so every quarter of one
_WAITED: Final = timedelta(minutes=10)  # `serve` takes in every minute
_NEARLY: Final = 0.8  # of what a spool may hold


def received(root: Path, now: datetime) -> HealthCheck:
    """What was received and waits to be taken in, and what could not be."""
    from appliance.receiver.sealing import Address

    spool = root / "spool"
    if not os.path.lexists(spool):
        return HealthCheck("receiver", "ok", tell("health.receiver.none"))
    waiting = sum(files(spool / name) for name in ("arriving", "ready"))
    refused, (studies, since) = files(spool / "quarantine"), late(spool, now)
    try:
        Address.read(spool / "receiver.json")
    except ApplianceError:
        return HealthCheck("receiver", "critical", tell("health.receiver.address"), waiting, "files")
    silent = timedelta(hours=int(settings()["health.silent_hours"].value))
    many, full = waiting >= int(settings()["health.spool_files"].value), _full(spool)
    if full == "critical":
        return HealthCheck("receiver", full, tell("health.receiver.full"), waiting, "files")
    if refused and not (studies and since >= silent):
        return HealthCheck("receiver", "warning", count("health.receiver.refused", refused), refused, "files")
    told = count("health.receiver.late" if studies else "health.receiver", waiting, ago=span(since))
    if studies:
        return HealthCheck("receiver", "critical" if since >= silent else "warning", told, waiting, "files")
    if full == "warning":
        return HealthCheck("receiver", full, tell("health.receiver.nearly"), waiting, "files")
    return HealthCheck("receiver", "warning" if many else "ok", told, waiting, "files")


def _full(spool: Path) -> Status:
    """How near the spool is to what the receiver's file lets it hold; `certificates` tells of no file."""
    from appliance.receiver.settings import read

    given = settings()["receiver.file"].value
    try:
        limits = read(Path(str(given))).limits if given else None
    except UsageError:
        limits = None
    if limits is None:
        return "ok"
    used, disk = 0, os.statvfs(spool)
    for name in ("incoming", "arriving", "ready", "quarantine"):
        with listed(spool / name) as found:
            for one in found:
                with suppress(FileNotFoundError):
                    used += one.stat(follow_symlinks=False).st_size
    most = limits.spool_mib << 20
    if used >= most or disk.f_bavail * disk.f_frsize <= limits.keep_free_mib << 20:
        return "critical"
    return "warning" if used >= most * _NEARLY else "ok"


def late(spool: Path, now: datetime) -> tuple[int, timedelta]:
    """How many studies and messages are complete and not taken in, and since when; none before a while.

    Where nobody receives, those that arrive too: nobody hands them over.
    """
    groups, since = set(), timedelta()
    for folder in ("ready",) if _held(spool / "lock") else ("ready", "arriving"):
        with listed(spool / folder) as found:
            for one in found:
                groups.add(one.name.partition("-")[0])
                with suppress(FileNotFoundError):  # taken in meanwhile
                    moved = datetime.fromtimestamp(one.stat(follow_symlinks=False).st_ctime, UTC)
                    since = max(since, now - moved)
    return (len(groups), since) if since >= _WAITED else (0, since)


def _held(lock: Path) -> bool:
    """Whether a process receives: it holds its lock, whatever the file says."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def listening(root: Path, now: datetime) -> HealthCheck:
    """Whether a receiver that should run does: one that nobody has stopped, or that the site names."""
    lock, named = root / "spool" / "lock", settings()["receiver.file"].value
    if not os.path.lexists(lock):
        told = tell("health.listening.never" if named else "health.receiver.none")
        return HealthCheck("listening", "critical" if named else "ok", told)
    held, found = _held(lock), lock.lstat()
    ago = max(now - datetime.fromtimestamp(found.st_mtime, UTC), timedelta())
    stopped = not found.st_size
    if held and not stopped and ago < _BEATS:
        return HealthCheck("listening", "ok", tell("health.listening"), int(ago.total_seconds()), "seconds")
    which = "stopped" if stopped else "silent" if held else "ended"
    told = tell(f"health.listening.{which}", ago=span(ago))
    status: Status = "critical" if named or not stopped else "ok"
    return HealthCheck("listening", status, told, int(ago.total_seconds()), "seconds")


def certificates(now: datetime) -> HealthCheck:
    """The receiver's own certificate and those of its authorities: the one that ends first."""
    given = settings()["receiver.file"].value
    if not given:
        return HealthCheck("certificates", "ok", tell("health.certificates.none"))
    from cryptography.x509 import load_pem_x509_certificates

    from appliance.receiver.settings import content, read

    try:
        receiver = read(Path(str(given)))
        pems = [content(path) for path in (receiver.certificate, receiver.authorities)]
        found = [one for pem in pems for one in load_pem_x509_certificates(pem)]
        left = min(one.not_valid_after_utc for one in found) - now
    except (UsageError, ValueError):
        return HealthCheck("certificates", "critical", tell("health.certificates.unreadable"))
    if any(one.not_valid_before_utc > now for one in found):
        return HealthCheck("certificates", "critical", tell("health.certificates.early"), left.days, "days")
    near = left < timedelta(days=int(settings()["health.certificate_days"].value))
    status: Status = "critical" if left <= timedelta() else "warning" if near else "ok"
    sentence = (
        tell("health.certificates.over") if left <= timedelta() else count("health.certificates", left.days)
    )
    return HealthCheck("certificates", status, sentence, left.days, "days")
