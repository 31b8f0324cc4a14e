"""What a site decides with: thresholds, and the pure function from numbers to a verdict. Torch-free.

`decide` walks the six lines of METHOD §7; the first that applies gives the verdict. A control that is not
applicable never counts as passed, and VOID and INCONCLUSIVE have no way to become PASS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from audit_core.errors import PolicyInvalid
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    References,
    Role,
    Tier,
    Verdict,
    VerdictWord,
)
from audit_core.samples import Settings

MASKS = ("tau_and_z", "fixed_tau", "tau_or_topq", "adaptive_keep", "quantile")
PUBLISHED_MASKS = MASKS[1:]
PUBLISHED_DETECTOR = "gradaudit"
LAYERS = ("auto", "all", "last3")
PRECISIONS = ("auto", "float32", "bfloat16")
DETECTORS = (
    "base_referenced",
    "cosine",
    "entropy",
    "fused",
    "gradaudit",
    "gradnorm",
    "loss",
    "mink",
    "minkpp",
    "rank_average",
    "task_vector",
)
"""The battery's names, written down because reading a policy must not import numpy."""
NEEDED_FOR_PASS = (
    ControlName.IDENTITY,
    ControlName.UNSCORED,
    ControlName.CONTROL_AGAINST_CONTROL,
    ControlName.POSITIVE,
    # PASS compares targets with controls; where data alone tell them apart, harder targets can hide a leak.
    ControlName.BLIND_TARGETS,
)
WITHOUT_MEMBERS = (References.L4, References.L5)
AS_PUBLISHED = (
    "The audit was run as published: reference members are in the mean they are compared with, no control "
    "shows what it would have found, and it is not this appliance's recommended method."
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Every threshold of a verdict. Shares and levels are fractions, not per cent.

    Attributes:
        deciding_detector: pre-registered; no other detector can decide.
        q: Benjamini-Hochberg level for flagging patients.
        alpha_fail: level of the rank test of line 3, used when `exposure_limit` is 0.
        alpha_review: level of the same test in line 4.
        exposure_limit: largest tolerated share of exposed patients.
        must_detect: PASS needs a minimum detectable share of at most this.
        minimum_members: patients per role below which the answer is INCONCLUSIVE; members and fitting
            controls are asked for only where references are L1 to L3.
        max_unscored_share: share of a role's pairs without a score that voids the audit.
        control_alpha: level of the flagged share in "control against control" and post-release studies.
        spike_in_epochs: 0 switches the spike-in off.
        required_isolation: names of isolation layers that must be on; checked by the appliance.
        small_sample_note: say on every page that the sample is small.
        simulations: simulated audits per share for the minimum detectable effect.
        batch_size: pairs computed at once; 0 measures what suits machine and model.
        precision: of the forward pass; statistics are float32 whatever it is.
        as_published: GradAudit as its authors released it decides; such an audit ends in REVIEW at worst and
            INCONCLUSIVE at best.

    Raises:
        PolicyInvalid: a value has no meaning; the message names the key.
    """

    name: str
    version: str
    deciding_detector: str = "fused"
    q: float = 0.10
    alpha_fail: float = 0.001
    alpha_review: float = 0.05
    exposure_limit: float = 0.0
    must_detect: float = 0.10
    minimum_members: int = 100
    minimum_fitting: int = 100
    minimum_calibration: int = 100
    minimum_targets: int = 30
    minimum_bank: int = 31
    max_unscored_share: float = 0.02
    control_alpha: float = 0.05
    spike_in_epochs: int = 0
    required_isolation: tuple[str, ...] = ()
    small_sample_note: bool = False
    mask: str = "tau_and_z"
    tau: float = 0.10
    layers: str = "auto"
    batch_size: int = 16
    precision: str = "auto"
    max_text_tokens: int = 256
    bootstrap: int = 10_000
    permutations: int = 20
    simulations: int = 400
    seed: int = 0
    as_published: bool = False

    def __post_init__(self) -> None:
        _check_words(self)
        _check_published(self)
        _check_shares(self)
        _check_counts(self)


def _check_words(policy: Policy) -> None:
    for key in ("name", "version", "deciding_detector"):
        if not str(getattr(policy, key)).strip():
            raise PolicyInvalid(f"{key} is empty", hint=f"give {key} a value")
    if policy.deciding_detector not in DETECTORS:
        raise PolicyInvalid(
            f"deciding_detector {policy.deciding_detector!r} is not known",
            hint=f"one of {', '.join(DETECTORS)}",
        )
    if policy.mask not in MASKS:
        raise PolicyInvalid(f"mask {policy.mask!r} is not known", hint=f"one of {', '.join(MASKS)}")
    if policy.layers not in LAYERS:
        raise PolicyInvalid(f"layers {policy.layers!r} is not known", hint=f"one of {', '.join(LAYERS)}")
    if policy.precision not in PRECISIONS:
        raise PolicyInvalid(
            f"precision {policy.precision!r} is not known", hint=f"one of {', '.join(PRECISIONS)}"
        )


def _check_published(policy: Policy) -> None:
    if not policy.as_published:
        return
    if policy.mask not in PUBLISHED_MASKS:
        raise PolicyInvalid(
            f"mask {policy.mask!r} was not published, and as_published asks for one that was",
            hint=f"one of {', '.join(PUBLISHED_MASKS)}",
        )
    if policy.deciding_detector != PUBLISHED_DETECTOR:
        raise PolicyInvalid(
            f"deciding_detector {policy.deciding_detector!r} cannot decide an audit as published",
            hint=f"deciding_detector must be {PUBLISHED_DETECTOR}",
        )


def _check_shares(policy: Policy) -> None:
    for key in ("q", "alpha_fail", "alpha_review", "control_alpha", "must_detect"):
        value = getattr(policy, key)
        if not 0.0 < value < 1.0:
            raise PolicyInvalid(f"{key} = {value} is not between 0 and 1", hint="levels are fractions")
    for key in ("exposure_limit", "max_unscored_share"):
        value = getattr(policy, key)
        if not 0.0 <= value < 1.0:
            raise PolicyInvalid(f"{key} = {value} is not in [0, 1)", hint="shares are fractions")
    if not (math.isfinite(policy.tau) and -1.0 < policy.tau < 2.0):
        raise PolicyInvalid(f"tau = {policy.tau} is no gap of cosines", hint="METHOD §1 uses 0.10")
    if policy.alpha_fail > policy.alpha_review:
        raise PolicyInvalid(
            f"alpha_fail {policy.alpha_fail} is above alpha_review {policy.alpha_review}",
            hint="a FAIL needs at least the proof a REVIEW needs",
        )


def _check_counts(policy: Policy) -> None:
    least = {
        "minimum_members": 2,
        "minimum_fitting": 2,
        "minimum_calibration": 2,
        "minimum_targets": 1,
        "minimum_bank": 1,
        "batch_size": 0,
        "max_text_tokens": 1,
        "permutations": 5,
        "bootstrap": 100,
        "simulations": 50,
        "spike_in_epochs": 0,
        "seed": 0,
    }
    for key, floor in least.items():
        value = getattr(policy, key)
        if isinstance(value, bool) or not isinstance(value, int) or value < floor:
            raise PolicyInvalid(f"{key} = {value!r} is not a whole number of at least {floor}")


def settings(policy: Policy, references: References, design: Design) -> Settings:
    """The audit's settings under this policy, for a cohort with these references and this design.

    Raises:
        PolicyInvalid: as published, and the cohort has no known members.
    """
    if policy.as_published and references in WITHOUT_MEMBERS:
        raise PolicyInvalid(
            f"as published needs known members, and this cohort's references are {references}",
            hint="audit it without --as-published",
        )
    return Settings(
        deciding_detector=policy.deciding_detector,
        references=references,
        design=design,
        seed=policy.seed,
        q=policy.q,
        alpha_fail=policy.alpha_fail,
        alpha_review=policy.alpha_review,
        control_alpha=policy.control_alpha,
        exposure_limit=policy.exposure_limit,
        mask=policy.mask,
        tau=policy.tau,
        layers=policy.layers,
        batch_size=policy.batch_size,
        precision=policy.precision,
        max_text_tokens=policy.max_text_tokens,
        permutations=policy.permutations,
        bootstrap=policy.bootstrap,
        simulations=policy.simulations,
        spike_in_epochs=policy.spike_in_epochs,
        minimum_bank=policy.minimum_bank,
        max_unscored_share=policy.max_unscored_share,
        as_published=policy.as_published,
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
            return Verdict(answer[0], number, tuple(answer[1]))
    return Verdict(VerdictWord.INCONCLUSIVE, 6, tuple(_what_bars_pass(policy, result)))


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
    exposure = result.exposure
    if exposure is None or result.tier < Tier.E3 or _as_published(policy, result):
        return None
    if policy.exposure_limit == 0.0:
        if not exposure.rank_test_p < policy.alpha_fail:
            return None
        why = (
            f"Targets score higher than calibration controls: rank test p = {_p(exposure.rank_test_p)}, "
            f"below {policy.alpha_fail:g}; the policy tolerates no exposure."
        )
    else:
        if not exposure.prevalence_lower > policy.exposure_limit:
            return None
        why = (
            f"At least {exposure.prevalence_lower:.1%} of the target patients are exposed (95 % lower "
            f"bound); the policy tolerates {policy.exposure_limit:.1%}."
        )
    return VerdictWord.FAIL, [
        why,
        f"The evidence is of tier {result.tier.name}; FAIL needs E3.",
        _flagged_sentence(result),
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
        return None
    if _as_published(policy, result):
        reasons.append(f"{AS_PUBLISHED} It cannot end in FAIL.")
    elif result.tier < Tier.E3:
        reasons.append(f"The evidence is of tier {result.tier.name}; FAIL needs E3.")
    elif policy.exposure_limit == 0.0:
        reasons.append(f"FAIL needs p below {policy.alpha_fail:g}.")
    else:
        reasons.append(
            f"The 95 % lower bound of the exposed share is {exposure.prevalence_lower:.1%}; "
            f"FAIL needs more than {policy.exposure_limit:.1%}."
        )
    return VerdictWord.REVIEW, reasons


def _line_5_pass(policy: Policy, result: AuditResult) -> tuple[VerdictWord, list[str]] | None:
    if result.exposure is None or _what_bars_pass(policy, result):
        return None
    share = result.detectable.share or 0.0
    return VerdictWord.PASS, [
        f"No sign of exposure: rank test p = {_p(result.exposure.rank_test_p)}, no patient flagged "
        f"at q = {result.exposure.q:g}.",
        f"The audit would have seen {share:.1%} of exposed patients in 80 % of simulated audits "
        f"(basis: {result.detectable.basis}); the policy asks for {policy.must_detect:.1%}.",
    ]


def _what_bars_pass(policy: Policy, result: AuditResult) -> list[str]:
    reasons = [f"{AS_PUBLISHED} It cannot end in PASS."] if _as_published(policy, result) else []
    found = {control.name: control for control in result.controls}
    for name in NEEDED_FOR_PASS:
        control = found.get(name)
        if control is None or control.status is not ControlStatus.PASSED:
            reasons.append(_not_passed(name, control))
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
            f"The audit could have seen exposure from a share of {share:.1%} upwards; "
            f"PASS needs {policy.must_detect:.1%} or less."
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
        f"{exposure.flagged} of {exposure.patients} target patients are flagged at q = {exposure.q:g}; "
        f"at most {exposure.expected_false:.1f} of them are expected to be false."
    )


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else f"{value:.1e}"
