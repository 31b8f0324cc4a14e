"""Taking in what waits: batches into rows, within one transaction of evidence.db.

A batch is taken once. What cannot be opened, does not fit its form, or is not what the log knows of is
refused, and nothing else waits for it. Whoever holds the RUN key makes batches that open; the log says which
of them count.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, exc, select, update

from appliance.errors import IntegrityError
from appliance.workspace.evidence_batches import ERASURE, HINT, REVEAL, EvidenceBatches, Waiting
from appliance.workspace.evidence_batches import FINDINGS as FINDINGS_KIND
from appliance.workspace.evidence_batches import IDENTITIES as IDENTITIES_KIND
from appliance.workspace.evidence_checked import CheckedRows
from appliance.workspace.evidence_state import Notes, keep_marks_key, marks_key
from appliance.workspace.evidence_tables import (
    BATCHES,
    CONTENTS,
    ERASED,
    FINDINGS,
    IDENTITIES,
    PROBABILITIES,
    REVEALS,
    SCORES,
    insert_findings,
    insert_rows,
)
from appliance.workspace.keys import SecretKey
from appliance.workspace.keyslots import canonical

_ORDER: Final = (FINDINGS_KIND, IDENTITIES_KIND, REVEAL, ERASURE)
_NO_FORM: Final = (KeyError, TypeError, ValueError, AttributeError)
_NO_ROW: Final = (exc.IntegrityError, exc.InterfaceError, exc.DataError, exc.ProgrammingError)


def digest_of(document: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a document's canonical JSON: what the log says of it."""
    return hashlib.sha256(canonical(document)).hexdigest()


