"""The main job by command line, on real pictures: ingest, register, freeze, audit, evidence.

The workspace opens cheaply, as no command makes one; from `init` on it is test_cold_start.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

import pack_standards
import pydicom
import pytest

from appliance.evidence import verify_evidence as checked
from appliance.workspace.workspace import Workspace
from tests import warm
from tests.appliance import small_site
from tests.appliance.test_command_line import MODELS, PASSPHRASE, STUDIES, Site

ASSETS = STUDIES.parent
ROOT = Path(__file__).resolve().parents[2]
CANARY_NAME = "Zyxwvut^Canaryname"
CANARY_ID = "MRN-CANARY-77120"
CANARY_TEXT = "Is the canary wing opacified by quillwort"
RELEASED = "2025-06-01"


class Job(Site):
    """A site with the demo's studies, one of them carrying canaries, and an audited model."""

    audited: subprocess.CompletedProcess[str]

    @property
    def audit(self) -> dict[str, object]:
        """The audit as `audit run --json` printed it."""
        found = json.loads(self.audited.stdout)
        assert isinstance(found, dict)
        return found

    @property
    def audit_id(self) -> str:
        """Its id."""
        row = self.audit["row"]
        assert isinstance(row, dict)
        return str(row["audit_id"])


def _with_canaries(inbox: Path) -> None:
    """One more study: real pixels, canaries in every identifying field and in the report."""
    image = pydicom.dcmread(next(path for path in sorted(STUDIES.glob("*.dcm")) if "report" not in path.name))
    image.PatientName, image.PatientID, image.AccessionNumber = CANARY_NAME, CANARY_ID, "ACC-CANARY-1"
    image.StudyInstanceUID = image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "2.25.77120"
    image.save_as(inbox / "canary-image.dcm")
    lines = (
        f"MSH|^~\\&|RIS|SITE|AUDIT|SITE|20240101120000||ORU^R01|1|P|2.5\r"
        f"PID|1||{CANARY_ID}||{CANARY_NAME}\r"
        f"OBR|1||ACC-CANARY-1|XR^chest|||20240101|||||||||||ACC-CANARY-1|||||||F\r"
        f"OBX|1|TX|Q||{CANARY_TEXT}? No||||||F\r"
    )
    (inbox / "canary-report.hl7").write_text(lines)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Everything up to the audit of the leaky generative model."""
    folder = tmp_path_factory.mktemp("job")
    made = Job(folder)
    inbox = folder / "inbox"
    inbox.mkdir()
    _with_canaries(inbox)
    Workspace.create(made.root, PASSPHRASE, "Test", unsafe_fast_kdf=True).close()
    done = made.run("ingest", STUDIES, inbox, "--json")
    assert json.loads(done.stdout)["pairs"] == 175, done.stderr
    lumen, base = MODELS / "lumen-vlm", MODELS / "lumen-base"
    done = made.run("models", "add", "lumen", lumen, "--base", base, "--released", RELEASED)
    assert done.returncode == 0, done.stderr
    lists = ("--controls", ASSETS / "controls.csv", "--targets", ASSETS / "targets.csv", "--design", "random")
    members = ("--members", ASSETS / "disclosure-lumen.csv", "--references", "L1")
    done = made.run("cohort", "create", "spring", *lists, *members, "--fitting-share", "0.41")
    assert done.returncode == 0, done.stderr
    made.audited = made.run(
        "audit", "run", "--model", "lumen", "--cohort", "spring", "--policy", "demo", "--json"
    )
    return made


def test_a_leaky_model_fails_with_reasons(job: Job) -> None:
    """Exit 11, FAIL by line 3, at tier E3, and the deciding detector is the pre-registered one."""
    assert job.audited.returncode == 11, job.audited.stderr
    audit = job.audit
    assert (audit["verdict"]["word"], audit["verdict"]["line"]) == ("FAIL", 3)
    assert audit["result"]["tier"] == "E3"
    assert audit["result"]["deciding_detector"] == "fused"
    assert all(len(reason.split()) > 4 for reason in audit["verdict"]["reasons"])


def test_showing_an_audit_gives_the_same_answer_and_exit_code(job: Job) -> None:
    """What was computed once is read, not computed again."""
    shown = job.run("audit", "show", job.audit_id, "--json")
    assert shown.returncode == 11
    assert json.loads(shown.stdout) == job.audit


def test_nothing_of_a_patient_lies_on_disk_in_the_clear(job: Job) -> None:
    """Canaries of name, id and report lie in the inbox, and nowhere in workspace, temp or shared memory."""
    canaries = [
        CANARY_NAME.encode(),
        CANARY_ID.encode(),
        CANARY_TEXT.encode(),
        CANARY_NAME.split("^")[1].encode(),
    ]

    def found(folder: Path) -> list[str]:
        hits = []
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 28:
                data = path.read_bytes()
                hits += [str(path) for canary in canaries if canary in data]
        return hits

    assert len(found(job.root.parent / "inbox")) >= 4  # the search does find what is there
    assert found(job.root) == []
    fresh = [path for path in Path(tempfile.gettempdir()).glob("gradaudit*") if path.is_dir()]
    assert [hit for folder in [*fresh, Path("/dev/shm")] for hit in found(folder)] == []


def test_output_names_no_patient(job: Job) -> None:
    """Neither the audit's JSON nor its narration holds a pseudonym or a patient's data."""
    spoken = job.audited.stdout + job.audited.stderr
    assert CANARY_ID not in spoken
    assert "P-" not in spoken


def test_the_pack_verifies_alone_and_names_a_flipped_byte(job: Job, tmp_path: Path) -> None:
    """Bare Python and the script inside the pack are enough; a flip is exit 1 with the member's name."""
    pack = tmp_path / "evidence.zip"
    assert job.run("evidence", "pack", job.audit_id, "-o", pack).returncode == 0
    again = tmp_path / "again.zip"
    assert job.run("evidence", "pack", job.audit_id, "-o", again).returncode == 0
    assert again.read_bytes() == pack.read_bytes()
    members, _ = checked.split_zip(pack.read_bytes())
    answers = [answer for _, _, answer in pack_standards.looked_at(members)]
    assert 5 == len(answers)
    assert [] == [answer for answer in answers if answer and not answer.startswith("not shown")]
    assert not [name for name, data in members.items() if CANARY_ID.encode() in data]
    script = tmp_path / "verify_evidence.py"
    script.write_bytes(
        subprocess.run(["unzip", "-p", pack, script.name], capture_output=True, check=True).stdout
    )
    command = [sys.executable, "-I", "-S", script]
    sound = subprocess.run([*command, pack], capture_output=True, text=True, check=False)
    assert (sound.returncode, sound.stdout[:5]) == (0, "valid"), sound.stdout
    data = bytearray(pack.read_bytes())
    data[data.index(b'"tier"')] ^= 1
    pack.write_bytes(data)
    broken = subprocess.run([*command, pack], capture_output=True, text=True, check=False)
    assert broken.returncode == 1
    assert "results.json" in broken.stdout + broken.stderr


