"""Erasing a patient: no key brings anything back; killed anywhere, the next opening goes on."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from appliance import auditing, certificate, findings, policy_file
from appliance.api import Appliance
from appliance.cohorts import described
from appliance.errors import ApplianceError, NotPermitted, UsageError
from appliance.evidence.verify_evidence import Broken
from appliance.intake import Intake
from appliance.reading import Reading
from appliance.sealed import REPORT_TEXT
from appliance.shown import cohort_document
from appliance.workspace import erasing, evidence_tables, tables
from appliance.workspace.evidence_batches import EVIDENCE, EvidenceBatches
from appliance.workspace.evidence_checked import CheckedRows
from appliance.workspace.evidence_store import EvidenceStore, engine_of, file_of
from appliance.workspace.rows import StoredModel
from appliance.workspace.workspace import Workspace
from medio.records import Outcome, Report, ReportSource
from tests import warm
from tests.appliance import ward
from tests.appliance.test_workspace_canaries import Canaries

MARK = "CanaryOfErasure^"


def canary_words() -> tuple[set[str], ward.Word]:
    """Texts nobody else writes, and what makes them."""
    made: set[str] = set()

    def word(text: str) -> str:
        canary = f"{MARK}{text}^{secrets.token_hex(6)}"
        made.add(canary)
        return canary

    return made, word


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, frozenset[str]]:
    """A site, and the canaries of its first patient."""
    made, word = canary_words()
    root = ward.build(tmp_path_factory.mktemp("ward") / "workspace", word)
    return root, frozenset(made)


@pytest.fixture
def root(built: tuple[Path, frozenset[str]], tmp_path: Path) -> Path:
    """One of a test's own."""
    return Path(shutil.copytree(built[0], tmp_path / "workspace"))


def unlocked(root: Path) -> Appliance:
    return Appliance.unlock(root, ward.PASSPHRASE)


def erase(root: Path) -> dict[str, Any]:
    """Erase the first patient, as an officer does."""
    with unlocked(root) as appliance:
        view = appliance.erasure_plan(ward.ERASED_ONE)
        return appliance.erase_patient(ward.ERASED_ONE, confirmed=view.patient)


def told_by_keys(root: Path) -> bytes:
    """Everything that whoever holds every key of today can read, as bytes: rows, objects, findings, log."""
    with unlocked(root) as appliance:
        workspace, key = appliance._workspace, appliance._workspace.evidence_key()
        told = []
        with workspace.catalogue._reading() as connection:
            for table in tables.METADATA.sorted_tables:
                told += [repr(dict(row)) for row in connection.execute(select(table)).mappings()]
        for path in (root / "objects").rglob("*.ga1"):
            told += [repr(plain) for plain in opened_objects(workspace, path)]
        batches = EvidenceBatches.of(workspace)
        told += [repr(batches.opened(batch, key)) for batch in batches.waiting()]
        if file_of(root / EVIDENCE, key).exists():
            engine = engine_of(file_of(root / EVIDENCE, key), key)
            with engine.connect() as connection:
                for table in evidence_tables.METADATA.sorted_tables:
                    told += [repr(dict(row)) for row in connection.execute(select(table)).mappings()]
                told += kept_columns(CheckedRows(file_of(root / EVIDENCE, key), key, batches), connection)
            engine.dispose()
    raw = [path.read_bytes() for path in root.rglob("*") if path.is_file()]
    return b"".join([*(text.encode() for text in told), *raw])


def kept_columns(rows: CheckedRows, connection: Connection) -> list[str]:
    """What the columns beside the findings say that open with a digest of today."""
    noted = connection.execute(select(evidence_tables.STANDING.c.audit_id, evidence_tables.STANDING.c.digest))
    found = [rows._kept(audit, digest) for audit, digest in noted]
    return [content.decode("latin-1") for content in found if content is not None]


def opened_objects(workspace: Workspace, path: Path) -> list[bytes]:
    """What a sealed file says under the key of every patient that is known, or of the site."""
    with workspace.catalogue._reading() as connection:
        subjects = list(connection.scalars(select(tables.SUBJECT_KEYS.c.subject)))
    found = []
    for subject in ("", *subjects):
        for kind in ("frame", REPORT_TEXT, "assignment", "findings"):
            try:
                found.append(workspace.vault.get(kind, path.stem + (f".{subject}" if subject else "")))
            except ApplianceError:
                continue
    return found


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:  # another program's, or gone by now
        return b""


