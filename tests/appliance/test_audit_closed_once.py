"""An audit is closed once: a kill between the log's entry and the catalogue loses and buries nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.errors import IntegrityError, UsageError
from appliance.evidence import verify_evidence as checked
from appliance.views import Progress
from tests import warm
from tests.appliance import small_site
from tests.appliance.small_site import PASSPHRASE

KILLED = f"""
import os, sys
from appliance.api import Appliance
from appliance.pack import building

close = building.close_audit

def killed(*given, **named):
    close(*given, **named)
    os._exit(137)

building.close_audit = killed
with Appliance.unlock(__import__("pathlib").Path(sys.argv[1]), {PASSPHRASE!r}) as appliance:
    appliance.run_audit("tiny", "spring", sys.argv[2], lambda step: None)
"""


def silent(_: Progress) -> None: ...


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo's policy with few repetitions."""
    return small_site.quick_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="module")
def killed(policy: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose audit was killed right behind the entry that closed it."""
    folder = tmp_path_factory.mktemp("killed")
    site = small_site.build(folder)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    assert warm.program(KILLED, site, policy, environment=environment).returncode == 137
    return site


@pytest.fixture
def copy(killed: Path, tmp_path: Path) -> Path:
    """A workspace of one test's own."""
    shutil.copytree(killed, tmp_path / "workspace")
    return tmp_path / "workspace"


def closings(appliance: Appliance) -> list[tuple[str, str]]:
    """Verdict and result of every entry that closed an audit."""
    return [(entry.outcome, entry.result_root) for entry in appliance._log.acts("audit.close")]


def answered(appliance: Appliance, path: Path) -> dict[str, object]:
    """The one row of the answer about the model."""
    appliance.answer_auditor("tiny", "2000-01-01", "2099-12-31", path)
    checked.check_pack(path.read_bytes())
    (row,) = json.loads(checked.split_zip(path.read_bytes())[0]["answer.json"])["audits"]
    found: dict[str, object] = row
    return found


@pytest.mark.parametrize("act", ["resume", "abandon"])
def test_whoever_comes_next_finishes_with_the_same_closing(act: str, copy: Path, tmp_path: Path) -> None:
    """The answer has its verdict before; nothing is computed, giving up is refused; one closing, a pack."""
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        (row,) = appliance.audits()
        assert row.state == "interrupted"
        (closing,) = closings(appliance)
        before = answered(appliance, tmp_path / "before.zip")
        assert (before["audit"], before["verdict"], before["pack"]) == (row.audit_id, closing[0], "")
        if act == "resume":
            assert appliance.resume_audit(row.audit_id, silent).verdict.word == closing[0]
        else:
            with pytest.raises(UsageError, match="was not cut off: it is done"):
                appliance.abandon_audit(row.audit_id)
        assert [one.state for one in appliance.audits()] == ["done"]
        assert closings(appliance) == [closing]
        pack = appliance.export_pack(row.audit_id, tmp_path / "evidence.zip")
        checked.check_pack(pack.read_bytes())
        after = answered(appliance, tmp_path / "after.zip")
        assert (after["verdict"], after["pack"]) == (closing[0], f"packs/{row.audit_id}.zip")
        assert not (copy / "steps" / row.audit_id).exists()


def test_what_was_closed_and_is_lost_is_not_buried(copy: Path, tmp_path: Path) -> None:
    """Without its sealed result it is neither run again nor given up, and the answer goes on listing it."""
    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        (row,) = appliance.audits()
        shutil.rmtree(copy / "steps" / row.audit_id)
        for act in (appliance.abandon_audit, lambda audit_id: appliance.resume_audit(audit_id, silent)):
            with pytest.raises(IntegrityError, match="its result is not there"):
                act(row.audit_id)
        assert [one.state for one in appliance.audits()] == ["interrupted"]
        assert len(closings(appliance)) == 1
        assert answered(appliance, tmp_path / "answer.zip")["verdict"] == closings(appliance)[0][0]


def test_no_worker_can_name_the_finished_audit(copy: Path, policy: str) -> None:
    """The step that holds it has a key that no question of a worker may have."""
    from appliance.auditing import StepsByQuestion
    from appliance.errors import WorkerFailed
    from appliance.workspace.steps import CLOSING

    with Appliance.unlock(copy, PASSPHRASE) as appliance:
        (row,) = appliance.audits()
        steps = appliance._workspace.steps(row.audit_id)
        assert steps.get(CLOSING) is not None
        with pytest.raises(WorkerFailed, match="asked for something"):
            StepsByQuestion(steps, 1).answer({"key": CLOSING, "act": "get"}, b"")
