"""An audit of a design that lost patients: what its finding is worth at the worst scores they could have had.

Whoever names those who are not counted may know their scores: without the lowest of one arm and the highest
of the other a clean model looks trained on. So a finding stands only if it would stand with every lost
released patient below everybody and every lost held-back one above everybody. That cannot be more favourable
than the scores they have, whoever chose them and whenever (docs/evidence-by-design.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.designs.assignment import Arm, Assignment
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlOutcome,
    ControlStatus,
    DetectableEffect,
    Finding,
    Role,
    Score,
    Tier,
)
from medio.records import Cohort

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from audit_core.thresholds import Policy

CONTROL = "lost patients"
_COUNTED = ("target", "fitting", "calibration")


def with_losses(
    result: AuditResult,
    findings: Sequence[Finding],
    cohort: Cohort,
    assignment: Assignment | None,
    policy: Policy,
) -> AuditResult:
    """The result with one control more, and with numbers that hold whatever the lost patients scored.

    The lower bound of the exposed share becomes the worst case's; the detectable share counts every lost
    released patient as exposed; no bound of ε is stated, for it needs both arms whole. As it is where nobody
    is lost.

    Args:
        findings: of every pair, with the deciding detector's score.
        cohort: what the design's reveal froze; who of the design is in no role of it is lost.
        assignment: of the design behind the cohort, None where there is none.
    """
    lost = _lost(cohort, assignment)
    if assignment is None or not any(lost.values()) or result.exposure is None:
        return result
    worst_p, worst_lower = _worst(result, findings, lost)
    exposure = result.exposure
    reached = _line(policy, exposure.rank_test_p, exposure.prevalence_lower)
    stands = _line(policy, worst_p, worst_lower) >= max(reached, 1)
    status = ControlStatus.PASSED if stands else ControlStatus.FAILED
    if result.tier < Tier.E3:
        status = ControlStatus.NOT_APPLICABLE
    released = len({one.person for one in assignment.patients if one.arm is Arm.RELEASED})
    return replace(
        result,
        controls=(*result.controls, _outcome(status, lost, worst_p)),
        tier=min(result.tier, Tier.E2) if status is ControlStatus.FAILED else result.tier,
        exposure=replace(exposure, prevalence_lower=min(exposure.prevalence_lower, worst_lower)),
        detectable=_detectable(result.detectable, lost[Arm.RELEASED], released),
        epsilon=(),
    )


def _lost(cohort: Cohort, assignment: Assignment | None) -> dict[Arm, int]:
    """Persons of each arm who are neither target nor control."""
    counted = {one.patient for one in cohort.assignments if str(one.role) in _COUNTED}
    patients = assignment.patients if assignment else ()
    present = {one.person for one in patients if one.patient in counted}
    return {arm: len({one.person for one in patients if one.arm is arm} - present) for arm in Arm}


def _worst(result: AuditResult, findings: Sequence[Finding], lost: dict[Arm, int]) -> tuple[float, float]:
    """Rank test p and lower bound of the exposed share with the lost at their worst; no two of them tie."""
    import numpy as np

    from audit_core.exposure import prevalence_lower
    from audit_core.ranking import rank_test_p

    targets, controls = (
        _scores(findings, role, result.deciding_detector) for role in (Role.TARGET, Role.CALIBRATION)
    )
    both = np.concatenate([targets, controls])
    far = 1.0 + float(np.ptp(both))
    below = both.min() - far * (1.0 + np.arange(lost[Arm.RELEASED]))
    above = both.max() + far * (1.0 + np.arange(lost[Arm.HELD_BACK]))
    targets, controls = np.concatenate([targets, below]), np.concatenate([controls, above])
    return rank_test_p(targets, controls), prevalence_lower(targets, controls)


def _scores(findings: Sequence[Finding], role: Role, detector: str) -> NDArray[np.float64]:
    import numpy as np

    found = (one.scores.get(detector) for one in findings if one.role is role and one.judged)
    return np.array([score.value for score in found if isinstance(score, Score)])


def _line(policy: Policy, p: float, lower: float) -> int:
    """2 where the numbers are those of a FAIL, 1 of a review, else 0 (METHOD §7)."""
    fails = p < policy.alpha_fail if policy.exposure_limit == 0.0 else lower > policy.exposure_limit
    return 2 if fails else int(p < policy.alpha_review)


def _outcome(status: ControlStatus, lost: dict[Arm, int], p: float) -> ControlOutcome:
    counts = f"{lost[Arm.RELEASED]} released and {lost[Arm.HELD_BACK]} held-back patients of the design"
    sentence = (
        f"{counts} are not counted. Had these released scored lowest of all and these held-back highest, "
        f"the rank test would give p = {p:.2g}."
    )
    if status is ControlStatus.NOT_APPLICABLE:
        sentence += " No finding of tier E3 or above hangs on them."
    numbers = {"released": lost[Arm.RELEASED], "held back": lost[Arm.HELD_BACK], "p": p}
    return ControlOutcome(CONTROL, status, Consequence.TIER_E2, sentence, numbers)


def _detectable(found: DetectableEffect, lost: int, released: int) -> DetectableEffect:
    if found.share is None or not lost:
        return found
    share = 1.0 - (1.0 - found.share) * (1.0 - lost / released)
    told = f"{lost} of {released} released patients are not counted and taken as exposed in this share."
    return replace(found, share=share, sentence=f"{found.sentence} {told}".strip())
