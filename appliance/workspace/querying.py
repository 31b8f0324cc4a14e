"""How the catalogue is read and written: rows in and out, one transaction a call, and the state after it.

Every writing transaction that changed something counts up the setting `generation`, so that no two states are
alike (docs/spec/catalogue-root.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, TypeVar

from sqlalchemy import Connection, Engine, Select, Table
from sqlalchemy.dialects.sqlite import insert

from appliance.errors import UsageError
from appliance.workspace.database import translated, writing
from appliance.workspace.keys import SecretKey
from appliance.workspace.state_roots import count_up, root_of

_LOOK_UP: Final = 10_000  # keys per IN (…)


class Row(Protocol):
    """A frozen row type of `rows`."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


R = TypeVar("R", bound=Row)


class Queries:
    """One SQLCipher file with its transactions.

    Attributes:
        on_root: called with the root before and after a change and `roots_key`, inside the transaction and
            before it commits; what it raises undoes the change.
        roots_key: sub-key that shows the log whose roots they are.
        unsure: a commit failed after its frames were written: the next recovery may find it whole.
        outdated: the schema is an earlier one; nothing but its root and settings is used before `migrate`.
    """

    def __init__(self, path: Path, engine: Engine, roots_key: SecretKey) -> None:
        self._path = path
        self._engine = engine
        self.roots_key = roots_key
        self.on_root: Callable[[str, str, SecretKey], None] | None = None
        self.outdated = False
        self.unsure = False

    def root(self) -> str:
        """The root over the rows that decide something, hex."""
        with self._reading(any_schema=True) as connection:
            return root_of(connection)

    @contextmanager
    def held(self) -> Iterator[str]:
        """The root, while nobody else can change anything.

        Raises:
            Busy: somebody else is writing.
        """
        with translated(self._path), self._engine.connect() as connection, writing(connection):
            yield root_of(connection)

    @contextmanager
    def _reading(self, *, any_schema: bool = False) -> Iterator[Connection]:
        if self.outdated and not any_schema:
            raise UsageError(
                f"{self._path.name} was written by an earlier version", "Open it with `gradaudit unlock`."
            )
        with translated(self._path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """One writing transaction; what it commits to has been told to `on_root` before it commits."""
        committing = False
        try:
            with translated(self._path), self._engine.connect() as connection, writing(connection):
                before = root_of(connection) if self.on_root is not None else ""
                changes = total_changes(connection)
                yield connection
                if total_changes(connection) != changes:
                    count_up(connection)
                    if self.on_root is not None:
                        self.on_root(before, root_of(connection), self.roots_key)
                    committing = True
        except BaseException:
            self.unsure = self.unsure or committing
            raise
        self.unsure = self.unsure and not committing

    def make_sure(self) -> None:
        """Commit once more after a commit that failed: only then can the failed one not come back.

        Raises: as any change.
        """
        if self.unsure:
            with self.changing() as connection:
                count_up(connection)

    def _rows(self, kind: type[R], query: Select[Any]) -> tuple[R, ...]:
        with self._reading() as connection:
            return tuple(kind(**row) for row in connection.execute(query).mappings())

    def _row(self, kind: type[R], query: Select[Any]) -> R | None:
        found = self._rows(kind, query)
        return found[0] if found else None


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert rows whose key is new; returns how many those were."""
    if not rows:
        return 0
    before = total_changes(connection)
    connection.execute(insert(table).on_conflict_do_nothing(), [values(row) for row in rows])
    return total_changes(connection) - before


def values(row: Row) -> dict[str, Any]:
    """A row by column."""
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def portions(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many at a time as one statement takes."""
    for start in range(0, len(items), _LOOK_UP):
        yield items[start : start + _LOOK_UP]


def total_changes(connection: Connection) -> int:
    """Rows that this connection has changed since it was opened."""
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())
