"""The log as its users see it: what goes in comes out, nothing else goes in, and several writers agree."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from appliance.errors import IntegrityError, LogUnwritable
from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Act
from appliance.evidence.log import EvidenceLog
from tests.appliance.evidence_case import FrozenClock, small_log


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    """Single and batched entries are numbered, share the number of their step, and read back as written."""
    log = small_log(tmp_path / "log")
    entries = log.entries()
    assert list(range(11)) == [entry.index for entry in entries]
    assert [0, 1, 2, 3, 4, 5, 6, 6, 6, 9, 9] == [entry.first for entry in entries]
    assert ("log.create", "models.add", "ingest.file") == (entries[0].act, entries[1].act, entries[-1].act)
    assert entries[1].claimed_utc == "2026-09-21T14:13:20.123Z"
    assert entries[3:5] == log.entries(3, 2)
    assert entries[-2:] == log.entries(-2, 9)
    assert [] == log.entries(11, 5)
    assert [entry.act for entry in entries] == [row.act for row in log.rows(0, 100)]


def test_a_log_opens_as_it_was_left(tmp_path: Path) -> None:
    """Size, root, key and all proofs survive closing and opening, across the stride of remembered places."""
    log = small_log(tmp_path / "log", batches=(600,))
    again = EvidenceLog.open(tmp_path / "log", create=False)
    assert (log.size, log.root, log.key_words) == (again.size, again.root, again.key_words)
    assert log.entries(500, 3) == again.entries(500, 3)
    for index in (0, 255, 256, 511, 605):
        path = again.prove_entry(index, again.size)
        leaf = checked.leaf_hash(again.raw(index))
        assert checked.root_by_inclusion(index, again.size, leaf, path) == bytes.fromhex(log.root)
    key = checked.parse_key(again.verifier_key, "key")
    head = checked.open_checkpoint(again.checkpoint_at(again.size), key, "head")
    for size in (1, 6, 255, 300, 512):
        old = checked.open_checkpoint(again.checkpoint_at(size), key, "old")
        assert checked.is_consistent(old, head, again.prove_growth(size, again.size))


def test_identifiers_are_keyed(tmp_path: Path) -> None:
    """The same name gives the same handle in one log and another in the next; the name is nowhere on disk."""
    first, second = EvidenceLog.open(tmp_path / "a"), EvidenceLog.open(tmp_path / "b")
    first.append("users.add", first.identifier("Dr. Canary"), "done", actor="officer")
    assert first.identifier("Dr. Canary") == first.identifier("Dr. Canary")
    assert first.identifier("Dr. Canary") != second.identifier("Dr. Canary")
    assert [] == [path for path in (tmp_path / "a").iterdir() if b"Canary" in path.read_bytes()]
    assert first.about(first.identifier("Dr. Canary"))[0].act == "users.add"


@pytest.mark.parametrize(
    "fields",
    [
        {"act": "John Doe"},
        {"act": "Unlock"},
        {"act": "reveal"},
        {"act": 'x.y","v":2'},
        {"object_": "1.2.840.113619.2.55"},
        {"object_": "doe^john"},
        {"object_": "12345678"},
        {"outcome": "patient-4711"},
        {"actor": "jane"},
        {"actor": "officer:jane"},
        {"policy_digest": "abc"},
        {"detail_digest": "free text"},
        {"result_root": "A" * 64},
    ],
)
def test_nothing_personal_fits_into_an_entry(tmp_path: Path, fields: dict[str, str]) -> None:
    """Names, numbers, UIDs and free text are refused in every field, and nothing is written."""
    log = EvidenceLog.open(tmp_path / "log")
    with pytest.raises(ValueError, match=r"entry"):
        log.append(**{"act": "users.add", **fields})  # type: ignore[arg-type]
    assert log.verify().entries == 1


def test_keys_are_the_owners_alone(tmp_path: Path) -> None:
    """The secret is 0600; a log whose secret others may read is refused."""
    EvidenceLog.open(tmp_path / "log")
    secret = tmp_path / "log" / "signing.key"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    secret.chmod(0o640)
    with pytest.raises(IntegrityError, match="other users"):
        EvidenceLog.open(tmp_path / "log")


def test_a_vanished_log_is_not_replaced(tmp_path: Path) -> None:
    """With create=False a missing log is an alarm, not an empty log."""
    with pytest.raises(IntegrityError, match="missing"):
        EvidenceLog.open(tmp_path / "log", create=False)
    assert not (tmp_path / "log").exists()


def test_a_clock_set_back_is_an_entry(tmp_path: Path) -> None:
    """More than 2 s back is noted, also when only the machine's own time tells; 2 s and a restart are not."""
    clock = FrozenClock()
    log = EvidenceLog.open(tmp_path / "log", clock=clock)
    clock.utc -= 2_000
    log.append("a.b")
    clock.utc -= 2_001
    log.append("a.b")
    clock.utc, clock.boot = clock.utc + 1_000, clock.boot + 3_600_000_000_000
    log.append("a.b")
    clock.utc, clock.boot = clock.utc + 60_000, 0
    log.append("a.b")
    acts = [entry.act for entry in log.entries()]
    assert ["log.create", "a.b", "clock.back", "a.b", "clock.back", "a.b", "a.b"] == acts


