"""The process that listens: two doors, one spool, no key that opens anything.

network ──► door (TLS, peer, limits) ──► association | mllp ──► spool/arriving ──► spool/ready
                                                                                      │
                         `gradaudit serve`, which has the keys: taking.py  ◄──────────┘
"""

from __future__ import annotations

import errno
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from appliance.errors import ApplianceError, Busy, CannotWrite, UsageError
from appliance.receiver.door import Door
from appliance.receiver.mllp import Messages
from appliance.receiver.settings import Settings
from appliance.receiver.spool import ARRIVING, READY, TALLY, Spool
from appliance.receiver.tally import REFUSED, Tally
from appliance.supervisor import Supervisor
from appliance.words.table import count, tell

_TURN_S: Final = 0.25
_SAY_S: Final = 60.0
_BEAT_S: Final = 15.0
_HOLD_S: Final = 5.0  # `serve` looks for a moment whether somebody receives
_LEAVE_S: Final = 10.0  # for those inside, when it ends
_LONGEST: Final = 20  # times the quiet time: a study to which something is always added is handed over too


class Handover:
    """Groups that arrive, and when nothing came any more."""

    def __init__(self, spool: Spool, complete_s: float) -> None:
        self._spool, self._complete_s = spool, complete_s
        self._turn = threading.Lock()
        now = time.monotonic()
        self._groups = {one.group: (now, now) for one in spool.listed(ARRIVING)}

    def arrived(self, group: str) -> None:
        """Something of this group was kept."""
        now = time.monotonic()
        with self._turn:
            self._groups[group] = (self._groups.get(group, (now, now))[0], now)

    def look(self) -> int:
        """Hand over what is complete; returns how many groups.

        Raises:
            CannotWrite: the disk refuses; the next look tries again.
        """
        now = time.monotonic()
        with self._turn:
            over = {
                group
                for group, (first, last) in self._groups.items()
                if now - last >= self._complete_s or now - first >= _LONGEST * self._complete_s
            }
            begun = {group: self._groups.pop(group) for group in over}
        if over:
            try:
                self._spool.move([one for one in self._spool.listed(ARRIVING) if one.group in over], READY)
            except (CannotWrite, OSError) as error:
                with self._turn:
                    self._groups = begun | self._groups
                if isinstance(error, CannotWrite):
                    raise
                raise CannotWrite(f"cannot look into the spool: {error.strerror}") from None
        return len(over)


class Receiver:
    """The doors of one file, open until it is stopped.

    Args:
        settings: the file.
        root: the spool's folder.
        supervisor: is told.
        say: one line for whoever reads its output.

    Raises:
        UsageError, Locked: no spool, certificates that cannot be used, a port that is not for this account.
        Busy: another one receives, or the address cannot be listened on now: the next start may.
        CannotWrite: the disk refuses.
    """

    def __init__(
        self, settings: Settings, root: Path, supervisor: Supervisor, say: Callable[[str], None]
    ) -> None:
        limits = settings.limits
        self._supervisor, self._say = supervisor, say
        self._spool = Spool(root, most_bytes=limits.spool_mib << 20, keep_free=limits.keep_free_mib << 20)
        context = settings.context()
        self._stop = threading.Event()
        self._spool.hold(_HOLD_S)
        try:
            self._tally = Tally(root / TALLY)
            self._handover = Handover(self._spool, limits.complete_s)
            self._doors = self._made(settings, context)
        except BaseException:
            self._spool.release()
            raise
        self._said: Counter[tuple[str, str, str]] = self._tally.counts()
        self._said_s = self._beat_s = time.monotonic()

    @property
    def ports(self) -> dict[str, int]:
        """Where it listens: `dicom`, `hl7`."""
        return {name: door.port for name, door in self._doors.items()}

    def stop(self) -> None:
        """End it; called by a signal."""
        self._stop.set()

    def run(self) -> None:
        """Listen until it is stopped."""
        for door in self._doors.values():
            door.open()
        self._spool.beat()
        self._supervisor.ready()
        for name, door in self._doors.items():
            self._say(tell(f"receiver.{name}", port=door.port))
        try:
            while not self._stop.wait(_TURN_S):
                self._turn()
        except KeyboardInterrupt:
            self.stop()
            raise
        finally:
            self._supervisor.stopping()
            self._end()

    # -- how it is done --------------------------------------------------------------------------------

    def _made(self, settings: Settings, context: ssl.SSLContext) -> dict[str, Door]:
        doors: dict[str, Door] = {}
        peers, limits = dict(settings.peers), settings.limits
        try:
            if settings.dicom is not None:
                try:
                    from appliance.receiver.association import Storage
                except ModuleNotFoundError:
                    raise UsageError(
                        "pynetdicom is not installed", "pip install 'gradaudit-appliance[receiver]'"
                    ) from None
                storage = Storage(self._spool, settings.ae_title, limits, self._tally, self._handover.arrived)
                doors["dicom"] = Door(settings.dicom, context, peers, limits, self._tally, storage.serve)
            if settings.hl7 is not None:
                messages = Messages(self._spool, limits, self._tally, self._handover.arrived)
                guests = doors["dicom"].guests if doors else None
                doors["hl7"] = Door(settings.hl7, context, peers, limits, self._tally, messages.serve, guests)
        except OSError as error:
            # an address comes with its network, and another process may leave: worth another start
            kind = UsageError if error.errno in (errno.EACCES, errno.EPERM) else Busy
            raise kind(
                f"the receiver cannot listen: {error.strerror}", "Give a free address of this machine."
            ) from None
        return doors

    def _turn(self) -> None:
        with suppress(ApplianceError):  # the disk is full: senders are told, and what lies there stays
            self._handover.look()
        self._tally.write()
        self._supervisor.alive()
        if time.monotonic() - self._beat_s >= _BEAT_S:
            self._beat_s = time.monotonic()
            self._spool.beat()
        if time.monotonic() - self._said_s >= _SAY_S:
            self._say_what_was_refused()

    def _say_what_was_refused(self) -> None:
        counts = self._tally.counts()
        new = counts - self._said
        self._said, self._said_s = counts, time.monotonic()
        reasons: Counter[str] = Counter()
        for (what, _, reason), number in new.items():
            if what == REFUSED:
                reasons[reason] += number
        if reasons:
            named = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common())
            self._say(count("receiver.refused", sum(reasons.values()), reasons=named))

    def _end(self) -> None:
        for door in self._doors.values():
            door.close()
        first = next(iter(self._doors.values()))  # they share their guests
        end = time.monotonic() + _LEAVE_S
        while first.inside() and time.monotonic() < end:
            time.sleep(0.05)
        first.send_away()
        self._tally.write()
        if self._stop.is_set():
            self._spool.beat(ending=True)
        self._spool.release()