def found_in(told: bytes, canaries: frozenset[str]) -> set[str]:
    return {one for one in canaries if one.encode() in told}


# -- nothing comes back --------------------------------------------------------------------------------------


def test_no_canary_comes_back(built: tuple[Path, frozenset[str]], root: Path, tmp_path: Path) -> None:
    """Before, all canaries are read with the keys; after, none, by keys, bytes, temp or shared memory."""
    canaries = built[1]
    assert len(canaries) >= 40
    assert found_in(told_by_keys(root), canaries) == canaries
    backup = shutil.copytree(root, tmp_path / "backup")
    with unlocked(root) as appliance:
        appliance.findings(ward.AUDIT)
    facts = erase(root)
    told = told_by_keys(root)
    assert found_in(told, canaries) == set()
    assert MARK.encode() not in told
    with unlocked(root) as appliance:
        assert appliance.findings(ward.AUDIT)
    searched = Canaries()
    searched.all = [MARK]
    assert searched.found_in(root) == set()
    assert not [path for path in Path("/dev/shm").rglob("*") if MARK.encode() in _content(path)]
    assert found_in(told_by_keys(backup), canaries) == canaries  # as the certificate says
    for said in ("Backups", "a receiver has set aside"):
        assert any(said in sentence for sentence in facts["not_removed"])


def test_parts_of_an_older_copy_open_with_no_key_of_today(root: Path, tmp_path: Path) -> None:
    """An old catalogue under today's keyring does not open, so the patient's wrapped key stays unread."""
    old = Path(shutil.copytree(root, tmp_path / "old"))
    erase(root)
    (now,) = (path.name for path in root.glob("catalogue*.db"))
    assert now != "catalogue.db"
    for left in root.glob("catalogue*"):
        left.unlink()
    shutil.copy(old / "catalogue.db", root / now)
    with pytest.raises((ApplianceError, Broken)):
        unlocked(root)


def test_findings_and_identities_go(root: Path) -> None:
    """Findings of the patient, the link to the identity and the words of looks are gone; others stay."""
    with unlocked(root) as appliance:
        view = appliance.erasure_plan(ward.ERASED_ONE)
        theirs = [row for row in appliance.findings(ward.AUDIT) if row.patient in view.pseudonyms]
        others = [row for row in appliance.findings(ward.AUDIT) if row.patient not in view.pseudonyms]
        appliance.reveal_finding(ward.AUDIT, theirs[0].patient, "a reason that names Mrs Canary")
        (before,) = appliance.reveals()
    assert theirs
    erase(root)
    with unlocked(root) as appliance:
        assert list(appliance.findings(ward.AUDIT)) == others
        (after,) = appliance.reveals()  # that somebody looked, and when, stays
        assert (after.digest, after.by, after.revealed_utc) == (before.digest, before.by, before.revealed_utc)
        assert (after.patient, after.reason) == ("", findings.ERASED_REASON)
        with pytest.raises(UsageError):
            appliance.finding(ward.AUDIT, theirs[0].patient)


def test_an_erasure_without_the_evidence_key_waits_and_shows_nothing(root: Path) -> None:
    """A sealed erasure is carried out before the next finding is shown, in whatever order batches come."""
    with unlocked(root) as appliance:
        view = appliance.erasure_plan(ward.ERASED_ONE)
        batches = EvidenceBatches.of(appliance._workspace)
        erased = {"erasure_id": "E-1", "audits": [ward.AUDIT], "patients": list(view.pseudonyms)}
        kept = {one.name: one.path.read_bytes() for one in batches.waiting()}
        appliance._record("patient.erase", "E-1", "begins")
        batches.put("erasure", "E-1", json.dumps(erased).encode())
        shown = {row.patient for row in appliance.findings(ward.AUDIT)}
        assert shown
        assert not shown & set(view.pseudonyms)
        for batch in (root / EVIDENCE / "waiting").glob("*.sealed"):
            kept.pop(batch.name.partition(".")[0])
        key = appliance._workspace.evidence_key()
        for name, data in kept.items():  # an older batch comes back after its rows were erased
            for kind in ("findings", "identities"):
                if name == batches.name_of(kind, ward.AUDIT):
                    (root / EVIDENCE / "waiting" / f"{name}.{kind}.sealed").write_bytes(data)
        assert {row.patient for row in appliance.findings(ward.AUDIT)} == shown
        store = EvidenceStore(file_of(root / EVIDENCE, key), key, batches)
        assert all(store.identities(ward.AUDIT, name) == () for name in view.pseudonyms)
        store.close()


