"""The catalogue's studies, reports and pairs, what was set aside, and the keys of patients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from appliance.workspace.querying import Queries, insert_new, portions, values
from appliance.workspace.rows import (
    Added,
    Counts,
    Quarantined,
    StoredFile,
    StoredInstance,
    StoredPair,
    StoredReport,
    StoredStudy,
)
from appliance.workspace.tables import FILES, INSTANCES, PAIRS, QUARANTINE, REPORTS, STUDIES, SUBJECT_KEYS

_PUT_PAIR: Final = insert(PAIRS).on_conflict_do_update(  # a known pair may stand by another rule
    index_elements=["pair_id"],
    set_={name: insert(PAIRS).excluded[name] for name in ("standing", "rule", "note")},
)


class StoredStudies(Queries):
    """One typed method per question about studies, one transaction per method."""

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
        with self.changing() as connection:
            for some in portions([file.content_digest for file in files]):
                connection.execute(delete(QUARANTINE).where(QUARANTINE.c.content_digest.in_(some)))
            still = QUARANTINE.c.content_digest.in_([row.content_digest for row in quarantined])
            for some in portions(list(read_again)):
                connection.execute(delete(QUARANTINE).where(QUARANTINE.c.name_hmac.in_(some) & ~still))
            for row in quarantined:
                same = QUARANTINE.c.content_digest == row.content_digest
                connection.execute(delete(QUARANTINE).where(same & (QUARANTINE.c.reason != row.reason)))
            return Added(
                instances=insert_new(connection, INSTANCES, tuple(instances)),
                reports=insert_new(connection, REPORTS, tuple(reports)),
                studies=insert_new(connection, STUDIES, tuple(studies)),
                files=insert_new(connection, FILES, files),
                quarantined=insert_new(connection, QUARANTINE, quarantined),
            )

    def settle_pairs(self, pairs: Iterable[StoredPair]) -> None:
        """Make these the pairs that stand; any other stays for frozen cohorts, but stands no more."""
        pairs = tuple(pairs)
        with self.changing() as connection:
            connection.execute(update(PAIRS).values(standing=False))
            if pairs:
                connection.execute(_PUT_PAIR, [values(pair) for pair in pairs])

    def known_digests(self, digests: Collection[str]) -> frozenset[str]:
        """Those of `digests` that were taken in as a file, an instance or a report: an ingest skips them."""
        known: set[str] = set()
        with self._reading() as connection:
            for some in portions(list(digests)):
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

    def subjects(self) -> list[str]:
        """Every subject that has a key."""
        with self._reading() as connection:
            return list(connection.scalars(select(SUBJECT_KEYS.c.subject).order_by(SUBJECT_KEYS.c.subject)))

    def add_subject_keys(self, wrapped: Mapping[str, str]) -> None:
        """Store wrapped keys of new subjects, hex; one that is there stays."""
        rows = [{"subject": subject, "wrapped": key} for subject, key in wrapped.items()]
        with self.changing() as connection:
            connection.execute(insert(SUBJECT_KEYS).on_conflict_do_nothing(), rows)
