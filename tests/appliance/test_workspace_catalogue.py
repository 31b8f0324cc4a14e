"""The catalogue: rows in and out, transactions, damage, and errors that say no values."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import SQLAlchemyError

from appliance.errors import Busy, IntegrityError, UsageError
from appliance.workspace import database
from appliance.workspace.catalogue import Catalogue
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

KEY = SecretKey(b"c" * 32)
INSTANCE = StoredInstance(
    content_digest="i1",
    StudyInstanceUID="1.2.3",
    SeriesInstanceUID="1.2.3.4",
    SOPInstanceUID="1.2.3.4.5",
    AccessionNumber="A1",
    PatientID="P1",
    IssuerOfPatientID="SITE",
    StudyDate="20240131",
    Modality="CT",
    BodyPartExamined="CHEST",
    TransferSyntaxUID="1.2.840.10008.1.2.4.50",
    attributes={"Manufacturer": "Müller & Söhne", "KVP": 120.5, "Rows": 64},
    frame_object="f" * 64,
    frame_rule="only frame",
    height=64,
    width=48,
)
REPORT = StoredReport(
    "r1",
    "HL7 v2 ORU^R01",
    "1.2.3",
    "A1",
    "P1",
    "SITE",
    "20240131",
    "final",
    "t" * 64,
    issued="20240131T1200",
    OtherPatientIDs=("P1-old", "P1-older"),
)
PAIR = StoredPair(
    "p1", "pseudonym", "1.2.3", "20240131", "CT", "CHEST", "i1", "r1", "StudyInstanceUID", "only frame"
)
STUDY = StoredStudy("s1", "ImagingStudy/7", "1.2.3", "A1", "P1", "SITE", "20240131", "CT")
FILE = StoredFile("f1", "document", "waveform", "2024-01-31T10:00:00Z")
SET_ASIDE = Quarantined("q1", "not-dicom", "no DICM prefix", "h" * 64, "2024-01-31T10:00:00Z")
MODEL = StoredModel(
    "lumen", {"family": "contrastive", "digests": {"model.safetensors": "ab"}}, "2024-01-31T10:00:00Z"
)
COHORT = StoredCohort("chest", "d" * 64, {"roles": {"p1": "member"}}, "2024-01-31T10:00:00Z")
AUDIT = StoredAudit("a1", "lumen", "chest", "default", "2024-01-31T11:00:00Z", digests={"policy": "ef"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Catalogue.create(tmp_path / "catalogue.db", KEY, {"site_name": "St. Anna"})
    return tmp_path / "catalogue.db"


@pytest.fixture
def catalogue(path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(path, KEY)
    yield opened
    opened.close()


def filled(path: Path, rows: int) -> None:
    catalogue = Catalogue(path, KEY)
    catalogue.add_records(instances=[replace(INSTANCE, content_digest=f"{n:064d}") for n in range(rows)])
    catalogue.close()


def read_all(path: Path) -> None:
    catalogue = Catalogue(path, KEY)
    try:
        catalogue.verify()
        catalogue.instances()
    finally:
        catalogue.close()


def test_records_come_back(path: Path, catalogue: Catalogue) -> None:
    """Every row equals what was stored, also after reopening the file."""
    assert Added(1, 1, 1, 1, 1) == catalogue.add_records([INSTANCE], [REPORT], [STUDY], [FILE], [SET_ASIDE])
    catalogue.settle_pairs([PAIR])
    catalogue.add_model(MODEL)
    catalogue.add_cohort(COHORT)
    catalogue.start_audit(AUDIT)
    catalogue.close()
    reopened = Catalogue(path, KEY)
    assert reopened.instances() == (INSTANCE,) and reopened.instance("i1") == INSTANCE
    assert reopened.reports() == (REPORT,) and reopened.report("r1") == REPORT
    assert reopened.pairs() == (PAIR,) and reopened.pair("p1") == PAIR
    assert reopened.studies() == (STUDY,)
    assert reopened.quarantined() == (SET_ASIDE,)
    assert reopened.models() == (MODEL,) and reopened.model("lumen") == MODEL
    assert reopened.cohorts() == (COHORT,) and reopened.cohort("chest") == COHORT
    assert reopened.audits() == (AUDIT,) and reopened.audit("a1") == AUDIT
    assert reopened.setting("site_name") == "St. Anna"
    questions = (
        reopened.instance,
        reopened.report,
        reopened.pair,
        reopened.model,
        reopened.cohort,
        reopened.audit,
    )
    assert [question("x") for question in questions] == [None] * 6
    assert (
        Counts(studies=1, instances=1, reports=1, pairs=1, patients=1, quarantined=1, documents=1)
        == reopened.counts()
    )
    reopened.close()


def test_the_second_time_adds_nothing(catalogue: Catalogue) -> None:
    """Storing the same records again counts nothing and changes nothing."""
    catalogue.add_records([INSTANCE], [REPORT], [STUDY], [FILE], [SET_ASIDE])
    again = catalogue.add_records(
        [replace(INSTANCE, PatientID="other")], [REPORT], [STUDY], [FILE], [SET_ASIDE]
    )
    assert Added(0, 0, 0, 0, 0) == again
    assert catalogue.instance("i1") == INSTANCE
    assert frozenset({"i1", "r1", "f1"}) == catalogue.known_digests(["i1", "r1", "f1", "q1", "new"])


def test_a_usable_file_leaves_quarantine(catalogue: Catalogue) -> None:
    """A file set aside once and usable now is counted once."""
    catalogue.add_records(quarantined=[SET_ASIDE, replace(SET_ASIDE, content_digest="q2")])
    assert catalogue.quarantine_counts() == (("not-dicom", 2),)
    catalogue.add_records(files=[replace(FILE, content_digest="q1")])
    assert catalogue.quarantine_counts() == (("not-dicom", 1),)


def test_all_or_nothing(catalogue: Catalogue) -> None:
    """One bad row among good ones: none is stored, and the error says no value."""
    bad = replace(REPORT, PatientID=None)  # type: ignore[arg-type]
    with pytest.raises(SQLAlchemyError) as raised:
        catalogue.add_records([replace(INSTANCE, PatientID="Doe^Jane")], [bad])
    assert catalogue.instances() == ()
    assert "Doe^Jane" not in f"{raised.value} {raised.value!r}" and "20240131" not in str(raised.value)


def test_no_nan_in_documents(catalogue: Catalogue) -> None:
    """A number that is none is refused: JSON has no word for it."""
    with pytest.raises(SQLAlchemyError, match="JSON"):
        catalogue.add_records([replace(INSTANCE, attributes={"KVP": float("nan")})])


def test_names_are_never_reused(catalogue: Catalogue) -> None:
    """The same model or cohort again is no change; another one under its name is refused."""
    catalogue.add_model(MODEL)
    catalogue.add_model(replace(MODEL, registered_utc="later"))
    catalogue.add_cohort(COHORT)
    catalogue.add_cohort(replace(COHORT, created_utc="later"))
    with pytest.raises(UsageError, match="lumen"):
        catalogue.add_model(replace(MODEL, document={"family": "other"}))
    with pytest.raises(UsageError, match="chest"):
        catalogue.add_cohort(replace(COHORT, digest="e" * 64))
    assert catalogue.model("lumen") == MODEL and catalogue.cohort("chest") == COHORT


def test_an_audit_finishes_once(catalogue: Catalogue) -> None:
    """A running audit takes its result; a finished or unknown one is never rewritten."""
    catalogue.start_audit(AUDIT)
    done = replace(
        AUDIT,
        state="done",
        verdict="FAIL",
        why="7 of 24",
        result={"auroc": 0.97},
        finished_utc="2024-01-31T12:00:00Z",
    )
    catalogue.finish_audit(done)
    assert done == catalogue.audit("a1")
    for other in (replace(done, verdict="PASS"), replace(AUDIT, audit_id="a2", state="done")):
        with pytest.raises(UsageError, match=other.audit_id):
            catalogue.finish_audit(other)
    assert (done,) == catalogue.audits()


def test_settings(catalogue: Catalogue) -> None:
    """A setting is replaced; an unknown one is None."""
    catalogue.set_setting("site_name", "St. Bernward")
    assert catalogue.setting("site_name") == "St. Bernward"
    assert catalogue.setting("nothing") is None


def test_readers_while_writing(path: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader sees the last committed state while another writes; a second writer is told to wait."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    reader = Catalogue(path, KEY)
    with pytest.raises(Busy), catalogue.changing() as connection:
        connection.exec_driver_sql("INSERT INTO settings VALUES ('half', 'written')")
        assert reader.setting("half") is None
        assert reader.pairs() == ()
        reader.set_setting("second", "writer")
    assert reader.setting("half") is None
    reader.close()


def test_many_threads(catalogue: Catalogue) -> None:
    """Four threads that write and read at once lose nothing."""

    def work(thread: int) -> None:
        for n in range(10):
            catalogue.add_records(quarantined=[replace(SET_ASIDE, content_digest=f"{thread}-{n}")])
            catalogue.counts()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalogue.counts().quarantined == 40


def test_wrong_key(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Another key is refused, and SQLCipher says nothing on its own to the terminal."""
    with pytest.raises(IntegrityError, match=r"catalogue\.db"):
        Catalogue(path, SecretKey(bytes(32)))
    assert tuple(capfd.readouterr()) == ("", "")


