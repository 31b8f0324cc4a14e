"""No known members: the ladder by command line, the throw-away copy, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance import policy_file
from appliance.api import Appliance
from appliance.cohorts import CohortRequest
from appliance.commands.audits import EXIT_BY_VERDICT
from appliance.errors import ApplianceError, PolicyError, UsageError
from appliance.views import Progress
from appliance.workspace.steps import Steps
from audit_core.results import ControlName, ControlStatus, References
from tests import warm
from tests.appliance import small_site
from tests.appliance.small_site import PASSPHRASE

ROOT = Path(__file__).parents[2]
SELECTIONS = {"control": "Modality=DX", "target": "Modality=CT"}

KILLED = f"""
import os, signal, sys
from pathlib import Path
from appliance.api import Appliance
from appliance.workspace.steps import Steps

put = Steps.put

def dying(self, key, blob):
    put(self, key, blob)
    if key.startswith("copy-"):
        os.kill(os.getpid(), signal.SIGKILL)

Steps.put = dying
with Appliance.unlock(Path(sys.argv[1]), {PASSPHRASE!r}) as appliance:
    appliance.run_audit("tiny", "unknown", sys.argv[2], lambda step: None, spike_in=True)
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Every process of these tests computes alike."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    os.environ.pop("OMP_NUM_THREADS") if before is None else os.environ.update(OMP_NUM_THREADS=before)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's policy with few repetitions; it asks for no spike-in."""
    text = (policy_file.FOLDER / "demo.toml").read_text().replace('name = "demo"', 'name = "quick"')
    for key, value in {"bootstrap": 100, "simulations": 50, "permutations": 5, "spike_in_epochs": 0}.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.splitlines()]
        text = "\n".join(lines) + "\n"
    file = tmp_path_factory.mktemp("policy") / "quick.toml"
    file.write_text(text)
    return str(file)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a cohort that names no members (L5), beside the one that does."""
    root = small_site.build(tmp_path_factory.mktemp("site"))
    with Appliance.unlock(root, PASSPHRASE) as appliance:
        appliance.create_cohort(CohortRequest("unknown", SELECTIONS, "random", "L5", 0.45, 0))
    return root


@pytest.fixture
def copy(site: Path, tmp_path: Path) -> Path:
    """A workspace of one test's own."""
    shutil.copytree(site, tmp_path / "workspace")
    return tmp_path / "workspace"