class Merging:
    """One merge.

    Args:
        connection: in a writing transaction.
        batches: the folder, for names and for opening.
        private: the evidence key.
        notes: what the log knows.
        rows: notes those of an audit that were changed, once.

    Attributes:
        merged: batches whose content is in the database now.
        refused: batches that are not taken in.
        erasures: ids of those that were carried out.
    """

    def __init__(
        self,
        connection: Connection,
        batches: EvidenceBatches,
        private: SecretKey,
        notes: Notes,
        rows: CheckedRows,
    ) -> None:
        self._connection = connection
        self._batches = batches
        self._private = private
        self._notes = notes
        self._rows = rows
        self._touched: set[str] = set()  # audits
        self.merged: list[Waiting] = []
        self.refused: list[Waiting] = []
        self.erasures: list[str] = []

    def take_in(self, waiting: Iterable[Waiting], live: Callable[[], Collection[str]]) -> None:
        """Take in every batch that can be, erasures last.

        Args:
            live: ids of the pairs that the catalogue has; asked where an erasure cannot be read.
        """
        for batch in sorted(waiting, key=lambda one: _ORDER.index(one.kind)):
            try:
                content = self._batches.opened(batch, self._private)
                with self._connection.begin_nested():
                    self._take(batch, content)
            except IntegrityError:
                self.refused.append(batch)
            else:
                self.merged.append(batch)
        if any(batch.kind == ERASURE for batch in self.refused):
            self._erase_vanished(live())
        for audit in sorted(self._touched):
            self._rows.note(self._connection, audit)

    def _take(self, batch: Waiting, content: bytes) -> None:
        """Raises IntegrityError where it is not what may be taken."""
        try:
            document = json.loads(content)
            if batch.kind == REVEAL:
                self._take_reveal(document)
            elif batch.kind == ERASURE:
                self._take_erasure(document)
            else:
                self._take_audit(batch, document, hashlib.sha256(content).hexdigest())
        except _NO_FORM:
            raise _refused(batch) from None
        except exc.StatementError as error:
            if isinstance(error, exc.DBAPIError) and not isinstance(error, _NO_ROW):
                raise  # the disk, or the database
            raise _refused(batch) from None

    def _take_audit(self, batch: Waiting, document: Mapping[str, Any], digest: str) -> None:
        """What an audit is once said to have found is never replaced."""
        audit = str(document["audit_id"])
        known = self._connection.scalar(select(CONTENTS.c.digest).where(CONTENTS.c.name == batch.name))
        closings = self._notes.closings(audit) if batch.kind == FINDINGS_KIND else frozenset()
        counts = digest == known if known else not closings or digest in closings
        if not counts or batch.name != self._batches.name_of(batch.kind, audit):
            raise _refused(batch)
        if self._connection.scalar(select(BATCHES.c.name).where(BATCHES.c.name == batch.name)) is not None:
            return
        rows = [row for row in document["rows"] if not self.is_erased(audit, row["patient"])]
        if batch.kind == FINDINGS_KIND:
            insert_findings(self._connection, audit, rows)
            self._expect(self._batches.name_of(IDENTITIES_KIND, audit), str(document.get("identities", "")))
        else:
            insert_rows(self._connection, IDENTITIES, [{"audit_id": audit, **row} for row in rows])
        insert_rows(self._connection, BATCHES, [{"name": batch.name, "kind": batch.kind, "about": audit}])
        self._expect(batch.name, digest)
        self._touched.add(audit)

    def _expect(self, name: str, digest: str) -> None:
        if digest:
            insert_rows(self._connection, CONTENTS, [{"name": name, "digest": digest}])

    def _take_reveal(self, document: Mapping[str, Any]) -> None:
        if not self._notes.looked(digest_of(document)):
            raise IntegrityError("a look that the log does not know", HINT)
        insert_rows(self._connection, REVEALS, [self.reveal_row(document)])

    def reveal_row(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """A look at an identity as a row; without pseudonym and reason where the patient was erased."""
        row = {column.name: document[column.name] for column in REVEALS.c if column.name != "digest"}
        gone = {"patient": "", "reason": ""} if self.is_erased(row["audit_id"], row["patient"]) else {}
        return {**row, **gone, "digest": digest_of(document)}

    # -- erasing ---------------------------------------------------------------------------------------

    def is_erased(self, audit: str, patient: str) -> bool:
        """Whether nothing of this patient is taken in any more."""
        handle = marks_key(self._connection, self._private).handle(audit, patient)
        return self._connection.scalar(select(ERASED.c.handle).where(ERASED.c.handle == handle)) is not None

    def _take_erasure(self, document: Mapping[str, Any]) -> None:
        erasure_id = str(document["erasure_id"])
        audits, patients = list(map(str, document["audits"])), list(map(str, document["patients"]))
        if not self._notes.erasing(erasure_id):
            raise IntegrityError("an erasure that the log does not know", HINT)
        for audit in audits:
            self._erase(audit, patients)
        self.erasures.append(erasure_id)

    def _erase(self, audit: str, patients: Iterable[str]) -> None:
        """Nothing that an audit said of these patients stays but that somebody looked, and when."""
        keep_marks_key(self._connection, self._private)
        key, touched = marks_key(self._connection, self._private), 0
        for patient in patients:
            insert_rows(self._connection, ERASED, [{"handle": key.handle(audit, patient)}])
            theirs = (FINDINGS.c.audit_id == audit) & (FINDINGS.c.patient == patient)
            pairs = select(FINDINGS.c.pair_id).where(theirs)
            for table in (SCORES, PROBABILITIES):
                of_pairs = (table.c.audit_id == audit) & table.c.pair_id.in_(pairs)
                self._connection.execute(delete(table).where(of_pairs))
            touched += self._connection.execute(delete(FINDINGS).where(theirs)).rowcount
            known = (IDENTITIES.c.audit_id == audit) & (IDENTITIES.c.patient == patient)
            touched += self._connection.execute(delete(IDENTITIES).where(known)).rowcount
            looks = (REVEALS.c.audit_id == audit) & (REVEALS.c.patient == patient)
            self._connection.execute(update(REVEALS).where(looks).values(patient="", reason=""))
        if touched:
            self._touched.add(audit)

    def _erase_vanished(self, live: Collection[str]) -> None:
        """What an erasure that cannot be read would have done: people whom the catalogue has no pair of go.

        Only erasures remove pairs. A planted canary never had one, nor an identity.
        """
        named = (FINDINGS.c.audit_id == IDENTITIES.c.audit_id) & (FINDINGS.c.patient == IDENTITIES.c.patient)
        columns = FINDINGS.c.audit_id, FINDINGS.c.patient, FINDINGS.c.pair_id
        gone: dict[str, set[str]] = {}
        for audit, patient, pair in self._connection.execute(select(*columns).join(IDENTITIES, named)):
            if pair not in live:
                gone.setdefault(audit, set()).add(patient)
        for audit, patients in sorted(gone.items()):
            self._erase(audit, sorted(patients))


def _refused(batch: Waiting) -> IntegrityError:
    return IntegrityError(f"{batch.path.name} is not what this audit sealed, or has no form", HINT)
