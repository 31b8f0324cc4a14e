"""Witnesses: what they refuse, what their cosignatures show, and who notices that nobody has looked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.evidence import witness_log, witnesses
from appliance.evidence.log import EvidenceLog
from appliance.evidence.notes import LogKeys
from appliance.pack import building as pack
from tests.appliance.evidence_case import FrozenClock, closed_audit, small_log

DAY_MS = 24 * 3600 * 1000
NOW = 1_790_000_100


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A witness's folder."""
    witness_log.init(tmp_path / "stick")
    return tmp_path / "stick"


def trusted(log: EvidenceLog, stick: Path) -> None:
    """The site trusts the witness by its key file."""
    witnesses.trust(log, "stick", (stick / witness_log.KEY_FILE).read_bytes())


def seen(log: EvidenceLog, stick: Path, now: int = NOW) -> checked.Seen:
    """One whole exchange of files."""
    answer = witness_log.sign(witnesses.request(log, "stick"), stick, now)
    return witnesses.accept(log, answer.data())[1]


def test_signatures_of_the_slow_signer_are_those_of_the_library() -> None:
    """Ed25519 of RFC 8032 gives one signature: our file and the library agree on forty keys."""
    for number in range(40):
        seed, message = bytes([number]) * 32, bytes(range(number))
        library = Ed25519PrivateKey.from_private_bytes(seed)
        assert library.public_key().public_bytes_raw() == witness_log.ed25519_public(seed)
        assert library.sign(message) == witness_log.ed25519_sign(seed, message)


def test_a_witness_signs_what_grows(tmp_path: Path, stick: Path) -> None:
    """Request, answer and acceptance, three times over a growing log; the last state is kept and checked."""
    log = small_log(tmp_path / "log")
    trusted(log, stick)
    sizes = []
    for number in range(3):
        sizes.append(seen(log, stick, NOW + number).checkpoint.size)
        log.append("models.add")
    assert sizes == sorted(set(sizes))
    (row,) = witnesses.rows(log)
    assert ("stick", sizes[-1], "2026-09-21 14:15 UTC") == (row.name, row.entries, row.seen_utc)
    lines = checked.check_log(tmp_path / "log").lines
    assert any(line.startswith(f"witness  {sizes[-1]} entries seen on 2026-09-21") for line in lines)
    acts = [entry.act for entry in log.entries(0, 99)]
    assert (1, 3) == (acts.count("witness.trust"), acts.count("witness.accept"))


def re_signed(directory: Path, into: Path) -> EvidenceLog:
    """A second history with as many entries, signed with the stolen key."""
    into.mkdir()
    log_keys = LogKeys.load(directory / "signing.key")
    forged = EvidenceLog.open(into / "made", clock=FrozenClock())
    (into / "made" / "signing.key").unlink()
    log_keys.save(into / "made" / "signing.key")
    signer = log_keys.signer()
    (into / "made" / "verifier-key").write_bytes(signer.key.line())
    head = checked.Checkpoint(1, bytes.fromhex(forged.root))
    (into / "made" / "checkpoint").write_bytes(signer.checkpoint(head))
    again = EvidenceLog.open(into / "made", clock=FrozenClock())
    for _ in range(40):
        again.append("models.forged")
    return again


def test_a_second_history_is_refused(tmp_path: Path, stick: Path) -> None:
    """Signed with the site's own key it is intact to every local look; the witness says what it is."""
    log = small_log(tmp_path / "log")
    trusted(log, stick)
    old = seen(log, stick).checkpoint.size
    forged = re_signed(tmp_path / "log", tmp_path / "forged")
    assert forged.verify().intact
    key = checked.parse_key(forged.verifier_key, "key")
    proof = tuple(forged.prove_growth(old, forged.size))
    request = witness_log.Request(key, old, proof, forged.checkpoint_at(forged.size))
    with pytest.raises(witness_log.Refused, match=f"another history: the first {old} entries"):
        witness_log.sign(request.data(), stick)
    shutil.copytree(tmp_path / "log" / "witness", tmp_path / "forged" / "made" / "witness")
    with pytest.raises(checked.Broken, match="witness/stick: cosigned another history"):
        checked.check_log(tmp_path / "forged" / "made")


