"""evidence.db: findings and who they are about, for whoever holds the evidence key (SECURITY §2).

    evidence/evidence-<16 hex digits of the public key>.db     SQLCipher, key derived from the private key

Opening merges what waits: rows in one transaction, then the batches' files go, so a kill in between merges
them once more, with the same result. The file's name follows the evidence key in force: `rewrap` writes the
next one whole, the keyring's change decides, and what does not belong to the key in force is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects.sqlite import insert

from appliance.errors import Busy, IntegrityError
from appliance.workspace.database import damaged, open_engine, translated, writing
from appliance.workspace.durable import FILE_MODE, make_directory, sync_directory
from appliance.workspace.evidence_batches import (
    ERASURE,
    EVIDENCE,
    REVEAL,
    EvidenceBatches,
    Waiting,
)
from appliance.workspace.evidence_batches import FINDINGS as FINDINGS_KIND
from appliance.workspace.evidence_batches import IDENTITIES as IDENTITIES_KIND
from appliance.workspace.evidence_tables import (
    BATCHES,
    ERASED,
    FINDINGS,
    IDENTITIES,
    METADATA,
    PROBABILITIES,
    REVEALS,
    SCORES,
    StoredFinding,
    StoredIdentity,
    StoredReveal,
    by_pair,
    finding_of,
    insert_findings,
    insert_rows,
    pairs_of,
)
from appliance.workspace.grants import public_of
from appliance.workspace.keyring_file import read_keyring
from appliance.workspace.keys import SecretKey
from appliance.workspace.keyslots import canonical

if TYPE_CHECKING:
    from appliance.workspace.workspace import Workspace

_TABLES_OF_AN_AUDIT: Final = (FINDINGS, SCORES, PROBABILITIES)


class EvidenceStore:
    """An open evidence.db. Get one from `opened`."""

    def __init__(self, path: Path, private: SecretKey, batches: EvidenceBatches) -> None:
        self.path = path
        self._private = private
        self._batches = batches
        self._engine = engine_of(path, private)

    # -- merging ---------------------------------------------------------------------------------------

    def merge(self, settled: Collection[str]) -> tuple[str, ...]:
        """Take in what waits, and carry out the erasures that wait; returns the ids of those erasures.

        Args:
            settled: ids of audits that are done; batches of others wait on.

        Raises:
            IntegrityError: a batch is damaged or forged; the others are taken in before this is said.
            Busy: another process is merging.
        """
        trouble: IntegrityError | None = None
        merged: list[Waiting] = []
        erasures: list[str] = []
        if not self._batches.waiting():
            return ()
        of_audits = (FINDINGS_KIND, IDENTITIES_KIND)
        counting = {self._batches.name_of(kind, audit) for kind in of_audits for audit in settled}
        with self._writing() as connection:
            for batch in sorted(self._batches.waiting(), key=lambda one: one.kind == ERASURE):
                if batch.kind in of_audits and batch.name not in counting:
                    continue  # of an audit that may go on, and then seals anew
                try:
                    document = self._document(batch)
                except IntegrityError as damaged_batch:
                    trouble = damaged_batch
                    continue
                if batch.kind == ERASURE:
                    erasures.append(str(document["erasure_id"]))
                    self._erase(connection, document)
                elif batch.kind == REVEAL:
                    self._take_reveal(connection, document)
                else:
                    self._take(connection, batch, document)
                merged.append(batch)
        if erasures:
            self._overwrite_freed()
        self._batches.remove(merged)
        if trouble is not None:
            raise trouble
        return tuple(erasures)

    def _document(self, batch: Waiting) -> Mapping[str, Any]:
        content = self._batches.opened(batch, self._private)
        document: Mapping[str, Any] = json.loads(content)
        return document

    def _take(self, connection: Connection, batch: Waiting, document: Mapping[str, Any]) -> None:
        audit = str(document["audit_id"])
        rows = [row for row in document["rows"] if not self._is_erased(connection, audit, row["patient"])]
        if batch.kind == FINDINGS_KIND:
            for table in _TABLES_OF_AN_AUDIT:
                connection.execute(delete(table).where(table.c.audit_id == audit))
            insert_findings(connection, audit, rows)
        else:
            connection.execute(delete(IDENTITIES).where(IDENTITIES.c.audit_id == audit))
            insert_rows(connection, IDENTITIES, [{"audit_id": audit, **row} for row in rows])
        known = {"name": batch.name, "kind": batch.kind, "about": audit}
        connection.execute(insert(BATCHES).values(known).on_conflict_do_nothing())

    def _take_reveal(self, connection: Connection, document: Mapping[str, Any]) -> None:
        if not self._is_erased(connection, document["audit_id"], document["patient"]):
            row = {column.name: document[column.name] for column in REVEALS.c if column.name != "digest"}
            row["digest"] = digest_of(document)
            insert_rows(connection, REVEALS, [row])

    def _is_erased(self, connection: Connection, audit: str, patient: str) -> bool:
        handle = self._handle(audit, patient)
        return connection.scalar(select(ERASED.c.handle).where(ERASED.c.handle == handle)) is not None

    def _erase(self, connection: Connection, document: Mapping[str, Any]) -> None:
        for audit in map(str, document["audits"]):
            for patient in map(str, document["patients"]):
                handle = {"handle": self._handle(audit, patient)}
                connection.execute(insert(ERASED).values(handle).on_conflict_do_nothing())
                theirs = (FINDINGS.c.audit_id == audit) & (FINDINGS.c.patient == patient)
                pairs = select(FINDINGS.c.pair_id).where(theirs)
                for table in (SCORES, PROBABILITIES):
                    of_pairs = (table.c.audit_id == audit) & table.c.pair_id.in_(pairs)
                    connection.execute(delete(table).where(of_pairs))
                connection.execute(delete(FINDINGS).where(theirs))
                for named in (IDENTITIES, REVEALS):
                    gone = (named.c.audit_id == audit) & (named.c.patient == patient)
                    connection.execute(delete(named).where(gone))

    def _handle(self, audit: str, patient: str) -> str:
        return self._private.derive("gradaudit evidence: erased v1").handle(audit, patient)

    def _overwrite_freed(self) -> None:
        """Fold the write-ahead log into the file and cut it: it held pages from before."""
        with translated(self.path), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- asking ----------------------------------------------------------------------------------------

    def findings(
        self,
        audit_id: str,
        *,
        patient: str = "",
        role: str = "",
        detector: str = "",
        min_score: float | None = None,
        prior: str = "",
        min_probability: float | None = None,
        offset: int = 0,
        limit: int = -1,
    ) -> tuple[StoredFinding, ...]:
        """Findings of an audit in its order; a bound leaves out what has no such score or probability.

        Args:
            min_score: of `detector`.
            min_probability: under `prior`, in [0, 1].
            limit: at most so many; -1 for all.

        Raises:
            IntegrityError: the file is damaged.
        """
        query = select(FINDINGS).where(FINDINGS.c.audit_id == audit_id)
        for column, wanted in ((FINDINGS.c.patient, patient), (FINDINGS.c.role, role)):
            query = query.where(column == wanted) if wanted else query
        if min_score is not None:
            high = (SCORES.c.detector == detector) & (SCORES.c.value >= min_score)
            query = query.where(FINDINGS.c.pair_id.in_(pairs_of(SCORES, audit_id).where(high)))
        if min_probability is not None:
            enough = (PROBABILITIES.c.prior == prior) & (PROBABILITIES.c.value >= min_probability)
            query = query.where(FINDINGS.c.pair_id.in_(pairs_of(PROBABILITIES, audit_id).where(enough)))
        with self._reading() as connection:
            asked = query.order_by(FINDINGS.c.place).limit(limit).offset(offset)
            rows = [dict(row) for row in connection.execute(asked).mappings()]
            pairs = [row["pair_id"] for row in rows]
            scores = by_pair(connection, SCORES, audit_id, pairs)
            likely = by_pair(connection, PROBABILITIES, audit_id, pairs)
            return tuple(finding_of(row, scores[row["pair_id"]], likely[row["pair_id"]]) for row in rows)

    def identities(self, audit_id: str, patient: str) -> tuple[StoredIdentity, ...]:
        """Who a pseudonym of an audit is; nobody where it is a planted canary or was erased."""
        theirs = (IDENTITIES.c.audit_id == audit_id) & (IDENTITIES.c.patient == patient)
        columns = IDENTITIES.c.issuer, IDENTITIES.c.patient_id
        query = select(*columns).where(theirs).order_by(*columns)
        with self._reading() as connection:
            return tuple(StoredIdentity(*row) for row in connection.execute(query))

    def reveals(self) -> tuple[StoredReveal, ...]:
        """Every look at an identity, oldest first."""
        query = select(REVEALS).order_by(REVEALS.c.revealed_utc, REVEALS.c.reveal_id)
        with self._reading() as connection:
            return tuple(StoredReveal(**row) for row in connection.execute(query).mappings())

    def has(self, batch: str) -> bool:
        """Whether the batch of this name was taken in."""
        with self._reading() as connection:
            return connection.scalar(select(BATCHES.c.name).where(BATCHES.c.name == batch)) is not None

    def verify(self) -> None:
        """Check the authentication code of every page.

        Raises:
            IntegrityError: a page is damaged or was exchanged.
        """
        with self._reading() as connection:
            if connection.exec_driver_sql("PRAGMA cipher_integrity_check").first() is not None:
                raise damaged(self.path)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(self.path), self._engine.connect() as connection, writing(connection):
            yield connection


@contextmanager
def opened(workspace: Workspace, private: SecretKey) -> Iterator[tuple[EvidenceStore, tuple[str, ...]]]:
    """The store of a workspace with everything merged that waited, and the erasures carried out by that.

    Args:
        private: the evidence key, as `Workspace.evidence_key` gives it.

    Raises:
        IntegrityError: it is not the key in force, or the store or a batch is damaged.
    """
    if public_of(private) != workspace.keyring.evidence:
        raise IntegrityError("this is not the evidence key in force", "Unlock again and try once more.")
    directory = workspace.root / EVIDENCE
    make_directory(directory)
    store = EvidenceStore(file_of(directory, private), private, EvidenceBatches.of(workspace))
    try:
        erasures = store.merge(settled_audits(workspace))
        _remove_of_other_keys(workspace, directory)
        yield store, erasures
    finally:
        store.close()


def digest_of(document: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a document's canonical JSON: what the log says of it."""
    return hashlib.sha256(canonical(document)).hexdigest()


