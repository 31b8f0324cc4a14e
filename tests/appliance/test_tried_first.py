"""What is tried before it is done, and what long acts say meanwhile: ingest, model, cohort."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from appliance.api import Appliance
from appliance.cohorts import CohortRequest
from appliance.enrolment import SEALING, TRIAL
from appliance.errors import UsageError
from appliance.views import Progress
from appliance.workspace.workspace import Workspace
from tests.appliance import ward
from tests.appliance.test_findings_commands import gradaudit
from tests.audit_core import engine_models as tiny
from tests.medio.objects import image, part10

PIXELS = np.arange(-1000, 3096, dtype=np.int16).reshape(64, 64)


class Stopped(BaseException):
    """Somebody cancelled."""


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An image, a report, two files that are cut off, one that is nothing."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    whole = part10(image(PIXELS))
    (folder / "a.dcm").write_bytes(whole)
    (folder / "b.txt").write_text("Chest radiograph. The heart is of normal size. No effusion.")
    for name in "cd":
        (folder / f"{name}.dcm").write_bytes(whole[: -100 * (ord(name) - 96)])
    (folder / "e.bin").write_bytes(b"\x00\x01nothing")
    return folder


@pytest.fixture
def empty(tmp_path: Path) -> Appliance:
    """A workspace with nothing in it."""
    return Appliance(Workspace.create(tmp_path / "site", "four random words", "Test", unsafe_fast_kdf=True))


def test_a_trial_counts_what_an_ingest_then_takes(empty: Appliance, inbox: Path) -> None:
    """Images, reports and reasons are those of the ingest, and nothing was kept by the trial."""
    steps: list[Progress] = []
    with empty:
        trial = empty.try_ingest([inbox], steps.append)
        assert (empty.studies(), empty.quarantine()) == ((), ())
        taken = empty.ingest([inbox], lambda _: None)
        aside = {row.reason: (row.files, row.message) for row in empty.quarantine()}
    assert (trial.files, trial.reports) == (taken.files, taken.reports) == (5, 1)
    assert dict(trial.outcomes)["image"] == taken.images == 1
    assert {row.reason: (row.files, row.message) for row in trial.set_aside} == aside
    assert [(step.done, step.total) for step in steps][-1] == (5, 5)


def test_a_trial_can_be_cancelled(empty: Appliance, inbox: Path) -> None:
    """The first step that raises ends it."""

    def stop(_: Progress) -> None:
        raise Stopped

    with empty, pytest.raises(Stopped):
        empty.try_ingest([inbox], stop)


def test_a_model_says_how_far_it_is_and_can_be_cancelled(empty: Appliance, tmp_path: Path) -> None:
    """Weights by size, then the trial; cancelled in between, nothing is registered and nothing is left."""
    folder = tiny.write_llava(tmp_path / "model", seed=0)
    steps: list[Progress] = []

    def stop(step: Progress) -> None:
        steps.append(step)
        if step.phase == TRIAL:
            raise Stopped

    with empty:
        with pytest.raises(Stopped):
            empty.add_model("tiny", folder, step=stop)
        assert empty.models() == ()
        sealing = [step for step in steps if step.phase == SEALING]
        assert sealing and all(step.done <= step.total for step in sealing)
        empty.add_model("tiny", folder, step=steps.append)
        assert [(step.phase, step.done) for step in steps][-2:] == [(TRIAL, 0), (TRIAL, 1)]
        assert not empty.verify_workspace().damages


REQUEST = CohortRequest("autumn", {"target": "all", "control": "rest"}, "random", "L5", 0.4, 0)
HALVES = {"target": "AccessionNumber=A0a,A0b,A1a,A1b", "control": "rest"}


def test_a_cohort_is_shown_before_it_is_frozen(root: Path) -> None:
    """The same roles and the same balance as the frozen one; the trial keeps nothing."""
    request = CohortRequest("autumn", HALVES, "random", "L5", 0.5, 0)
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        trial = site.try_cohort(request)
        assert [one.name for one in site.cohorts()] == [ward.COHORT]
        assert trial.balance is not None and dict(trial.counts)["target"] == 2
        entries = [entry.act for entry in site._log.acts("cohort.try")]
        assert entries == ["cohort.try"]
        with pytest.raises(UsageError, match="no patient is left"):
            site.try_cohort(REQUEST)


def test_a_trial_of_a_cohort_on_the_command_line(root: Path) -> None:
    """`--dry-run` prints the balance, says that nothing was frozen, and keeps to it."""
    roles = ("--targets", HALVES["target"], "--controls", "rest", "--fitting-share", "0.5")
    code, out, said = gradaudit(root, "cohort", "create", "autumn", *roles, "--dry-run")
    assert (code, "2 target" in out, "nothing was frozen" in said) == (0, True, True)
    code, out, _ = gradaudit(root, "cohort", "ls", "--json")
    assert (code, '"autumn"' in out) == (0, False)
