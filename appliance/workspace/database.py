"""One SQLCipher file behind SQLAlchemy: opening, transactions, and errors in our words.

Unusual here: SQLAlchemy never learns the key or a path (a creator function opens the file), and an error
never carries the values that were being written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlcipher3.dbapi2 as sqlcipher
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from appliance.errors import ApplianceError, Busy, IntegrityError
from appliance.workspace.keys import SecretKey

BUSY_TIMEOUT_MS: Final = 10_000
_DAMAGED: Final = ("malformed", "not a database", "corrupt", "no such table", "no such column")


def open_engine(path: Path, key: SecretKey) -> Engine:
    """An engine for one SQLCipher file; nothing is opened before the first connection.

    Args:
        path: the file.
        key: raw SQLCipher key, so no passphrase derivation happens here.
    """
    engine = create_engine(
        "sqlite://",
        module=sqlcipher,
        creator=lambda: _connect(path, key),
        poolclass=QueuePool,
        hide_parameters=True,  # an error must not carry the values it was storing
        json_serializer=plain_json,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # IMMEDIATE: a writer waits at the start, instead of failing at its first write after a read.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _connect(path: Path, key: SecretKey) -> Any:
    connection = sqlcipher.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "cipher_log_level = NONE",  # else a wrong key is told to stderr
            f"key = \"x'{key.raw.hex()}'\"",
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """One writing transaction on a fresh connection: committed at the end, rolled back by an error."""
    with connection.execution_options(writes=True).begin():
        yield


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLCipher raises into our errors (SQLCipher's codes: sqlite.org/rescode.html)."""
    try:
        yield
    except (DBAPIError, sqlcipher.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        said = str(cause).lower()
        if "locked" in said or "busy" in said:
            raise Busy("another process is writing to the catalogue", "Try again in a moment.") from None
        if any(words in said for words in _DAMAGED):
            raise damaged(path) from None
        if isinstance(cause, sqlcipher.OperationalError):
            raise ApplianceError(
                f"cannot use {path.name}: {said}", "Is the disk full or read-only?"
            ) from None
        raise


def check_pages(connection: Connection, path: Path) -> None:
    """Check the authentication code of every page, and SQLite's own structure.

    Raises:
        IntegrityError: a page is damaged or was exchanged.
    """
    if connection.exec_driver_sql("PRAGMA cipher_integrity_check").first() is not None:
        raise damaged(path)
    if connection.exec_driver_sql("PRAGMA quick_check").scalar() != "ok":
        raise damaged(path)


def ciphers(connection: Connection) -> dict[str, str]:
    """What SQLCipher says of itself and of this file; not of deriving keys: ours is raw."""
    asked = ("version", "provider", "provider_version", "page_size", "hmac_algorithm")
    said = {name: connection.exec_driver_sql(f"PRAGMA cipher_{name}").scalar() for name in asked}
    return {name: str(value) for name, value in said.items()}


def damaged(path: Path) -> IntegrityError:
    """The error for a file that SQLCipher does not accept."""
    return IntegrityError(f"{path.name} is damaged or was exchanged", "Restore the workspace from a backup.")


def plain_json(document: Any) -> str:
    """JSON without NaN, mappings of any kind included."""
    return json.dumps(document, allow_nan=False, sort_keys=True, separators=(",", ":"), default=dict)