# -- what is found, shown, refused ---------------------------------------------------------------------------


def test_the_plan_finds_the_person(root: Path) -> None:
    """Both numbers of one person are found from either; nobody else is; nothing is changed by looking."""
    with unlocked(root) as appliance:
        before = appliance._workspace.catalogue.root()
        view = appliance.erasure_plan(ward.ERASED_ONE)
        assert view == appliance.erasure_plan(ward.OTHER_NUMBER)
        assert view == appliance.erasure_plan(name=view.patient)
        assert view.identities == (("WARD", ward.ERASED_ONE), ("WARD", ward.OTHER_NUMBER))
        assert (view.images, view.reports, view.pairs, view.objects) == (4, 4, 4, 8)
        assert (view.cohorts, view.audits, view.given_up) == ((ward.COHORT,), (ward.AUDIT,), (ward.CUT_OFF,))
        assert view.models == (ward.MODEL,)
        assert appliance.erasure_plan("P3").identities == (("WARD", "P3"),)
        assert appliance._workspace.catalogue.root() == before
        with pytest.raises(UsageError):
            appliance.erasure_plan("nobody")
        with pytest.raises(UsageError):
            appliance.erasure_plan(ward.ERASED_ONE, "another issuer")
        with pytest.raises(UsageError, match="another pseudonym"):
            appliance.erase_patient(ward.ERASED_ONE, confirmed="P-other")
        assert appliance.erasure_plan(ward.ERASED_ONE) == view


def test_two_patients_with_one_number_are_not_mixed(root: Path) -> None:
    """Where two issuers gave the same number, the issuer must be said, and only that patient goes."""
    with unlocked(root) as appliance:
        workspace = appliance._workspace
        (row,) = [one for one in workspace.catalogue.instances() if one.AccessionNumber == "A3a"]
        other = {name: getattr(row, name) for name in row.__dataclass_fields__}
        other |= {"content_digest": "d" * 64, "IssuerOfPatientID": "ELSEWHERE", "StudyInstanceUID": "2.25.9"}
        other |= {"AccessionNumber": "E1", "SOPInstanceUID": "e"}
        workspace.catalogue.add_records([type(row)(**other)])
        with pytest.raises(UsageError, match="several patients"):
            appliance.erasure_plan("P3")
        assert appliance.erasure_plan("P3", "ELSEWHERE").images == 1
        assert appliance.erasure_plan("P3", "WARD").images == 2
        assert appliance.erasure_plan("P3", "ELSEWHERE").objects == 0  # its frame is another patient's too


def test_certificate_and_log(root: Path, tmp_path: Path) -> None:
    """The certificate names nobody; its digest stands in the log's tombstone of every subject."""
    facts = erase(root)
    with unlocked(root) as appliance:
        json_file, text_file = appliance.write_certificate(facts["erasure"], tmp_path)
        entries = [one for one in appliance._log.entries() if one.act == "patient.tombstone"]
        assert appliance.erasures() == (facts,)
    digest = hashlib.sha256(json_file.read_bytes()).hexdigest()
    done = [one for one in entries if one.outcome == "done"]
    assert {(one.object, one.detail_digest) for one in done} == {(one, digest) for one in facts["subjects"]}
    text = text_file.read_text()
    assert digest in text
    assert all(word in text for word in ("Not erased", "Backups", "vendor", ward.MODEL))
    assert "epoch 2" in facts["keys"]
    assert facts["findings"] == certificate.REMOVED
    written = text.encode() + json_file.read_bytes()
    assert not [word for word in (ward.ERASED_ONE.encode(), b"WARD", MARK.encode()) if word in written]