def test_a_rolled_back_log_is_refused(tmp_path: Path, stick: Path) -> None:
    """Yesterday's disk: the witness names both sizes, and so does the log when the answer was kept."""
    log = small_log(tmp_path / "log")
    trusted(log, stick)
    shutil.copytree(tmp_path / "log", tmp_path / "yesterday")
    log.append("findings.reveal")
    size = seen(log, stick).checkpoint.size
    old = EvidenceLog.open(tmp_path / "yesterday", clock=FrozenClock())
    assert old.verify().intact
    with pytest.raises(witness_log.Refused, match=f"a smaller log: {old.size} entries, .* seen {size}"):
        witness_log.sign(witnesses.request(old, "stick"), stick)
    shutil.copy(tmp_path / "log/witness/stick", tmp_path / "yesterday/witness/stick")
    with pytest.raises(checked.Broken, match=f"stick: cosigned {size} entries, of which the log holds"):
        checked.check_log(tmp_path / "yesterday")


def test_other_logs_proofs_and_memories_are_refused(tmp_path: Path, stick: Path) -> None:
    """Another log, a proof from elsewhere, words that do not fit, a witness that forgot: each is named."""
    log, other = small_log(tmp_path / "log"), small_log(tmp_path / "other")
    trusted(log, stick)
    first = witnesses.request(log, "stick")
    with pytest.raises(witness_log.Refused, match="another key"):
        witness_log.sign(first, stick, log_words=other.key_words)
    seen(log, stick)
    trusted(other, stick)
    with pytest.raises(witness_log.Refused, match="another log: this witness has seen gradaudit/log-"):
        witness_log.sign(witnesses.request(other, "stick"), stick)
    log.append("a.b")
    with pytest.raises(witness_log.Refused, match="a proof from another place"):
        witness_log.sign(
            witness_log.parse_request(witnesses.request(log, "stick"))._replace(old=3).data(), stick
        )
    (stick / witness_log.SEEN_FILE).unlink()
    with pytest.raises(witness_log.Refused, match="no memory"):
        witness_log.sign(witnesses.request(log, "stick"), stick)


@pytest.mark.parametrize("what", ["request", "answer"])
def test_every_changed_byte_of_an_exchange_is_refused(tmp_path: Path, stick: Path, what: str) -> None:
    """A flipped bit anywhere in request or answer: nothing is signed, nothing is accepted."""
    log = small_log(tmp_path / "log")
    trusted(log, stick)
    seen(log, stick)
    log.append("a.b")
    request = witnesses.request(log, "stick")
    clean = request if what == "request" else witness_log.sign(request, stick, NOW).data()
    for place in range(0, len(clean), 3):
        data = clean[:place] + bytes([clean[place] ^ 1]) + clean[place + 1 :]
        with pytest.raises((witness_log.Refused, checked.Broken, UsageError, IntegrityError)):
            if what == "request":
                witness_log.sign(data, stick, NOW)
            else:
                witnesses.accept(log, data)


def test_only_trusted_witnesses_count(tmp_path: Path, stick: Path) -> None:
    """An answer of a stranger is refused with its words; trusted by these words, it is accepted."""
    log = small_log(tmp_path / "log")
    key = checked.parse_key(log.verifier_key, "key")
    answer = witness_log.sign(witness_log.Request(key, 0, (), log.checkpoint_at(log.size)).data(), stick, NOW)
    words = checked.ten_words(answer.key.public)
    with pytest.raises(UsageError, match=words):
        witnesses.accept(log, answer.data())
    witnesses.trust(log, "paper", words)
    assert witnesses.accept(log, answer.data())[0] == "paper"
    with pytest.raises(UsageError, match="another witness is trusted as paper"):
        witnesses.trust(log, "paper", log.key_words)


