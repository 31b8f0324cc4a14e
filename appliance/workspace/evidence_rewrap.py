"""Another evidence key: evidence.db is written under it beside the old one, then the keyring decides."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.workspace.database import translated
from appliance.workspace.durable import FILE_MODE, sync_directory
from appliance.workspace.evidence_store import (
    EvidenceStore,
    alone,
    database_key,
    file_of,
    opened_alone,
    remove_of_other_keys,
)
from appliance.workspace.keys import SecretKey

if TYPE_CHECKING:
    from appliance.workspace.workspace import Workspace


@contextmanager
def resealing(workspace: Workspace, old: SecretKey, new: SecretKey) -> Iterator[None]:
    """Make findings open with `new` as well; the block puts the keyring that names `new` in place.

    Nobody else merges or looks meanwhile. Everything that waits and counts is merged first; an audit that may
    go on seals its findings anew, to the new key. Killed before the keyring is written, the old file is in
    force and the next `opened` removes the new one; killed after it, the other way round. Call it as the only
    writer.

    Raises:
        Locked: `old` is not the key in force.
        IntegrityError: the store is damaged.
        Busy: somebody else is at the findings.
    """
    with alone(workspace) as directory:
        rewrap(workspace, directory, old, new)
        yield
        remove_of_other_keys(directory, workspace.keyring.evidence)


def rewrap(workspace: Workspace, directory: Path, old: SecretKey, new: SecretKey) -> None:
    """Write evidence.db under `new`, whole; for whoever is `alone`."""
    target = file_of(directory, new)
    beside = target.with_suffix(".building")
    with opened_alone(workspace, old) as (store, _):
        beside.unlink(missing_ok=True)
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        _export(store, beside, new)
    descriptor = os.open(beside, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    beside.replace(target)
    sync_directory(directory)


def _export(store: EvidenceStore, beside: Path, new: SecretKey) -> None:
    key = database_key(new).raw.hex()
    with translated(store.path), store._engine.connect() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("ATTACH DATABASE ? AS next KEY ?", (str(beside), f"x'{key}'"))
        cursor.execute("PRAGMA next.synchronous = FULL")
        cursor.execute("SELECT sqlcipher_export('next')")
        cursor.execute("DETACH DATABASE next")
