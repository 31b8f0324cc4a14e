"""Findings among damaged files, two officers, a RUN key in wrong hands, and a database put back."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance import backup, findings
from appliance.api import Appliance
from appliance.errors import ApplianceError, Busy, IntegrityError, Locked, LogUnwritable, UsageError
from appliance.evidence.log import EvidenceLog
from appliance.workspace import evidence_store
from appliance.workspace.evidence_batches import (
    ERASURE,
    EVIDENCE,
    FINDINGS,
    IDENTITIES,
    REVEAL,
    EvidenceBatches,
)
from appliance.workspace.evidence_store import file_of, opened
from appliance.workspace.workspace import Workspace
from tests.appliance import ward

REASON = "access request of 3 May"
LATER = "A-00000000000c"
OPERATOR = "operator four words"


def unlocked(root: Path) -> Appliance:
    return Appliance.unlock(root, ward.PASSPHRASE, "officer")


def waiting(root: Path) -> Path:
    return root / EVIDENCE / "waiting"


def put(path: Path, data: bytes) -> Path:
    """A file of the owner's alone."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def silent(done: int, total: int) -> None:
    """Nobody watches."""


# -- a damaged batch -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", (REVEAL, ERASURE))
@pytest.mark.parametrize("merged", (True, False))
def test_a_garbage_batch_stops_nothing(root: Path, tmp_path: Path, kind: str, merged: bool) -> None:
    """Looks, a change of users, an erasure and a backup go on; the file is set aside, logged and named."""
    with unlocked(root) as appliance:
        appliance.add_user("second", "officer", "another four words")
        if merged:
            appliance.findings(ward.AUDIT)
    garbage = put(waiting(root) / f"{'ab' * 32}.{kind}.sealed", b"x")
    with unlocked(root) as appliance:
        (named,) = [one for one in appliance.verify_workspace().damages if one.file.endswith(garbage.name)]
        assert named.next_step
        appliance.backup(tmp_path / "b.tar", silent)
        before = appliance.findings(ward.AUDIT)
        assert len(before) == 14
        assert appliance.reveals() == ()
        assert (root / EVIDENCE / "damaged" / garbage.name).exists() and not garbage.exists()
        (entry,) = appliance._log.acts("findings.damaged")
        assert entry.object == "ab" * 32
        assert any("evidence/damaged" in line for line in appliance.overview().needs_me)
        assert any(one.file.endswith(garbage.name) for one in appliance.verify_workspace().damages)
        put(garbage, b"x")
        appliance.remove_user("second")
        put(garbage, b"x")
        appliance.rotate_keys(evidence=True)
        put(garbage, b"x")
        view = appliance.erasure_plan(ward.ERASED_ONE)
        appliance.erase_patient(ward.ERASED_ONE, confirmed=view.patient)
        left = tuple(row for row in before if row.patient not in view.pseudonyms)
        assert appliance.findings(ward.AUDIT) == left
        appliance.backup(tmp_path / "c.tar", silent)
    for taken in ("b.tar", "c.tar"):
        Appliance.restore(tmp_path / taken, tmp_path / f"of-{taken}", ward.PASSPHRASE, "officer", silent)


@pytest.mark.parametrize("kind", (FINDINGS, IDENTITIES))
def test_a_damaged_batch_stops_its_audit_only(root: Path, kind: str) -> None:
    """The audit is refused by the file's name, another is shown; a whole copy brought back is taken in."""
    with unlocked(root) as appliance:
        workspace = appliance._workspace
        ward.audited(workspace, ward.freeze(workspace), LATER, "done")
        name = EvidenceBatches.of(workspace).name_of(kind, LATER)
        path = waiting(root) / f"{name}.{kind}.sealed"
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        patient = appliance.findings(ward.AUDIT)[0].patient
        with pytest.raises(IntegrityError, match=name):
            if kind == FINDINGS:
                appliance.findings(LATER)
            else:
                appliance.reveal_finding(LATER, patient, REASON)
        assert appliance.reveals() == ()
        put(path, whole)
        assert len(appliance.findings(LATER)) == 14
        assert appliance.reveal_finding(LATER, patient, REASON).identities
        assert not list((root / EVIDENCE / "damaged").iterdir())


