"""Findings are compared with what was merged before they are shown, without reading all of them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Connection, Float, Integer, insert, text

from appliance.api import Appliance
from appliance.errors import IntegrityError
from appliance.finding_views import FindingsAsked
from appliance.workspace import evidence_checked
from appliance.workspace.database import open_engine, writing
from appliance.workspace.evidence_batches import EVIDENCE
from appliance.workspace.evidence_checked import silent
from appliance.workspace.evidence_columns import Columns, content_of, digest_of
from appliance.workspace.evidence_state import rows_digest
from appliance.workspace.evidence_store import engine_of, file_of, opened
from appliance.workspace.evidence_tables import (
    FINDINGS,
    IDENTITIES,
    METADATA,
    PROBABILITIES,
    SCORES,
    insert_findings,
)
from appliance.workspace.ga1 import seal
from appliance.workspace.keys import SecretKey
from tests.appliance import ward

AUDIT = "A-00000000000a"
TABLES = (FINDINGS, IDENTITIES, PROBABILITIES, SCORES)
NOT_MERGED = "not those that were merged"
REASON = "an access request"


def unlocked(root: Path) -> Appliance:
    return Appliance.unlock(root, ward.PASSPHRASE, "officer")


def by_hand(site: Appliance, root: Path, *changes: str) -> None:
    """Somebody with the evidence key changes rows past this software."""
    key = site._workspace.evidence_key()
    engine = engine_of(file_of(root / EVIDENCE, key), key)
    with engine.connect() as connection, connection.begin():
        for change in changes:
            connection.execute(text(change))
    engine.dispose()


def columns_file(root: Path) -> Path:
    (path,) = (root / EVIDENCE).glob("*-columns-*")
    return path


# -- the digest covers everything ----------------------------------------------------------------------------


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[Connection]:
    """Three findings of two patients, one of them without a score, in a transaction."""
    engine = open_engine(tmp_path / "evidence.db", SecretKey.random())
    found = [
        {
            "pair_id": f"{9 - number}",
            "patient": f"P-{number // 2}",
            "role": "target",
            "judged": True,
            "flagged": number == 1,
            "p_value": 0.25,
            "scores": {"fused": {"value": number / 2} if number else {"reason": "no tokens"}},
            "leak_probability": {"0.01": 0.5},
        }
        for number in range(3)
    ]
    known = [
        {"audit_id": AUDIT, "patient": f"P-{one}", "issuer": "W", "patient_id": str(one)} for one in "01"
    ]
    with engine.connect() as connection, writing(connection):
        METADATA.create_all(connection)
        insert_findings(connection, AUDIT, found)
        connection.execute(insert(IDENTITIES), known)
        yield connection
    engine.dispose()


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table in TABLES for column in table.c if column.name != "audit_id"],
)
def test_any_value_of_any_row_is_in_the_digest(rows: Connection, table: Any, column: Any) -> None:
    """Each column of each table, row by row: another value gives another digest, a missing row too."""
    before = digest_of(content_of(rows, AUDIT, silent))
    assert digest_of(content_of(rows, AUDIT, silent)) == before
    numbers = isinstance(column.type, (Boolean, Float, Integer))
    key = " || '/' || ".join(one.name for one in table.primary_key.columns)
    keys = list(rows.exec_driver_sql(f"SELECT {key} FROM {table.name}").scalars())
    assert len(keys) > 1
    another = f"7 - coalesce({column.name}, 9)" if numbers else f"{column.name} || 'x'"
    for change in (f"UPDATE {table.name} SET {column.name} = {another}", f"DELETE FROM {table.name}"):
        for one in keys:
            with rows.begin_nested() as undone:
                rows.exec_driver_sql(f"{change} WHERE {key} = ?", (one,))
                assert digest_of(content_of(rows, AUDIT, silent)) != before
                undone.rollback()
    assert digest_of(content_of(rows, AUDIT, silent)) == before


def test_rows_of_another_audit_are_not_in_it(rows: Connection) -> None:
    """What another audit found changes nothing; a row more of this one does, also where no finding has it."""
    before = content_of(rows, AUDIT, silent)
    rows.exec_driver_sql("INSERT INTO scores SELECT 'A-other', pair_id, detector, value, reason FROM scores")
    assert content_of(rows, AUDIT, silent) == before
    rows.exec_driver_sql(f"INSERT INTO scores VALUES ('{AUDIT}', 'nobody', 'fused', 1.0, '')")
    assert content_of(rows, AUDIT, silent) != before


def test_columns_of_nothing_are_empty(rows: Connection) -> None:
    """An audit without findings has columns of no length."""
    columns = Columns(content_of(rows, "A-other", silent))
    assert (columns.count, len(columns.patients), columns.of_patient("P-0")) == (0, 0, {})
    assert columns.values("score fused").shape == columns.order("score fused").shape == (0,)


# -- what somebody changed is found before it is shown -------------------------------------------------------

CHANGES = (
    "UPDATE scores SET value = value + 1 WHERE value IS NOT NULL",
    "UPDATE scores SET reason = 'another' WHERE value IS NULL",
    "UPDATE findings SET flagged = 1 - flagged",
    "UPDATE findings SET place = 100 - place",
    "UPDATE findings SET p_value = 'no number'",
    "UPDATE findings SET patient = CAST(patient AS BLOB)",
    "DELETE FROM probabilities",
    "DELETE FROM findings",
)
EXCHANGED = (
    "CREATE TEMP TABLE t AS SELECT * FROM findings",
    "UPDATE findings SET p_value = (SELECT p_value FROM t WHERE t.place = 1 + findings.place % 9)",
)


@pytest.mark.parametrize("changes", [*((one,) for one in CHANGES), EXCHANGED])
def test_changed_rows_are_found_before_they_are_shown(root: Path, changes: tuple[str, ...]) -> None:
    """In a list, a single finding and a reveal, with the columns at hand and without."""
    with unlocked(root) as site:
        site.open_findings()
        patient = site.findings_page(ward.AUDIT, FindingsAsked(sort="probability")).rows[0].patient
        by_hand(site, root, *changes)
        kept = columns_file(root)
        for _ in range(2):
            for look in (
                lambda: site.findings_page(ward.AUDIT, FindingsAsked(sort="probability"), 0, 5),
                lambda: site.finding(ward.AUDIT, patient),
                lambda: site.reveal_finding(ward.AUDIT, patient, REASON),
            ):
                with pytest.raises(IntegrityError, match=NOT_MERGED):
                    look()
            kept.unlink(missing_ok=True)
        assert len(site.verify_workspace().damages) == 1


def test_a_finding_more_is_found_before_it_is_shown(root: Path) -> None:
    """A row that was never merged is in no list, and the patient it names is not shown."""
    with unlocked(root) as site:
        before = site.findings_page(ward.AUDIT)
        patient = before.rows[0].patient
        more = "SELECT audit_id, 'made up', 99, patient, role, judged, flagged, p_value FROM findings LIMIT 1"
        by_hand(site, root, f"INSERT INTO findings {more}", f"UPDATE findings SET patient = '{patient}'")
        with pytest.raises(IntegrityError, match=NOT_MERGED):
            site.finding(ward.AUDIT, patient)
        assert len(site.verify_workspace().damages) == 1


def test_another_identity_is_found_before_it_is_shown(root: Path) -> None:
    """Who a pseudonym is, is compared as well: nobody is told another patient's name."""
    with unlocked(root) as site:
        patient = site.findings_page(ward.AUDIT).rows[0].patient
        by_hand(site, root, "UPDATE identities SET patient_id = 'somebody else'")
        with pytest.raises(IntegrityError, match=NOT_MERGED):
            site.reveal_finding(ward.AUDIT, patient, REASON)


