"""The catalogue: one typed method per question, one transaction per method, all of it inside SQLCipher.

SQLCipher authenticates pages, not history: an old copy of the file put back whole is caught by the log.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar

from sqlalchemy import Connection, Select, Table, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from appliance.errors import IntegrityError, UsageError
from appliance.workspace.database import damaged, open_engine, plain_json, translated, writing
from appliance.workspace.durable import FILE_MODE
from appliance.workspace.keys import SecretKey
from appliance.workspace.rows import (
    Added,
    Counts,
    Quarantined,
    StoredAudit,
    StoredCohort,
    StoredFile,
    StoredInstance,
    StoredModel,
    StoredPair,
    StoredReport,
    StoredStudy,
)
from appliance.workspace.tables import (
    AUDITS,
    COHORTS,
    FILES,
    INSTANCES,
    METADATA,
    MODELS,
    PAIRS,
    QUARANTINE,
    REPORTS,
    SCHEMA,
    SETTINGS,
    STUDIES,
    SUBJECT_KEYS,
)

_LOOK_UP: Final = 10_000  # keys per IN (…)
_PUT_PAIR: Final = insert(PAIRS).on_conflict_do_update(  # a known pair may stand by another rule
    index_elements=["pair_id"],
    set_={name: insert(PAIRS).excluded[name] for name in ("standing", "rule", "note")},
)


class _Row(Protocol):
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


R = TypeVar("R", bound=_Row)


class Catalogue:
    """What the appliance knows, encrypted. Readers may be open while one writer writes."""

    def __init__(self, path: Path, key: SecretKey) -> None:
        """Open an existing catalogue.

        Raises:
            IntegrityError: missing, damaged, or not written under this key.
            UsageError: another version of the appliance wrote it.
        """
        if not path.is_file():
            raise IntegrityError(f"{path.name} is missing", "Restore the workspace from a backup.")
        self._path = path
        self._engine = open_engine(path, key)
        try:
            schema = self.setting("schema")
        except BaseException:
            self.close()
            raise
        if schema != SCHEMA:
            self.close()
            raise UsageError(f"{path.name} has schema {schema}, this software reads {SCHEMA}")

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

    def close(self) -> None:
        """Close every connection; the last one folds the write-ahead log into the file."""
        self._engine.dispose()

    def verify(self) -> None:
        """Check the authentication code of every page; takes as long as reading the file.

        Raises:
            IntegrityError: a page is damaged or was exchanged.
        """
        with self._reading() as connection:
            if connection.exec_driver_sql("PRAGMA cipher_integrity_check").first() is not None:
                raise damaged(self._path)
            if connection.exec_driver_sql("PRAGMA quick_check").scalar() != "ok":
                raise damaged(self._path)

    # -- studies, reports, pairs ----------------------------------------------------------------------------

    def add_records(
        self,
        instances: Iterable[StoredInstance] = (),
        reports: Iterable[StoredReport] = (),
        studies: Iterable[StoredStudy] = (),
        files: Iterable[StoredFile] = (),
        quarantined: Iterable[Quarantined] = (),
        read_again: Collection[str] = (),
    ) -> Added:
        """Store what an ingest found, in one transaction; what is known already stays as it is.

        A file that was taken in now leaves the quarantine; one that was set aside again has the new reason.

        Args:
            read_again: handles of names; what was set aside under them before is judged anew.
        """
        files, quarantined = tuple(files), tuple(quarantined)
        with self._writing() as connection:
            for some in _portions([file.content_digest for file in files]):
                connection.execute(delete(QUARANTINE).where(QUARANTINE.c.content_digest.in_(some)))
            still = QUARANTINE.c.content_digest.in_([row.content_digest for row in quarantined])
            for some in _portions(list(read_again)):
                connection.execute(delete(QUARANTINE).where(QUARANTINE.c.name_hmac.in_(some) & ~still))
            for row in quarantined:
                same = QUARANTINE.c.content_digest == row.content_digest
                connection.execute(delete(QUARANTINE).where(same & (QUARANTINE.c.reason != row.reason)))
            return Added(
                instances=_insert_new(connection, INSTANCES, tuple(instances)),
                reports=_insert_new(connection, REPORTS, tuple(reports)),
                studies=_insert_new(connection, STUDIES, tuple(studies)),
                files=_insert_new(connection, FILES, files),
                quarantined=_insert_new(connection, QUARANTINE, quarantined),
            )

    def settle_pairs(self, pairs: Iterable[StoredPair]) -> None:
        """Make these the pairs that stand; any other stays for frozen cohorts, but stands no more."""
        pairs = tuple(pairs)
        with self._writing() as connection:
            connection.execute(update(PAIRS).values(standing=False))
            if pairs:
                connection.execute(_PUT_PAIR, [_values(pair) for pair in pairs])

    def known_digests(self, digests: Collection[str]) -> frozenset[str]:
        """Those of `digests` that were taken in as a file, an instance or a report: an ingest skips them."""
        known: set[str] = set()
        with self._reading() as connection:
            for some in _portions(list(digests)):
                for table in (FILES, INSTANCES, REPORTS):
                    column = table.c.content_digest
                    known.update(connection.scalars(select(column).where(column.in_(some))))
        return frozenset(known)

    def has_file(self, content_digest: str) -> bool:
        """Whether these bytes were taken in before, whatever they gave."""
        with self._reading() as connection:
            found = select(FILES.c.content_digest).where(FILES.c.content_digest == content_digest)
            return connection.scalar(found) is not None

    def instances(self) -> tuple[StoredInstance, ...]:
        """Every instance, by content digest."""
        return self._rows(StoredInstance, select(INSTANCES).order_by(INSTANCES.c.content_digest))

    def instance(self, content_digest: str) -> StoredInstance | None:
        """One instance, or None."""
        return self._row(
            StoredInstance, select(INSTANCES).where(INSTANCES.c.content_digest == content_digest)
        )

    def reports(self) -> tuple[StoredReport, ...]:
        """Every report, by content digest."""
        return self._rows(StoredReport, select(REPORTS).order_by(REPORTS.c.content_digest))

    def report(self, content_digest: str) -> StoredReport | None:
        """One report, or None."""
        return self._row(StoredReport, select(REPORTS).where(REPORTS.c.content_digest == content_digest))

    def studies(self) -> tuple[StoredStudy, ...]:
        """Every study that another system described, by content digest."""
        return self._rows(StoredStudy, select(STUDIES).order_by(STUDIES.c.content_digest))

    def pairs(self) -> tuple[StoredPair, ...]:
        """Every pair, by pair id, those that stand no more among them."""
        return self._rows(StoredPair, select(PAIRS).order_by(PAIRS.c.pair_id))

    def pair(self, pair_id: str) -> StoredPair | None:
        """One pair, or None."""
        return self._row(StoredPair, select(PAIRS).where(PAIRS.c.pair_id == pair_id))

    def quarantined(self) -> tuple[Quarantined, ...]:
        """Every file set aside, oldest first."""
        order = (QUARANTINE.c.set_aside_utc, QUARANTINE.c.content_digest)
        return self._rows(Quarantined, select(QUARANTINE).order_by(*order))

    def quarantine_counts(self) -> tuple[tuple[str, int], ...]:
        """Files set aside by reason, most frequent first."""
        number = func.count()
        query = select(QUARANTINE.c.reason, number).group_by(QUARANTINE.c.reason)
        with self._reading() as connection:
            return tuple(
                (r, n) for r, n in connection.execute(query.order_by(number.desc(), QUARANTINE.c.reason))
            )

    def counts(self) -> Counts:
        """How much there is; of pairs and patients, those that stand."""
        with self._reading() as connection:

            def distinct(table: Table, column: str) -> int:
                count = select(func.count(table.c[column].distinct()))
                return int(connection.scalar(count if table is not PAIRS else count.where(standing)) or 0)

            standing = PAIRS.c.standing.is_(True)
            documents = (
                select(func.count()).select_from(FILES).where(FILES.c.outcome.in_(("document", "order")))
            )

            studies = (
                select(INSTANCES.c.StudyInstanceUID).union(select(REPORTS.c.StudyInstanceUID)).subquery()
            )
            named = select(func.count()).select_from(studies).where(studies.c.StudyInstanceUID != "")
            return Counts(
                studies=int(connection.scalar(named) or 0),
                instances=distinct(INSTANCES, "content_digest"),
                reports=distinct(REPORTS, "content_digest"),
                pairs=distinct(PAIRS, "pair_id"),
                patients=distinct(PAIRS, "patient"),
                quarantined=distinct(QUARANTINE, "content_digest"),
                documents=int(connection.scalar(documents) or 0),
            )

    # -- keys of patients -----------------------------------------------------------------------------------

    def subject_key(self, subject: str) -> str | None:
        """The wrapped key of a subject, hex, or None."""
        with self._reading() as connection:
            found = select(SUBJECT_KEYS.c.wrapped).where(SUBJECT_KEYS.c.subject == subject)
            return connection.scalar(found)

    def add_subject_keys(self, wrapped: Mapping[str, str]) -> None:
        """Store wrapped keys of new subjects, hex; one that is there stays."""
        rows = [{"subject": subject, "wrapped": key} for subject, key in wrapped.items()]
        with self._writing() as connection:
            connection.execute(insert(SUBJECT_KEYS).on_conflict_do_nothing(), rows)

    # -- models, cohorts ------------------------------------------------------------------------------------

    def add_model(self, model: StoredModel) -> None:
        """Register a model; the same document under the same name is no change.

        Raises:
            UsageError: the name is taken by another model.
        """
        self._add_named(MODELS, model, "document", f"a different model is already registered as {model.name}")

    def models(self) -> tuple[StoredModel, ...]:
        """Every model, by name."""
        return self._rows(StoredModel, select(MODELS).order_by(MODELS.c.name))

    def model(self, name: str) -> StoredModel | None:
        """One model, or None."""
        return self._row(StoredModel, select(MODELS).where(MODELS.c.name == name))

    def add_cohort(self, cohort: StoredCohort) -> None:
        """Freeze a cohort; the same digest under the same name is no change.

        Raises:
            UsageError: the name is taken by another cohort.
        """
        self._add_named(COHORTS, cohort, "digest", f"a different cohort is already frozen as {cohort.name}")

    def cohorts(self) -> tuple[StoredCohort, ...]:
        """Every cohort, by name."""
        return self._rows(StoredCohort, select(COHORTS).order_by(COHORTS.c.name))

    def cohort(self, name: str) -> StoredCohort | None:
        """One cohort, or None."""
        return self._row(StoredCohort, select(COHORTS).where(COHORTS.c.name == name))

    # -- audits, settings -----------------------------------------------------------------------------------

    def start_audit(self, audit: StoredAudit) -> None:
        """Store an audit that begins; the same audit id again is no change."""
        with self._writing() as connection:
            _insert_new(connection, AUDITS, (audit,))

    def finish_audit(self, audit: StoredAudit) -> None:
        """Replace a running audit by what came of it.

        Raises:
            UsageError: no audit with this id is running: a finished one is never rewritten.
        """
        self.move_audit(audit, "running")

    def move_audit(self, audit: StoredAudit, was: str) -> None:
        """Replace an audit that is running or interrupted by what has become of it.

        Raises:
            UsageError: no audit with this id is in the state `was`.
        """
        if was not in ("running", "interrupted"):
            raise ValueError("a finished audit is never rewritten")
        there = (AUDITS.c.audit_id == audit.audit_id) & (AUDITS.c.state == was)
        with self._writing() as connection:
            if connection.execute(update(AUDITS).where(there).values(_values(audit))).rowcount != 1:
                raise UsageError(f"no audit {audit.audit_id} is {was}")

    def audits(self) -> tuple[StoredAudit, ...]:
        """Every audit, newest first."""
        newest = (AUDITS.c.started_utc.desc(), AUDITS.c.audit_id)
        return self._rows(StoredAudit, select(AUDITS).order_by(*newest))

    def audit(self, audit_id: str) -> StoredAudit | None:
        """One audit, or None."""
        return self._row(StoredAudit, select(AUDITS).where(AUDITS.c.audit_id == audit_id))

    def setting(self, key: str) -> str | None:
        """One setting, or None."""
        with self._reading() as connection:
            return connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.key == key))

    def settings(self, prefix: str) -> dict[str, str]:
        """Settings whose key begins like this, by key."""
        begins = SETTINGS.c.key.startswith(prefix, autoescape=True)
        query = select(SETTINGS.c.key, SETTINGS.c.value).where(begins).order_by(SETTINGS.c.key)
        with self._reading() as connection:
            return {str(key): str(value) for key, value in connection.execute(query)}

    def set_setting(self, key: str, value: str) -> None:
        """Store or replace one setting."""
        statement = insert(SETTINGS).values(key=key, value=value)
        with self._writing() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))

    # -- how it is done -------------------------------------------------------------------------------------

    def _add_named(self, table: Table, row: StoredModel | StoredCohort, same: str, refusal: str) -> None:
        with self._writing() as connection:
            if _insert_new(connection, table, (row,)):
                return
            stored = connection.scalar(select(table.c[same]).where(table.c.name == row.name))
            if stored != json.loads(plain_json(_values(row)[same])):
                raise UsageError(refusal, "Choose another name; what is registered is never replaced.")

    def _rows(self, kind: type[R], query: Select[Any]) -> tuple[R, ...]:
        with self._reading() as connection:
            return tuple(kind(**row) for row in connection.execute(query).mappings())

    def _row(self, kind: type[R], query: Select[Any]) -> R | None:
        found = self._rows(kind, query)
        return found[0] if found else None

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with translated(self._path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with translated(self._path), self._engine.connect() as connection, writing(connection):
            yield connection


def _insert_new(connection: Connection, table: Table, rows: Sequence[_Row]) -> int:
    """Insert rows whose key is new; returns how many those were."""
    if not rows:
        return 0
    before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
    connection.execute(insert(table).on_conflict_do_nothing(), [_values(row) for row in rows])
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one() - before)


def _values(row: _Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def _portions(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), _LOOK_UP):
        yield items[start : start + _LOOK_UP]
