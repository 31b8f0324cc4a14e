"""Nothing readable on disk: canaries in every field, then every byte is searched."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import secrets
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.errors import Locked
from appliance.workspace.rows import (
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
from appliance.workspace.workspace import Workspace

PASSPHRASE = "correct horse battery"
PREFIX = "CanaryOfTheWard^"  # finds also those whose name a killed writer could no longer tell


class Canaries:
    """Strings nobody else writes, and the search for them in every form a disk may hold."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def new(self) -> str:
        self.all.append(f"{PREFIX}{secrets.token_hex(8)}")
        return self.all[-1]

    def fill(self, row_type: type, **given: object) -> object:
        """A row whose every text field is a canary of its own."""
        values = dict(given)
        for field in dataclasses.fields(row_type):
            if field.name not in values:
                values[field.name] = self._value(str(field.type))
        return row_type(**values)

    def _value(self, annotation: str) -> object:
        if annotation == "str":
            return self.new()
        if annotation == "bool":
            return True
        return (self.new(),) if annotation.startswith("tuple") else {self.new(): [self.new()]}

    def found_in(self, *directories: Path) -> set[str]:
        """The canaries that stand in any file's bytes or name below these directories."""
        hits: set[str] = set()
        for directory in directories:
            for path in directory.rglob("*"):
                data = os.fsencode(path.name) + (path.read_bytes() if path.is_file() else b"")
                if not any(form in data for form in forms(PREFIX)):  # each form of a canary has one
                    continue
                hits |= {canary for canary in self.all if any(form in data for form in forms(canary))}
        return hits


def forms(canary: str) -> list[bytes]:
    """A canary as text, wide text, hex and base64 at each of its three alignments."""
    plain = canary.encode()
    wide = [canary.encode("utf-16-le"), canary.encode("utf-16-be")]
    based = [base64.b64encode(b"\0" * shift + plain)[4:-4] for shift in range(3)]
    return [plain, *wide, plain.hex().encode(), plain.hex().upper().encode(), *based]


def write_everything(workspace: Workspace, canaries: Canaries) -> None:
    """One of everything a workspace can hold, a canary in every text."""
    pixels = bytes(200) + canaries.new().encode() * 300 + bytes(70_000)
    pseudonyms = json.dumps({canaries.new(): canaries.new() for _ in range(10)}).encode()
    with workspace.writing():
        texts = [canaries.new().encode("utf-16-le"), canaries.new().encode()]
        brought = [workspace.vault.bring("report-text", text) for text in texts]
        workspace.vault.settle([workspace.vault.bring("frame", pixels), *brought])
        workspace.vault.put("pseudonyms", pseudonyms)
        workspace.vault.put("findings", json.dumps([canaries.new()]).encode())
        store = workspace.catalogue
        store.add_records(
            [canaries.fill(StoredInstance, height=4, width=4, NumberOfFrames=1)],  # type: ignore[list-item]
            [canaries.fill(StoredReport)],  # type: ignore[list-item]
            [canaries.fill(StoredStudy)],  # type: ignore[list-item]
            [canaries.fill(StoredFile)],  # type: ignore[list-item]
            [canaries.fill(Quarantined)],  # type: ignore[list-item]
        )
        store.settle_pairs([canaries.fill(StoredPair)])  # type: ignore[list-item]
        store.add_model(canaries.fill(StoredModel))  # type: ignore[arg-type]
        store.add_cohort(canaries.fill(StoredCohort))  # type: ignore[arg-type]
        store.start_audit(canaries.fill(StoredAudit))  # type: ignore[arg-type]
        store.set_setting(canaries.new(), canaries.new())