def test_afterwards_cohort_audit_and_overview_say_so(root: Path) -> None:
    """The frozen cohort is the same by its digest, says what is missing, and is not audited again."""
    with unlocked(root) as appliance:
        before = appliance.cohort(ward.COHORT)
    erase(root)
    with unlocked(root) as appliance:
        after = appliance.cohort(ward.COHORT)
        assert after.digest == before.digest
        assert any("2 of its patients were erased" in line for line in after.warnings)
        document = cohort_document(appliance._workspace.catalogue.cohort(ward.COHORT))  # type: ignore[arg-type]
        assert described(appliance._workspace, document).warnings == after.warnings
        with pytest.raises(UsageError, match="were erased"):
            auditing.settings(policy_file.load("demo"), document)
        states = {row.audit_id: row.state for row in appliance.audits()}
        assert states == {ward.AUDIT: "done", ward.CUT_OFF: "failed"}
        assert appliance.audit(ward.AUDIT).result.exposure is not None
        (due,) = appliance._due_after_erasures()
        assert due.startswith(ward.MODEL)
        assert due in appliance.overview().needs_me
        with pytest.MonkeyPatch.context() as patch:
            rows = [StoredModel(ward.MODEL, {}, "2020-01-01T00:00:00+00:00")]
            rows += [StoredModel(f"{ward.MODEL}@2", {"of_line": ward.MODEL, "version": 2}, "2998-01-01")]
            patch.setattr(appliance._workspace.catalogue, "models", lambda: tuple(rows))
            done = appliance._workspace.catalogue.audit(ward.AUDIT)
            assert done is not None
            heads = [replace(done, model=f"{ward.MODEL}@2", started_utc="2999")]
            patch.setattr(appliance._workspace.catalogue, "audit_heads", lambda: tuple(heads))
            assert appliance._due_after_erasures() == ()  # as NAME, which now means the second version
        later = ward.Cohort("summer", "random", "L5", 0, (), document.digest)
        ward.audited(appliance._workspace, later, "A-00000000000d", "done", "2999-01-01T00:00:00+00:00")
        assert appliance._due_after_erasures() == ()


def test_the_patient_is_not_taken_in_again(root: Path, tmp_path: Path) -> None:
    """A file of the erased patient is set aside without its digest; others are read; an officer readmits."""
    erase(root)

    def taken(appliance: Appliance, *patients: str) -> tuple[str, int, tuple[str, ...]]:
        reports = tuple(
            Report(content_digest=str(n) * 64, source=ReportSource.PLAIN, PatientID=one,
                   IssuerOfPatientID="WARD", text="words", StudyInstanceUID="", AccessionNumber="",
                   StudyDate="", status="final")
            for n, one in enumerate(patients)
        )  # fmt: skip
        reading = Reading(Outcome.REPORT, digest="c" * 64, size=9, reports=reports)
        intake = Intake(appliance._workspace, lambda: None, lambda step: None)  # type: ignore[arg-type,return-value]
        with appliance._workspace.writing():
            sealed = intake._seal(tmp_path / "x", reading, b"")
        return sealed.reading.reason, len(sealed.texts), (sealed.reading.digest, *sealed.reading.warnings)

    with unlocked(root) as appliance:
        assert taken(appliance, ward.ERASED_ONE) == ("patient-erased", 0, ("",))
        assert taken(appliance, ward.OTHER_NUMBER)[0] == "patient-erased"
        assert taken(appliance, "P3") == ("", 1, ("c" * 64,))
        assert taken(appliance, "P3", ward.ERASED_ONE) == ("", 1, ("c" * 64, "patient-erased"))
        appliance.readmit_patient(ward.ERASED_ONE, "WARD")
        assert taken(appliance, ward.ERASED_ONE)[1] == 1
        with pytest.raises(UsageError):
            appliance.readmit_patient("P3", "WARD")


def test_what_unlock_keeps_does_not_erase(root: Path) -> None:
    """Without a passphrase typed for it nothing is erased."""
    with unlocked(root) as appliance:
        keyring, keys = appliance._workspace.keyring, appliance._workspace._opened
    with Appliance(Workspace(root, keyring, keys)) as resumed:
        view = resumed.erasure_plan(ward.ERASED_ONE)
        with pytest.raises(NotPermitted):
            resumed.erase_patient(ward.ERASED_ONE, confirmed=view.patient)
        assert resumed.erasure_plan(ward.ERASED_ONE) == view


# -- killed anywhere -----------------------------------------------------------------------------------------

