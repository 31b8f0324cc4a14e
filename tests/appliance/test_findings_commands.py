"""Findings and erasure on the command line: the same acts, and nothing of a patient where it must not be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.appliance import ward


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with findings."""
    return ward.build(tmp_path_factory.mktemp("ward") / "workspace")


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """One of a test's own."""
    return Path(shutil.copytree(built, tmp_path / "workspace"))


def gradaudit(root: Path, *words: str, typed: str = "", folder: Path | None = None) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command, with the passphrase in a file of its own."""
    secret = root.parent / "passphrase"
    secret.write_text(ward.PASSPHRASE + "\n")
    secret.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "--workspace", str(root), *words],
        capture_output=True,
        text=True,
        check=False,
        input=typed,
        cwd=folder or root.parent,
        env={**os.environ, "GRADAUDIT_PASSPHRASE_FILE": str(secret), "PYTHONPATH": _ROOT},
    )
    return done.returncode, done.stdout, done.stderr


_ROOT = str(Path(__file__).parents[2])


def test_looking_at_findings(root: Path) -> None:
    """`ls` lists, `show` shows, `reveal` names the patient and `reveals` says why."""
    code, out, _ = gradaudit(root, "findings", "ls", ward.AUDIT, "--min-probability", "0.1", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, len(rows) > 1) == (0, True)
    assert all(row["probability"] >= 0.1 for row in rows)
    patient = rows[0]["patient"]
    code, out, _ = gradaudit(root, "findings", "show", ward.AUDIT, patient)
    assert code == 0
    assert "not scored: no tokens" in out
    reason = "the patient asked on 3 May"
    code, out, said = gradaudit(root, "findings", "reveal", ward.AUDIT, patient, "--reason", reason, "--json")
    assert code == 0, said
    assert json.loads(out)["identities"][0][0] == "WARD"
    assert reason not in said
    code, out, _ = gradaudit(root, "findings", "reveals", "--json")
    assert [json.loads(line)["reason"] for line in out.splitlines()] == [reason]


def test_erasing_a_patient(root: Path, tmp_path: Path) -> None:
    """The number comes on stdin; a dry run changes nothing; the certificate lies where it was asked for."""
    code, out, said = gradaudit(
        root, "studies", "erase", "--patient", "-", "--dry-run", "--json", typed="P0\n"
    )
    assert code == 0, said
    plan = json.loads(out)
    code, _, said = gradaudit(root, "studies", "erase", "--patient", "P0", "--confirm", "P-other")
    assert (code, "another pseudonym" in said) == (2, True)
    (tmp_path / "out").mkdir()
    code, out, said = gradaudit(
        root, "studies", "erase", "--pseudonym", plan["patient"], "--confirm", plan["patient"],
        "-o", str(tmp_path / "out"),
    )  # fmt: skip
    assert code == 0, said
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".json", ".txt"]
    assert len(out.splitlines()) == 2
    code, out, _ = gradaudit(root, "studies", "erasures", "--json")
    (facts,) = (json.loads(line) for line in out.splitlines())
    assert facts["removed"]["images"] == plan["images"]
    assert gradaudit(root, "studies", "erase", "--patient", "P0", "--dry-run")[0] == 2
    assert gradaudit(root, "studies", "erase")[0] == 2
    assert gradaudit(root, "studies", "readmit", "--patient", "-", "--issuer", "WARD", typed="P0\n")[0] == 0
