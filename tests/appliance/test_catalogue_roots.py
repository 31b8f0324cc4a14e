"""What the log knows of the catalogue: put back, edited, or cut off by a kill, and no false alarm."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlcipher3.dbapi2 as sqlcipher

from appliance.errors import ApplianceError, IntegrityError, LogUnwritable
from appliance.evidence.log import EvidenceLog
from appliance.roots import ACT, CatalogueRoots
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.keys import SecretKey
from tests.appliance.old_catalogue import VECTOR
from tests.appliance.test_workspace_catalogue import AUDIT, COHORT, INSTANCE, MODEL

KEY = SecretKey(b"c" * 32)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A catalogue and a log beside each other, opened once."""
    Catalogue.create(tmp_path / "catalogue.db", KEY, {"site_name": "St. Anna"})
    EvidenceLog.open(tmp_path / "log").close()
    with_roots(tmp_path, lambda catalogue: None)
    return tmp_path


def with_roots(site: Path, change: Callable[[Catalogue], Any]) -> None:
    """Open as the appliance does, change something, leave."""
    catalogue = Catalogue(site / "catalogue.db", KEY)
    roots = CatalogueRoots(catalogue, EvidenceLog.open(site / "log", create=False))
    try:
        roots.check()
        change(catalogue)
    finally:
        roots.leave()
        catalogue.close()


