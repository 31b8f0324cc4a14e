"""`gradaudit health`: worst of all checks, from what lies in clear text, without a key or a patient."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from typer.testing import CliRunner

from appliance import beat, cli
from appliance.api import Appliance
from appliance.errors import NotNow
from appliance.evidence.verify_evidence import JOURNAL_MAGIC, Tree, compose_start, leaf_hash, read_head
from appliance.leases import Machine
from appliance.receiver.sealing import Address
from appliance.receiver.spool import Spool, create
from appliance.schedule_records import Kept, packed
from appliance.schedule_views import ALL, Schedule
from appliance.site.checks import HealthCheck
from appliance.site.health import health, receiver_needs
from appliance.workspace.keys import SecretKey
from appliance.workspace.workspace import Workspace

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = datetime(2126, 6, 1, tzinfo=UTC)  # than any file here
SECRET = "four random words"
RECEIVER = f"""[receiver]
certificate = "own.pem"
key = "own.key"
authorities = "authorities.pem"
[hl7]
listen = "127.0.0.1:2575"
[[peer]]
name = "engine"
certificate_sha256 = "{"0" * 64}"
hl7 = true
"""


class Gone(Machine):
    """A machine on which no process lives."""

    def lives(self, process: int, began: int) -> bool:
        return False


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a few entries in its log."""
    root = tmp_path_factory.mktemp("health") / "workspace"
    with Appliance(Workspace.create(root, SECRET, "Ward of Mia Muster", unsafe_fast_kdf=True)) as appliance:
        appliance.studies()
        appliance.reports()
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """The same to oneself."""
    shutil.copytree(made, tmp_path / "workspace")
    return tmp_path / "workspace"


def _spool(root: Path) -> Spool:
    """A spool whose receiver seals to somebody."""
    create(root / "spool", Address.of_vault(SecretKey(bytes(range(32))), bytes(16)))
    return Spool(root / "spool")


def _check(root: Path, name: str, now: datetime = NOW, machine: Machine | None = None) -> HealthCheck:
    return next(one for one in health(root, now, machine).checks if one.name == name)


def test_a_sound_site_is_ok_and_no_key_was_asked_for(root: Path) -> None:
    """Exit code 0, one object, every check by its name."""
    done = CliRunner().invoke(cli.app, ["--workspace", str(root), "health", "--json"])
    assert 0 == done.exit_code, done.output
    told = json.loads(done.stdout)
    assert "ok" == told["status"]
    page = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text()
    named = re.findall(r"^\| (\w+) \|(?: [^|]*\|){4}$", page, re.MULTILINE)
    assert named[1:] == [check["name"] for check in told["checks"]]
    assert {"ok"} == {check["status"] for check in told["checks"]}


def test_it_says_nothing_of_the_site_and_its_patients(root: Path) -> None:
    """Neither the site's name nor a path, whatever the status is."""
    (root / "quarantine").mkdir(exist_ok=True)
    (root / "log" / "checkpoint").write_text("Mia Muster")
    told = repr(health(root, NOW))
    assert "critical" in told
    assert "Muster" not in told and str(root) not in told


def test_it_writes_nothing(root: Path) -> None:
    """No file is made or touched."""
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    health(root, NOW)
    assert before == {path: path.lstat().st_mtime_ns for path in root.rglob("*")}


def test_without_a_workspace_it_is_critical(tmp_path: Path) -> None:
    """Exit code 2, as monitoring systems take it."""
    done = CliRunner().invoke(cli.app, ["--workspace", str(tmp_path / "none"), "health"])
    assert 2 == done.exit_code
    assert done.stdout.startswith("critical: gradaudit ")
    assert "critical workspace: there is none" in done.stdout


