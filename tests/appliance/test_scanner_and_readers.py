"""One scanner and three readers at once: the second scanner is told to wait, readers see whole states."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.errors import Busy
from appliance.workspace import database
from appliance.workspace.rows import StoredAudit
from tests.appliance import whole_site

ROOT = Path(__file__).parents[2]
AUDITS = 12
SCANNER = f"""
import sys
from dataclasses import replace
from pathlib import Path
from appliance.api import Appliance
from appliance.workspace.rows import StoredAudit, StoredCohort
with Appliance.unlock(Path(sys.argv[1]), "{whole_site.PASSPHRASE}") as appliance:
    print("ready", flush=True)
    for number in range({AUDITS}):
        begun = StoredAudit(f"A-{{number:012x}}", "m", f"c{{number}}", "p", f"2024-01-01T00:00:{{number}}Z")
        with appliance._act("audit.run", begun.audit_id):
            name = appliance._workspace.vault.put("weights", bytes([number]) * 30_000)
            appliance._workspace.catalogue.add_cohort(StoredCohort(f"c{{number}}", name, {{}}, ""))
            appliance._workspace.catalogue.start_audit(begun)
            done = replace(begun, state="done", verdict="REVIEW", result={{"object": name}})
            appliance._workspace.catalogue.finish_audit(done)
"""
READER = f"""
import json, sys
from pathlib import Path
from appliance.api import Appliance
seen, torn, last = 0, 0, -1
root, stop = Path(sys.argv[1]), Path(sys.argv[2])
with Appliance.unlock(root, "{whole_site.PASSPHRASE}") as appliance:
    print("ready", flush=True)
    while True:
        finished = stop.exists()
        cohorts = {{one.name: one.digest for one in appliance._workspace.catalogue.cohorts()}}
        audits = [one for one in appliance._workspace.catalogue.audits() if one.model == "m"]
        done = [one for one in audits if one.state == "done"]
        torn += len(done) < last
        last, seen = len(done), seen + 1
        fresh = {{one.name: one.digest for one in appliance._workspace.catalogue.cohorts()}}
        for one in done:
            torn += fresh[one.cohort] != one.result["object"]
            content = appliance._workspace.vault.get("weights", one.result["object"])
            torn += content[:1] != bytes([int(one.cohort[1:])])
        if finished:
            break
    health = appliance.log_verify()
with Appliance.unlock(root, "{whole_site.PASSPHRASE}") as again:
    torn += len(again.verify_workspace().damages)
print(json.dumps([seen, torn, last, health.intact]))
"""


def _started(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def test_three_readers_beside_a_scanner_see_whole_states(tmp_path: Path) -> None:
    """No error, no row without what it rests on, no step back, and nobody hears that SQLite was busy."""
    root = whole_site.build(tmp_path / "ws")
    readers = [_started(READER, root, tmp_path / "stop") for _ in range(3)]
    scanner = _started(SCANNER, root)
    _, err = scanner.communicate()
    (tmp_path / "stop").touch()
    answers = [reader.communicate() for reader in readers]
    assert (scanner.returncode, err) == (0, "")
    assert [said for _, said in answers] == ["", "", ""]
    for answer, _ in answers:
        seen, torn, last, intact = json.loads(answer)
        assert (torn, last, intact) == (0, AUDITS, True) and seen >= 2


def test_a_second_scanner_is_told_to_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 22 and nothing written; once the first is done, the second may."""
    root = whole_site.build(tmp_path / "ws")
    with (
        Appliance.unlock(root, whole_site.PASSPHRASE) as one,
        Appliance.unlock(root, whole_site.PASSPHRASE) as two,
    ):
        with one._act("audit.run", "first"):
            with pytest.raises(Busy) as told, two._act("audit.run", "second"):
                pytest.fail("two scanners at once")
            assert told.value.exit_code == 22 and told.value.hint
            assert whole_site.run(monkeypatch, root, "audit", "abandon", whole_site.AUDIT_ID).code == 22
        with two._act("audit.run", "second"):
            pass


def test_a_catalogue_that_stays_busy_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own words never come through: the error is ours, with a next step."""
    root = whole_site.build(tmp_path / "ws")
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 50)
    audit = StoredAudit("A-000000000001", "m", "c", "p", "2024-01-01T00:00:00Z")
    with (
        Appliance.unlock(root, whole_site.PASSPHRASE) as one,
        Appliance.unlock(root, whole_site.PASSPHRASE) as two,
        one._workspace.catalogue.held(),
    ):
        with pytest.raises(Busy, match="another process is writing") as told:
            two._workspace.catalogue.start_audit(replace(audit, model="x"))
        assert told.value.hint and "SQLITE" not in str(told.value)
        assert two._workspace.catalogue.audit(whole_site.AUDIT_ID) is not None
