"""Writes the frozen catalogue of schema 3: python -m tests.appliance.old_catalogue OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.workspace.database import open_engine, writing
from appliance.workspace.keys import SecretKey
from appliance.workspace.migrating import upgrade

KEY = SecretKey(b"c" * 32)
VECTOR = Path(__file__).parents[1] / "vectors" / "catalogue-schema-3.db"
ROWS = {
    "settings": {"key": "site_name", "value": "St. Anna"},
    "models": {
        "name": "lumen",
        "document": '{"family":"contrastive","digests":{"model.safetensors":"ab"}}',
        "registered_utc": "2024-01-31T10:00:00Z",
    },
    "cohorts": {
        "name": "chest",
        "digest": "d" * 64,
        "document": '{"roles":{"p1":"member"}}',
        "created_utc": "2024-01-31T10:00:00Z",
    },
    "files": {
        "content_digest": "f1",
        "outcome": "document",
        "reason": "waveform",
        "taken_utc": "2024-01-31T10:00:00Z",
    },
    "audits": {
        "audit_id": "a1",
        "model": "lumen",
        "cohort": "chest",
        "policy": "default",
        "started_utc": "2024-01-31T11:00:00Z",
        "finished_utc": "",
        "state": "running",
        "verdict": "",
        "why": "",
        "result": None,
        "findings_object": "",
        "digests": '{"policy":"ef"}',
    },
}


def build(path: Path) -> None:
    """A catalogue as schema 3 was, with a row in most tables; one file, no write-ahead log beside it."""
    engine = open_engine(path, KEY)
    with engine.connect() as connection, writing(connection):
        upgrade(connection, "3")
        for table, row in ROWS.items():
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"
            connection.exec_driver_sql(statement, tuple(row.values()))
    engine.dispose()


if __name__ == "__main__":
    build(Path(sys.argv[1]))
