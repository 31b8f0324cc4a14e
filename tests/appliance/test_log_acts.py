"""The acts around the log through the one door, and the same through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from appliance import cli
from appliance.api import Appliance
from appliance.errors import IntegrityError, UsageError
from appliance.evidence import keeping
from appliance.evidence import verify_evidence as checked
from appliance.evidence.audit_events import audit_event
from appliance.evidence.log import EvidenceLog
from appliance.evidence.verify import verify
from appliance.workspace.workspace import Workspace
from tests.appliance.test_log_clock import run_for
from tests.appliance.test_log_segments import in_year, years

PASSPHRASE = "four random words"
FOUND = "Mrs. Canary's record was opened twice"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that commands open without asking."""
    with Appliance(Workspace.create(tmp_path / "workspace", PASSPHRASE, "Test", unsafe_fast_kdf=True)):
        pass
    (tmp_path / "secret").write_text(PASSPHRASE)
    (tmp_path / "secret").chmod(0o600)
    monkeypatch.setenv("GRADAUDIT_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("GRADAUDIT_PASSPHRASE_FILE", str(tmp_path / "secret"))
    return tmp_path / "workspace"


def run(*arguments: str | Path) -> Result:
    """One command in this process."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def printed(*arguments: str | Path) -> dict[str, object]:
    """What a command that must succeed prints as JSON."""
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output + repr(done.exception)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_state_on_paper_is_found_again(root: Path) -> None:
    """Words of a state are accepted later; one wrong word, or more entries than there are, is an alarm."""
    state = printed("log", "checkpoint")
    words, size = str(state["state_words"]).split(), str(state["entries"])
    assert run("log", "hold", "set").exit_code == 0
    assert run("log", "checkpoint", "--compare", size, *words).exit_code == 0
    wrong = [*words[:-1], "bodab"]
    for given, said in (
        (["--compare", size, *wrong], "not those"),
        (["--compare", "999", *words], "rolled back"),
    ):
        done = run("log", "checkpoint", *given)
        assert isinstance(done.exception, IntegrityError)
        assert said in str(done.exception)
        assert done.exception.exit_code == 20
    assert isinstance(run("log", "checkpoint", "--compare", size).exception, UsageError)


def test_a_witness_by_commands(root: Path, tmp_path: Path) -> None:
    """init, trust, request, sign, accept and ls; what the witness refuses ends with 20."""
    stick, request, answer = tmp_path / "stick", tmp_path / "request", tmp_path / "answer"
    printed("log", "witness", "init", stick)
    assert isinstance(run("log", "witness", "init", stick).exception, UsageError)
    printed("log", "witness", "trust", "stick", stick / "witness-key")
    assert run("log", "witness", "request", "stick", "-o", request).exit_code == 0
    printed("log", "witness", "sign", request, "--state", stick, "-o", answer)
    assert printed("log", "witness", "accept", answer)["entries"]
    assert printed("log", "witness", "ls")["name"] == "stick"
    assert printed("log", "verify")["witnessed"] == "witnessed"
    words = " ".join(["bodab"] * 10)
    refused = run("log", "witness", "sign", request, "--state", stick, "-o", answer, "--key", words)
    assert isinstance(refused.exception, IntegrityError)
    assert "another key" in str(refused.exception)


def test_a_review_is_sealed(root: Path) -> None:
    """Window and words come back by command; the words are nowhere on the disk in the clear."""
    row = printed("log", "review", "--from", "0", "--to", "1", "--found", FOUND)
    assert (0, 1, FOUND) == (row["first"], row["last"], row["found"])
    assert printed("log", "reviews")["found"] == FOUND
    assert [] == [path for path in root.rglob("*") if path.is_file() and b"Canary" in path.read_bytes()]
    with Appliance(Workspace.open(root, PASSPHRASE)) as site:
        assert site.last_log_review()
        with pytest.raises(UsageError, match="no entries"):
            site.review_log(5, 4000, "x")


def test_exported_lines_prove_themselves(root: Path, tmp_path: Path) -> None:
    """Each line of the JSON export leads to the signed checkpoint in its first line."""
    made = printed("log", "export", "-o", tmp_path / "log.jsonl", "--from", "1", "--to", "2")
    head, *lines = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    key = checked.parse_key(head["key"].encode() + b"\n", "key")
    top = checked.open_checkpoint(head["checkpoint"].encode(), key, "checkpoint")
    assert [1, 2] == [line["entry"]["id"] for line in lines]
    for line in lines:
        path = [bytes.fromhex(step) for step in line["inclusion"]]
        leaf = checked.leaf_hash(checked.canonical(line["entry"]))
        assert checked.root_by_inclusion(line["entry"]["id"], top.size, leaf, path) == top.root
    assert made["file"] == str(tmp_path / "log.jsonl")
    assert isinstance(run("log", "export", "-o", tmp_path / "x", "--format", "xml").exception, UsageError)


def test_every_entry_is_an_audit_event(root: Path, tmp_path: Path) -> None:
    """FHIR's own model (R4B) accepts every line, and refuses one without its time."""
    model = pytest.importorskip("fhir.resources.R4B.auditevent", reason="not shown: needs fhir.resources")
    made = printed("log", "export", "-o", tmp_path / "log.ndjson", "--format", "fhir")
    lines = [json.loads(line) for line in (tmp_path / "log.ndjson").read_text().splitlines()]
    assert made["checked"] is True
    assert len(lines) == int(str(made["last"])) + 1
    for line in lines:
        model.AuditEvent.model_validate(line)
    with Appliance(Workspace.open(root, PASSPHRASE)) as site:
        event = audit_event(site._log.entries(0, 1)[0], "log")
    del event["recorded"]
    with pytest.raises(ValueError, match="recorded"):
        model.AuditEvent.model_validate(event)


def test_looking_at_the_log_is_an_entry(root: Path) -> None:
    """The first look of a session is logged, by whoever looks; turning pages is not."""
    with Appliance(Workspace.open(root, PASSPHRASE)) as site:
        site.log_entries(0, 5)
        site.log_entries(5, 5)
        acts = [row.act for row in site._log.rows(0, 99)]
    assert acts.count("log.view") == 1


def test_years_are_kept_for_six_and_under_a_hold(tmp_path: Path) -> None:
    """Younger years, shorter retentions and held logs are refused; what is old enough goes, with an entry."""
    years(tmp_path / "log", 2026, 2027, 2033)
    clock = in_year(2033)
    run_for(clock, 24 * 30)
    log, now = EvidenceLog.open(tmp_path / "log", clock=clock), clock.utc
    log.append("a.b")
    for before, keep, said in (
        (2028, 6, "kept for 6 years"),
        (2027, 5, "at least 6"),
        (2027, 7, "kept for 7"),
    ):
        with pytest.raises(UsageError, match=said):
            keeping.prune(log, before, keep, now)
    with pytest.raises(UsageError, match="kept for"):
        keeping.prune(years(tmp_path / "young", 2026, 2027), 2027, 6, now)  # only the clock is in 2033
    keeping.hold(log, True)
    with pytest.raises(UsageError, match="legal hold"):
        keeping.prune(log, 2027, 6, now)
    keeping.hold(log, False)
    assert ["2026"] == keeping.prune(log, 2027, 6, now)
    assert ("2027",) == log.closed_years()
    assert log.verify().intact


@pytest.mark.parametrize("name", ["journal", "checkpoints", "signing.key"])
def test_one_fault_of_the_log_is_named_once(root: Path, name: str) -> None:
    """A broken log of one's own: one line, one next step that makes sense, and why findings were not read."""
    path = root / "log" / name
    data = path.read_bytes()
    path.write_bytes(data[:5] + bytes([data[5] ^ 1]) + data[6:])
    done = run("workspace", "verify", "--json")
    assert done.exit_code == 20
    lines = done.stdout.splitlines()
    damages = json.loads(next(line for line in lines if line.startswith("{")))["damages"]
    assert [f"log/{name}"] == [one["file"] for one in damages], damages
    assert "sender" not in done.output
    assert "findings were not read: the workspace does not open" in done.output


def test_a_log_that_is_checked_by_itself_has_a_sender_or_not(root: Path, tmp_path: Path) -> None:
    """A directory is kept as it is; a pack comes from somebody, who is asked again."""
    (root / "log" / "checkpoint").write_bytes(b"")
    for path, said in ((root / "log", "keep it as it is"), (tmp_path / "pack.zip", "its sender")):
        if not path.exists():
            path.write_bytes(b"PK\x03\x04 no pack")
        with pytest.raises(IntegrityError) as raised:
            verify(path)
        assert said in raised.value.hint
