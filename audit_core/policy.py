"""The pure function from numbers to a verdict. Torch-free. Its thresholds: `thresholds.Policy`.

`decide` walks the six lines of METHOD §7; the first that applies gives the verdict. A control that is not
applicable never counts as passed, and VOID and INCONCLUSIVE have no way to become PASS.
"""

from __future__ import annotations

from collections.abc import Callable

from audit_core.alike import not_stated, proviso
from audit_core.canary_rules import asks_for_review, bars_pass, with_canaries
from audit_core.claim_rules import contradictions, questions
from audit_core.copies import copy_epochs
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Exposure,
    Role,
    Tier,
    Verdict,
    VerdictWord,
)
from audit_core.shares import finely, percent
from audit_core.thresholds import (
    DETECTORS,
    MASKS,
    PUBLISHED_DETECTOR,
    PUBLISHED_MASKS,
    WITHOUT_MEMBERS,
    Policy,
    settings,
)

__all__ = [
    "AS_PUBLISHED",
    "DETECTORS",
    "MASKS",
    "NEEDED_FOR_PASS",
    "NEEDED_WITH_MEMBERS",
    "PUBLISHED_DETECTOR",
    "PUBLISHED_MASKS",
    "WITHOUT_MEMBERS",
    "Policy",
    "decide",
    "settings",
]

NEEDED_FOR_PASS = (
    ControlName.IDENTITY,
    ControlName.UNSCORED,
    ControlName.CONTROL_AGAINST_CONTROL,
    ControlName.POSITIVE,
    # PASS compares targets with controls; where data alone tell them apart, harder targets can hide a leak.
    ControlName.BLIND_TARGETS,
)
# With members: where data alone tell them from controls, finding them shows no memory, and so no sensitivity.
NEEDED_WITH_MEMBERS = (ControlName.BLIND_MEMBERS,)
AS_PUBLISHED = (
    "The audit was run as published: reference members are in the mean they are compared with, no control "
    "shows what it would have found, and it is not this appliance's recommended method."
)


def decide(policy: Policy, result: AuditResult) -> Verdict:
    """The verdict: the first line of METHOD §7 that applies, with reasons in sentences.

    Args:
        policy: the site's thresholds.
        result: one audit's aggregates.

    Returns:
        The word, the number of the line (1 … 6) and at least one reason.
    """
    lines: tuple[Callable[[Policy, AuditResult], tuple[VerdictWord, list[str]] | None], ...] = (
        _line_1_void,
        _line_2_too_small,
        _line_3_fail,
        _line_4_review,
        _line_5_pass,
    )
    for number, line in enumerate(lines, start=1):
        answer = line(policy, result)
        if answer is not None:
            return with_canaries(Verdict(answer[0], number, tuple(answer[1])), result)
    barred = Verdict(VerdictWord.INCONCLUSIVE, 6, tuple(_what_bars_pass(policy, result)))
    return with_canaries(barred, result)


def _as_published(policy: Policy, result: AuditResult) -> bool:
    """Whether the published way decides, as either of policy and result has it."""
    return policy.as_published or result.as_published


def _line_1_void(policy: Policy, result: AuditResult) -> tuple[VerdictWord, list[str]] | None:
    failed = [
        control
        for control in result.controls
        if control.consequence is Consequence.VOID and control.status is ControlStatus.FAILED
    ]
    if not failed:
        return None
    return VerdictWord.VOID, [f'The control "{c.name}" failed: {c.sentence}' for c in failed]


def _line_2_too_small(policy: Policy, result: AuditResult) -> tuple[VerdictWord, list[str]] | None:
    wanted = {Role.CALIBRATION: policy.minimum_calibration, Role.TARGET: policy.minimum_targets}
    if result.references not in WITHOUT_MEMBERS:
        wanted |= {Role.MEMBER: policy.minimum_members, Role.FITTING: policy.minimum_fitting}
    reasons = [
        f"The cohort has {result.counts.get(role, 0)} {role.value} patients; the policy asks for {least}."
        for role, least in wanted.items()
        if result.counts.get(role, 0) < least
    ]
    bank = result.model_facts.get("bank_size", "")
    if bank.isdecimal() and 0 < int(bank) < policy.minimum_bank:
        reasons.append(f"The bank holds {bank} anchor pairs; the policy asks for {policy.minimum_bank}.")
    if result.exposure is None and not reasons:
        reasons.append(f"The audit stopped before judgement. {result.detectable.sentence}".strip())
    return (VerdictWord.INCONCLUSIVE, reasons) if reasons else None


def _line_3_fail(policy: Policy, result: AuditResult) -> tuple[VerdictWord, list[str]] | None:
    if result.exposure is None or _as_published(policy, result):
        return None
    exposed, contradicted = _exposed(policy, result.exposure, result.tier), contradictions(result)
    if not exposed and not contradicted:
        return None
    tier = f"The evidence is of tier {result.tier.name}; FAIL needs {policy.fail_tier}."
    if not exposed and result.tier < Tier.E4:  # then canaries contradict, and nothing else
        tier = (
            f"FAIL rests on canaries, evidence of tier {Tier.E4.name}. Of patients the evidence is of tier "
            f"{result.tier.name}, and by itself no FAIL."
        )
    return VerdictWord.FAIL, [*exposed, *contradicted, tier, _flagged_sentence(result)]