@pytest.mark.parametrize(
    "damage",
    ["journal cut", "journal gone", "journal wiped", "journal of noise", "a year", "checkpoint", "key"],
)
def test_a_log_that_is_not_as_signed_is_critical(damage: str, root: Path) -> None:
    """Cut off at its end, or signed by nobody."""
    assert ("ok", "entries") == (_check(root, "log").status, _check(root, "log").unit)
    log = root / "log"
    if damage == "journal cut":
        os.truncate(log / "journal", (log / "journal").stat().st_size - 10)
    elif damage == "journal gone":
        (log / "journal").unlink()
    elif damage == "journal wiped":
        (log / "journal").write_bytes(b"")
    elif damage == "journal of noise":
        (log / "journal").write_bytes(bytes(range(256)) * 3)
    elif damage == "a year":  # soundly begun at the checkpoint, but no year was closed there
        _begin_a_year(log, closed=False)
    elif damage == "checkpoint":
        text = (log / "checkpoint").read_bytes()
        (log / "checkpoint").write_bytes(text.replace(b"\n", b"\n1", 1))
    else:
        (log / "verifier-key").write_bytes((log / "verifier-key").read_bytes()[:-2] + b"A\n")
    assert "critical" == _check(root, "log").status
    assert "critical" == health(root, NOW).status


def _begin_a_year(log: Path, *, closed: bool) -> None:
    """What the log looks like before the first entry of a year."""
    frontier = Tree()
    with (log / "journal").open("rb") as journal:
        for _ in range(read_head(log)[1].size):
            journal.seek(max(journal.tell(), len(JOURNAL_MAGIC)))
            frontier.push(leaf_hash(journal.read(int.from_bytes(journal.read(4), "big"))))
    if closed:
        (log / "segments" / "2026").mkdir(parents=True)
        shutil.copy(log / "checkpoint", log / "segments" / "2026")
    note = (log / "checkpoint").read_bytes()
    (log / "journal").write_bytes(compose_start(note, frontier.frontier, 2027))


def test_a_year_that_has_just_begun_is_ok(root: Path) -> None:
    """Its journal has no entry, and the year before was closed where the checkpoint is."""
    _begin_a_year(root / "log", closed=True)
    assert "ok" == _check(root, "log").status


def test_a_look_that_fails_is_a_finding_and_not_an_end(root: Path) -> None:
    """A time that is none, somewhere in the log: critical, exit code 2, and every other check is there."""
    with Appliance.unlock(root, SECRET) as appliance:
        appliance._log.append("schedule.run", "", "begins")
    journal = root / "log" / "journal"
    data = journal.read_bytes()
    place = data.index(b'"utc":"', data.index(b'"act":"schedule.run"')) + len(b'"utc":"0000-')
    journal.write_bytes(data[:place] + b"99" + data[place + 2 :])
    done = CliRunner().invoke(cli.app, ["--workspace", str(root), "health", "--json"])
    assert 2 == done.exit_code
    told = {check["name"]: check["status"] for check in json.loads(done.stdout)["checks"]}
    assert {"schedule": "critical"} == {name: status for name, status in told.items() if status != "ok"}


