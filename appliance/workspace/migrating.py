"""Running alembic over an open SQLCipher transaction: no ini file, no output, no URL.

The setting `schema` says where a catalogue stands; alembic's own table lives only inside the transaction.
"""

from __future__ import annotations

import io
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from appliance.workspace import migrations


def upgrade(connection: Connection, schema: str) -> None:
    """Bring the catalogue to `schema`; the caller's transaction holds all of it.

    Args:
        connection: in a writing transaction.
        schema: the number to arrive at; an empty database begins before the first.
    """
    config = _config(connection)
    stored = _stored(connection)
    if stored:
        command.stamp(config, revision(stored), purge=True)
    command.upgrade(config, revision(schema))
    connection.exec_driver_sql("DROP TABLE alembic_version")
    connection.exec_driver_sql(
        "INSERT INTO settings (key, value) VALUES ('schema', ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (schema,),
    )


def revision(schema: str) -> str:
    """The name of the revision that makes this schema."""
    return f"{int(schema):04}"


def _stored(connection: Connection) -> str:
    tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'settings'"
    if not connection.exec_driver_sql(tables).scalar_one():
        return ""
    return str(connection.exec_driver_sql("SELECT value FROM settings WHERE key = 'schema'").scalar_one())


def _config(connection: Connection) -> Config:
    config = Config(stdout=io.StringIO(), attributes={"connection": connection})
    home = str(Path(migrations.__file__).parent)
    config.set_main_option("script_location", home.replace("%", "%%"))
    return config