def settled_audits(workspace: Workspace) -> frozenset[str]:
    """Ids of audits whose findings count."""
    return frozenset(row.audit_id for row in workspace.catalogue.audits() if row.state == "done")


def file_of(directory: Path, private: SecretKey) -> Path:
    """Where the database under an evidence key lies."""
    return directory / f"evidence-{public_of(private).hex()[:16]}.db"


def database_key(private: SecretKey) -> SecretKey:
    """The SQLCipher key of evidence.db under an evidence key."""
    return private.derive("gradaudit evidence: database v1")


def engine_of(path: Path, private: SecretKey) -> Engine:
    """An engine for evidence.db; makes the file and its tables where there are none.

    Raises:
        IntegrityError: damaged, or not written under this key.
    """
    if not path.exists():
        with suppress(FileExistsError):  # another process was first
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        sync_directory(path.parent)
    engine = open_engine(path, database_key(private))
    try:
        with translated(path), engine.connect() as connection, writing(connection):
            METADATA.create_all(connection)
    except BaseException:
        engine.dispose()
        raise
    return engine


def rewrap(workspace: Workspace, old: SecretKey, new: SecretKey) -> None:
    """Write evidence.db under another evidence key, beside the old one; the keyring then decides.

    Call it as the only writer, before the keyring names the new key. Everything that waits and counts is
    merged first; an audit that may go on seals its findings anew, to the new key. Killed before the keyring
    is written, the old file is in force, and the next `opened` removes the new one; killed after it, the
    other way round.

    Raises:
        IntegrityError: `old` is not the key in force, or store or batch is damaged.
    """
    directory = workspace.root / EVIDENCE
    target = file_of(directory, new)
    beside = target.with_suffix(".building")
    with opened(workspace, old) as (store, _):
        beside.unlink(missing_ok=True)
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        key = database_key(new).raw.hex()
        with translated(store.path), store._engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute("ATTACH DATABASE ? AS next KEY ?", (str(beside), f"x'{key}'"))
            cursor.execute("PRAGMA next.synchronous = FULL")
            cursor.execute("SELECT sqlcipher_export('next')")
            cursor.execute("DETACH DATABASE next")
    descriptor = os.open(beside, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    beside.replace(target)
    sync_directory(directory)


def _remove_of_other_keys(workspace: Workspace, directory: Path) -> None:
    """Remove databases that an earlier evidence key opens, or that a change of it never came to name.

    Only as the only writer, and only where keyring.json still says what this process believes.
    """
    if not _of_other_keys(workspace, directory):
        return
    with suppress(Busy), workspace.writing():
        now = read_keyring(workspace.root / "keyring.json")
        if now.evidence == workspace.keyring.evidence:
            forget_other_keys(workspace)


def forget_other_keys(workspace: Workspace) -> None:
    """Remove databases of other evidence keys than the one keyring.json names. Call it as the only writer."""
    directory = workspace.root / EVIDENCE
    others = _of_other_keys(workspace, directory)
    for path in others:
        path.unlink(missing_ok=True)
    if others:
        sync_directory(directory)


def _of_other_keys(workspace: Workspace, directory: Path) -> list[Path]:
    keep = f"evidence-{workspace.keyring.evidence.hex()[:16]}.db"
    return [path for path in directory.glob("evidence-*") if not path.name.startswith(keep)]