def _exposed(policy: Policy, exposure: Exposure, tier: Tier) -> list[str]:
    """Why exposure is above the limit, where the tier lets it be said; at most one reason."""
    if tier < Tier[policy.fail_tier]:
        return []
    if policy.exposure_limit == 0.0:
        if not exposure.rank_test_p < policy.alpha_fail:
            return []
        return [
            f"Targets score higher than calibration controls: rank test p = {_p(exposure.rank_test_p)}, "
            f"below {policy.alpha_fail:g}; the policy tolerates no exposure."
        ]
    if not exposure.prevalence_lower > policy.exposure_limit:
        return []
    return [
        f"At least {finely(exposure.prevalence_lower)} of the target patients are exposed (95 % "
        f"lower bound); the policy tolerates {finely(policy.exposure_limit)}."
    ]


def _line_4_review(policy: Policy, result: AuditResult) -> tuple[VerdictWord, list[str]] | None:
    exposure = result.exposure
    if exposure is None:
        return None
    reasons = []
    if exposure.rank_test_p < policy.alpha_review:
        reasons.append(
            f"Targets score higher than calibration controls: rank test p = {_p(exposure.rank_test_p)}, "
            f"below {policy.alpha_review:g}."
        )
    if exposure.flagged > 0:
        reasons.append(_flagged_sentence(result))
    if not reasons:
        others = [*filter(None, [asks_for_review(policy, result)]), *questions(result)]
        return (VerdictWord.REVIEW, others) if others else None
    if not_stated(exposure):
        reasons.append(f"The share of exposed patients is not stated: {not_stated(exposure)}.")
    if _as_published(policy, result):
        reasons.append(f"{AS_PUBLISHED} It cannot end in FAIL.")
    elif result.tier < Tier[policy.fail_tier]:
        reasons.append(f"The evidence is of tier {result.tier.name}; FAIL needs {policy.fail_tier}.")
    elif policy.exposure_limit == 0.0:
        reasons.append(f"FAIL needs p below {policy.alpha_fail:g}.")
    else:
        reasons.append(
            f"The 95 % lower bound of the exposed share is {finely(exposure.prevalence_lower)}; "
            f"FAIL needs more than {finely(policy.exposure_limit)}."
        )
    return VerdictWord.REVIEW, [*reasons, *questions(result)]


def _line_5_pass(policy: Policy, result: AuditResult) -> tuple[VerdictWord, list[str]] | None:
    if result.exposure is None or _what_bars_pass(policy, result):
        return None
    share = result.detectable.share or 0.0
    trained = ", trained for one epoch" if copy_epochs(result.controls) else ""
    return VerdictWord.PASS, [
        f"No sign of exposure: rank test p = {_p(result.exposure.rank_test_p)}, no patient flagged "
        f"at q = {result.exposure.q:g}.",
        f"The audit would have seen {finely(share)} of exposed patients in 80 % of simulated audits "
        f"(basis: {result.detectable.basis}{trained}); the policy asks for {finely(policy.must_detect)}.",
    ]


def _what_bars_pass(policy: Policy, result: AuditResult) -> list[str]:
    reasons = [f"{AS_PUBLISHED} It cannot end in PASS."] if _as_published(policy, result) else []
    reasons += filter(None, [bars_pass(policy, result)])
    found = {control.name: control for control in result.controls}
    members = () if result.references in WITHOUT_MEMBERS else NEEDED_WITH_MEMBERS
    for name in dict.fromkeys((*NEEDED_FOR_PASS, *members, *policy.required_controls)):
        control = found.get(name)
        if control is None or control.status is not ControlStatus.PASSED:
            reasons.append(_not_passed(name, control))
    if copy_epochs(result.controls) > 1:
        reasons.append(
            f"The throw-away copy was trained for {copy_epochs(result.controls)} epochs; PASS needs it found "
            "after one."
        )
    if result.exposure is not None and not result.exposure.rank_test_p >= policy.alpha_review:
        reasons.append(
            f"The rank test gave p = {result.exposure.rank_test_p}; PASS needs a p-value that is not low."
        )
    if result.exposure is not None and result.exposure.rank_test_p > 1.0 - policy.alpha_fail:
        reasons.append(
            f"Targets score lower than calibration controls (p = {_p(1.0 - result.exposure.rank_test_p)}): "
            "the groups differ, and a difference that hides exposure cannot be told from none."
        )
    share = result.detectable.share
    if share is None:
        reasons.append(
            f"What this audit could have detected is not known. {result.detectable.sentence}".strip()
        )
    elif not share <= policy.must_detect:
        reasons.append(
            f"The audit could have seen exposure from a share of {finely(share)} upwards; "
            f"PASS needs {finely(policy.must_detect)} or less."
        )
    return reasons


def _not_passed(name: str, control: ControlOutcome | None) -> str:
    if control is None:
        return f'The control "{name}" was not run; PASS needs it passed.'
    status = control.status.value
    return f'The control "{name}" is {status}; PASS needs it passed. {control.sentence}'.strip()


def _flagged_sentence(result: AuditResult) -> str:
    exposure = result.exposure
    if exposure is None or exposure.flagged == 0:
        return "No single patient is flagged."
    return (
        f"{exposure.flagged} of {exposure.patients} target patients are flagged at q = {exposure.q:g}: over "
        f"many audits, at most {percent(exposure.q)} of such a list are expected to be false"
        f"{proviso(exposure)}."
    )


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