ERASE = f"""
import os, signal, sys
from appliance.api import Appliance
from appliance.evidence.log import EvidenceLog
from appliance.workspace import erasing, evidence_store
from appliance.workspace.evidence_batches import EvidenceBatches
from appliance.workspace.vault import Vault
from appliance.workspace.workspace import Workspace
from pathlib import Path

steps, turn = 0, int(sys.argv[2])

def counted(owner, name):
    function = getattr(owner, name)
    def dying(*args, **kwargs):
        global steps
        if steps == turn:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1
        return function(*args, **kwargs)
    setattr(owner, name, dying)

with Appliance.unlock(Path(sys.argv[1]), {ward.PASSPHRASE!r}) as appliance:
    view = appliance.erasure_plan({ward.ERASED_ONE!r})
    for owner, names in (
        (erasing, ("take_out", "go_on", "cut_log", "close")),
        (Vault, ("remove",)),
        (EvidenceBatches, ("put", "remove")),
        (evidence_store.EvidenceStore, ("merge", "_overwrite_freed")),
        (Workspace, ("rotate",)),
        (EvidenceLog, ("append", "append_all")),
    ):
        for name in names:
            counted(owner, name)
    appliance.erase_patient({ward.ERASED_ONE!r}, confirmed=view.patient)
print(steps)
"""


def killed_at(root: Path, turn: int) -> subprocess.CompletedProcess[str]:
    return warm.program(ERASE, root, str(turn))


@pytest.fixture(scope="module")
def steps(built: tuple[Path, frozenset[str]], tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many steps an undisturbed erasure counts."""
    copy = Path(shutil.copytree(built[0], tmp_path_factory.mktemp("steps") / "workspace"))
    done = killed_at(copy, -1)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("eighth", (0, 3, 5))  # benchmarks/soak/erasure_kill.py takes every step
def test_killed_at_every_step(
    built: tuple[Path, frozenset[str]], root: Path, tmp_path: Path, steps: int, eighth: int
) -> None:
    """kill -9 before any step: the patient is whole, or the next opening finishes and nothing is left."""
    canaries = built[1]
    assert steps > 20
    for turn in range(eighth, steps, 8):
        copy = Path(shutil.copytree(root, tmp_path / f"copy{turn}"))
        killed = killed_at(copy, turn)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        with unlocked(copy) as appliance:
            catalogue = appliance._workspace.catalogue
            assert erasing.unfinished(catalogue) == {}
            erased = len(erasing.certificates(catalogue))
            assert appliance.log_verify().intact
        told = found_in(told_by_keys(copy), canaries)
        assert told == (set() if erased else canaries), turn
        shutil.rmtree(copy)


def test_a_stage_left_out_is_noticed(root: Path, built: tuple[Path, frozenset[str]]) -> None:
    """The search for what comes back can fail: rows deleted without the sealed files and keys are found."""
    with unlocked(root) as appliance:
        plan = appliance._plan(ward.ERASED_ONE, None, "")
        rows = erasing.Rows(plan.digests, plan.pairs, (), plan.cohorts)
        with appliance._workspace.writing():
            erasing.take_out(
                appliance._workspace.catalogue, rows, "E-half", {"stage": "none", "subjects": []}
            )
    told = found_in_objects(root)
    assert MARK.encode() in told


def found_in_objects(root: Path) -> bytes:
    workspace = Workspace.open(root, ward.PASSPHRASE)
    with workspace:
        return b"".join(
            plain for path in (root / "objects").rglob("*.ga1") for plain in opened_objects(workspace, path)
        )


@pytest.mark.parametrize("damaged", (True, False))
def test_a_damaged_erasure_is_not_passed_over(
    root: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    """An erasure that waits and cannot be read is carried out from what the catalogue no longer has."""
    with unlocked(root) as appliance:
        view = appliance.erasure_plan(ward.ERASED_ONE)
        before = appliance.findings(ward.AUDIT)
        with monkeypatch.context() as patched:
            patched.setattr(Workspace, "evidence_key", _not_at_hand)
            facts = appliance.erase_patient(ward.ERASED_ONE, confirmed=view.patient)
        assert facts["findings"] == certificate.WAITS
        (path,) = (root / EVIDENCE / "waiting").glob("*.erasure.sealed")
        if damaged:
            path.write_bytes(path.read_bytes()[:-1])
    with unlocked(root) as appliance:
        after = appliance.findings(ward.AUDIT)
        assert after == tuple(row for row in before if row.patient not in view.pseudonyms)
        assert 0 < len(after) < len(before)
        assert (root / EVIDENCE / "damaged" / path.name).exists() is damaged


def _not_at_hand(self: Workspace, others: object = ()) -> None:
    raise NotPermitted("findings open with two officers together")
