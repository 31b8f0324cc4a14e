"""What the catalogue does when a patient is erased: everything in one transaction, then the log of it is cut.

After that transaction no key, row or name of the patient is left that this software would use; what remains
to be done (files, findings, change of keys) stands in a setting until it is done, so a kill loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Table, delete, update
from sqlalchemy.dialects.sqlite import insert

from appliance.workspace.catalogue import Catalogue
from appliance.workspace.database import translated
from appliance.workspace.querying import portions
from appliance.workspace.tables import (
    COHORTS,
    FILES,
    INSTANCES,
    PAIRS,
    REPORTS,
    SETTINGS,
    STUDIES,
    SUBJECT_KEYS,
)

ERASING: Final = "erasing/"  # settings: what an erasure still has to do
ERASED: Final = "erased/"  # settings: certificates of erasures that are done
READMITTED: Final = "readmitted/"  # settings: subjects that may be taken in again


@dataclass(frozen=True, slots=True)
class Rows:
    """What an erasure takes out of the catalogue.

    Attributes:
        digests: of images, reports and studies described by another system.
        pairs: pair ids.
        subjects: whose keys go.
        cohorts: name -> document in which the patient has no pseudonym any more.
    """

    digests: Collection[str]
    pairs: Collection[str]
    subjects: Collection[str]
    cohorts: Mapping[str, Mapping[str, Any]]


def take_out(catalogue: Catalogue, rows: Rows, erasure_id: str, left_to_do: Mapping[str, Any]) -> None:
    """Delete rows and keys, and remember what is left to do; on disk when this returns, or nothing is."""
    with catalogue.changing() as connection:
        for table in (INSTANCES, REPORTS, STUDIES, FILES):
            _delete(connection, table, "content_digest", rows.digests)
        _delete(connection, PAIRS, "pair_id", rows.pairs)
        _delete(connection, SUBJECT_KEYS, "subject", rows.subjects)
        for name, document in rows.cohorts.items():
            connection.execute(update(COHORTS).where(COHORTS.c.name == name).values(document=document))
        _delete(connection, SETTINGS, "key", [READMITTED + one for one in rows.subjects])
        _set(connection, ERASING + erasure_id, left_to_do)


def go_on(catalogue: Catalogue, erasure_id: str, left_to_do: Mapping[str, Any]) -> None:
    """Remember that a stage is done."""
    with catalogue.changing() as connection:
        _set(connection, ERASING + erasure_id, left_to_do)


def close(catalogue: Catalogue, erasure_id: str, certificate: Mapping[str, Any]) -> None:
    """Nothing is left to do: keep the certificate only."""
    with catalogue.changing() as connection:
        _set(connection, ERASED + erasure_id, certificate)
        _delete(connection, SETTINGS, "key", [ERASING + erasure_id])


def unfinished(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """What erasures that were cut off still have to do, by their ids."""
    return _documents(catalogue, ERASING)


def certificates(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Certificates of erasures that are done, by their ids."""
    return _documents(catalogue, ERASED)


def refused(catalogue: Catalogue) -> frozenset[str]:
    """Subjects that were erased and are not taken in again."""
    again = {key.removeprefix(READMITTED) for key in catalogue.settings(READMITTED)}
    erased = [*unfinished(catalogue).values(), *certificates(catalogue).values()]
    return frozenset(subject for one in erased for subject in one["subjects"]) - again


def readmit(catalogue: Catalogue, subjects: Collection[str]) -> None:
    """Let subjects that were erased be taken in again."""
    with catalogue.changing() as connection:
        for subject in subjects:
            _set(connection, READMITTED + subject, {})


def cut_log(catalogue: Catalogue) -> None:
    """Fold SQLite's write-ahead log into the file and cut it: it held pages from before.

    Where another program is reading at this moment, it is cut when the last one closes.
    """
    with translated(catalogue._path), catalogue._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _documents(catalogue: Catalogue, prefix: str) -> dict[str, dict[str, Any]]:
    return {key.removeprefix(prefix): json.loads(told) for key, told in catalogue.settings(prefix).items()}


def _delete(connection: Connection, table: Table, column: str, keys: Collection[str]) -> None:
    for some in portions(sorted(keys)):
        connection.execute(delete(table).where(table.c[column].in_(some)))


def _set(connection: Connection, key: str, document: Mapping[str, Any]) -> None:
    value = json.dumps(document, sort_keys=True, separators=(",", ":"))
    statement = insert(SETTINGS).values(key=key, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))
