"""Earlier catalogues: brought up to date whole or not at all, and later ones refused by name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from appliance.errors import CannotWrite, UsageError
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.database import open_engine, writing
from appliance.workspace.migrating import upgrade
from appliance.workspace.tables import EARLIEST, METADATA, SCHEMA
from tests.appliance.old_catalogue import KEY, ROWS, VECTOR, build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The frozen catalogue of schema 3, in a folder of its own."""
    return Path(shutil.copy(VECTOR, tmp_path / "catalogue.db"))


def shape(engine: Engine) -> Any:
    """Tables with their columns, and indices, as SQLite knows them."""
    with engine.connect() as connection, connection.begin():
        names = connection.exec_driver_sql("SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2")
        known = [tuple(row) for row in names]
        columns = {
            name: [tuple(row) for row in connection.exec_driver_sql(f'PRAGMA table_info("{name}")')]
            for kind, name, _ in known
            if kind == "table"
        }
    return known, columns


def test_a_frozen_catalogue_opens_migrates_and_keeps_its_rows(old: Path) -> None:
    """The file of an earlier version is read after migration, and the copy beside it is gone."""
    catalogue = Catalogue(old, KEY)
    assert catalogue.outdated
    with pytest.raises(UsageError, match="earlier version"):
        catalogue.models()
    catalogue.migrate()
    assert [row.name for row in catalogue.models()] == [ROWS["models"]["name"]]
    assert [row.digest for row in catalogue.cohorts()] == [ROWS["cohorts"]["digest"]]
    assert [(row.audit_id, row.digests) for row in catalogue.audits()] == [("a1", {"policy": "ef"})]
    assert catalogue.setting("site_name") == "St. Anna" and catalogue.setting("schema") == SCHEMA
    catalogue.add_subject_keys({"s" * 32: "00"})
    catalogue.close()
    assert [path.name for path in old.parent.iterdir()] == ["catalogue.db"]
    assert not Catalogue(old, KEY).outdated


def test_revisions_build_what_the_tables_say(tmp_path: Path, old: Path) -> None:
    """Who changes a table and writes no revision fails here: fresh, built and migrated have one shape."""
    Catalogue.create(tmp_path / "fresh.db", KEY, {})
    built = open_engine(tmp_path / "built.db", KEY)
    with built.connect() as connection, writing(connection):
        upgrade(connection, SCHEMA)
    migrated = Catalogue(old, KEY)
    migrated.migrate()
    fresh = shape(open_engine(tmp_path / "fresh.db", KEY))
    assert fresh == shape(built) == shape(migrated._engine)
    assert set(fresh[1]) == set(METADATA.tables)


def test_the_frozen_file_is_what_the_command_builds(tmp_path: Path, old: Path) -> None:
    """The vector was not written by hand."""
    build(tmp_path / "again.db")
    assert shape(open_engine(old, KEY)) == shape(open_engine(tmp_path / "again.db", KEY))


@pytest.mark.parametrize("schema", ["99", str(EARLIEST - 1), "x"])
def test_other_schemas_are_refused_by_name(old: Path, schema: str) -> None:
    """A catalogue of a later version, or of one too old, says so and stays as it is."""
    engine = open_engine(old, KEY)
    with engine.connect() as connection, writing(connection):
        connection.exec_driver_sql("UPDATE settings SET value = ? WHERE key = 'schema'", (schema,))
    engine.dispose()
    before = old.read_bytes()
    with pytest.raises(UsageError, match=f"has schema {schema}"):
        Catalogue(old, KEY)
    assert old.read_bytes() == before


class Stopped(Exception):
    """The process ended here."""


def _migrate_and_stop(path: Path, at: int) -> int:
    """Migrate, ending at statement number `at`; returns how many statements there were."""
    catalogue, seen = Catalogue(path, KEY), 0

    @event.listens_for(catalogue._engine, "before_cursor_execute")
    def count(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            raise Stopped

    try:
        catalogue.migrate()
    finally:
        catalogue._engine.dispose()
    return seen


def test_a_migration_that_ends_anywhere_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """After every statement of a migration: every row is there, and the next opening finishes it."""
    whole = Path(shutil.copy(VECTOR, tmp_path / "whole.db"))
    statements = _migrate_and_stop(whole, at=-1)
    assert statements > 10
    for at in range(1, statements + 1):
        path = Path(shutil.copy(VECTOR, tmp_path / f"{at}.db"))
        with pytest.raises(Stopped):
            _migrate_and_stop(path, at)
        again = Catalogue(path, KEY)
        assert again.outdated
        again.migrate()
        assert [row.name for row in again.models()] == ["lumen"] and again.setting("schema") == SCHEMA
        again.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.keys import SecretKey
catalogue, seen = Catalogue(Path(sys.argv[1]), SecretKey(b"c" * 32)), 0
def count(*_):
    global seen
    seen += 1
    if seen == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
event.listen(catalogue._engine, "before_cursor_execute", count)
if sys.argv[2] == "0":
    event.listen(catalogue._engine, "commit", lambda connection: os.kill(os.getpid(), signal.SIGKILL))
catalogue.migrate()
"""


@pytest.mark.parametrize("at", [3, 12, 0], ids=["before", "during", "at the commit"])
def test_a_killed_migration_is_finished_at_the_next_opening(old: Path, at: int) -> None:
    """kill -9 with a real process, which leaves its copy beside the file; the next one takes it away."""
    ended = subprocess.run([sys.executable, "-c", KILLED, str(old), str(at)], cwd=ROOT, check=False)
    assert ended.returncode == -9
    catalogue = Catalogue(old, KEY)
    catalogue.migrate()
    assert [row.name for row in catalogue.models()] == ["lumen"]
    catalogue.close()
    assert [path.name for path in old.parent.iterdir()] == ["catalogue.db"]


def test_a_copy_that_a_killed_process_left_goes(old: Path) -> None:
    """Killed after the commit: the next opening removes the copy, which may hold what was erased since."""
    Catalogue(old, KEY).migrate()
    left = old.with_name(f"{old.name}.before-{SCHEMA}")
    left.write_bytes(b"?")
    Catalogue(old, KEY).migrate()
    assert not left.exists()


def test_without_room_for_the_copy_nothing_is_migrated(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy comes first; when it cannot be written, the catalogue stays as it is."""

    def full(self: Catalogue, target: Path) -> None:
        raise CannotWrite("cannot write the copy")

    monkeypatch.setattr(Catalogue, "snapshot", full)
    catalogue = Catalogue(old, KEY)
    with pytest.raises(CannotWrite):
        catalogue.migrate()
    catalogue.close()
    assert Catalogue(old, KEY).outdated


def test_alembic_is_imported_only_for_an_earlier_schema(tmp_path: Path) -> None:
    """Opening a catalogue of today imports no alembic; opening an old one does, so the test can fail."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom appliance.workspace.catalogue import Catalogue\n"
        "from appliance.workspace.keys import SecretKey\n"
        "Catalogue(Path(sys.argv[1]), SecretKey(b'c' * 32)).migrate()\nprint('alembic' in sys.modules)"
    )
    Catalogue.create(tmp_path / "new.db", KEY, {})
    shutil.copy(VECTOR, tmp_path / "old.db")
    for name, expected in (("new.db", "False"), ("old.db", "True")):
        command = [sys.executable, "-c", program, str(tmp_path / name)]
        assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip() == expected
