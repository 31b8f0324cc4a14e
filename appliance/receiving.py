"""The acts around the receiver: its spool, and taking in what it has sealed there."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from appliance.collected import Collected
from appliance.errors import Busy, CannotWrite, NotNow, UsageError
from appliance.receiver import spool as places
from appliance.receiver import tally
from appliance.receiver.sealing import Address
from appliance.receiver.views import CountRow, ReceivedView, SpoolView, TakenView
from appliance.site.room import expect_room
from appliance.views import Progress
from appliance.workspace.keyslots import canonical

if TYPE_CHECKING:
    from appliance.receiver.spool import Received, Spool

Step = Callable[[Progress], None]
_TALLY: Final = "receiver_tally"  # setting: counts that have their entries
_ABANDONED_S: Final = 600.0
_AT_ONCE: Final = 256  # entries of one look at the door; what is left comes with the next
_STUDY, _DOOR, _TAKE = "receiver.study", "receiver.refused", "receiver.take"


class Receiving(Collected):
    """The acts around what arrives from the network."""

    def set_up_receiver(self) -> SpoolView:
        """Make the spool, or give it the address of this workspace again.

        Raises:
            CannotWrite: the disk is full or refuses.
        """
        address, root = self._receivers_address(), self._workspace.root / places.FOLDER
        with self._act("receiver.setup", address.public.hex()):
            try:
                places.create(root, address)
            except OSError as error:
                raise CannotWrite(f"cannot make the spool: {error.strerror}", "Free some space.") from None
        return SpoolView(str(root), address.public.hex())

    def take_received(self, step: Step = lambda _: None, workers: int = 0) -> TakenView:
        """Take in what is complete; nothing is done and logged where nothing is.

        Args:
            step: told after every file; may raise to stop, and the next call goes on.
            workers: parsers side by side; 0 for one a core.

        Raises:
            Busy: another command is writing; the next call goes on.
            NotNow: the disk is nearly full; or no memory for a batch, and the others were taken in.
            ForeignSpool: somebody else has put another address or a link into the spool.
            UsageError: the address in the spool is none.
        """
        from appliance.receiver.taking import batches

        try:
            spool = self._spool()
        except (places.ForeignSpool, UsageError):
            with self._act(_TAKE, self._workspace.workspace_id):
                raise
        if spool is None:
            return TakenView()
        self._log_door(spool)
        self._give_up_waiting(spool)
        taken, lacking = TakenView(), None
        for batch in batches(spool.listed(places.READY)):
            expect_room(self._workspace.root)  # before an entry that would say no more than that
            try:
                with self._workspace.writing():
                    taken = _sum(taken, self._take_batch(spool, batch, step, workers))
            except NotNow as error:
                lacking = error
        if lacking is not None:
            raise lacking
        return taken

    def _take_batch(self, spool: Spool, listed: list[Received], step: Step, workers: int) -> TakenView:
        """Take in what is still there of a batch; the caller holds the writer's lock."""
        from appliance.readers import parser
        from appliance.receiver.taking import take

        batch = [one for one in listed if one.path.exists()]
        groups = Counter(one.group for one in batch)

        def note() -> None:
            for group, files in groups.items():
                self._record(_STUDY, group, "noted", detail_digest=_digest({"files": files}))

        if not batch:
            return TakenView()
        with self._act(_TAKE, *groups, turn=nullcontext()):
            return take(self._workspace, spool, batch, parser, step, workers, note)

    def retry_received(self) -> int:
        """Let what stays in the spool's quarantine be taken in again; how many files.

        Raises:
            UsageError: there is no spool.
        """
        spool = self._expect_spool()
        with self._act("receiver.retry", self._workspace.workspace_id):
            ready = {one.path.name for one in spool.listed(places.READY)}  # a newer copy
            files = [one for one in spool.listed(places.QUARANTINE) if one.path.name not in ready]
            spool.move(files, places.READY)
        return len(files)

    def received(self) -> ReceivedView:
        """What lies in the spool, and what happened at the door.

        Raises:
            UsageError: there is no spool.
        """
        spool = self._expect_spool()
        number = {name: len(spool.listed(name)) for name in places.FOLDERS[1:]}
        counts = tally.read(spool.root / places.TALLY)
        rows = tuple(CountRow(*key, number) for key, number in sorted(counts.items()))
        return ReceivedView(**number, bytes=spool.used_bytes(), counts=rows)

    # -- how it is done --------------------------------------------------------------------------------

    def _receiver_needs(self) -> tuple[str, ...]:
        """What of the receiver needs a person: by what lies in clear text, for every role."""
        from appliance.site.health import receiver_needs

        return receiver_needs(self._workspace.root, datetime.now(UTC))

    def _receivers_address(self) -> Address:
        return Address.of_vault(self._workspace.keys.vault, bytes.fromhex(self._workspace.workspace_id))

    def _spool(self) -> Spool | None:
        root = self._workspace.root / places.FOLDER
        if not os.path.lexists(root / places.ADDRESS):
            return None
        spool = places.Spool(root)
        if spool.address != self._receivers_address():
            raise places.ForeignSpool(
                "somebody has put another address into the receiver's spool",
                "What came since is sealed to somebody else: see docs/receiver.md.",
            )
        return spool

    def _expect_spool(self) -> Spool:
        spool = self._spool()
        if spool is None:
            raise UsageError("this workspace has no receiver", "Make its spool: `gradaudit receive setup`.")
        return spool

    def _log_door(self, spool: Spool) -> None:
        """An entry for each peer and reason of which more was refused since the last look; not all at once.

        The process that counts reads foreign bytes: whoever took it over fills no log by way of its words.
        """
        counts = tally.read(spool.root / places.TALLY)
        logged = _counts(self._workspace.catalogue.setting(_TALLY))
        new = [
            key for key, number in sorted(counts.items()) if key[0] == tally.REFUSED and number != logged[key]
        ][:_AT_ONCE]
        if not new:
            return
        with self._act("receiver.door", self._workspace.workspace_id):
            for key in new:
                told = {"peer": key[1], "reason": key[2], "number": counts[key]}
                self._record(_DOOR, "\0".join(key), "refused", detail_digest=_digest(told))
            known = {key: logged[key] for key in counts if key in logged} | {key: counts[key] for key in new}
            rows = [[*key, number] for key, number in sorted(known.items())]
            self._workspace.catalogue.set_settings({_TALLY: json.dumps(rows)})

    def _give_up_waiting(self, spool: Spool) -> None:
        """Where nobody receives any more, nobody says that a study is complete: what is old, is."""
        try:
            spool.hold()
        except Busy:
            return
        try:
            old = [one for one in spool.listed(places.ARRIVING) if _age_s(one.path) >= _ABANDONED_S]
            spool.move(old, places.READY)
        finally:
            spool.release()


def _digest(told: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(told)).hexdigest()


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def _counts(setting: str | None) -> Counter[tuple[str, str, str]]:
    return Counter(
        {(what, peer, reason): number for what, peer, reason, number in json.loads(setting or "[]")}
    )


def _sum(one: TakenView, other: TakenView) -> TakenView:
    return TakenView(
        **{part.name: getattr(one, part.name) + getattr(other, part.name) for part in fields(TakenView)}
    )