def test_the_search_can_find(tmp_path: Path) -> None:
    """The same search finds what stands in a plain file, database, file name, wide text, hex and base64."""
    canaries = Canaries()
    one, two, three, four, five, six = (canaries.new() for _ in range(6))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "note.bin").write_bytes(bytes(5000) + one.encode() + bytes(5000))
    database = sqlite3.connect(tmp_path / "plain.db")
    database.execute("CREATE TABLE t (x)")
    database.execute("INSERT INTO t VALUES (?)", (two,))
    database.commit()
    database.close()
    (tmp_path / f"{three}.dcm").touch()
    (tmp_path / "wide").write_bytes(four.encode("utf-16-be"))
    (tmp_path / "hex").write_text(five.encode().hex())
    (tmp_path / "mail").write_bytes(base64.b64encode(b"x" + six.encode() + b"yz"))
    canaries.all.append(PREFIX)
    assert canaries.found_in(tmp_path) == set(canaries.all)
    for canary in canaries.all[:-1]:
        assert any(form in base64.b64encode(b"ab" + canary.encode()) for form in forms(PREFIX))


def test_after_close(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """After a clean close no canary stands in the workspace; open and closed alike, nothing was printed."""
    canaries = Canaries()
    with Workspace.create(tmp_path / "ws", PASSPHRASE, canaries.new(), unsafe_fast_kdf=True) as workspace:
        write_everything(workspace, canaries)
        assert len(canaries.all) >= 40
        assert canaries.found_in(tmp_path) == set()
        assert (tmp_path / "ws" / "catalogue.db-wal").stat().st_size > 0
    assert canaries.found_in(tmp_path) == set()
    (tmp_path / "ws" / "log" / "slip").write_text(f"ingested {canaries.all[17]}")
    assert canaries.found_in(tmp_path) == {canaries.all[17]}
    assert tuple(capfd.readouterr()) == ("", "")


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_workspace_canaries import PASSPHRASE, Canaries, write_everything
from appliance.workspace.workspace import Workspace

canaries = Canaries()
workspace = Workspace.open(Path(sys.argv[1]), PASSPHRASE)
while True:
    start = len(canaries.all)
    write_everything(workspace, canaries)
    print(*canaries.all[start:], flush=True)
    with workspace.writing():
        frames = [canaries.new().encode() * 1000 for _ in range(50)]
        workspace.vault.settle([workspace.vault.bring("frame", frame) for frame in frames])
        print(*canaries.all[-50:], flush=True)
"""


@pytest.mark.parametrize("seconds", (0.0, 0.03, 0.1))
def test_after_kill(tmp_path: Path, seconds: float) -> None:
    """After kill -9 while writing no canary stands in workspace, temp or output, and all is whole."""
    Workspace.create(tmp_path / "ws", PASSPHRASE, "x", unsafe_fast_kdf=True).close()
    (tmp_path / "tmp").mkdir()
    canaries = Canaries()
    with (tmp_path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path / "ws"), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=tmp_path / "tmp",
            env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "SQLITE_TMPDIR": str(tmp_path / "tmp")},
        )
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        rest = process.stdout.read()
        process.wait()
        process.stdout.close()
    canaries.all = [PREFIX, *(first + rest).decode().split()]
    assert len(canaries.all) > 40
    assert canaries.found_in(tmp_path) == set()
    with Workspace.open(tmp_path / "ws", PASSPHRASE) as workspace, workspace.writing():
        workspace.catalogue.verify()
        assert len(workspace.catalogue.instances()) >= 1
        assert list((tmp_path / "ws" / "objects" / "incoming").iterdir()) == []


def test_locked_out_leaves_no_words(tmp_path: Path) -> None:
    """A refused passphrase stands neither on disk nor in the error."""
    canaries = Canaries()
    Workspace.create(tmp_path / "ws", canaries.new(), "x", unsafe_fast_kdf=True).close()
    with pytest.raises(Locked) as raised:
        Workspace.open(tmp_path / "ws", canaries.new())
    assert canaries.found_in(tmp_path) == set()
    assert not [canary for canary in canaries.all if canary in f"{raised.value!r} {raised.value.hint}"]