def test_missing_and_foreign_file(path: Path) -> None:
    """No file, and a file that is no catalogue, are refused and not created or changed."""
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        Catalogue(path, KEY)
    assert not path.exists()
    path.write_bytes(b"SQLite format 3\x00" + bytes(8000))
    with pytest.raises(IntegrityError):
        Catalogue(path, KEY)


def test_another_schema(path: Path, catalogue: Catalogue) -> None:
    """A catalogue of a later version is left alone."""
    catalogue.set_setting("schema", "9")
    catalogue.close()
    with pytest.raises(UsageError, match="schema 9"):
        Catalogue(path, KEY)


def test_every_flipped_bit_is_noticed(path: Path) -> None:
    """400 single flipped bits anywhere in the closed file are each noticed."""
    filled(path, 300)
    genuine, rng = path.read_bytes(), random.Random(5)
    read_all(path)
    for _ in range(400):
        flipped, place = bytearray(genuine), rng.randrange(len(genuine))
        flipped[place] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(IntegrityError):
            read_all(path)


def test_pages_exchanged_or_cut(path: Path) -> None:
    """Two genuine pages swapped, one copied over another, and a cut file are noticed."""
    filled(path, 300)
    genuine = path.read_bytes()
    pages = [genuine[at : at + 4096] for at in range(0, len(genuine), 4096)]
    swapped = [*pages[:3], pages[4], pages[3], *pages[5:]]
    copied = [*pages[:4], pages[3], *pages[5:]]
    for bad in (swapped, copied, pages[:-1], [*pages, pages[-1]]):
        path.write_bytes(b"".join(bad))
        with pytest.raises(IntegrityError):
            read_all(path)


def test_pragmas(catalogue: Catalogue) -> None:
    """The settings that durability and erasure rest on are the ones in force."""
    with catalogue._reading() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete", "temp_store", "cipher_log_level")
        }
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 1,
        "temp_store": 2,
        "cipher_log_level": "NONE",
    }
