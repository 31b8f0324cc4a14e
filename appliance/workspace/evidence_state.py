"""The state of evidence.db: its root, which the log is told of, and the digest of each audit's rows.

The root covers what was taken in, who looked, what was erased, and a digest of the rows of every audit; it is
checked at each opening, the rows of an audit when it is asked for (`evidence_checked`).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from appliance.errors import IntegrityError
from appliance.evidence.entries import Act
from appliance.workspace import state_roots
from appliance.workspace.evidence_tables import (
    FINDINGS,
    IDENTITIES,
    PROBABILITIES,
    SCORES,
    SETTINGS,
)
from appliance.workspace.keys import SecretKey

ROOTED: Final = {
    "batches": "name",
    "contents": "name",
    "erased": "handle",
    "reveals": "reveal_id",
    "settings": "key",
    "standing": "audit_id",
}
EMPTY: Final = hashlib.sha256(b"").hexdigest()  # root of a new database
_OF_AN_AUDIT: Final = (FINDINGS, IDENTITIES, PROBABILITIES, SCORES)
_MARKS: Final = "key of erased"
_STATE: Final = "state"


class Notes(Protocol):
    """What the log knows of evidence.db, and is told of it."""

    def states(self) -> frozenset[str]:
        """Roots at which the database may stand; empty while the log knows of none."""

    def alarm(self, name: str, root: str) -> IntegrityError:
        """Write down that the database stands elsewhere; the error to raise."""

    def intend(self, before: str, after: str, acts: Sequence[Act] = ()) -> None:
        """Say what a change makes, before it commits, with entries that are true from then on."""

    def settled(self, root: str) -> None:
        """Say where the database stands."""

    def closings(self, audit_id: str) -> frozenset[str]:
        """Digests of what an audit sealed, as the entries that closed it have them."""

    def erasing(self, erasure_id: str) -> bool:
        """Whether an erasure of this id was begun."""

    def looked(self, digest: str) -> bool:
        """Whether a look at an identity was allowed whose reason has this digest."""

    def set_aside(self, batches: Sequence[tuple[str, str]]) -> None:
        """Say that batches, by name and SHA-256 of the file, could not be taken in."""


class Unlogged:
    """A database without a log beside it: nothing is compared."""

    def states(self) -> frozenset[str]:
        """None."""
        return frozenset()

    def alarm(self, name: str, root: str) -> IntegrityError:
        """Never asked for: any state will do."""
        return IntegrityError(f"{name} is in another state than {root}")

    def intend(self, before: str, after: str, acts: Sequence[Act] = ()) -> None:
        """Nothing."""

    def settled(self, root: str) -> None:
        """Nothing."""

    def closings(self, audit_id: str) -> frozenset[str]:
        """None."""
        return frozenset()

    def erasing(self, erasure_id: str) -> bool:
        """Taken as said."""
        return True

    def looked(self, digest: str) -> bool:
        """Taken as said."""
        return True

    def set_aside(self, batches: Sequence[tuple[str, str]]) -> None:
        """Nothing."""


def root_of(connection: Connection) -> str:
    """The root as this transaction sees it, hex."""
    return state_roots.root_of(connection, ROOTED)


def make_new(connection: Connection) -> None:
    """Make this state another one than any before, and than any that was only tried."""
    value = secrets.token_hex(16)
    statement = insert(SETTINGS).values(key=_STATE, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"value": value}))


def rows_digest(connection: Connection, audit: str) -> str:
    """What an earlier version noted of the rows of one audit.

    Hex SHA-256 over a line of JSON each, by key: [table, column, …].
    """
    told, lines = hashlib.sha256(), json.JSONEncoder(allow_nan=False)
    for table in _OF_AN_AUDIT:
        query = select(table).where(table.c.audit_id == audit).order_by(*table.primary_key.columns)
        for row in connection.execute(query):
            told.update(lines.encode([table.name, *row]).encode("ascii") + b"\n")
    return told.hexdigest()


def marks_key(connection: Connection, private: SecretKey) -> SecretKey:
    """The key of the marks in `erased`: derived for the first, kept over changes of the evidence key."""
    kept = connection.scalar(select(SETTINGS.c.value).where(SETTINGS.c.key == _MARKS))
    return SecretKey(bytes.fromhex(kept)) if kept else private.derive("gradaudit evidence: erased v1")


def keep_marks_key(connection: Connection, private: SecretKey) -> None:
    """Keep the key of the marks, from the first one on."""
    value = marks_key(connection, private).raw.hex()
    connection.execute(insert(SETTINGS).values(key=_MARKS, value=value).on_conflict_do_nothing())
