"""What is left unsaid where data alone tell members or targets from controls (METHOD §6, §7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit_core.alike import no_sensitivity, not_stated, proviso
from audit_core.detectable import detectable_effect
from audit_core.exposure import judge_exposure
from audit_core.limits import limits_of
from audit_core.policy import Policy, decide
from audit_core.results import (
    AuditResult,
    ControlName,
    ControlStatus,
    Exposure,
    Finding,
    References,
    Role,
    VerdictWord,
)
from tests.audit_core.planted import FAST, World, judged, planted
from tests.audit_core.test_policy import EXPOSURE, controls

POLICY = Policy(
    name="small", version="1", minimum_members=30, minimum_fitting=20, minimum_calibration=30,
    minimum_targets=30, must_detect=0.9,
)  # fmt: skip
LEAN = {"bootstrap": 100, "permutations": 5, "simulations": 50}
ELSEWHERE = World(
    effect=1.0, exposed=0.5, members_trained=False, with_base=False, slices=100, shift={Role.MEMBER: 3.0}
)
PASSED, FAILED, NOT_APPLICABLE = ControlStatus.PASSED, ControlStatus.FAILED, ControlStatus.NOT_APPLICABLE


def statuses(result: AuditResult) -> dict[str, ControlStatus]:
    """Control -> outcome."""
    return {control.name: control.status for control in result.controls}


def probabilities(findings: tuple[Finding, ...]) -> set[str]:
    """Every kind of leak probability that any pair has."""
    return {name for finding in findings for name in finding.leak_probability}


def exposure_of(result: AuditResult) -> Exposure:
    """The exposure of an audit that was judged."""
    assert result.exposure is not None
    return result.exposure


@pytest.mark.parametrize("references", [References.L1, References.L2, References.L3])
def test_members_found_by_where_they_come_from_never_give_pass(references: References) -> None:
    """ "Members" of another corpus, never trained on, half of the targets trained on: never PASS."""
    quiet = 0
    for seed in range(4):
        result, findings = judged(ELSEWHERE, seed, references=references, **LEAN)
        assert statuses(result)[ControlName.BLIND_MEMBERS] is FAILED
        assert (result.detectable.share, result.detectable.basis) == (None, "none")
        assert "told apart without the model" in result.detectable.sentence
        assert exposure_of(result).prevalence_estimate is None and exposure_of(result).prevalence_ci is None
        assert not {"0.001", "0.01", "0.1"} & probabilities(findings)
        verdict = decide(POLICY, result)
        assert verdict.word in (VerdictWord.REVIEW, VerdictWord.INCONCLUSIVE)
        found = statuses(result)[ControlName.POSITIVE] is PASSED
        quiet += found and verdict.word is VerdictWord.INCONCLUSIVE
    assert quiet  # nothing else would have told


def test_the_simulation_would_have_stated_a_share() -> None:
    """What is withheld is a number that looks good: members of another corpus lie far above controls."""
    cohort = planted(ELSEWHERE, 0)
    scores = cohort.table.scalars["neg_loss"]
    effect = detectable_effect(
        scores[cohort.rows(Role.MEMBER)], scores[cohort.rows(Role.CALIBRATION)], 46, FAST, "members", seed=0
    )
    assert effect.share is not None and effect.share <= POLICY.must_detect


def test_no_share_is_stated_against_controls_that_targets_are_unlike() -> None:
    """Never trained on, members and targets from another hospital: many flagged, no share, no estimate."""
    shift = {Role.MEMBER: 3.0, Role.TARGET: 3.0}
    result, findings = judged(World(shift=shift, slices=100), 0, **LEAN)
    exposure = exposure_of(result)
    assert statuses(result)[ControlName.BLIND_TARGETS] is FAILED
    assert exposure.flagged > 0 and exposure.targets_alike is FAILED
    assert (exposure.prevalence_lower, exposure.prevalence_estimate, exposure.prevalence_ci) == (
        0,
        None,
        None,
    )
    assert not probabilities(findings)
    text = " ".join(decide(POLICY, result).reasons)
    assert "not stated: targets and controls can be told apart" in text
    assert "which data alone disprove" in text
    said = [limit.what for limit in limits_of(result)]
    assert "How large a share of the patients is exposed cannot be stated." in said
    assert "What this audit would have found was not shown, so it cannot end in PASS." in said


def test_a_sound_cohort_states_all_of_it() -> None:
    """The same numbers are there where both blind baselines passed."""
    result, findings = judged(World(effect=1.5, slices=100), 0)
    exposure = exposure_of(result)
    assert exposure.targets_alike is PASSED and exposure.prevalence_lower > 0.0
    assert exposure.prevalence_estimate is not None and result.detectable.share is not None
    assert {"0.001", "0.01", "0.1", "mixture"} <= probabilities(findings)
    assert not_stated(exposure) == proviso(exposure) == no_sensitivity(result.controls) == ""


@pytest.mark.parametrize("alike", [FAILED, NOT_APPLICABLE])
def test_the_bound_needs_the_gate_passed(alike: ControlStatus) -> None:
    """Not applicable is not passed: scores that would give a bound and an estimate give neither."""
    import numpy as np

    rng = np.random.default_rng(0)
    targets, clean, members = rng.normal(2, 1, 60), rng.normal(0, 1, 60), rng.normal(2, 1, 60)
    stated = judge_exposure(targets, clean, members, FAST, np.random.default_rng(0), PASSED).exposure
    left = judge_exposure(targets, clean, members, FAST, np.random.default_rng(0), alike).exposure
    assert stated.prevalence_lower > 0.3 and stated.prevalence_estimate is not None
    assert (left.prevalence_lower, left.prevalence_estimate, left.prevalence_ci) == (0.0, None, None)
    assert left.flagged == stated.flagged and left.rank_test_p == stated.rank_test_p


@pytest.mark.parametrize(
    ("status", "words"),
    [(PASSED, ""), (FAILED, "can be told apart"), (NOT_APPLICABLE, "were not compared")],
)
def test_every_outcome_of_the_members_gate_has_its_words(status: ControlStatus, words: str) -> None:
    """A gate that is missing altogether speaks like one that was not applicable."""
    said = no_sensitivity(controls(BLIND_MEMBERS=status))
    assert words in said and bool(said) == bool(words)
    assert no_sensitivity(()) == no_sensitivity(controls(BLIND_MEMBERS=NOT_APPLICABLE))


def test_results_of_earlier_versions_keep_their_words() -> None:
    """A stored exposure without the outcome says neither more nor less than when it was closed."""
    old = replace(EXPOSURE, targets_alike=None)
    assert not_stated(old) == proviso(old) == ""
