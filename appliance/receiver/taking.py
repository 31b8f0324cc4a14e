"""What was received goes into the workspace by the ordinary intake: boxed parsers, limits, reasons, pairing.

Sealed files are opened into a folder in memory, never on a disk, a batch at a time. A file leaves the spool
after the catalogue has it; what cannot be used moves to the spool's quarantine, sealed as it came. So a kill
at any moment costs one batch of work: what was taken in already is known by its digest.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from appliance import limits
from appliance.errors import IntegrityError, NotNow
from appliance.intake import Intake
from appliance.reading import NOT_SEALED_HERE, PATIENT_ERASED
from appliance.receiver.sealing import unsealed
from appliance.receiver.spool import QUARANTINE, Received, Spool
from appliance.receiver.views import TakenView
from appliance.run_folder import RunFolder
from appliance.views import Progress
from appliance.worker import Worker
from appliance.workspace.durable import DIRECTORY_MODE, FILE_MODE
from appliance.workspace.rows import Quarantined
from appliance.workspace.workspace import Workspace

_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Opened:
    """A received file in memory.

    Attributes:
        path: in the folder; None where it could not be opened.
        digest: hex SHA-256 of its content.
    """

    received: Received
    path: Path | None
    digest: str


def batches(files: Sequence[Received]) -> Iterator[list[Received]]:
    """Files in their order, as many at a time as one step of an ingest takes."""
    batch: list[Received] = []
    size = 0
    for one in files:
        try:
            bytes_ = one.path.stat().st_size
        except FileNotFoundError:  # taken in by somebody else meanwhile
            continue
        if batch and (len(batch) >= limits.BATCH_FILES or size + bytes_ > limits.BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += bytes_
    if batch:
        yield batch


def take(
    workspace: Workspace,
    spool: Spool,
    batch: Sequence[Received],
    start_worker: Callable[[Sequence[Path]], Worker],
    step: Callable[[Progress], None],
    workers: int,
    taken: Callable[[], None],
) -> TakenView:
    """Take one batch in; the caller holds the writer's lock, and has logged that it begins.

    Args:
        taken: called when the workspace has it, before it leaves the spool.

    Raises:
        NotNow: this machine has no memory for it at the moment.
        ApplianceError: as an ingest.
    """
    from appliance.readers import listing

    with _in_memory(workspace, batch) as (folder, opened):
        readable = [one for one in opened if one.path is not None]
        images = reports = duplicates = 0
        if readable:
            view = Intake(workspace, lambda: start_worker([folder]), step, workers).run(listing([folder]))
            images, reports, duplicates = view.images, view.reports, view.duplicates
        _tell_unreadable(workspace, [one for one in opened if one.path is None])
        reasons = {row.name_hmac: row.reason for row in workspace.catalogue.quarantined()}
    names = workspace.keys.names
    kept = [one.received for one in readable if workspace.catalogue.has_file(one.digest)]
    refused = [
        one.received
        for one in readable
        if reasons.get(names.handle("quarantine", str(one.path))) == PATIENT_ERASED
        and one.received not in kept
    ]
    aside = [one.received for one in opened if one.received not in kept and one.received not in refused]
    taken()
    spool.move(aside, QUARANTINE)
    _drop_damaged(workspace, spool, kept)
    spool.remove([*kept, *refused])
    groups = {one.group for one in batch}
    return TakenView(len(batch), len(groups), images, reports, duplicates, len(aside), len(refused))


@contextmanager
def _in_memory(workspace: Workspace, batch: Sequence[Received]) -> Iterator[tuple[Path, list[_Opened]]]:
    """The files of a batch, opened in a folder that goes with this."""
    home = RunFolder()
    try:
        folder = home.path / secrets.token_hex(8)
        folder.mkdir(mode=DIRECTORY_MODE)
        yield folder, [_open(workspace, one, folder / f"{place:04}") for place, one in enumerate(batch)]
    finally:
        home.remove()


def _open(workspace: Workspace, received: Received, path: Path) -> _Opened:
    digest = hashlib.sha256()
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    source = -1
    try:
        source = os.open(received.path, flags)
        vault, workspace_id = workspace.keys.vault, bytes.fromhex(workspace.workspace_id)
        found = unsealed(source, vault, workspace_id, received.path.name)
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(new, "wb") as file:
            for place in range(0, found.size, _PIECE):
                piece = found.read(place, _PIECE)
                digest.update(piece)
                file.write(piece)
    except IntegrityError:
        path.unlink(missing_ok=True)
        return _Opened(received, None, "")
    except OSError as error:
        raise NotNow(
            f"what was received cannot be opened in memory: {error.strerror}", "Free some memory; it waits."
        ) from None
    finally:
        if source >= 0:
            os.close(source)
    return _Opened(received, path, digest.hexdigest())


def _drop_damaged(workspace: Workspace, spool: Spool, kept: Sequence[Received]) -> None:
    """Of what was taken in, an earlier copy that did not open leaves the quarantine, there and here."""
    copies = [Received(one.group, spool.root / QUARANTINE / one.path.name) for one in kept]
    damaged = [one for one in copies if one.path.exists()]
    if damaged:
        names = [workspace.keys.names.handle("quarantine", one.path.name) for one in damaged]
        workspace.catalogue.add_records(read_again=names)
        spool.remove(damaged)


def _tell_unreadable(workspace: Workspace, unreadable: Sequence[_Opened]) -> None:
    """Files that do not open are named in the quarantine like any other that cannot be used."""
    rows = []
    for one in unreadable:
        name = workspace.keys.names.handle("quarantine", one.received.path.name)
        said = "damaged, cut, or not sealed to this workspace"
        rows.append(
            Quarantined(name, NOT_SEALED_HERE, said, name, datetime.now(UTC).isoformat(timespec="seconds"))
        )
    if rows:
        workspace.catalogue.add_records((), (), (), (), rows)
