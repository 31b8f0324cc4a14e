"""The catalogue: one SQLCipher file, opened, checked, copied and brought to this version's schema.

SQLCipher authenticates pages, not history: an old copy of the file put back whole is caught by the log, which
is told the root of every state before it is committed (`querying`).
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from appliance.errors import CannotWrite, IntegrityError, UsageError
from appliance.workspace.database import check_pages, ciphers, damaged, open_engine, translated, writing
from appliance.workspace.durable import FILE_MODE, sync_directory
from appliance.workspace.keys import SecretKey
from appliance.workspace.stored_results import StoredResults
from appliance.workspace.stored_studies import StoredStudies
from appliance.workspace.tables import EARLIEST, METADATA, SCHEMA, SETTINGS

_ROOTS: Final = "gradaudit catalogue key v2: roots in the log"


class Catalogue(StoredStudies, StoredResults):
    """What the appliance knows, encrypted. Readers may be open while one writer writes."""

    def __init__(self, path: Path, key: SecretKey) -> None:
        """Open an existing catalogue; one of an earlier schema is `outdated` until `migrate`.

        Raises:
            IntegrityError: missing, damaged, or not written under this key.
            UsageError: another version of the appliance wrote it, and this one cannot bring it up to date.
        """
        if not path.is_file():
            raise IntegrityError(f"{path.name} is missing", "Restore the workspace from a backup.")
        if not path.stat().st_size:  # SQLite would take it for a new database
            raise damaged(path)
        super().__init__(path, open_engine(path, key), key.derive(_ROOTS))
        try:
            schema = self.setting("schema") or ""
        except BaseException:
            self.close()
            raise
        self.outdated = schema != SCHEMA
        if self.outdated and not (schema.isdecimal() and EARLIEST <= int(schema) < int(SCHEMA)):
            self.close()
            raise UsageError(
                f"{path.name} has schema {schema}, this software reads {EARLIEST} to {SCHEMA}",
                "Use the version of the software that wrote it.",
            )

    @classmethod
    def create(cls, path: Path, key: SecretKey, settings: Mapping[str, str]) -> None:
        """Write an empty catalogue with these settings.

        Raises:
            FileExistsError: there is something at `path`.
        """
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        engine = open_engine(path, key)
        try:
            with translated(path), engine.connect() as connection, writing(connection):
                METADATA.create_all(connection)
                rows = [{"key": key, "value": value} for key, value in {**settings, "schema": SCHEMA}.items()]
                connection.execute(insert(SETTINGS), rows)
        finally:
            engine.dispose()

    def __repr__(self) -> str:
        return f"Catalogue({str(self._path)!r})"

    @property
    def name(self) -> str:
        """Of the file."""
        return self._path.name

    def close(self) -> None:
        """Close every connection; the last one folds the write-ahead log into the file."""
        self._engine.dispose()

    def verify(self) -> None:
        """Check the authentication code of every page; takes as long as reading the file.

        Raises:
            IntegrityError: a page is damaged or was exchanged.
        """
        with self._reading(any_schema=True) as connection:
            check_pages(connection, self._path)

    def ciphers(self) -> dict[str, str]:
        """How the pages are sealed, as the open file says it."""
        with self._reading() as connection:
            return ciphers(connection)

    def snapshot(self, target: Path) -> None:
        """Write this state to a new file under the same key; it is on disk when this returns.

        Readers go on, and so does a writer: the copy is the state that was committed when it began.

        Raises:
            FileExistsError: there is something at `target`.
            CannotWrite: the disk is full or refuses; nothing is left at `target`.
        """
        os.close(
            os.open(target, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        )  # before SQLite's own mode
        try:
            with translated(self._path), self._engine.connect() as connection:
                raw = connection.connection.driver_connection
                if raw is None:
                    raise CannotWrite(f"{self._path.name} is closed")
                raw.execute("VACUUM INTO ?", (os.fspath(target),))
            descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_directory(target.parent)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def migrate(self) -> None:
        """Bring an earlier schema up to this one, in one transaction, with a copy beside it until then.

        Raises:
            CannotWrite: the disk is full or refuses; the catalogue is as it was.
            Busy: somebody else is writing.
        """
        copies = f"{glob.escape(self._path.name)}.before-*"
        if not self.outdated:
            for left in self._path.parent.glob(copies):  # of a process that was killed after its commit
                left.unlink(missing_ok=True)
            return
        from appliance.workspace.migrating import upgrade  # alembic is only paid for when it is needed

        copy = self._path.with_name(f"{self._path.name}.before-{SCHEMA}")
        with self.changing() as connection:
            if _schema(connection) != SCHEMA:  # else another process was first
                copy.unlink(missing_ok=True)
                self.snapshot(copy)
                upgrade(connection, SCHEMA)
        self.outdated = False
        copy.unlink(missing_ok=True)


def _schema(connection: Connection) -> str:
    return str(connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.key == "schema")))