# -- the columns beside the database -------------------------------------------------------------------------


def test_columns_that_are_not_those_are_made_again(root: Path) -> None:
    """Damaged, cut, of an earlier day or missing: the list is right, and the file is there again."""
    with unlocked(root) as site:
        expected = site.findings(ward.AUDIT)
        whole = columns_file(root).read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        for left in (flipped, whole[:-1], whole[:middle], b"", None):
            path = columns_file(root)
            path.unlink()
            if left is not None:
                path.write_bytes(left)
            assert site.findings(ward.AUDIT) == expected
            again = columns_file(root).read_bytes()
            assert again not in (left, whole)
        assert not site.verify_workspace().damages


def test_columns_that_a_holder_of_the_key_made_up_are_not_used(root: Path, tmp_path: Path) -> None:
    """Sealed under the right key and meaning, with another score: the log answers for another digest."""
    with unlocked(root) as site:
        expected = site.findings(ward.AUDIT)
        key = site._workspace.evidence_key()
        with opened(site._workspace, key) as (store, _), store._reading() as connection:
            checked = store._rows
            columns = checked.columns(connection, ward.AUDIT)
            assert columns is not None
            (noted,) = (checked._columns or ("",))[:1]
            content = content_of(connection, ward.AUDIT, silent)
            forged = content.replace(columns["score fused"][:2].tobytes(), bytes(16), 1)
            assert forged != content
            path = columns_file(root)
            path.write_bytes(b"".join(seal(checked._key, checked._meaning(noted), forged)))
        assert site.findings(ward.AUDIT) == expected


