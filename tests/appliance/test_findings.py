"""Findings: a run can write them and not read them; whoever may, leaves an entry before anything is shown."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from appliance import findings
from appliance.api import Appliance
from appliance.errors import ApplianceError, IntegrityError, LogUnwritable, NotPermitted, UsageError
from appliance.evidence.log import EvidenceLog
from appliance.finding_views import FindingsAsked
from appliance.workspace.evidence_batches import (
    ENCAPSULATED,
    EVIDENCE,
    FINDINGS,
    MAGIC,
    EvidenceBatches,
    Waiting,
)
from appliance.workspace.evidence_rewrap import rewrap
from appliance.workspace.evidence_store import EvidenceStore, engine_of, file_of, opened
from appliance.workspace.ga1 import Meaning, Unsealer, seal
from appliance.workspace.grants import open_sealed, public_of, seal_to
from appliance.workspace.keys import KeptKeys, RunKeys, SecretKey
from appliance.workspace.workspace import Workspace
from tests.appliance import ward

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "evidence-batch.json").read_text())


def unlocked(root: Path) -> Appliance:
    return Appliance.unlock(root, ward.PASSPHRASE)


def waiting(root: Path) -> list[Path]:
    return sorted((root / EVIDENCE / "waiting").glob("*.sealed"))


# -- a run writes and cannot read ----------------------------------------------------------------------------


def secrets_in_reach(workspace: Workspace) -> set[bytes]:
    """Every key that a process with the RUN key holds, but for what a passphrase opened."""
    keys = {found.raw for found in gc.get_objects() if isinstance(found, SecretKey)}
    kept = workspace.keys
    keys |= {key.raw for key in (kept.catalogue, kept.vault, kept.pseudonym, kept.names, kept.assignments)}
    assert workspace._opened.run is not None
    return keys | {workspace._opened.run.raw, workspace.keyring.evidence}


def objects_opened(root: Path, workspace: Workspace, keys: set[bytes]) -> int:
    """How many sealed batches, and databases of findings, any of these keys opens."""
    batches, opened_now = EvidenceBatches.of(workspace), 0
    for batch in batches.waiting():
        for key in keys:
            try:
                batches.opened(batch, SecretKey(key))
            except IntegrityError:
                continue
            opened_now += 1
            break
    for path in (root / EVIDENCE).glob("evidence-*.db"):
        for key in keys:
            try:
                engine_of(path, SecretKey(key)).dispose()
            except ApplianceError:
                continue
            opened_now += 1
            break
    return opened_now


def test_disk_and_run_key_open_no_finding(root: Path) -> None:
    """With the disk and every key a scanner holds, 0 evidence objects open; with the evidence key all do."""
    with unlocked(root) as appliance:
        evidence = appliance._workspace.evidence_key()
        appliance.findings(ward.AUDIT)  # evidence.db exists now
        with opened(appliance._workspace, evidence):
            pass
        sealed = EvidenceBatches.of(appliance._workspace).waiting()
        workspace = appliance._workspace
        scanner = Workspace(root, workspace.keyring, workspace._opened)
        try:
            ward.audited(scanner, ward.freeze(scanner), "A-00000000000c", "done")
            with pytest.raises(NotPermitted):
                scanner.evidence_key()
            there = len(EvidenceBatches.of(scanner).waiting()) + 1
            assert there == len(sealed) + 2 + 1
            keys = secrets_in_reach(scanner) - {evidence.raw}
            assert objects_opened(root, scanner, keys) == 0
            assert objects_opened(root, scanner, keys | {evidence.raw}) == there
        finally:
            scanner.close()


def test_what_unlock_keeps_opens_no_finding(root: Path) -> None:
    """A workspace that was left unlocked shows no finding, and the log has the refusal."""
    with unlocked(root) as appliance:
        keyring, keys = appliance._workspace.keyring, appliance._workspace._opened
    with Appliance(Workspace(root, keyring, keys)) as resumed:
        for ask in (lambda: resumed.findings(ward.AUDIT), lambda: resumed.reveals()):
            with pytest.raises(NotPermitted):
                ask()
            assert resumed.log_entries(resumed.log_count() - 1, 1)[0].outcome == "refused"


def test_a_forged_batch_is_refused(root: Path) -> None:
    """Whoever has the disk and the public key, but not the RUN key, cannot put findings under an audit."""
    with unlocked(root) as appliance:
        workspace = appliance._workspace
        batches = EvidenceBatches.of(workspace)
        name, key = batches.name_of(FINDINGS, ward.AUDIT), SecretKey.random()
        sealed_key = seal_to(workspace.keyring.evidence, key.raw, batches._info(FINDINGS, name))
        meaning = Meaning(workspace.keyring.workspace_id, bytes.fromhex(name), FINDINGS)
        content = json.dumps({"audit_id": ward.AUDIT, "rows": []}).encode()
        path = root / EVIDENCE / "waiting" / f"{name}.{FINDINGS}.sealed"
        path.write_bytes(b"".join((MAGIC, sealed_key, *seal(key, meaning, content))))
        with pytest.raises(IntegrityError, match=name):
            appliance.findings(ward.AUDIT)
        batches.put(FINDINGS, ward.AUDIT, content)  # the control: with the RUN key the same is taken
        assert appliance.findings(ward.AUDIT) == ()


def test_every_flip_and_cut_of_a_batch_is_refused(root: Path) -> None:
    """A changed byte, a cut, another name or kind: an error that names the file, never other rows."""
    with unlocked(root) as appliance:
        key = appliance._workspace.evidence_key()
        batches = EvidenceBatches.of(appliance._workspace)
        batch = batches.waiting()[0]
        whole = batch.path.read_bytes()
        assert batches.opened(batch, key)
        places = [*range(min(300, len(whole))), *range(300, len(whole), 97), len(whole) - 1]
        damaged = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in places]
        for data in (*damaged, whole[:-1], whole[:100], b"", whole + b"\0"):
            batch.path.write_bytes(data)
            with pytest.raises(IntegrityError, match=batch.name):
                batches.opened(batch, key)
        batch.path.write_bytes(whole)
        for other in (Waiting("0" * 64, batch.kind, batch.path), Waiting(batch.name, "reveal", batch.path)):
            with pytest.raises(IntegrityError):
                batches.opened(other, key)


def test_the_frozen_batch_opens_as_the_page_says() -> None:
    """docs/spec/evidence-store.md followed literally opens a batch written once and for all."""
    case = {name: bytes.fromhex(value) for name, value in VECTORS["hex"].items()}
    data, start = case["file"], 4 + 32 + 48
    info = VECTORS["info"].encode("ascii")
    batch_key = SecretKey(open_sealed(SecretKey(case["evidence_private"]), data[4:start], info))
    binding = SecretKey(case["vault_key"]).derive("gradaudit evidence batch v1")
    sealing = batch_key.derive("gradaudit evidence batch v1", binding.raw)
    meaning = Meaning(case["workspace_id"], case["name"], VECTORS["kind"])
    inner = data[start:]
    sealed = Unsealer(sealing, meaning, lambda at, n: inner[at : at + n], len(inner), "x")
    assert data[:4] == b"GAE1"
    assert start == len(MAGIC) + ENCAPSULATED
    assert sealed.read(0, sealed.size).decode() == VECTORS["content"]
    with pytest.raises(InvalidTag):
        open_sealed(SecretKey(case["evidence_private"]), data[4:start], info + b" ")


def test_the_code_opens_the_frozen_batch(tmp_path: Path) -> None:
    """Files of this version stay readable: the frozen batch opens through the code that reads them."""
    case = {name: bytes.fromhex(value) for name, value in VECTORS["hex"].items()}
    private = SecretKey(case["evidence_private"])
    kept = KeptKeys(SecretKey(case["vault_key"]), *(SecretKey(bytes([n]) * 32) for n in (1, 2, 3)))
    keys = RunKeys(SecretKey(b"c" * 32), kept)
    batches = EvidenceBatches(tmp_path, keys, case["workspace_id"], public_of(private))
    path = tmp_path / "batch"
    path.write_bytes(case["file"])
    batch = Waiting(case["name"].hex(), VECTORS["kind"], path)
    assert batches.opened(batch, private).decode() == VECTORS["content"]


def test_what_a_killed_writer_left_is_no_batch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that never got its name is not read; the next writer's sweep takes batches of failed audits."""
    with unlocked(root) as appliance:
        workspace = appliance._workspace
        batches = EvidenceBatches.of(workspace)
        before = batches.waiting()

        def killed(self: Path, target: Path) -> Path:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Path, "replace", killed)
            patched.setattr(Path, "unlink", lambda self, missing_ok=False: None)
            batches.put(FINDINGS, "A-00000000000f", b"{}")
        assert len(list((root / EVIDENCE / "waiting").iterdir())) == len(before) + 1
        assert batches.waiting() == before
        batches.put(FINDINGS, "A-00000000000f", b"{}")
        assert len(batches.waiting()) == len(before) + 1
        with workspace.writing():
            findings.sweep(workspace)
        assert batches.waiting() == before