@pytest.mark.parametrize(
    ("days", "expected"), [(0, ("not yet", "witnessed")), (8, ("unwitnessed", "unwitnessed"))]
)
def test_evidence_that_nobody_saw_is_called_so(
    tmp_path: Path, stick: Path, days: int, expected: tuple[str, str]
) -> None:
    """Before and after a first cosignature, on the day and eight days later."""
    clock = FrozenClock()
    log = EvidenceLog.open(tmp_path / "log", clock=clock)
    clock.utc += days * DAY_MS
    assert expected[0] == log.verify().witnessed
    trusted(log, stick)
    seen(log, stick, clock.utc // 1000)
    assert log.verify().witnessed == "witnessed"
    clock.utc += days * DAY_MS
    assert expected[1] == log.verify().witnessed
    clock.utc -= 30 * DAY_MS  # setting the clock back does not help, once an entry or a witness knows better
    log.append("a.b")
    assert log.verify().witnessed in ("witnessed", expected[1])


def test_state_words_name_one_state(tmp_path: Path) -> None:
    """Each size has its own ten words, the same in the verifier's answer; another log has others."""
    log, other = small_log(tmp_path / "log"), small_log(tmp_path / "other")
    words = [log.state_words(size) for size in range(1, log.size + 1)]
    assert len(set(words)) == log.size
    assert f"state    <{words[-1]}>" in checked.check_log(tmp_path / "log").lines
    assert words[-1] != other.state_words(other.size)


def test_a_pack_carries_its_cosignatures(tmp_path: Path, stick: Path) -> None:
    """The verifier names who saw the log, knows the witness it is given, and refuses a forged cosignature."""
    log, given = closed_audit(tmp_path / "log")
    before = pack.build(log, given)
    trusted(log, stick)
    seen(log, stick)
    data = pack.build(log, given)
    path, key = tmp_path / "pack.zip", str(stick / witness_log.KEY_FILE)
    path.write_bytes(data)
    assert checked.main(["--witness", key, str(path)]) == 0
    assert len(checked.check_pack(data).seen) == 1
    path.write_bytes(before)
    assert checked.main([str(path)]) == 0
    assert checked.main(["--witness", key, str(path)]) == 3
    assert checked.main(["--witness", str(path), str(path)]) == 2
    members, _ = checked.split_zip(data)
    other = tmp_path / "another"
    witness_log.init(other)
    forged = members[checked.COSIGNED].replace(
        (stick / witness_log.KEY_FILE).read_bytes().strip(),
        (other / witness_log.KEY_FILE).read_bytes().strip(),
    )
    assert forged != members[checked.COSIGNED]
    head = checked.open_checkpoint(members["log/checkpoint"], checked.parse_key(log.verifier_key, "k"), "h")
    with pytest.raises(checked.Broken, match=r"log/cosigned\.json, number 1"):
        checked._check_cosigned({checked.COSIGNED: forged}, checked.parse_key(log.verifier_key, "k"), head)


@pytest.mark.parametrize("isolated", [("-I", "-S"), ("-S",)], ids=["isolated", "plain"])
def test_a_stranger_needs_two_files_and_python(tmp_path: Path, isolated: tuple[str, ...]) -> None:
    """Copied to an empty folder, the witness's file runs with the standard library alone."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for module in (witness_log, checked):
        shutil.copy(str(module.__file__), tools)
    log = small_log(tmp_path / "log")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *isolated, str(tools / "witness_log.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tools)

    made = run("init", "state")
    assert made.returncode == 0, made.stderr
    witnesses.trust(log, "stick", (tools / "state" / "witness-key").read_bytes())
    (tools / "request").write_bytes(witnesses.request(log, "stick"))
    signed = run("sign", "request", "--state", "state", "-o", "answer", "--key", log.key_words)
    assert signed.returncode == 0, signed.stdout + signed.stderr
    assert witnesses.accept(log, (tools / "answer").read_bytes())[1].checkpoint.size == log.size - 1
    refused = run("sign", "request", "--state", "state", "-o", "answer", "--key", "bodab " * 10)
    assert (1, "REFUSED: another key") == (refused.returncode, refused.stdout[:20])
    (tools / "verify_evidence.py").unlink()
    alone = run("init", "other")
    assert (2, "", True) == (alone.returncode, alone.stderr, "verify_evidence.py beside" in alone.stdout)