def test_an_erased_patient_is_not_in_columns_put_back(root: Path) -> None:
    """The columns of before the erasure open no more, whoever brings them back."""
    with unlocked(root) as site:
        plan = site.erasure_plan(ward.ERASED_ONE)
        assert plan.patient in {row.patient for row in site.findings(ward.AUDIT)}
        path = columns_file(root)
        before = path.read_bytes()
        site.erase_patient(ward.ERASED_ONE, confirmed=plan.patient)
        left = site.findings(ward.AUDIT)
        path.write_bytes(before)
        assert site.findings(ward.AUDIT) == left
        assert plan.patient not in {row.patient for row in left}


def test_a_disk_that_keeps_no_columns_hides_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full or read-only beside the database: the findings are shown, and nothing half-written is left."""

    def full(*given: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evidence_checked, "write_new", full)
    with unlocked(root) as site:
        assert site.findings(ward.AUDIT)
        assert not list((root / EVIDENCE).glob("*-columns-*"))


def test_another_evidence_key_leaves_no_columns_of_the_earlier_one(root: Path) -> None:
    """Its database goes, and what lay beside it."""
    with unlocked(root) as site:
        expected = site.findings(ward.AUDIT)
        earlier = columns_file(root)
        site.rotate_keys(evidence=True)
        assert not earlier.exists()
        assert site.findings(ward.AUDIT) == expected


# -- how far it is -------------------------------------------------------------------------------------------


def test_reading_all_rows_says_how_far_it_is(root: Path) -> None:
    """The first look after a merge is told; later looks read no row through and tell nothing."""
    told: list[tuple[int, int]] = []
    for first in (True, False):
        with unlocked(root) as site:
            total = site.findings_page(ward.AUDIT, on_step=lambda *step: told.append(step)).total
            assert told == ([(0, total), (total, total)] if first else [])
            told.clear()


# -- what an earlier version noted ---------------------------------------------------------------------------


@pytest.mark.parametrize("changed", [False, True])
def test_digests_of_an_earlier_version_are_checked_once_and_renewed(root: Path, changed: bool) -> None:
    """Rows that stand under the earlier digest get one of today; others are shown as little as before."""
    with unlocked(root) as site:
        expected = site.findings(ward.AUDIT)
        key = site._workspace.evidence_key()
        with opened(site._workspace, key) as (store, _), store._changing() as connection:
            noted = rows_digest(connection, ward.AUDIT)
            connection.exec_driver_sql("UPDATE standing SET digest = ?", (noted,))
            if changed:
                connection.exec_driver_sql("UPDATE scores SET value = 0.0 WHERE detector = 'fused'")
        columns_file(root).unlink()
        if changed:
            assert len(site.verify_workspace().damages) == 1
            with pytest.raises(IntegrityError, match=NOT_MERGED):
                site.findings(ward.AUDIT)
            return
        assert not site.verify_workspace().damages
        assert site.findings(ward.AUDIT) == expected
        assert columns_file(root).exists()
        assert not site.verify_workspace().damages