def past_the_software(site: Path, *statements: str) -> None:
    """What somebody does who holds the RUN key and a database shell."""
    connection = sqlcipher.connect(site / "catalogue.db", isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{KEY.raw.hex()}'\"")
    for statement in statements:
        connection.execute(statement)
    connection.close()


CHANGES: dict[str, Callable[[Catalogue], Any]] = {
    "model": lambda catalogue: catalogue.add_model(MODEL),
    "cohort": lambda catalogue: catalogue.add_cohort(COHORT),
    "audit": lambda catalogue: catalogue.start_audit(AUDIT),
    "studies": lambda catalogue: catalogue.add_records([INSTANCE]),
    "key of a patient": lambda catalogue: catalogue.add_subject_keys({"s" * 32: "00"}),
    "setting": lambda catalogue: catalogue.set_setting("quorum", "2"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_catalogue_put_back_is_found(site: Path, kind: str) -> None:
    """Whatever was changed since: the file of before is refused, and the log says so."""
    shutil.copy(site / "catalogue.db", site / "kept")
    with_roots(site, CHANGES[kind])
    shutil.copy(site / "kept", site / "catalogue.db")
    with pytest.raises(IntegrityError, match="put back to an earlier state: the state before"):
        with_roots(site, lambda catalogue: None)
    last = EvidenceLog.open(site / "log", create=False).entries(-1)[0]
    assert (last.act, last.outcome) == ("catalogue.check", "refused")


def test_without_the_check_a_catalogue_put_back_opens(site: Path) -> None:
    """SQLCipher alone says nothing: the control of the test above."""
    shutil.copy(site / "catalogue.db", site / "kept")
    with_roots(site, CHANGES["audit"])
    shutil.copy(site / "kept", site / "catalogue.db")
    catalogue = Catalogue(site / "catalogue.db", KEY)
    catalogue.verify()
    assert catalogue.audits() == ()
    catalogue.close()


def test_every_earlier_state_is_found(site: Path) -> None:
    """Twenty states, each put back over the last one: all refused, and the last one opens."""
    for number in range(20):
        shutil.copy(site / "catalogue.db", site / f"kept-{number}")
        with_roots(site, lambda catalogue, n=number: catalogue.add_cohort(replace(COHORT, name=f"c{n}")))
    shutil.copy(site / "catalogue.db", site / "last")
    for number in range(20):
        shutil.copy(site / f"kept-{number}", site / "catalogue.db")
        with pytest.raises(IntegrityError, match="put back"):
            with_roots(site, lambda catalogue: None)
    shutil.copy(site / "last", site / "catalogue.db")
    with_roots(site, lambda catalogue: None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audits SET verdict = 'PASS', state = 'done'",
        "UPDATE audits SET result = '{}'",
        "DELETE FROM audits",
        "INSERT INTO cohorts SELECT 'twin', digest, document, created_utc FROM cohorts",
        "UPDATE cohorts SET document = '{}'",
        "DELETE FROM models",
        "UPDATE settings SET value = 'elsewhere' WHERE key = 'site_name'",
        "UPDATE settings SET value = '1' WHERE key = 'generation'",
    ],
)
def test_rows_changed_past_the_software_are_found(site: Path, statement: str) -> None:
    """Whoever holds the RUN key writes rows that SQLCipher accepts; the log does not know them."""
    for change in CHANGES.values():
        with_roots(site, change)
    past_the_software(site, statement)
    catalogue = Catalogue(site / "catalogue.db", KEY)
    catalogue.verify()  # the control: pages are whole
    catalogue.close()
    with pytest.raises(IntegrityError, match="rows that this workspace never wrote"):
        with_roots(site, lambda catalogue: None)


def test_a_change_while_it_is_open_is_found_at_the_next_write(site: Path) -> None:
    """A program that runs for weeks does not make somebody else's rows its own."""

    def work(catalogue: Catalogue) -> None:
        catalogue.add_model(MODEL)
        past_the_software(site, "UPDATE models SET document = '{}'")
        catalogue.add_cohort(COHORT)

    with pytest.raises(IntegrityError, match="never wrote"):
        with_roots(site, work)
    with pytest.raises(IntegrityError, match="never wrote"):
        with_roots(site, lambda catalogue: None)


# -- pages ---------------------------------------------------------------------------------------------------

PAGE = 4096


def _opened_and_verified(site: Path) -> None:
    with_roots(site, lambda catalogue: catalogue.verify())


def test_damaged_exchanged_and_older_pages_are_found(site: Path) -> None:
    """400 flipped bits, every page swapped with its neighbour, every older page put back: all found."""
    for number in range(30):
        with_roots(site, lambda catalogue, n=number: catalogue.add_cohort(replace(COHORT, name=f"c{n}")))
    path = site / "catalogue.db"
    older = path.read_bytes()
    with_roots(site, lambda catalogue: catalogue.set_setting("x", "y" * 9000))
    whole = path.read_bytes()
    pages = len(whole) // PAGE
    draw, found, tried = random.Random(1), 0, 0
    for _ in range(400):
        at = draw.randrange(len(whole))
        tried, found = tried + 1, found + _detected(site, _flipped(whole, at, 1 << draw.randrange(8)))
    for page in range(1, pages - 1):
        a, b = whole[page * PAGE : (page + 1) * PAGE], whole[(page + 1) * PAGE : (page + 2) * PAGE]
        swapped = whole[: page * PAGE] + b + a + whole[(page + 2) * PAGE :]
        tried, found = tried + 1, found + _detected(site, swapped)
    for page in range(min(pages, len(older) // PAGE)):
        place = slice(page * PAGE, (page + 1) * PAGE)
        if older[place] != whole[place]:
            mixed = whole[: place.start] + older[place] + whole[place.stop :]
            tried, found = tried + 1, found + _detected(site, mixed)
    assert found == tried
    assert not _detected(site, whole)


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def _detected(site: Path, data: bytes) -> bool:
    for beside in ("catalogue.db-wal", "catalogue.db-shm"):
        (site / beside).unlink(missing_ok=True)
    (site / "catalogue.db").write_bytes(data)
    try:
        _opened_and_verified(site)
    except ApplianceError:
        return True
    return False


# -- kills ---------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[str]]]:
    """Count the places where a writer may die, and die at one of them: around each entry and each commit."""
    state: dict[str, Any] = {"at": -1, "seen": []}

    def point(name: str) -> None:
        state["seen"].append(name)
        if len(state["seen"]) == state["at"]:
            raise Killed

    append = EvidenceLog.append_all

    def appending(self: EvidenceLog, *given: Any, **named: Any) -> Any:
        point("before an entry")
        entry = append(self, *given, **named)
        point("after an entry")
        return entry

    def chosen(at: int) -> list[str]:
        state.update(at=at, seen=[])
        return state["seen"]

    monkeypatch.setattr(EvidenceLog, "append_all", appending)
    yield chosen


def _work(catalogue: Catalogue) -> None:
    for change in CHANGES.values():
        change(catalogue)


def _die(site: Path) -> None:
    """As `with_roots`, but a process that is killed leaves nothing behind it in order."""
    catalogue = Catalogue(site / "catalogue.db", KEY)
    roots = CatalogueRoots(catalogue, EvidenceLog.open(site / "log", create=False))
    try:
        roots.check()
        _work(catalogue)
        roots.settle()
    finally:
        catalogue.close()


def test_a_kill_anywhere_gives_no_false_alarm_and_hides_no_rollback(
    site: Path, points: Callable[[int], list[str]]
) -> None:
    """Around every entry: the next opening accepts what is there, and refuses the state before it all."""
    shutil.copytree(site, site.with_name("start"))
    seen = points(-1)
    _die(site)
    total = len(seen)
    assert total >= 2 * (len(CHANGES) + 1)
    for at in range(1, total + 1):
        place = site.with_name(f"killed-{at}")
        shutil.copytree(site.with_name("start"), place)
        points(at)
        with pytest.raises(Killed):
            _die(place)
        points(-1)
        with_roots(place, _work)
        shutil.copy(site.with_name("start") / "catalogue.db", place / "catalogue.db")
        with pytest.raises(IntegrityError, match="put back"):
            with_roots(place, lambda catalogue: None)


KILLED = f"""
import os, signal, sys
from pathlib import Path
from appliance.evidence.log import EvidenceLog
from appliance.roots import CatalogueRoots
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.keys import SecretKey
from tests.appliance.test_workspace_catalogue import COHORT, MODEL
site, fsyncs, real = Path(sys.argv[1]), 0, os.fsync
def dying(descriptor):
    global fsyncs
    fsyncs += 1
    if fsyncs == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = dying
catalogue = Catalogue(site / "catalogue.db", SecretKey({KEY.raw!r}))
roots = CatalogueRoots(catalogue, EvidenceLog.open(site / "log", create=False))
roots.check()
catalogue.add_model(MODEL)
catalogue.add_cohort(COHORT)
roots.settle()
"""


@pytest.mark.parametrize("at", [1, 3, 6, 9])
def test_a_killed_process_gives_no_false_alarm(site: Path, at: int) -> None:
    """kill -9 with a real process, between the fsyncs of the log's entries."""
    command = [sys.executable, "-c", KILLED, str(site), str(at)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -9
    with_roots(site, _work)


def test_a_log_without_room_undoes_the_change(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry, no state: the transaction is rolled back, and the catalogue opens as it was."""

    def full(*_: Any, **__: Any) -> None:
        raise LogUnwritable("the log cannot be written")

    def work(catalogue: Catalogue) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(EvidenceLog, "append_all", full)
            with pytest.raises(LogUnwritable):
                catalogue.add_model(MODEL)
        assert catalogue.models() == ()

    with_roots(site, work)
    with_roots(site, lambda catalogue: None)


def test_a_change_that_changes_nothing_is_no_state(site: Path) -> None:
    """Storing what is there already writes no entry."""
    with_roots(site, CHANGES["model"])
    size = EvidenceLog.open(site / "log", create=False).size
    with_roots(site, CHANGES["model"])
    assert EvidenceLog.open(site / "log", create=False).size == size


def test_a_migration_is_a_state_the_log_knows(site: Path) -> None:
    """An earlier catalogue is brought up to date at opening; put back afterwards, it is refused."""
    shutil.rmtree(site / "log")
    EvidenceLog.open(site / "log").close()
    shutil.copy(VECTOR, site / "catalogue.db")
    with_roots(site, lambda catalogue: catalogue.add_cohort(replace(COHORT, name="new")))
    shutil.copy(VECTOR, site / "catalogue.db")
    with pytest.raises(IntegrityError, match="put back"):
        with_roots(site, lambda catalogue: None)


READER = f"""
import sys
from pathlib import Path
from appliance.evidence.log import EvidenceLog
from appliance.roots import CatalogueRoots
from appliance.workspace.catalogue import Catalogue
from appliance.workspace.keys import SecretKey
site = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    catalogue = Catalogue(site / "catalogue.db", SecretKey({KEY.raw!r}))
    roots = CatalogueRoots(catalogue, EvidenceLog.open(site / "log", create=False))
    roots.check()
    roots.leave()
    catalogue.close()
"""


def test_readers_beside_a_writer_raise_no_alarm(site: Path) -> None:
    """Two processes open again and again while a third writes: no state is unknown to the log."""
    readers = [
        subprocess.Popen([sys.executable, "-c", READER, str(site), "5"], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(2)
    ]

    def work(catalogue: Catalogue) -> None:
        number = 0
        while any(reader.poll() is None for reader in readers):
            number += 1
            catalogue.set_setting("number", str(number))
            time.sleep(0.01)

    with_roots(site, work)
    assert [(reader.wait(), reader.stderr.read() if reader.stderr else b"") for reader in readers] == [
        (0, b""),
        (0, b""),
    ]
    entries = EvidenceLog.open(site / "log", create=False).entries(0, 10**6)
    assert [entry.act for entry in entries if entry.act != ACT] == ["log.create"]
