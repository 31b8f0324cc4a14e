"""The root of the catalogue's state: RFC 6962 over the rows that decide (docs/spec/catalogue-root.md).

SQLCipher authenticates pages and forgets history; this is what the log remembers of it. Rows are hashed as
they are stored, column by column, so a catalogue of an earlier schema has a root too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from appliance.evidence.verify_evidence import Tree, leaf_hash

ROOTED: Final = {"audits": "audit_id", "cohorts": "name", "models": "name", "settings": "key"}
GENERATION: Final = "generation"


def root_of(connection: Connection, rooted: Mapping[str, str] = ROOTED) -> str:
    """The root over these tables, each by its key, as this transaction sees them, hex."""
    tree = Tree()
    for table, key in sorted(rooted.items()):
        rows = connection.exec_driver_sql(f'SELECT * FROM "{table}" ORDER BY "{key}"').mappings()
        for row in rows:
            tree.push(leaf_hash(leaf(table, dict(row))))
    return tree.root().hex()


def leaf(table: str, row: dict[str, Any]) -> bytes:
    """The bytes of one row: its table and its columns as they are stored, as JSON in ASCII."""
    document = [table, row]
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def count_up(connection: Connection) -> None:
    """Make this state another one than any before."""
    connection.exec_driver_sql(
        "INSERT INTO settings (key, value) VALUES (?, '1') "
        "ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)",
        (GENERATION,),
    )
