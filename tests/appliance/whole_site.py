"""A small workspace with every kind of file in it, and a way to run commands on it without a process."""

from __future__ import annotations

import io
import os
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from appliance import cli
from appliance.api import Appliance
from appliance.workspace.workspace import Workspace
from tests.appliance.test_workspace_catalogue import AUDIT, COHORT, INSTANCE, PAIR, REPORT

PASSPHRASE = "four random words"
AUDIT_ID = "A-0123456789ab"
BIG = 40_000  # bytes of the frame: three chunks


def build(root: Path) -> Path:
    """A workspace with a frame and a report of one patient, an object of nobody, steps, and a log."""
    workspace = Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)
    with Appliance(workspace):
        subject = workspace.subjects.handle("SITE", "P1", "")
        frame = workspace.vault.put("frame", bytes(range(256)) * (BIG // 256), subject)
        text = workspace.vault.put("report-text", b"The heart is of normal size.", subject)
        workspace.vault.put("weights", b"w" * 20_000)
        workspace.catalogue.add_records(
            [replace(INSTANCE, frame_object=frame)], [replace(REPORT, text_object=text)]
        )
        workspace.catalogue.settle_pairs([PAIR])
        workspace.catalogue.add_cohort(COHORT)
        workspace.catalogue.start_audit(replace(AUDIT, audit_id=AUDIT_ID, state="interrupted"))
        workspace.steps(AUDIT_ID).put("ab" * 32, b"signals")
    return root


@dataclass(frozen=True)
class Said:
    """What a command did: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def run(monkeypatch: pytest.MonkeyPatch, root: Path, *words: str) -> Said:
    """One command on the workspace at `root`, with the right passphrase."""
    reading, writing = os.pipe()
    os.write(writing, f"{PASSPHRASE}\n".encode())
    os.close(writing)
    given = ["gradaudit", "--workspace", str(root), "--passphrase-fd", str(reading), *words]
    monkeypatch.setattr("sys.argv", given)
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as leaving:
            code = leaving.code
    return Said(int(str(code or 0)), out.getvalue(), err.getvalue())


def content(root: Path) -> dict[str, bytes]:
    """Every file below `root` that is neither the log's nor a lock, with its bytes."""
    files = {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if not path.is_dir()}
    return {
        name: path.read_bytes() if path.is_file() else b"?"
        for name, path in files.items()
        if not name.startswith("log/") and path.name != "lock"
    }
