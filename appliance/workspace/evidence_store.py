"""evidence.db: findings and who they are about, for whoever holds the evidence key (SECURITY §2).

    evidence/evidence-<16 hex digits of the public key>.db     SQLCipher, key derived from the private key
    evidence/lock                                              held to look, merge, copy or change keys

Opening merges what waits: rows in one transaction, then the batches' files go, so a kill in between merges
them once more, with the same result. The log is told of every state before it is committed, so a database put
back is noticed; what its rows say is compared too (`evidence_checked`). Its name follows the key in force.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Engine, select

from appliance.errors import Busy, CannotWrite, IntegrityError, Locked
from appliance.evidence.entries import Act
from appliance.workspace.database import check_pages, open_engine, translated, writing
from appliance.workspace.durable import FILE_MODE, make_directory, sync_directory
from appliance.workspace.evidence_batches import EVIDENCE, EvidenceBatches
from appliance.workspace.evidence_batches import FINDINGS as FINDINGS_KIND
from appliance.workspace.evidence_batches import IDENTITIES as IDENTITIES_KIND
from appliance.workspace.evidence_checked import CheckedRows, silent
from appliance.workspace.evidence_columns import Columns, Step
from appliance.workspace.evidence_listing import Listing
from appliance.workspace.evidence_merging import Merging
from appliance.workspace.evidence_state import EMPTY, Notes, Unlogged, keep_marks_key, make_new, root_of
from appliance.workspace.evidence_tables import (
    BATCHES,
    ERASED,
    METADATA,
    REVEALS,
    STANDING,
    StoredFinding,
    StoredIdentity,
    StoredReveal,
    insert_rows,
)
from appliance.workspace.grants import public_of
from appliance.workspace.keyring_file import read_keyring
from appliance.workspace.keys import SecretKey
from appliance.workspace.querying import total_changes
from appliance.workspace.writer_lock import locked_file

if TYPE_CHECKING:
    from appliance.workspace.workspace import Workspace

PATIENCE_S: Final = 10.0
_FROM_BACKUP: Final = "Restore the workspace from a backup: `gradaudit restore`."


class EvidenceStore:
    """An open evidence.db. Get one from `opened`."""

    def __init__(
        self,
        path: Path,
        private: SecretKey,
        batches: EvidenceBatches,
        notes: Notes | None = None,
        on_step: Step | None = None,
    ) -> None:
        self.path = path
        self._private = private
        self._batches = batches
        self._notes: Notes = notes or Unlogged()
        self._engine = engine_of(path, private)
        self._rows = CheckedRows(path, private, batches)
        self._listed: Listing | None = None
        self.tell(on_step)

    def tell(self, on_step: Step | None) -> None:
        """Who is told of rows that are read through, from now on."""
        self._rows.step = on_step or silent

    # -- changing --------------------------------------------------------------------------------------

    def check(self) -> None:
        """Make sure that the database stands where the log says.

        Raises:
            IntegrityError: it was put back to an earlier state, or rows were changed past this software.
        """
        allowed = self._notes.states()
        with self._reading() as connection:
            root = root_of(connection)
        if allowed and root not in allowed:
            raise self._notes.alarm(self.path.name, root)
        if len(allowed) > 1 or (not allowed and root != EMPTY):
            self._notes.settled(root)  # a process was killed, or it is the first time
        with self._changing() as connection:
            self._adopt(connection)

    def _adopt(self, connection: Connection) -> None:
        """Note what an earlier version wrote without these digests, or with others."""
        if connection.scalar(select(ERASED.c.handle).limit(1)) is not None:
            keep_marks_key(connection, self._private)
        self._rows.renew(connection, set(connection.scalars(select(BATCHES.c.about))))

    def merge(
        self, settled: Collection[str], live: Callable[[], Collection[str]] = frozenset
    ) -> tuple[str, ...]:
        """Take in what waits, and carry out the erasures that wait; returns the ids of those erasures.

        What cannot be taken in is set aside, after an entry that says so; the rest does not wait for it.

        Args:
            settled: ids of audits that are done; batches of others wait on.
            live: ids of the catalogue's pairs, asked where an erasure cannot be read.

        Raises:
            LogUnwritable: nothing was merged.
        """
        waiting = self._batches.counting(settled)
        if not waiting:
            return ()
        with self._changing() as connection:
            merging = Merging(connection, self._batches, self._private, self._notes, self._rows)
            merging.take_in(waiting, live)
        if merging.erasures or merging.refused:
            self._overwrite_freed()
        self._batches.remove(merging.merged)
        if merging.refused:
            self._notes.set_aside([(one.name, one.digest()) for one in merging.refused])
            self._batches.set_aside(merging.refused)
        return tuple(merging.erasures)

    def keep_reveal(self, document: Mapping[str, Any], acts: Sequence[Act]) -> None:
        """Keep why an identity is looked at, with the entries that allow the look: both, or neither.

        Raises:
            LogUnwritable: it is not kept, and nobody may look.
        """
        with self._changing(acts) as connection:
            merging = Merging(connection, self._batches, self._private, self._notes, self._rows)
            insert_rows(connection, REVEALS, [merging.reveal_row(document)])

    @contextmanager
    def _changing(self, acts: Sequence[Act] = ()) -> Iterator[Connection]:
        """One transaction; if it changes anything, the log is told before it commits and after."""
        after = ""
        with self._writing() as connection:
            before, changes = root_of(connection), total_changes(connection)
            yield connection
            if total_changes(connection) != changes:
                make_new(connection)
                after = root_of(connection)
                self._notes.intend(before, after, acts)
        if after:
            self._notes.settled(after)

    def _overwrite_freed(self) -> None:
        """Fold the write-ahead log into the file and cut it: it held pages from before."""
        with translated(self.path), self._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- asking ----------------------------------------------------------------------------------------

    def findings(self, audit_id: str, *, patient: str = "") -> tuple[StoredFinding, ...]:
        """Findings of an audit in its order, of one pseudonym or all.

        Raises:
            IntegrityError: the file is damaged, or they are not those that were merged.
        """
        with self._reading() as connection:
            return self._rows.findings(connection, audit_id, patient)

    def listing(self, audit_id: str, detector: str, priors: Sequence[str]) -> Listing:
        """Findings of an audit to page through; what was listed before is closed, and `close` closes it.

        Raises:
            IntegrityError: as `expect`.
        """
        columns = self.expect(audit_id)
        if self._listed is None or not self._listed.is_of(columns, detector, priors):
            self._forget_listing()
            self._listed = Listing(self._engine, self.path, columns, detector, priors)
        self._listed.renew()
        return self._listed

    def _forget_listing(self) -> None:
        if self._listed is not None:
            self._listed.close()
            self._listed = None

    def identities(self, audit_id: str, patient: str) -> tuple[StoredIdentity, ...]:
        """Who a pseudonym of an audit is; nobody where it is a planted canary or was erased."""
        with self._reading() as connection:
            return self._rows.identities(connection, audit_id, patient)

    def reveals(self) -> tuple[StoredReveal, ...]:
        """Every look at an identity, oldest first."""
        query = select(REVEALS).order_by(REVEALS.c.revealed_utc, REVEALS.c.reveal_id)
        with self._reading() as connection:
            return tuple(StoredReveal(**row) for row in connection.execute(query).mappings())

    def expect(self, audit_id: str, *, identities: bool = False) -> Columns:
        """What an audit sealed, after making sure that it was taken in: lost is not nothing found.

        Args:
            identities: who the findings are about is asked for too.

        Raises:
            IntegrityError: it is missing, was damaged when it was to be merged, or was changed since.
        """
        with self._reading() as connection:
            for kind in (FINDINGS_KIND, IDENTITIES_KIND)[: 1 + identities]:
                name = self._batches.name_of(kind, audit_id)
                if connection.scalar(select(BATCHES.c.name).where(BATCHES.c.name == name)) is None:
                    raise self._missing(kind, name, audit_id)
            columns = self._rows.columns(connection, audit_id)
        if columns is None:
            raise self._rows.another(audit_id)
        return columns

    def _missing(self, kind: str, name: str, audit_id: str) -> IntegrityError:
        if not self._batches.is_damaged(kind, name):
            hint = "Restore the folder evidence of the workspace from a backup."
            return IntegrityError(f"the {kind} of audit {audit_id} are missing", hint)
        return IntegrityError(
            f"the {kind} of audit {audit_id} were damaged: {EVIDENCE}/damaged/{name}.{kind}.sealed",
            f"Bring this file back from a backup, into {EVIDENCE}/waiting, or run the audit anew.",
        )

    def verify(self, alone: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        """Check every page, the state against the log, and the rows of every audit.

        Args:
            alone: keeps others from changing it while the state is compared.

        Raises:
            IntegrityError: a page is damaged or was exchanged, or it holds what was never merged.
        """
        with self._reading() as connection:
            with alone():
                allowed, root = self._notes.states(), root_of(connection)  # the snapshot begins here
            if allowed and root not in allowed:
                raise self._notes.alarm(self.path.name, root)
            check_pages(connection, self.path)
            for audit in connection.scalars(select(STANDING.c.audit_id)).all():
                if not self._rows.stand(connection, audit):
                    raise self._rows.another(audit)

    def close(self) -> None:
        """Close every connection."""
        self._forget_listing()
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
def alone(workspace: Workspace) -> Iterator[Path]:
    """Be the only one at the folder of findings, among threads and processes; gives the folder.

    Whoever also is the only writer of the workspace, or holds its catalogue, became that first.

    Raises:
        Busy: somebody else was at it for ten seconds.
        CannotWrite: the folder is none, or the disk refuses.
    """
    directory = workspace.root / EVIDENCE
    try:
        make_directory(directory)
    except OSError as error:
        hint = "Free some space, or run `gradaudit workspace verify`."
        raise CannotWrite(f"cannot write to the workspace: {EVIDENCE}: {error.strerror}", hint) from None
    busy = Busy(
        "another command is at the findings of this workspace", "Wait for it to finish and try again."
    )
    with locked_file(directory / "lock", time.monotonic() + PATIENCE_S, busy):
        yield directory


@contextmanager
def opened(
    workspace: Workspace, private: SecretKey, on_step: Step | None = None
) -> Iterator[tuple[EvidenceStore, tuple[str, ...]]]:
    """The store of a workspace with everything merged that waited, and the erasures carried out by that.

    Nobody else merges, looks or changes the evidence key until it is closed.

    Args:
        private: the evidence key, as `Workspace.evidence_key` gives it.
        on_step: told of rows that are read through.

    Raises:
        Locked: the evidence key was changed meanwhile.
        IntegrityError: the store is damaged, missing, or was put back to an earlier state.
        Busy: somebody else is at it.
    """
    with alone(workspace), opened_alone(workspace, private, on_step) as found:
        yield found


@contextmanager
def opened_alone(
    workspace: Workspace, private: SecretKey, on_step: Step | None = None
) -> Iterator[tuple[EvidenceStore, tuple[str, ...]]]:
    """As `opened`, for whoever is `alone`."""
    in_force = must_be_in_force(workspace, private)
    directory = workspace.root / EVIDENCE
    path, notes = file_of(directory, private), workspace.evidence_notes or Unlogged()
    allowed = notes.states()
    if allowed and EMPTY not in allowed and not (path.exists() and path.stat().st_size):
        raise gone(path)
    store = EvidenceStore(path, private, EvidenceBatches.of(workspace), notes, on_step)
    try:
        erasures = brought_up(workspace, store)
        remove_of_other_keys(directory, in_force)
        yield store, erasures
    finally:
        store.close()


def brought_up(workspace: Workspace, store: EvidenceStore) -> tuple[str, ...]:
    """Check an open store and merge what waits, for whoever is `alone`; the erasures carried out by that.

    Raises:
        IntegrityError: it was put back to an earlier state.
    """
    store.check()
    pairs = workspace.catalogue.pairs
    return store.merge(settled_audits(workspace), lambda: {pair.pair_id for pair in pairs()})


def must_be_in_force(workspace: Workspace, private: SecretKey) -> bytes:
    """The public evidence key on the disk, which is that of `private`; for whoever is `alone`.

    Raises:
        Locked: the evidence key was changed meanwhile.
    """
    in_force = read_keyring(workspace.root / "keyring.json").evidence
    if not public_of(private) == in_force == workspace.keyring.evidence:
        raise Locked("the evidence key was changed meanwhile", "Unlock again and try once more.")
    return in_force


def remove_of_other_keys(directory: Path, in_force: bytes) -> None:
    """Remove databases of an earlier evidence key, or of one that never came to count; for who is `alone`."""
    keep = f"evidence-{in_force.hex()[:16]}.db"
    others = [path for path in directory.glob("evidence-*") if not path.name.startswith(keep)]
    for path in others:
        path.unlink(missing_ok=True)
    if others:
        sync_directory(directory)


def gone(path: Path) -> IntegrityError:
    """The error for a database that the log knows and that is not there."""
    return IntegrityError(f"{path.name} is missing or empty: findings were merged into it", _FROM_BACKUP)


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