def test_an_audit_as_published_says_so_and_does_not_fail_the_model(job: Job, tmp_path: Path) -> None:
    """Same cohort, same leaky model: a verdict that is no FAIL, marked in result, policy and pack."""
    asked = ("audit", "run", "--model", "lumen", "--cohort", "spring", "--policy", "demo")
    done = job.run(*asked, "--as-published", "--mask", "tau_or_topq", "--json")
    audit = json.loads(done.stdout)
    assert done.returncode in (10, 12), done.stderr
    assert "as published" in audit["verdict"]["reasons"][0] + audit["verdict"]["reasons"][-1]
    assert "as published" in audit["sample_note"]
    assert audit["row"]["policy"] == "demo, as published"
    assert (audit["result"]["as_published"], audit["result"]["deciding_detector"]) == (True, "gradaudit")
    pack = tmp_path / "published.zip"
    assert job.run("evidence", "pack", audit["row"]["audit_id"], "-o", pack).returncode == 0
    with zipfile.ZipFile(pack) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith("policy.toml"))
        written = tomllib.loads(opened.read(name).decode())
    assert (written["method"]["as_published"], written["method"]["mask"]) == (True, "tau_or_topq")
    assert job.run(*asked, "--mask", "tau_or_topq").returncode == 2
    assert job.run(*asked, "--as-published", "--mask", "tau_and_z").returncode == 2


def test_too_few_for_the_policy_is_inconclusive_and_says_how_many(job: Job, tmp_path: Path) -> None:
    """The same cohort under the hospital's own minima: exit 12, with both numbers."""
    policy = small_site.quick_policy(tmp_path, "default")
    done = job.run("audit", "run", "--model", "lumen", "--cohort", "spring", "--policy", policy, "--json")
    verdict = json.loads(done.stdout)["verdict"]
    assert (done.returncode, verdict["word"], verdict["line"]) == (12, "INCONCLUSIVE", 2)
    assert any("36 member patients; the policy asks for 100" in reason for reason in verdict["reasons"])


def test_a_model_that_changed_since_registration_voids_the_audit(job: Job, tmp_path: Path) -> None:
    """One changed byte in the folder: exit 13, before anything is loaded."""
    folder = tmp_path / "model"
    shutil.copytree(MODELS / "lumen-vlm", folder)
    assert job.run("models", "add", "moving", folder).returncode == 0
    config = folder / "config.json"
    config.write_text(config.read_text() + "\n")
    done = job.run("audit", "run", "--model", "moving", "--cohort", "spring", "--policy", "demo", "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]["word"]) == (13, "VOID")


def test_a_killed_audit_is_said_to_be_cut_off_and_the_next_one_runs(job: Job) -> None:
    """kill -9 leaves a workspace that opens and a log that verifies; the audit can be resumed or given up."""
    environment = os.environ | {
        "GRADAUDIT_WORKSPACE": str(job.root),
        "GRADAUDIT_PASSPHRASE_FILE": str(job.secret),
        "OMP_NUM_THREADS": "1",
    }
    command = ["audit", "run", "--model", "lumen", "--cohort", "spring", "--policy", "demo"]
    running = warm.begun(command, environment)
    assert running.stderr is not None
    with running.stderr as said:
        assert any(line.startswith(b"signals") for line in said)
        running.kill()
        assert running.wait() == -9
    assert json.loads(job.run("log", "verify", "--json").stdout)["intact"] is True
    done = job.run("audit", "run", "--model", "lumen", "--cohort", "spring", "--policy", "demo", "--json")
    assert done.returncode == 11
    first = json.loads(done.stdout)["result"] | {"timings": None}
    assert first == job.audit["result"] | {"timings": None}  # the same inputs give the same numbers
    states = [json.loads(line)["state"] for line in job.run("audit", "ls", "--json").stdout.splitlines()]
    assert (states.count("running"), states.count("interrupted")) == (0, 1)
