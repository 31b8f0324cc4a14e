"""Changing the RUN key: the catalogue is written anew under another key, and keyring.json says which counts.

    catalogue.db       of epoch 1
    catalogue.N.db     of epoch N

1. an export of the catalogue under the new key, beside the old one, on disk
2. keyring.json of the new epoch: the one step that decides
3. the catalogue of the old epoch is removed

A crash before 2 leaves the old epoch and an export nobody has granted a key to; a crash after it leaves the
new epoch and an old catalogue: `sweep` removes either. The file has another name, not the old one's, because
a program that still has the old file open writes its log beside it, by name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import sqlcipher3.dbapi2 as sqlcipher

from appliance.workspace.database import translated
from appliance.workspace.durable import FILE_MODE, sync_directory
from appliance.workspace.keyring import Keyring
from appliance.workspace.keyring_file import write_keyring
from appliance.workspace.keys import SecretKey

KEYRING: Final = "keyring.json"
CATALOGUE: Final = "catalogue.db"
KEPT_KEYS: Final = "kept_keys"  # setting of the catalogue: `KeptKeys` under the RUN key
_OF_AN_EPOCH: Final = re.compile(r"catalogue(?:\.([1-9][0-9]{0,9}))?\.db(?:-wal|-shm|-journal)?")


def catalogue_file(root: Path, epoch: int) -> Path:
    """Where the catalogue of an epoch of the RUN key lies."""
    return root / (CATALOGUE if epoch == 1 else f"catalogue.{epoch}.db")


def leftovers(root: Path, epoch: int) -> list[Path]:
    """Catalogues of other epochs than the one keyring.json names."""
    found = ((path, _OF_AN_EPOCH.fullmatch(path.name)) for path in root.iterdir() if not path.is_dir())
    return sorted(path for path, name in found if name is not None and int(name[1] or 1) != epoch)


def sweep(root: Path, epoch: int) -> None:
    """Remove what a change of keys that was cut off has left. Call it holding the writer lock."""
    left = leftovers(root, epoch)
    for path in left:
        path.unlink(missing_ok=True)
    if left:
        sync_directory(root)


def prepare(root: Path, before: int, after: int, old: SecretKey, new: SecretKey, kept: bytes) -> Path:
    """Write the catalogue of the next epoch. Call it holding the writer lock, with the old one closed.

    Args:
        root: of the workspace.
        before: epoch that keyring.json names.
        after: the next one.
        old: catalogue key of `before`.
        new: catalogue key of `after`.
        kept: the kept keys under the new RUN key.

    Raises:
        Busy: another program keeps the catalogue locked.
        ApplianceError: the disk is full or refuses; nothing has changed then.
    """
    sweep(root, before)
    following = catalogue_file(root, after)
    try:
        _export(catalogue_file(root, before), old, following, new, kept)
    except BaseException:
        sweep(root, before)
        raise
    return following


def commit(root: Path, after: Keyring) -> None:
    """Let the next epoch count: its catalogue is on disk, then keyring.json, then the old one goes."""
    descriptor = os.open(catalogue_file(root, after.epoch), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(root)
    write_keyring(root / KEYRING, after)
    sweep(root, after.epoch)


def _export(source: Path, old: SecretKey, target: Path, new: SecretKey, kept: bytes) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    connection = sqlcipher.connect(source, isolation_level=None)
    try:
        with translated(source):
            for statement in (
                "PRAGMA cipher_log_level = NONE",
                f"PRAGMA key = \"x'{old.raw.hex()}'\"",
                "PRAGMA temp_store = MEMORY",
            ):
                connection.execute(statement).fetchall()
            connection.execute("ATTACH DATABASE ? AS following KEY ?", (str(target), f"x'{new.raw.hex()}'"))
            connection.execute("SELECT sqlcipher_export('following')").fetchall()
            version = connection.execute("PRAGMA main.user_version").fetchone()[0]
            connection.execute(f"PRAGMA following.user_version = {int(version)}")
            connection.execute(
                "UPDATE following.settings SET value = ? WHERE key = ?", (kept.hex(), KEPT_KEYS)
            )
            connection.execute("DETACH DATABASE following")
    finally:
        connection.close()
