"""Rows of evidence.db as they were merged: nothing is given that was not compared with its digest.

    evidence/evidence-<16 hex digits>.db-columns-<64 hex digits>    an audit's rows in columns, GA1

The digest in `standing`, which the log answers for, is that of an audit's columns. They are kept beside the
database, so that an opening reads one file through instead of millions of rows. A file that is missing, of
another state or altered is made again from the rows, which then have to have that digest. What is read from
the database later is compared with the columns, pair by pair.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from appliance.errors import IntegrityError
from appliance.workspace import evidence_columns
from appliance.workspace.durable import write_new
from appliance.workspace.evidence_batches import FINDINGS as FINDINGS_KIND
from appliance.workspace.evidence_columns import FORMAT, Columns, Step, content_of, digest_of
from appliance.workspace.evidence_state import rows_digest
from appliance.workspace.evidence_tables import STANDING, StoredFinding, StoredIdentity, found_in, known_in
from appliance.workspace.ga1 import Meaning, seal, unsealing

if TYPE_CHECKING:
    from appliance.workspace.evidence_batches import EvidenceBatches
    from appliance.workspace.keys import SecretKey

_FROM_BACKUP: Final = "Restore the workspace from a backup: `gradaudit restore`."
_NO_FORM: Final = (TypeError, ValueError, AttributeError, OverflowError)
_LABEL: Final = "gradaudit evidence: columns v1"
_KIND: Final = "columns"


def silent(done: int, total: int) -> None:
    """Tell nobody."""


class CheckedRows:
    """Rows of the audits in one evidence.db.

    Args:
        path: of the database.
        private: the evidence key.
        batches: of the same workspace.
    """

    def __init__(self, path: Path, private: SecretKey, batches: EvidenceBatches) -> None:
        self._path = path
        self._key = private.derive(_LABEL)
        self._batches = batches
        self._columns: tuple[str, Columns] | None = None  # of one audit, with their digest
        self.step: Step = silent

    def columns(self, connection: Connection, audit: str) -> Columns | None:
        """What the rows of an audit say; None where none were merged.

        Raises:
            IntegrityError: the rows are not those that were merged.
        """
        noted = connection.scalar(select(STANDING.c.digest).where(STANDING.c.audit_id == audit))
        if noted is None:
            return None
        if self._columns is None or self._columns[0] != noted:
            self._columns = None  # two of a million do not have to fit
            content = self._kept(audit, noted)
            if content is None:
                content = self._made(connection, audit)
                if content is None or digest_of(content) != noted:
                    raise self.another(audit)
                self._keep(audit, content)
            self._columns = noted, Columns(content)
        return self._columns[1]

    def stand(self, connection: Connection, audit: str) -> bool:
        """Whether the rows of an audit are those that were noted: all of them are read."""
        noted = connection.scalar(select(STANDING.c.digest).where(STANDING.c.audit_id == audit))
        if noted is not None and not noted.startswith(FORMAT):
            return bool(noted == rows_digest(connection, audit))
        content = self._made(connection, audit)
        return content is not None and digest_of(content) == noted

    def note(self, connection: Connection, audit: str) -> None:
        """Remember the rows of an audit as they are now.

        Raises:
            TypeError, ValueError: as `content_of`.
        """
        content = content_of(connection, audit, self.step)
        digest = digest_of(content)
        statement = insert(STANDING).values(audit_id=audit, digest=digest)
        changed = statement.on_conflict_do_update(index_elements=["audit_id"], set_={"digest": digest})
        connection.execute(changed)
        self._keep(audit, content)

    def renew(self, connection: Connection, audits: Collection[str]) -> None:
        """Note audits whose rows nobody noted, or an earlier version did with another digest."""
        rows = connection.execute(select(STANDING.c.audit_id, STANDING.c.digest))
        noted = {row.audit_id: row.digest for row in rows}
        for audit in sorted(audits):
            before = noted.get(audit)
            if before is None or (not before.startswith(FORMAT) and self.stand(connection, audit)):
                self.note(connection, audit)

    # -- asking ----------------------------------------------------------------------------------------

    def findings(self, connection: Connection, audit: str, patient: str) -> tuple[StoredFinding, ...]:
        """Findings of an audit in its order, of one pseudonym or all.

        Raises:
            IntegrityError: they are not those that were merged.
        """
        columns = self.columns(connection, audit)
        if columns is None:
            return ()
        found = found_in(connection, audit, patient)
        wanted = columns.of_patient(patient) if patient else columns.of(range(columns.count))
        told = evidence_columns.told_pairs(connection, audit, [one.pair_id for one in found])
        if told != wanted:
            raise self.another(audit)
        return found

    def identities(self, connection: Connection, audit: str, patient: str) -> tuple[StoredIdentity, ...]:
        """Who a pseudonym of an audit is; nobody where it is a planted canary or was erased.

        Raises:
            IntegrityError: that is not who it was.
        """
        columns = self.columns(connection, audit)
        if columns is None:
            return ()
        if evidence_columns.told_patients(connection, audit, [patient]) != columns.known_as([patient]):
            raise self.another(audit)
        return known_in(connection, audit, patient)

    def another(self, audit: str) -> IntegrityError:
        """The error for rows that are not those that were merged."""
        told = f"{self._path.name}: the findings of audit {audit} are not those that were merged"
        return IntegrityError(told, _FROM_BACKUP)

    def _made(self, connection: Connection, audit: str) -> bytes | None:
        """None where a row is of no form."""
        try:
            return content_of(connection, audit, self.step)
        except _NO_FORM:
            return None

    # -- keeping columns -------------------------------------------------------------------------------

    def _kept(self, audit: str, noted: str) -> bytes | None:
        """None where there is no file, or not the one that was noted."""
        if not noted.startswith(FORMAT):
            return None
        path = self._file(audit)
        try:
            with unsealing(path, self._key, self._meaning(noted), path.name) as sealed:
                content = sealed.read(0, sealed.size)
        except IntegrityError:
            return None
        return content if digest_of(content) == noted else None

    def _keep(self, audit: str, content: bytes) -> None:
        """Put them in the place of what was kept before, which goes in any case."""
        with suppress(OSError), self._replacing(self._file(audit)) as beside:
            write_new(beside, seal(self._key, self._meaning(digest_of(content)), content), sync=False)

    @contextmanager
    def _replacing(self, path: Path) -> Iterator[Path]:
        beside = path.with_name(f"{path.name}.tmp")
        path.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
        try:
            yield beside
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def _file(self, audit: str) -> Path:
        return self._path.with_name(
            f"{self._path.name}-columns-{self._batches.name_of(FINDINGS_KIND, audit)}"
        )

    def _meaning(self, noted: str) -> Meaning:
        """Its digest is part of what it means: without it, as after an erasure, nothing opens it."""
        return Meaning(self._batches.workspace_id, bytes.fromhex(noted.removeprefix(FORMAT)), _KIND)