def test_two_open_logs_share_one_file(tmp_path: Path) -> None:
    """Each append takes in what others wrote; both end at the same root."""
    one, two = EvidenceLog.open(tmp_path / "log"), EvidenceLog.open(tmp_path / "log")
    one.append("a.one")
    two.append("a.two")
    one.append("a.three")
    assert two.refresh() == 4
    assert (one.size, one.root) == (two.size, two.root)
    assert ["a.one", "a.two", "a.three"] == [entry.act for entry in two.entries(1)]


def test_threads_and_processes_interleave(tmp_path: Path) -> None:
    """Four threads append while two processes do: nothing lost or doubled, the log intact."""
    log = EvidenceLog.open(tmp_path / "log")
    code = (
        "import sys, pathlib, threading; from appliance.evidence.log import EvidenceLog\n"
        "log, stop, done = EvidenceLog.open(pathlib.Path(sys.argv[1])), threading.Event(), 0\n"
        "threading.Thread(target=lambda: (input(), stop.set()), daemon=True).start()\n"
        "while not stop.is_set(): log.append('process.step'); done += 1\n"
        "print(done)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "log")]
    pipe = subprocess.PIPE
    others = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]

    def await_more() -> None:
        """Until another process has appended."""
        before = log.refresh()
        while log.refresh() == before:
            time.sleep(0.01)

    try:
        await_more()
        with ThreadPoolExecutor(4) as pool:
            indices = [entry.index for entry in pool.map(lambda _: log.append("thread.step"), range(30))]
        await_more()
    finally:
        written = [int(process.communicate("stop\n")[0]) for process in others]
    assert len(set(indices)) == 30
    assert log.refresh() == 31 + sum(written)
    acts = [entry.act for entry in log.entries(1, log.size)]
    assert acts != sorted(acts)  # processes before and after the threads
    assert Counter(acts) == {"thread.step": 30, "process.step": sum(written)}
    assert log.verify().intact


def test_no_write_no_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk refuses, append raises and goes on raising; opened anew, the log is whole."""
    log = small_log(tmp_path / "log")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LogUnwritable, match="nothing was done"):
        log.append("findings.reveal")
    monkeypatch.undo()
    with pytest.raises(LogUnwritable):
        log.append("findings.reveal")
    again = EvidenceLog.open(tmp_path / "log", clock=FrozenClock())
    assert ["ingest.file", "log.cut"] == [entry.act for entry in again.entries(-2, 2)]
    assert again.verify().intact


def test_a_torn_tail_is_cut_and_the_cut_is_logged(tmp_path: Path) -> None:
    """Bytes behind the checkpoint were never acknowledged: they go, and the log says which."""
    log = small_log(tmp_path / "log")
    entries = log.entries()
    with (tmp_path / "log" / "journal").open("ab") as journal:
        journal.write(b"\x00\x00\x01\x00half an en")
    again = EvidenceLog.open(tmp_path / "log", clock=FrozenClock())
    assert entries == again.entries(0, len(entries))
    last = again.entries(-1)[0]
    assert ("log.cut", "cut") == (last.act, last.outcome)
    assert last.detail_digest == sha256(b"\x00\x00\x01\x00half an en").hexdigest()
    assert again.size == len(entries) + 1
    assert again.verify().intact


def test_creation_is_all_or_nothing(tmp_path: Path) -> None:
    """What a crash during creation left beside the log does not stop the next start."""
    (tmp_path / "log.new").mkdir()
    (tmp_path / "log.new" / "journal").write_bytes(b"half")
    (tmp_path / "log").mkdir()
    log = EvidenceLog.open(tmp_path / "log")
    assert log.size == 1
    assert not (tmp_path / "log.new").exists()


def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    """One bad act in a batch keeps the others out."""
    log = EvidenceLog.open(tmp_path / "log")
    with pytest.raises(ValueError, match="entry"):
        log.append_all([Act("a.b"), Act("a.b", policy_digest="x")])
    assert log.size == 1
