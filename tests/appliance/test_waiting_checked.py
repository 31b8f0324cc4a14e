"""Batches of findings that wait are checked without the key that opens them, as far as that goes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.checking import Damage, check_open
from appliance.evidence.log import EvidenceLog
from appliance.workspace.evidence_batches import ENCAPSULATED, MAGIC
from appliance.workspace.evidence_store import opened
from appliance.workspace.ga1 import HEADER_BYTES, SEALED_CHUNK, TAG
from appliance.workspace.workspace import Workspace
from tests.appliance import ward

START = len(MAGIC) + ENCAPSULATED  # of the container inside a batch
Act = Callable[[Path], object]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished audit and one that was cut off: four batches that nobody has opened yet."""
    return ward.build(tmp_path_factory.mktemp("ward") / "ws")


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "ws"))


def damages(root: Path, *, key: bool = False) -> tuple[Damage, ...]:
    """What a check finds, with or without the key that opens findings."""
    with Workspace.open(root, ward.PASSPHRASE) as workspace:
        if not key:
            workspace._identity = None
        checked = check_open(workspace, EvidenceLog.open(root / "log", create=False))
        assert checked.findings is key
        return checked.damages


def waiting(root: Path) -> Path:
    """The findings of the audit that has finished."""
    with Workspace.open(root, ward.PASSPHRASE) as workspace:
        (name,) = (one.findings_object for one in workspace.catalogue.audits() if one.state == "done")
    return root / f"evidence/waiting/{name}.findings.sealed"


def flip(at: int) -> Act:
    """One bit."""

    def act(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 1
        path.write_bytes(data)

    return act


def cut(kept: int) -> Act:
    """Only the first bytes."""
    return lambda path: path.write_bytes(path.read_bytes()[:kept])


def lengthened(path: Path) -> None:
    """To one more, empty chunk."""
    data = path.read_bytes()
    body = len(data) - START - HEADER_BYTES
    path.write_bytes(data + bytes(-body % SEALED_CHUNK + TAG))


def another_kind(path: Path) -> None:
    """Renamed to what it is not."""
    path.rename(path.with_name(path.name.replace(".findings.", ".reveal.")))


def another_audit(path: Path) -> None:
    """Renamed to an audit that is not there."""
    path.rename(path.with_name("ab" * 32 + ".findings.sealed"))


ACTS: dict[str, Act] = {
    "empty": cut(0),
    "cut in the first word": cut(3),
    "cut in the header": cut(START + 60),
    "cut in the only tag": cut(START + HEADER_BYTES + TAG - 1),
    "an empty chunk more": lengthened,
    "one bit in the first word": flip(1),
    "one bit in the container's word": flip(START),
    "one bit in the kind": flip(START + 13),
    "one bit in the epoch": flip(START + 11),
    "another kind": another_kind,
    "another audit": another_audit,
    "gone": Path.unlink,
}


@pytest.mark.parametrize("name", ACTS)
def test_damage_is_named_without_the_key(root: Path, name: str) -> None:
    """The file, a cause, and what to do; a name that leads nowhere is missed where it belongs as well."""
    path = waiting(root)
    before = {one.name for one in path.parent.iterdir()}
    assert damages(root) == ()  # the control
    ACTS[name](path)
    found = damages(root)
    moved = {one.name for one in path.parent.iterdir()} - before
    missing = set() if path.exists() else {path.name}
    assert {f"evidence/waiting/{one}" for one in (moved | missing or {path.name})} == {
        one.file for one in found
    }
    assert all(one.cause and one.next_step for one in found)


def test_with_the_key_each_file_is_named_once(root: Path) -> None:
    """What the form shows already is not told a second time."""
    path = waiting(root)
    cut(START + 60)(path)
    assert [one.file for one in damages(root, key=True)] == [f"evidence/waiting/{path.name}"]


def test_what_only_the_key_shows(root: Path) -> None:
    """One bit of what is sealed: nothing without the key, the file with it."""
    path = waiting(root)
    flip(-1)(path)
    assert damages(root) == ()
    assert [one.file for one in damages(root, key=True)] == [f"evidence/waiting/{path.name}"]


def test_merged_findings_are_not_missed(root: Path) -> None:
    """Once they are in the database nobody expects the batches."""
    with Workspace.open(root, ward.PASSPHRASE) as workspace, opened(workspace, workspace.evidence_key()):
        pass
    assert not waiting(root).exists() and damages(root) == ()


@pytest.mark.parametrize("key", (False, True))
def test_a_database_that_is_gone_is_named_once(root: Path, key: bool) -> None:
    """The log knows that findings were merged: the database is missing, and no batch is asked for."""
    with Appliance.unlock(root, ward.PASSPHRASE) as appliance:
        appliance.findings(ward.AUDIT)
    (database,) = (root / "evidence").glob("*.db")
    for path in (root / "evidence").glob("*.db*"):
        path.unlink()
    with Appliance.unlock(root, ward.PASSPHRASE) as appliance:
        if not key:
            appliance._workspace._identity = None
        found = appliance.verify_workspace().damages
    assert [one.file for one in found] == [f"evidence/{database.name}"]


def test_findings_of_an_audit_that_may_go_on_are_of_this_workspace(root: Path) -> None:
    """A batch of an audit that was cut off belongs here, and its absence is no damage."""
    names = {path.name for path in (root / "evidence/waiting").glob("*.findings.sealed")}
    (cut_off,) = names - {waiting(root).name}
    (root / "evidence/waiting" / cut_off).unlink()
    assert damages(root) == ()
