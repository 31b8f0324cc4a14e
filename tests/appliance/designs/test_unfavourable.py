"""Lost patients of a design: a finding stands at their worst scores, or it is no finding of the coins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.designs.assignment import Arm, Assignment, Left, PlacedPatient
from appliance.designs.unfavourable import CONTROL, with_losses
from audit_core.exposure import prevalence_lower
from audit_core.policy import decide
from audit_core.ranking import rank_test_p
from audit_core.results import (
    AuditResult,
    ControlOutcome,
    ControlStatus,
    Design,
    EpsilonBound,
    Finding,
    Role,
    Score,
    Tier,
    VerdictWord,
)
from medio.records import Assignment as Placed
from medio.records import Cohort
from medio.records import Role as CohortRole
from tests.audit_core.test_policy import CLEAN, EXPOSURE, POLICY

Floats = NDArray[np.float64]
ROLES = {Arm.RELEASED: Role.TARGET, Arm.HELD_BACK: Role.CALIBRATION}


def _design(size: int) -> Assignment:
    patients = tuple(
        PlacedPatient(f"{arm}{number}", f"{arm}{number}", arm, (f"pair {arm}{number}",))
        for arm in Arm
        for number in range(size)
    )
    return Assignment("spring", "00" * 32, "", "", "0.5", 0, patients, (), Left(0, 0), ())


def _audit(
    scores: dict[Arm, Floats], left: dict[Arm, Sequence[int]]
) -> tuple[AuditResult, list[Finding], Cohort]:
    """What an audit of those who are left gives, at the highest tier where it fires."""
    found, placed = [], []
    for arm, numbers in left.items():
        for number in numbers:
            name, pair = f"{arm}{number}", f"pair {arm}{number}"
            score = {"fused": Score(float(scores[arm][number]))}
            found.append(Finding(pair, name, ROLES[arm], True, score, None, False, {}))
            placed.append(Placed(pair, name, CohortRole(ROLES[arm].value)))
    counted = [scores[arm][list(left[arm])] for arm in (Arm.RELEASED, Arm.HELD_BACK)]
    p, lower = rank_test_p(*counted), prevalence_lower(*counted)
    result = replace(
        CLEAN,
        design=Design.COMMITTED,
        tier=Tier.E4 if p < POLICY.alpha_review else Tier.E0,
        exposure=replace(EXPOSURE, rank_test_p=p, prevalence_lower=lower),
        epsilon=(EpsilonBound("one run", 1.0, 0.95, {}, "said"),),
    )
    return result, found, Cohort("spring", "committed", "L5", 0, tuple(placed), "", (), "ab" * 32)


def _everyone(size: int) -> dict[Arm, Sequence[int]]:
    return {arm: range(size) for arm in Arm}


def _trimmed(scores: dict[Arm, Floats], share: float) -> dict[Arm, Sequence[int]]:
    """All but the lowest released and the highest held back: what one would name who knows the scores."""
    size = scores[Arm.RELEASED].size
    lost = int(share * size)
    return {
        Arm.RELEASED: np.argsort(scores[Arm.RELEASED])[lost:].tolist(),
        Arm.HELD_BACK: np.argsort(scores[Arm.HELD_BACK])[: size - lost].tolist(),
    }


def _control(result: AuditResult) -> ControlOutcome:
    return next(control for control in result.controls if control.name == CONTROL)


def test_nobody_lost_changes_nothing() -> None:
    """The result as it was, also where no design is behind the cohort."""
    rng = np.random.default_rng(0)
    scores = {arm: rng.standard_normal(40) for arm in Arm}
    result, found, cohort = _audit(scores, _everyone(40))
    assert with_losses(result, found, cohort, _design(40), POLICY) is result
    assert with_losses(result, found, cohort, None, POLICY) is result


def test_losses_chosen_by_score_do_not_make_a_clean_model_fail() -> None:
    """Of 60 clean models, trimming makes many FAIL at E4; none does with the lost at their worst."""
    before = after = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = {arm: rng.standard_normal(400) for arm in Arm}
        result, found, cohort = _audit(scores, _trimmed(scores, 0.05))
        before += decide(POLICY, result).word is VerdictWord.FAIL
        told = with_losses(result, found, cohort, _design(400), POLICY)
        after += decide(POLICY, told).word is VerdictWord.FAIL
        assert told.tier <= Tier.E2 or rank_test_p(*scores.values()) < POLICY.alpha_review
    assert before >= 10
    assert after == 0


@pytest.mark.parametrize("share", [0.01, 0.03])
def test_a_strong_finding_stands_whoever_is_lost(share: float) -> None:
    """Exposure that every patient shows: FAIL with the tier it had, the control passed, the bound lower."""
    rng = np.random.default_rng(1)
    scores = {Arm.RELEASED: rng.standard_normal(200) + 1.0, Arm.HELD_BACK: rng.standard_normal(200)}
    result, found, cohort = _audit(scores, _trimmed(scores, share))
    told = with_losses(result, found, cohort, _design(200), POLICY)
    assert (_control(told).status, told.tier) == (ControlStatus.PASSED, Tier.E4)
    assert decide(POLICY, told).word is VerdictWord.FAIL
    assert result.exposure is not None
    assert told.exposure is not None
    assert told.exposure.prevalence_lower <= result.exposure.prevalence_lower
    assert (told.epsilon, told.exposure.rank_test_p) == ((), result.exposure.rank_test_p)


def test_a_share_above_the_limit_must_stand_as_well() -> None:
    """With a limit it is the lower bound that must hold at the worst scores, not only the rank test."""
    rng = np.random.default_rng(2)
    scores = {Arm.RELEASED: rng.standard_normal(200) + 1.0, Arm.HELD_BACK: rng.standard_normal(200)}
    result, found, cohort = _audit(scores, _trimmed(scores, 0.05))
    assert result.exposure is not None
    policy = replace(POLICY, exposure_limit=result.exposure.prevalence_lower - 0.001)
    assert decide(policy, result).word is VerdictWord.FAIL
    told = with_losses(result, found, cohort, _design(200), policy)
    assert (_control(told).status, told.tier) == (ControlStatus.FAILED, Tier.E2)
    assert decide(policy, told).word is VerdictWord.REVIEW


def test_a_quiet_audit_counts_lost_released_patients_as_exposed() -> None:
    """Taking the exposed out gives no PASS: the share that could have been missed grows by theirs."""
    rng = np.random.default_rng(3)
    scores = {Arm.RELEASED: rng.standard_normal(100) - 0.1, Arm.HELD_BACK: rng.standard_normal(100)}
    left = {Arm.RELEASED: range(20, 100), Arm.HELD_BACK: range(100)}
    result, found, cohort = _audit(scores, left)
    assert decide(POLICY, result).word is VerdictWord.PASS
    told = with_losses(result, found, cohort, _design(100), POLICY)
    assert told.detectable.share == pytest.approx(1 - 0.95 * 0.8)
    assert "20 of 100 released patients are not counted" in told.detectable.sentence
    assert _control(told).status is ControlStatus.NOT_APPLICABLE
    assert decide(POLICY, told).word is VerdictWord.INCONCLUSIVE
