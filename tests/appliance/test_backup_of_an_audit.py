"""A whole site comes back: model, audit, verdict, findings, and an evidence pack that anyone can verify."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from appliance.api import Appliance
from tests.appliance import small_site

ROOT = Path(__file__).parents[2]


def silent(*_: object) -> None:
    """Nobody watches."""


def test_an_audited_site_comes_back_with_its_verdict(tmp_path: Path) -> None:
    """From the restored workspace: the same result, findings, records, and a pack that verifies."""
    root = small_site.build(tmp_path)
    with Appliance.unlock(root, small_site.PASSPHRASE) as appliance:
        audit_id = appliance.run_audit("tiny", "spring", "default", silent).row.audit_id
        findings = appliance.findings(audit_id)
        stored = appliance._workspace.catalogue.audit(audit_id)
        assert appliance.verify_workspace().damages == ()
        appliance.backup(tmp_path / "b.tar", silent)
    Appliance.restore(tmp_path / "b.tar", tmp_path / "new", small_site.PASSPHRASE, "", silent)
    with Appliance.unlock(tmp_path / "new", small_site.PASSPHRASE) as appliance:
        checked = appliance.verify_workspace()
        assert (checked.damages, checked.findings) == ((), True) and checked.objects > 400
        assert appliance._workspace.catalogue.audit(audit_id) == stored
        assert appliance.findings(audit_id) == findings and len(findings) > 100
        pack = appliance.export_pack(audit_id, tmp_path / "pack.zip")
        appliance.backup(tmp_path / "again.tar", silent)
    command = [sys.executable, str(ROOT / "verify_evidence.py"), str(pack)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    with zipfile.ZipFile(pack) as archive:
        records = json.loads(archive.read("records.json"))
        egress = json.loads(archive.read("records/egress.json"))
    assert egress["record"] == records["egress"] and egress["record"]["probe"]["got_out"] == 0
    assert records["access"]["users_by_role"]["officer"] == len(records["encryption"]["key_slots"]) == 1