@pytest.fixture(scope="module")
def killed(site: Path, policy: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose audit got SIGKILL with the copy's training sealed on disk; for copies only."""
    root = Path(shutil.copytree(site, tmp_path_factory.mktemp("killed") / "workspace"))
    assert warm.program(KILLED, root, policy).returncode == -9
    return root


def silent(progress: Progress) -> None: ...


def left_over(root: Path) -> list[Path]:
    """Sealed training of copies, wherever it may lie."""
    return [path for path in root.rglob("*") if ".copy." in path.name]


def log_of_copies(appliance: Appliance) -> list[str]:
    return [e.act for e in appliance.log_entries(0, 1000) if e.act in ("copy.make", "copy.destroy")]


def commanded(root: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """`gradaudit WORDS --json` as a process of its own: exit code, document, narration."""
    secret = root.parent / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o600)
    environment = os.environ | {"GRADAUDIT_WORKSPACE": str(root), "GRADAUDIT_PASSPHRASE_FILE": str(secret)}
    done = warm.command([*words, "--json"], environment, timeout=240)
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def test_no_members_by_command_line(copy: Path, policy: str) -> None:
    """A cohort without members is frozen and audited; the spike-in is one option more, on the same cohort."""
    chosen = ("--controls", "Modality=DX", "--targets", "Modality=CT", "--design", "random")
    code, cohort, _ = commanded(copy, "cohort", "create", "none", *chosen, "--fitting-share", "0.45")
    assert (code, cohort["references"]) == (0, "L5")
    asked = ("audit", "run", "--model", "tiny", "--cohort", "none", "--policy", policy)
    code, plain, _ = commanded(copy, *asked)
    assert code == EXIT_BY_VERDICT[plain["verdict"]["word"]] != 0
    assert (plain["result"]["references"], plain["result"]["deciding_detector"]) == ("L5", "rank_average")
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        assert log_of_copies(appliance) == []  # no copy, no entry
    remedies = " ".join(limit["remedy"] for limit in plain["result"]["limits"])
    assert all(words in remedies for words in ("clause of the contract", "canaries", "--spike-in"))
    code, spiked, _ = commanded(copy, *asked, "--spike-in", "--spike-in-epochs", "2")
    assert code == EXIT_BY_VERDICT[spiked["verdict"]["word"]]
    assert spiked["result"]["references"] == "L4"
    assert spiked["result"]["exposure"] == plain["result"]["exposure"]  # the original is judged as before
    positive = {c["name"]: c for c in spiked["result"]["controls"]}[ControlName.POSITIVE]
    assert positive["status"] != ControlStatus.NOT_APPLICABLE and "spike-in" in positive["sentence"]
    assert spiked["policy_digest"] != plain["policy_digest"]
    assert left_over(copy) == [] and not list((copy / "steps").glob("*"))


def test_the_log_says_made_and_destroyed(copy: Path, policy: str) -> None:
    """One copy, one entry for its making, one for its end, before the audit is done."""
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        view = appliance.run_audit("tiny", "unknown", policy, silent, spike_in=True)
        assert view.result.references is References.L4
        assert view.row.policy.endswith(", with a spike-in")
        assert log_of_copies(appliance) == ["copy.make", "copy.destroy"]
        acts = [entry.act for entry in appliance.log_entries(0, 1000)]
        last = [act for act in acts if act.startswith(("copy.", "audit."))][-2:]
        assert last == ["copy.destroy", "audit.run"]
        pack = appliance.export_pack(view.row.audit_id, copy.parent / "evidence.zip")
        assert appliance.log_verify().intact
    verified = subprocess.run(
        [sys.executable, ROOT / "verify_evidence.py", pack], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout[:5]) == (0, "valid"), verified.stdout


@pytest.mark.parametrize("following", ["resume", "abandon", "another audit"])
def test_killed_with_a_copy_and_the_next_command(
    following: str, killed: Path, tmp_path: Path, policy: str
) -> None:
    """SIGKILL with the copy's training sealed on disk: after the next audit command it is gone."""
    copy = Path(shutil.copytree(killed, tmp_path / "workspace"))
    assert len(left_over(copy)) == 1  # else this test would prove nothing
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        (row,) = appliance.audits()
        assert log_of_copies(appliance) == ["copy.make"]
        if following == "resume":
            appliance.resume_audit(row.audit_id, silent)
        elif following == "abandon":
            appliance.abandon_audit(row.audit_id)
        else:
            appliance.run_audit("tiny", "spring", policy, silent)
        assert left_over(copy) == []
        assert log_of_copies(appliance)[-1] == "copy.destroy"
        if following == "another audit":  # it can still be resumed; its copy is trained again
            again = appliance.resume_audit(row.audit_id, silent)
            assert again.result.references is References.L4
            assert left_over(copy) == []
            assert log_of_copies(appliance) == ["copy.make", "copy.destroy"] * 2


def test_a_failing_audit_leaves_nothing(copy: Path, policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that cannot be resumed takes the copy with it."""
    put = Steps.put

    def refusing(self: Steps, key: str, blob: bytes) -> None:
        put(self, key, blob)
        if key.startswith("copy-"):
            raise ApplianceError("the engine refuses")

    monkeypatch.setattr(Steps, "put", refusing)
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        with pytest.raises(ApplianceError, match="refuses"):
            appliance.run_audit("tiny", "unknown", policy, silent, spike_in=True)
        (row,) = appliance.audits()
        assert (row.state, left_over(copy)) == ("failed", [])
        assert log_of_copies(appliance) == ["copy.make", "copy.destroy"]


def test_what_cannot_be_spiked_is_refused_before_anything_is_written(copy: Path, policy: str) -> None:
    """Known members, as published, or too few fitting controls: no audit, no entry, a hint."""
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        few = CohortRequest("few", SELECTIONS, "random", "L5", 0.05, 0)
        appliance.create_cohort(few)
        before = [row.audit_id for row in appliance.audits()], appliance.log_count()
        with pytest.raises(UsageError, match="has known members") as members:
            appliance.run_audit("tiny", "spring", policy, silent, spike_in=True)
        assert "leave --spike-in out" in members.value.hint
        with pytest.raises(PolicyError, match="known members"):
            appliance.run_audit("tiny", "unknown", policy, silent, as_published=True, spike_in=True)
        with pytest.raises(UsageError, match="half of the fitting controls"):
            appliance.run_audit("tiny", "few", policy, silent, spike_in=True)
        assert before == ([row.audit_id for row in appliance.audits()], appliance.log_count())


def test_members_that_are_not_all_there_or_also_controls_are_refused(copy: Path) -> None:
    """A list with unknown studies says how many; a list that overlaps with controls says by how many."""
    partly, overlapping = copy.parent / "partly.csv", copy.parent / "overlapping.csv"
    partly.write_text("AccessionNumber\nA1\nA2\nZ9\n")
    overlapping.write_text("AccessionNumber\nA1\nA2\nA45\n")  # A45 is one of the controls
    create = ("cohort", "create", "x", "--controls", "Modality=DX", "--targets", "Modality=CT")
    known = ("--references", "L1", "--members")
    code, _, said = commanded(copy, *create, *known, str(partly))
    assert code == 2 and "1 of 3 entries in the list for member match no pair by AccessionNumber" in said
    code, _, said = commanded(copy, *create, *known, str(overlapping))
    assert code == 2 and "1 of 3 member patients are also control patients" in said
    code, _, said = commanded(copy, *create, "--references", "L1")
    assert code == 2 and "--references L4 (spike-in) or L5 (none)" in said
    assert commanded(copy, "cohort", "show", "x")[0] == 2