def test_what_is_no_file_is_no_batch(root: Path) -> None:
    """A folder or a link under a batch's name is passed over."""
    with unlocked(root) as appliance:
        (waiting(root) / f"{'cd' * 32}.{REVEAL}.sealed").mkdir()
        (waiting(root) / f"{'ef' * 32}.{REVEAL}.sealed").symlink_to("/dev/zero")
        assert len(appliance.findings(ward.AUDIT)) == 14


def test_no_entry_no_setting_aside(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log takes no entry, nothing is merged or moved."""
    garbage = put(waiting(root) / f"{'ab' * 32}.{REVEAL}.sealed", b"x")
    with unlocked(root) as appliance:
        key, before = appliance._workspace.evidence_key(), sorted(waiting(root).iterdir())
        with monkeypatch.context() as patched:
            patched.setattr(EvidenceLog, "append_all", _full)
            with pytest.raises(LogUnwritable), opened(appliance._workspace, key):
                pass
        assert sorted(waiting(root).iterdir()) == before and garbage.exists()
        assert len(appliance.findings(ward.AUDIT)) == 14


def _full(self: EvidenceLog, *given: object, **named: object) -> None:
    raise LogUnwritable("the disk is full")


# -- two at once ---------------------------------------------------------------------------------------------


def meanwhile(act: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Do something in another thread; what came of it, an error included."""
    came: list[object] = []

    def run() -> None:
        try:
            came.append(act())
        except ApplianceError as error:
            came.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, came


def test_two_officers_open_findings_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one waits for the first one's merge, and sees the same; nothing is called damaged."""
    removing, real_remove, real_opened = threading.Event(), EvidenceBatches.remove, EvidenceBatches.opened
    second: list[threading.Thread] = []

    def late(self: EvidenceBatches, batches: Any) -> None:
        removing.set()
        time.sleep(0.5)
        real_remove(self, batches)
        removing.clear()

    def slow(self: EvidenceBatches, *given: Any) -> bytes:
        if threading.current_thread() in second:
            while removing.is_set():
                time.sleep(0.01)
        return real_opened(self, *given)

    monkeypatch.setattr(EvidenceBatches, "remove", late)
    monkeypatch.setattr(EvidenceBatches, "opened", slow)
    with unlocked(root) as one, unlocked(root) as other:
        first, seen = meanwhile(lambda: one.findings(ward.AUDIT))
        assert removing.wait(10)
        thread, came = meanwhile(lambda: other.findings(ward.AUDIT))
        second.append(thread)
        first.join()
        thread.join()
        assert came == seen and len(came[0]) == 14  # type: ignore[arg-type]
        assert not (root / EVIDENCE / "damaged").exists()


def test_a_look_while_the_evidence_key_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change waits for the look to end; the reason is kept under the new key too."""
    changed: list[object] = []
    real = findings.reason_document

    def between(workspace: Workspace, *given: str) -> Any:
        with unlocked(root) as other, monkeypatch.context() as patched:
            patched.setattr(evidence_store, "PATIENCE_S", 0.1)
            try:
                other.rotate_keys(evidence=True)
                changed.append("changed")
            except Busy as busy:
                changed.append(busy)
        return real(workspace, *given)

    with unlocked(root) as appliance:
        patient = appliance.findings(ward.AUDIT)[0].patient
        monkeypatch.setattr(findings, "reason_document", between)
        assert appliance.reveal_finding(ward.AUDIT, patient, REASON).identities
        assert isinstance(changed[0], Busy)
    with unlocked(root) as appliance:
        appliance.rotate_keys(evidence=True)
        assert [one.reason for one in appliance.reveals()] == [REASON]
        assert len(appliance.findings(ward.AUDIT)) == 14


def test_whoever_is_left_with_the_earlier_key_sees_nothing(root: Path) -> None:
    """After another officer changed the evidence key, a session from before shows and writes nothing."""
    with unlocked(root) as late, unlocked(root) as appliance:
        patient = late.findings(ward.AUDIT)[0].patient
        appliance.set_quorum(1)
        before = sorted(one.name for one in (root / EVIDENCE).iterdir())
        for ask in (
            lambda: late.findings(ward.AUDIT),
            lambda: late.reveal_finding(ward.AUDIT, patient, REASON),
        ):
            with pytest.raises(Locked):
                ask()
        assert sorted(one.name for one in (root / EVIDENCE).iterdir()) == before
        assert appliance.reveals() == ()


def test_a_check_beside_a_change_of_the_evidence_key(root: Path) -> None:
    """The earlier database is gone because another one counts: no damage, and nothing said of findings."""
    with unlocked(root) as earlier:
        earlier.findings(ward.AUDIT)
        with unlocked(root) as other:
            assert other.verify_workspace().findings
            other.rotate_keys(evidence=True)
        checked = earlier.verify_workspace()
    assert (checked.damages, checked.findings) == ((), False)


def test_a_backup_beside_a_merge(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge waits while the findings are copied, so the copy is one state; the backup comes back whole."""
    merging: list[tuple[threading.Thread, list[object]]] = []
    real = shutil.copyfile
    with unlocked(root) as appliance:
        appliance.findings(ward.AUDIT)
        ward.audited(appliance._workspace, ward.freeze(appliance._workspace), LATER, "done")

        def merged() -> object:  # without a log, whose own lock would keep it waiting
            with (
                Workspace.open(root, ward.PASSPHRASE) as other,
                opened(other, other.evidence_key()) as (store, _),
            ):
                return store.findings(LATER)

        def copied(source: Path, target: Path) -> None:
            if EVIDENCE in source.parts and not merging:
                merging.append(meanwhile(merged))
                merging[0][0].join(1.0)
                assert merging[0][0].is_alive()
            real(source, target)

        monkeypatch.setattr(backup.shutil, "copyfile", copied)
        appliance.backup(tmp_path / "b.tar", silent)
        merging[0][0].join()
        assert len(merging[0][1][0]) == 14  # type: ignore[arg-type]
    Appliance.restore(tmp_path / "b.tar", tmp_path / "back", ward.PASSPHRASE, "officer", silent)
    with unlocked(tmp_path / "back") as restored:
        assert len(restored.findings(LATER)) == len(restored.findings(ward.AUDIT)) == 14


# -- the RUN key in wrong hands ------------------------------------------------------------------------------


def close_in_log(appliance: Appliance, audit_id: str, digest: str) -> None:
    """The entry that closes an audit, as far as findings are concerned."""
    log = appliance._log
    log.append("audit.close", log.identifier(audit_id), "REVIEW", detail_digest=digest)


def nothing_found(workspace: Workspace, audit_id: str) -> None:
    """What an operator seals over the findings of an audit."""
    content = json.dumps({"audit_id": audit_id, "rows": []}).encode()
    EvidenceBatches.of(workspace).put(FINDINGS, audit_id, content)


def as_operator(root: Path, act: Callable[[Workspace], object]) -> None:
    """Do something with no more than an operator's keys."""
    with Workspace.open(root, OPERATOR, "op") as workspace:
        assert workspace.keyring.evidence_key([]) is None
        act(workspace)


def test_merged_findings_are_not_replaced(root: Path) -> None:
    """A second batch about a finished audit is set aside; what the audit found stays, also its identities."""
    with unlocked(root) as appliance:
        before = appliance.findings(ward.AUDIT)
        appliance.add_user("op", "operator", OPERATOR)
    as_operator(root, lambda workspace: nothing_found(workspace, ward.AUDIT))
    with unlocked(root) as appliance:
        assert appliance.findings(ward.AUDIT) == before
        assert len(appliance._log.acts("findings.damaged")) == 1
        content = json.dumps({"audit_id": ward.AUDIT, "rows": []}).encode()
        EvidenceBatches.of(appliance._workspace).put(IDENTITIES, ward.AUDIT, content)
        assert appliance.reveal_finding(ward.AUDIT, before[0].patient, REASON).identities


@pytest.mark.parametrize("logged", (True, False))
def test_findings_are_those_that_the_audit_closed_with(root: Path, logged: bool) -> None:
    """Before the first merge too: what the closing entry does not name is no audit's finding."""
    with unlocked(root) as appliance:
        appliance.add_user("op", "operator", OPERATOR)
        workspace = appliance._workspace
        found = ward.audited(workspace, ward.freeze(workspace), LATER, "interrupted")
        _, digest = findings.keep(workspace, LATER, found)
        name = EvidenceBatches.of(workspace).name_of(FINDINGS, LATER)
        (row,) = [one for one in workspace.catalogue.audits() if one.audit_id == LATER]
        (done,) = [one for one in workspace.catalogue.audits() if one.audit_id == ward.AUDIT]
        facts = {"state": "done", "result": done.result, "findings_object": name, "verdict": "REVIEW"}
        workspace.catalogue.move_audit(
            type(row)(**{**{key: getattr(row, key) for key in row.__dataclass_fields__}, **facts}),
            "interrupted",
        )
        close_in_log(appliance, LATER, digest if logged else "")
    as_operator(root, lambda workspace: nothing_found(workspace, LATER))
    with unlocked(root) as appliance:
        if logged:
            with pytest.raises(IntegrityError, match=name):
                appliance.findings(LATER)
        else:  # the control: an earlier version closed it, and anything is taken
            assert appliance.findings(LATER) == ()
        assert len(appliance.findings(ward.AUDIT)) == 14


def test_a_batch_with_no_form_is_set_aside(root: Path) -> None:
    """Whoever holds the RUN key seals what is no finding: no fault, and no part of it is taken in."""
    with unlocked(root) as appliance:
        batches = EvidenceBatches.of(appliance._workspace)
        row: dict[str, Any] = {"pair_id": "p", "patient": "x", "role": "target", "judged": 7}
        for number, content in enumerate(
            (b"", b"[]", b"{}", b"\xff", json.dumps({"audit_id": ward.AUDIT, "rows": [row]}).encode())
        ):
            batches.put(FINDINGS, ward.AUDIT, content)
            with pytest.raises(IntegrityError, match="damaged"):
                appliance.findings(ward.AUDIT)
            assert len(appliance._log.acts("findings.damaged")) == number + 1


def test_an_erasure_that_was_not_begun_erases_nothing(root: Path) -> None:
    """The operator's erasure is set aside; one that the log has takes the words of a look, not the look."""
    with unlocked(root) as appliance:
        before = appliance.findings(ward.AUDIT)
        patient = before[0].patient
        appliance.reveal_finding(ward.AUDIT, patient, REASON)
        looks = appliance.reveals()
        appliance.add_user("op", "operator", OPERATOR)

    def erase(workspace: Workspace) -> None:
        findings.keep_erasure(workspace, "E-000000000000", [ward.AUDIT], [patient])

    as_operator(root, erase)
    with unlocked(root) as appliance:
        assert appliance.findings(ward.AUDIT) == before
        assert appliance.reveals() == looks
        appliance._record("patient.erase", "E-000000000000", "begins")
    as_operator(root, erase)
    with unlocked(root) as appliance:
        assert patient not in {row.patient for row in appliance.findings(ward.AUDIT)}
        assert [one.digest for one in appliance.reveals()] == [one.digest for one in looks]


def test_a_look_that_the_log_does_not_know_is_no_look(root: Path) -> None:
    """Nobody puts words into an officer's mouth with the RUN key; a look without its record is shown bare."""
    with unlocked(root) as appliance:
        appliance.findings(ward.AUDIT)
        document, digest = findings.reason_document(appliance._workspace, ward.AUDIT, "P-1", REASON)
        batches = EvidenceBatches.of(appliance._workspace)
        batches.put(REVEAL, document["reveal_id"], json.dumps(document).encode())
        assert appliance.reveals() == ()
        log = appliance._log
        log.append("findings.reveal", log.identifier("x"), "allowed", detail_digest=digest)
        (bare,) = appliance.reveals()
        assert (bare.reason, bare.digest, bare.by) == (findings.LOST_REASON, digest, "system")
        batches.put(REVEAL, document["reveal_id"], json.dumps(document).encode())
        assert [one.reason for one in appliance.reveals()] == [REASON]


# -- a database put back -------------------------------------------------------------------------------------


def database(root: Path) -> Path:
    (path,) = (root / EVIDENCE).glob("evidence-*.db")
    return path


@pytest.fixture
def put_back(root: Path) -> Path:
    """A site where somebody looked, and the database of before the look was put back."""
    with unlocked(root) as appliance:
        patient = appliance.findings(ward.AUDIT)[0].patient
    earlier = database(root).read_bytes()
    with unlocked(root) as appliance:
        appliance.reveal_finding(ward.AUDIT, patient, REASON)
        assert len(appliance.reveals()) == 1
    put(database(root), earlier)
    return root


def test_an_earlier_database_is_noticed(put_back: Path) -> None:
    """The log knows a later state: no finding is shown, verify names the file, the log has the alarm."""
    with unlocked(put_back) as appliance:
        for ask in (
            lambda: appliance.findings(ward.AUDIT),
            lambda: appliance.reveals(),
            lambda: appliance.rotate_keys(evidence=True),
        ):
            with pytest.raises(IntegrityError, match="put back to an earlier state"):
                ask()
        damages = appliance.verify_workspace().damages
        assert [one.file for one in damages] == [f"{EVIDENCE}/{database(put_back).name}"]
        assert appliance._log.acts("evidence.check")[-1].outcome == "refused"


@pytest.mark.parametrize("ways", (("now", "earlier"), ("earlier", "new"), ("new", "earlier")))
def test_an_entry_that_names_an_earlier_state_makes_it_no_state_of_today(
    put_back: Path, ways: tuple[str, str]
) -> None:
    """Whoever holds the disk also holds the log's key; no state comes back, whatever an entry says."""
    with unlocked(put_back) as appliance:
        log = appliance._log
        done = [entry for entry in log.acts("evidence.root") if entry.outcome == "done"]
        roots = {"earlier": done[-2].result_root, "now": done[-1].result_root, "new": "ab" * 32}
        before, after = (roots[way] for way in ways)
        log.append("evidence.root", "workspace", "begins", detail_digest=before, result_root=after)
        log.append("evidence.root", "workspace", "done", result_root=after)
        with pytest.raises(IntegrityError, match="put back"):
            appliance.findings(ward.AUDIT)


def test_an_entry_of_a_state_that_never_began_shuts_nothing(root: Path) -> None:
    """Who holds the disk cannot say where the database should stand."""
    with unlocked(root) as appliance:
        known = appliance.findings(ward.AUDIT)
        appliance._log.append("evidence.root", "workspace", "done", result_root="ab" * 32)
        assert appliance.findings(ward.AUDIT) == known


def test_what_the_log_knows_of_findings_outlives_a_pruning(put_back: Path) -> None:
    """The state is said again before a year goes, so an earlier database is noticed from that entry alone."""
    with unlocked(put_back) as appliance:
        before = appliance._log.acts("evidence.root")[-1]
        with pytest.raises(UsageError, match="30 days"):  # a young log has no year to lose
            appliance.prune_log(2000, keep_years=6)
        last = appliance._log.acts("evidence.root")[-1]
    assert last.index > before.index
    assert (last.outcome, last.result_root) == ("done", before.result_root)


def test_a_creation_cut_off_is_no_damage(root: Path) -> None:
    """The file is there and empty, as a kill leaves it; nothing was merged, so nothing is missing."""
    with unlocked(root) as appliance:
        path = file_of(root / EVIDENCE, appliance._workspace.evidence_key())
        assert not path.exists()
        put(path, b"")
        assert appliance.verify_workspace().damages == ()
        assert appliance.findings(ward.AUDIT)


@pytest.mark.parametrize("left", (b"", None))
def test_a_database_that_is_gone_is_noticed(root: Path, left: bytes | None) -> None:
    """An empty file or none, where findings were merged, is not a new beginning."""
    with unlocked(root) as appliance:
        appliance.findings(ward.AUDIT)
        path = database(root)
        for one in (root / EVIDENCE).glob("evidence-*"):
            one.unlink()
        if left is not None:
            put(path, left)
        for ask in (lambda: appliance.findings(ward.AUDIT), lambda: appliance.rotate_keys(evidence=True)):
            with pytest.raises(IntegrityError, match="missing or empty"):
                ask()
        assert f"{EVIDENCE}/{path.name}" in {one.file for one in appliance.verify_workspace().damages}


def test_a_backup_without_the_findings_of_an_audit_is_not_restored(root: Path, tmp_path: Path) -> None:
    """A batch that is gone before anybody opened it is a damage of the backup; one of garbage is not."""
    with unlocked(root) as appliance:
        name = EvidenceBatches.of(appliance._workspace).name_of(FINDINGS, ward.AUDIT)
        (waiting(root) / f"{name}.{FINDINGS}.sealed").unlink()
        appliance.backup(tmp_path / "b.tar", silent)
    with pytest.raises(IntegrityError, match=name):
        Appliance.restore(tmp_path / "b.tar", tmp_path / "back", ward.PASSPHRASE, "officer", silent)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    "change",
    (
        "DELETE FROM findings WHERE place = 3",
        "UPDATE scores SET value = 0.0 WHERE detector = 'fused'",
        "UPDATE probabilities SET value = 0.0",
        "DELETE FROM identities",
    ),
)
def test_changed_rows_are_noticed(root: Path, change: str) -> None:
    """Pages of an earlier day among those of today would hold other rows: that audit is not shown."""
    with unlocked(root) as appliance:
        assert appliance.findings(ward.AUDIT)
        key = appliance._workspace.evidence_key()
        with opened(appliance._workspace, key) as (store, _), store._writing() as connection:
            connection.exec_driver_sql(change)
        with pytest.raises(IntegrityError, match="not those that were merged"):
            appliance.findings(ward.AUDIT)
        assert len(appliance.verify_workspace().damages) == 1