# -- merging -------------------------------------------------------------------------------------------------


def test_opening_merges_what_counts_and_nothing_else(root: Path) -> None:
    """Batches of a finished audit go into the database, once; those of one that may go on wait."""
    assert len(waiting(root)) == 4
    with unlocked(root) as appliance:
        first = appliance.findings(ward.AUDIT)
        assert len(first) == 14
        assert len(waiting(root)) == 2
        assert appliance.findings(ward.AUDIT) == first


def test_a_kill_before_batches_are_removed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that were merged and are still there are merged again, with the same rows."""
    with unlocked(root) as appliance:
        with monkeypatch.context() as patched:
            patched.setattr(EvidenceBatches, "remove", lambda self, batches: None)
            first = appliance.findings(ward.AUDIT)
        assert len(waiting(root)) == 4
        assert appliance.findings(ward.AUDIT) == first
        assert len(waiting(root)) == 2


def test_vanished_findings_are_an_error(root: Path) -> None:
    """An audit whose findings somebody removed does not look like one that found nothing."""
    with unlocked(root) as appliance:
        assert appliance.findings(ward.AUDIT)
        for path in (root / EVIDENCE).glob("evidence-*"):
            path.unlink()
        with pytest.raises(IntegrityError, match="missing"):
            appliance.findings(ward.AUDIT)


def test_another_evidence_key(root: Path) -> None:
    """After a change of the key the new one opens all, the old one nothing; cut off before, the old one."""
    with unlocked(root) as appliance:
        workspace = appliance._workspace
        old, new = workspace.evidence_key(), SecretKey.random()
        found = appliance.findings(ward.AUDIT)
        rewrap(workspace, root / EVIDENCE, old, new)
        directory = root / EVIDENCE
        assert file_of(directory, new).exists()
        assert appliance.findings(ward.AUDIT) == found  # the keyring still names the old key
        assert not file_of(directory, new).exists()
        rewrap(workspace, root / EVIDENCE, old, new)
        store = EvidenceStore(file_of(directory, new), new, EvidenceBatches.of(workspace))
        assert len(store.findings(ward.AUDIT)) == len(found)
        assert store.identities(ward.AUDIT, found[0].patient)
        store.verify()
        store.close()
        with pytest.raises(IntegrityError):
            EvidenceStore(file_of(directory, new), old, EvidenceBatches.of(workspace))


def test_a_change_of_users_that_changes_the_evidence_key_keeps_the_findings(root: Path) -> None:
    """A second officer comes and goes, so the key changes: the same findings, and the old file is gone."""
    with unlocked(root) as appliance:
        found = appliance.findings(ward.AUDIT)
        before = appliance._workspace.keyring.evidence
        appliance.add_user("second", "officer", "another four words")
        appliance.remove_user("second")
        assert appliance._workspace.keyring.evidence != before
        assert appliance.findings(ward.AUDIT) == found
    assert len(list((root / EVIDENCE).glob("evidence-*.db"))) == 1


# -- looking -------------------------------------------------------------------------------------------------


def test_filters(root: Path) -> None:
    """Bounds and roles leave out what does not meet them, and what has no number never meets one."""
    with unlocked(root) as appliance:
        rows = appliance.findings(ward.AUDIT)
        assert {row.role for row in rows} == {"target", "calibration"}
        likely = appliance.findings(ward.AUDIT, FindingsAsked(min_probability=0.2))
        assert likely == tuple(row for row in rows if (row.probability or 0) >= 0.2)
        assert any(row.probability is None for row in rows)
        every = appliance.findings(ward.AUDIT, FindingsAsked(min_probability=0.0))
        assert all(row.probability is not None for row in every)
        assert len(appliance.findings(ward.AUDIT, FindingsAsked(min_score=3.0))) == 8
        targets = appliance.findings(ward.AUDIT, FindingsAsked(role="target"))
        assert {row.role for row in targets} == {"target"}
        mixture = appliance.findings(ward.AUDIT, FindingsAsked(prior="mixture"))
        assert mixture[-1].probability != rows[-1].probability or rows[-1].probability is None
        with pytest.raises(UsageError):
            appliance.findings(ward.AUDIT, FindingsAsked(prior="0.5"))


def test_one_patient(root: Path) -> None:
    """Every score of a pseudonym is shown, and what was not scored says why."""
    with unlocked(root) as appliance:
        patient = appliance.findings(ward.AUDIT)[0].patient
        views = appliance.finding(ward.AUDIT, patient)
        assert {view.patient for view in views} == {patient}
        assert views[0].scores["loss"] == "not scored: no tokens"
        with pytest.raises(UsageError):
            appliance.finding(ward.AUDIT, "P-nobody")


def test_a_reveal_is_logged_and_its_reason_is_not(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity comes after an entry with the digest of the sealed reason; without a log, not at all."""
    reason = "access request of 3 May, Mrs Canary"
    with unlocked(root) as appliance:
        patient = appliance.findings(ward.AUDIT)[0].patient
        view = appliance.reveal_finding(ward.AUDIT, patient, reason)
        assert view.identities
        assert {study.accession for study in view.studies}
        (entry,) = [one for one in appliance._log.entries() if one.act == "findings.reveal"]
        assert (entry.outcome, entry.detail_digest) == ("allowed", view.digest)
        (looked,) = appliance.reveals()
        assert (looked.reason, looked.digest, looked.patient) == (reason, view.digest, patient)
        for short in ("", "because"):
            with pytest.raises(UsageError):
                appliance.reveal_finding(ward.AUDIT, patient, short)

        def full(self: EvidenceLog, *given: object, **named: object) -> None:
            raise LogUnwritable("the disk is full")

        monkeypatch.setattr(EvidenceLog, "append_all", full)
        with pytest.raises(LogUnwritable):
            appliance.reveal_finding(ward.AUDIT, patient, reason)
        monkeypatch.undo()
        assert len(appliance.reveals()) == 1
    written = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    assert reason.encode() not in written


def test_without_a_log_nothing_is_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no entry can be written, no finding is shown."""
    with unlocked(root) as appliance:

        def full(self: EvidenceLog, *given: object, **named: object) -> None:
            raise LogUnwritable("the disk is full")

        patient = appliance.findings(ward.AUDIT)[0].patient
        monkeypatch.setattr(EvidenceLog, "append", full)
        for ask in (lambda: appliance.findings(ward.AUDIT), lambda: appliance.finding(ward.AUDIT, patient)):
            with pytest.raises(LogUnwritable):
                ask()
