"""Findings and erasure on the command line: the same acts, and nothing of a patient where it must not be."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from appliance.api import Appliance
from appliance.findings import finding_row, finding_view
from appliance.workspace.evidence_listing import ListedFinding
from appliance.workspace.evidence_tables import StoredFinding
from tests import warm
from tests.appliance import ward


def gradaudit(root: Path, *words: str, typed: str = "") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command, with the passphrase in a file of its own."""
    secret = root.parent / "passphrase"
    secret.write_text(ward.PASSPHRASE + "\n")
    secret.chmod(0o600)
    known = {**os.environ, "GRADAUDIT_PASSPHRASE_FILE": str(secret)}
    done = warm.command(("--workspace", root, *words), known, typed=typed)
    return done.returncode, done.stdout, done.stderr


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


def test_findings_are_rounded() -> None:
    """What is shown of a finding has four digits; all of them stay in the vault."""
    long = StoredFinding(
        ward.AUDIT, "p" * 64, "P-1", "target", True, False, 0.024390243902439025,
        {"fused": -1.8205999528292294, "loss": None}, {"loss": "no tokens"}, {"0.01": 0.00014534265416956172},
    )  # fmt: skip
    score, likely = -1.8205999528292294, 0.00014534265416956172
    listed = ListedFinding(
        0,
        "P-1",
        "p" * 64,
        "target",
        True,
        False,
        long.p_value,
        score,
        likely,
        1,
    )
    row, view = finding_row(listed), finding_view(long)
    assert (row.p_value, row.score, row.probability) == (0.02439, -1.821, 0.0001453)
    assert (view.p_value, view.probabilities) == (0.02439, {"0.01": 0.0001453})
    assert view.scores == {"fused": -1.821, "loss": "not scored: no tokens"}
    assert finding_row(replace(listed, score=None)).score is None


def test_both_who_looked_are_named(root: Path) -> None:
    """With a quorum of two the list of looks names both."""
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        site.add_user("second", "officer", "words of a second one")
        site.set_quorum(2)
        site.join("second", "words of a second one")
        patient = site.findings(ward.AUDIT)[0].patient
        site.reveal_finding(ward.AUDIT, patient, "an access request")
        assert [one.by for one in site.reveals()] == ["officer, second"]


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
