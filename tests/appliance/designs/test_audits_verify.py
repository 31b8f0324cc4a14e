"""An audit of a cohort that calls itself committed: nothing runs before its design is found and checked."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from appliance import codec, policy_file
from appliance.designs.revealing import RevealRequest
from appliance.designs.unfavourable import CONTROL
from appliance.errors import ApplianceError, IntegrityError, UsageError
from appliance.workspace.rows import StoredCohort
from medio.cohort import cohort_digest
from tests.appliance import small_site
from tests.appliance.designs.design_site import REQUEST, silent, unlocked


@pytest.mark.parametrize(
    ("commitment", "error"),
    [("", UsageError), ("ab" * 32, IntegrityError)],
    ids=["no-design", "unknown-commitment"],
)
def test_no_audit_begins_on_a_word(tmp_path: Path, commitment: str, error: type[ApplianceError]) -> None:
    """A stored cohort that says committed is refused, and no audit is written down."""
    with unlocked(small_site.build(tmp_path)) as opened:
        spring = opened._cohort("spring")
        digest = cohort_digest("committed", "L1", spring.seed, spring.assignments, commitment)
        forged = replace(spring, name="forged", design="committed", commitment=commitment, digest=digest)
        opened._workspace.catalogue.add_cohort(
            StoredCohort("forged", digest, json.loads(codec.dump(forged)), "2026-01-01T00:00:00+00:00")
        )
        with pytest.raises(error):
            opened.run_audit("tiny", "forged", "demo", silent)
        assert opened.audits() == ()


def test_a_design_is_not_opened_for_a_model_that_is_not_there(tmp_path: Path) -> None:
    """A misspelt model or policy costs no canary."""
    with unlocked(small_site.build(tmp_path)) as opened:
        opened.new_design(REQUEST, tmp_path / "out", silent)
        for model, policy in (("tinny", "demo"), ("tiny", "demmo")):
            with pytest.raises(UsageError):
                opened.reveal_design(RevealRequest("spring", model, policy), silent)
        assert opened.design("spring").state == "committed"


def _quick(folder: Path) -> str:
    """The demo's policy with few repetitions."""
    text = (policy_file.FOLDER / "demo.toml").read_text().replace('name = "demo"', 'name = "quick"')
    for key, value in {"bootstrap": 100, "simulations": 50, "permutations": 5, "spike_in_epochs": 0}.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    (folder / "quick.toml").write_text(text)
    return str(folder / "quick.toml")


def test_lost_patients_stand_beside_the_controls_and_are_settled_once(tmp_path: Path) -> None:
    """A reveal without one patient: the audit says what that could do; one with another list is refused."""
    with unlocked(small_site.build(tmp_path)) as opened:
        opened.new_design(replace(REQUEST, canaries=0), tmp_path / "out", silent)
        asked = RevealRequest("spring", "tiny", _quick(tmp_path), without="AccessionNumber=A0")
        view = opened.reveal_design(asked, silent)
        (lost,) = [control for control in view.result.controls if control.name == CONTROL]
        assert lost.numbers["released"] + lost.numbers["held back"] == 1
        before = len(opened.audits())
        for other in ("", "AccessionNumber=A1"):
            with pytest.raises(UsageError, match="first revealed with other patients"):
                opened.reveal_design(replace(asked, without=other), silent)
        assert len(opened.audits()) == before