def test_a_configuration_that_cannot_be_used_is_told_as_a_finding(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One object on stdout, exit code 2, and neither the file's place nor its content anywhere."""
    file = tmp_path / "secret-place.toml"
    file.write_text("[disk]\nminimum_free = 'secret-value'\n")
    monkeypatch.setenv("GRADAUDIT_CONFIG", str(file))
    for option in (["--workspace", str(root)], []):
        done = CliRunner().invoke(cli.app, [*option, "health", "--json"])
        assert 2 == done.exit_code
        told = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        assert "critical" == told["configuration"]["status"]
        assert ("ok" if option else "critical") == told["log"]["status"]
        assert "secret" not in done.output


def test_a_daemon_that_ended_is_a_warning_and_silence_is_critical(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site where nobody ever looked may have no schedules."""
    assert "ok" == _check(root, "service").status
    beat.write(root, beat.DAEMON, Machine(), NOW - timedelta(hours=2))
    assert ("ok", 7200) == (_check(root, "service").status, _check(root, "service").value)
    assert "warning" == _check(root, "service", machine=Gone()).status
    assert "critical" == _check(root, "service", NOW + timedelta(days=1), Gone()).status
    monkeypatch.setenv("GRADAUDIT_HEALTH_SILENT_HOURS", "2")
    assert "critical" == _check(root, "service", machine=Gone()).status


def test_the_last_run_that_was_due_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the entries of a real one: what kept it from its audit is a warning until it is removed, or runs."""
    assert ("ok", -1) == (_check(root, "schedule").status, _check(root, "schedule").value)
    now = datetime.now(UTC)
    with Appliance.unlock(root, SECRET) as appliance:
        monkeypatch.setattr(appliance, "_now", lambda: now + timedelta(days=2))
        added = now.isoformat(timespec="seconds")
        wanted = Schedule("nightly", "0 2 * * *", "UTC", "gone", "panel", "default", added_utc=added)
        appliance._workspace.catalogue.set_settings(packed({"nightly": Kept(wanted)}))
        assert [""] == [run.audit for run in appliance.run_due()]
        found = _check(root, "schedule", now)
        assert ("warning", "seconds") == (found.status, found.unit)
        assert found.value in range(600)
        appliance._log.append("schedule.run", appliance._log.identifier("other"), "begins")
        assert "warning" == _check(root, "schedule", now).status
        appliance._log.append("schedule.run", appliance._log.identifier("nightly"), "begins")
        assert "ok" == _check(root, "schedule", now).status


def test_a_run_that_was_claimed_and_never_closed_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off behind its claim: a warning once its lease is over, apart from failures, until it is closed."""
    now = datetime.now(UTC)
    with Appliance.unlock(root, SECRET) as appliance:
        monkeypatch.setattr(appliance, "_now", lambda: now + timedelta(days=2))
        wanted = Schedule("nightly", "0 2 * * *", "UTC", ALL, "panel", "default", added_utc=now.isoformat())
        appliance._workspace.catalogue.set_settings(packed({"nightly": Kept(wanted)}))
        assert appliance._claimed("nightly") is not None
        soon, late = (now + timedelta(minutes=past) for past in (55, 65))
        assert "ok" == _check(root, "schedule", soon).status
        found = _check(root, "schedule", late)
        assert "warning" == found.status
        assert "is not over" in found.told and "carried out" not in found.told
        resume = ("schedule.resume", appliance._log.identifier("nightly"))
        appliance._log.append(*resume, "begins")  # and killed again: to have tried is not to have closed
        assert "is not over" in _check(root, "schedule", late).told
        appliance._log.append("schedule.run", appliance._log.identifier("other"), "begins")
        appliance._log.append("schedule.failed", appliance._log.identifier("other"), "noted")
        both = _check(root, "schedule", late).told
        assert "is not over" in both and "could not be carried out" in both
        appliance._log.append("schedule.remove", appliance._log.identifier("other"), "done")
        appliance._log.append("schedule.plan", resume[1], "failed")
        assert "could not be carried out" in _check(root, "schedule", soon).told
        assert [""] == [run.audit for run in appliance.run_due()]
        assert "ok" == _check(root, "schedule", late).status


def test_a_short_disk_stops_what_comes_in_and_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Critical here, a need on the overview, and `ingest` refuses before it reads anything."""
    (tmp_path / "file").write_text("no study")
    monkeypatch.setenv("GRADAUDIT_DISK_MINIMUM_FREE_GIB", "1000000")
    assert "critical" == _check(root, "disk").status
    with Appliance.unlock(root, SECRET) as appliance:
        assert any("nothing is taken in: only" in need for need in appliance.overview().needs_me)
        with pytest.raises(NotNow, match=r"the site keeps 1000000\.0 GiB free"):
            appliance.ingest([tmp_path / "file"], lambda _: None)
        monkeypatch.setenv("GRADAUDIT_DISK_MINIMUM_FREE_GIB", "0")
        assert not any("nothing is taken in" in need for need in appliance.overview().needs_me)
    assert "ok" == _check(root, "disk").status


def test_files_are_counted_by_what_they_wait_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed findings, and the receiver's spool."""
    _spool(root)
    for name, files in {
        "evidence/waiting": 3,
        "spool/ready": 4,
        "spool/arriving": 1,
    }.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(files):
            (root / name / f"{number}.sealed").touch()
    counted = [(_check(root, name).value, _check(root, name).status) for name in ("findings", "receiver")]
    assert [(3, "ok"), (5, "ok")] == counted
    monkeypatch.setenv("GRADAUDIT_HEALTH_SPOOL_FILES", "5")
    assert "warning" == _check(root, "receiver").status
    for name in ("evidence/damaged", "spool/quarantine"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "1.sealed").touch()
    assert [("findings", 1), ("receiver", 1)] == [
        (one.name, one.value) for one in health(root, NOW).checks if one.status == "warning"
    ]


def test_a_receiver_that_should_run_and_does_not_is_critical(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended without being stopped, or stopped where the site names one; the overview says so too."""
    spool, lock = _spool(root), root / "spool" / "lock"
    assert ("ok", "there is none") == (_check(root, "listening").status, _check(root, "listening").told)
    spool.hold()
    spool.beat()
    beaten = datetime.fromtimestamp(lock.stat().st_mtime, UTC)
    told = [_check(root, "listening", beaten + timedelta(minutes=past)).status for past in (1, 3)]
    assert ["ok", "critical"] == told
    assert "is there and has said nothing" in _check(root, "listening", LATER).told
    assert receiver_needs(root, beaten + timedelta(minutes=1)) == ()
    assert ["nothing is received from the network" in need for need in receiver_needs(root, LATER)] == [True]
    spool.release()  # as a kill does it: nobody need wait until it is silent for long
    ended = _check(root, "listening", beaten + timedelta(minutes=1))
    assert ("critical", True) == (ended.status, "without being stopped" in ended.told)
    spool.hold()
    spool.beat(ending=True)
    spool.release()
    assert "ok" == _check(root, "listening", LATER).status
    monkeypatch.setenv("GRADAUDIT_RECEIVER_FILE", "/nowhere/receiver.toml")
    assert "critical" == _check(root, "listening", LATER).status
    lock.unlink()
    assert "never run" in _check(root, "listening", LATER).told


def test_what_was_received_and_nobody_takes_in_needs_somebody(root: Path) -> None:
    """By studies, once they have waited for a while; and what could not be taken in, at once."""
    spool = _spool(root)
    for study in "aab":
        (root / "spool" / "ready" / f"{study * 32}-{len(list(root.rglob('*'))):064}.sealed").touch()
    assert ("ok", 3) == (_check(root, "receiver").status, _check(root, "receiver").value)
    assert receiver_needs(root, datetime.now(UTC)) == ()
    soon = datetime.now(UTC) + timedelta(minutes=20)
    assert ["warning", "critical"] == [_check(root, "receiver", when).status for when in (soon, LATER)]
    assert [need.partition(" and ")[0] for need in receiver_needs(root, LATER)] == ["2 received studies wait"]
    (root / "spool" / "quarantine" / "1.sealed").touch()
    with Appliance.unlock(root, SECRET) as appliance:
        assert any("1 received file could not" in need for need in appliance.overview().needs_me)
    for one in spool.listed("ready"):
        one.path.rename(spool.root / "arriving" / one.path.name)
    assert "critical" == _check(root, "receiver", LATER).status  # nobody is there to hand them over
    spool.hold()
    assert "warning" == _check(root, "receiver", LATER).status
    spool.release()


def test_a_spool_with_another_thing_in_its_place_is_critical(root: Path) -> None:
    """No address, one that is none, or a link to somewhere else: nothing of it is followed."""
    spool = _spool(root)
    assert "ok" == _check(root, "receiver").status
    address = (spool.root / "receiver.json").read_bytes()
    for text in (b"{}", b""):
        (spool.root / "receiver.json").write_bytes(text)
        assert "critical" == _check(root, "receiver").status
        assert ["what is received: its address"] == [
            need[: len("what is received: its address")] for need in receiver_needs(root, NOW)
        ]
    (spool.root / "receiver.json").write_bytes(address)
    (spool.root / "ready").rmdir()
    (spool.root / "ready").symlink_to("/etc")
    assert ("critical", -1) == (_check(root, "receiver").status, _check(root, "receiver").value)
    (spool.root / "ready").unlink()
    shutil.move(spool.root, root.parent / "elsewhere")
    spool.root.symlink_to(root.parent / "elsewhere")
    assert "critical" == _check(root, "receiver").status
    with Appliance.unlock(root, SECRET) as appliance:
        assert any("what is received: " in need for need in appliance.overview().needs_me)


def test_a_spool_that_is_full_is_told_before_senders_tell_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the receiver's file lets it hold, and keeps free."""
    spool, file = _spool(root), tmp_path / "receiver.toml"
    file.write_text(f"{RECEIVER}[limits]\nspool_mib = 10\nkeep_free_mib = 0\n")
    monkeypatch.setenv("GRADAUDIT_RECEIVER_FILE", str(file))
    for mib, status in ((7, "ok"), (9, "warning"), (10, "critical")):
        with (spool.root / "arriving" / f"{0:032}-{0:064}.sealed").open("wb") as sealed:
            sealed.truncate(mib << 20)
        assert status == _check(root, "receiver", datetime.now(UTC)).status
    file.write_text(f"{RECEIVER}[limits]\nkeep_free_mib = {1 << 30}\n")
    assert "critical" == _check(root, "receiver", datetime.now(UTC)).status


def test_a_keyring_that_others_may_open_is_a_warning(root: Path) -> None:
    """And its age is told in days."""
    keyring = root / "keyring.json"
    os.utime(keyring, (NOW.timestamp() - 90_000, NOW.timestamp() - 90_000))
    assert ("ok", 1, "days") == tuple(
        getattr(_check(root, "keys"), name) for name in ("status", "value", "unit")
    )
    keyring.chmod(keyring.stat().st_mode | stat.S_IRGRP)
    assert "warning" == _check(root, "keys").status


def _certificate(path: Path, ends: datetime, begins: datetime = datetime(2020, 1, 1, tzinfo=UTC)) -> None:
    key, name = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = builder.not_valid_before(begins).not_valid_after(ends).sign(key, None)
    path.write_bytes(made.public_bytes(Encoding.PEM))


@pytest.mark.parametrize(("days", "status"), [(31, "ok"), (29, "warning"), (0, "critical"), (-1, "critical")])
def test_the_certificate_that_ends_first_is_told(
    days: int, status: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the receiver's own and its authorities'."""
    _certificate(tmp_path / "own.pem", NOW + timedelta(days=900))
    _certificate(tmp_path / "authorities.pem", NOW + timedelta(days=days))
    file = tmp_path / "receiver.toml"
    file.write_text(RECEIVER)
    monkeypatch.setenv("GRADAUDIT_RECEIVER_FILE", str(file))
    assert (status, days) == (_check(root, "certificates").status, _check(root, "certificates").value)
    told = [need for need in receiver_needs(root, NOW) if "certificates" in need]
    assert len(told) == (status != "ok")
    _certificate(tmp_path / "own.pem", NOW + timedelta(days=900), NOW + timedelta(minutes=1))
    assert "critical" == _check(root, "certificates").status
    for spoilt in ("no certificate", " " * (1 << 20) + "cut off where it is read"):
        (tmp_path / "own.pem").write_text(spoilt)
        assert "critical" == _check(root, "certificates").status
    (tmp_path / "own.pem").unlink()
    os.mkfifo(tmp_path / "own.pem")  # nobody waits until somebody writes there
    assert "critical" == _check(root, "certificates").status