def test_a_merge_cut_off_between_log_and_database(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever side of the commit a kill left, the next opening goes on, and says where it stands."""
    with unlocked(root) as appliance:
        key = appliance._workspace.evidence_key()
        for name in ("intend", "settled"):
            notes: Any = appliance._workspace.evidence_notes
            real = getattr(notes, name)

            def killed(*given: Any, real: Any = real, name: str = name) -> None:
                if name == "intend":
                    real(*given)
                raise KeyboardInterrupt

            with monkeypatch.context() as patched:
                patched.setattr(notes, name, killed)
                with pytest.raises(KeyboardInterrupt), opened(appliance._workspace, key):
                    pass
        assert len(appliance.findings(ward.AUDIT)) == 14
        assert len(appliance.findings(ward.AUDIT)) == 14
        assert [one.outcome for one in appliance._log.acts("evidence.root")][-1] == "done"


# -- erased marks --------------------------------------------------------------------------------------------


def test_who_was_erased_stays_erased_under_another_key(root: Path) -> None:
    """An old batch of an erased patient is not taken in after the evidence key changed."""
    with unlocked(root) as appliance:
        before = appliance.findings(ward.AUDIT)
        view = appliance.erasure_plan(ward.ERASED_ONE)
        found = ward.audited(appliance._workspace, ward.freeze(appliance._workspace), LATER, "interrupted")
        assert {one.patient for one in found} & set(view.pseudonyms)
        appliance.erase_patient(ward.ERASED_ONE, confirmed=view.patient)
    with unlocked(root) as appliance:
        left = appliance.findings(ward.AUDIT)
        assert len(left) < len(before)
        for _ in range(2):
            appliance.rotate_keys(evidence=True)
        workspace = appliance._workspace
        with workspace.catalogue.changing() as connection:
            connection.exec_driver_sql("DELETE FROM audits WHERE audit_id = ?", (LATER,))
        ward.audited(workspace, ward.Cohort("x", "random", "L5", 0, _placed(found), "c" * 64), LATER, "done")
        shown = {row.patient for row in appliance.findings(LATER)}
        assert shown and not shown & set(view.pseudonyms)


def _placed(found: Any) -> tuple[ward.Assignment, ...]:
    return tuple(ward.Assignment(one.pair_id, one.patient, ward.Role.TARGET) for one in found)
