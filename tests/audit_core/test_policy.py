"""The verdict table of METHOD §7, line by line."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest

from audit_core.errors import PolicyInvalid
from audit_core.policy import NEEDED_FOR_PASS, NEEDED_WITH_MEMBERS, Policy, decide, settings
from audit_core.results import (
    AuditResult,
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    DetectableEffect,
    Exposure,
    Interval,
    References,
    Role,
    Tier,
    VerdictWord,
)

POLICY = Policy(name="test", version="1")
PASSED, FAILED, NOT_APPLICABLE = ControlStatus.PASSED, ControlStatus.FAILED, ControlStatus.NOT_APPLICABLE
VOIDING = (
    ControlName.IDENTITY,
    ControlName.UNSCORED,
    ControlName.LABEL_PERMUTATION,
    ControlName.CONTROL_AGAINST_CONTROL,
)


def control(name: str, status: ControlStatus = PASSED) -> ControlOutcome:
    consequence = Consequence.VOID if name in VOIDING else Consequence.BARS_PASS
    if name in (ControlName.BLIND_MEMBERS, ControlName.BLIND_TARGETS):
        consequence = Consequence.TIER_E2
    return ControlOutcome(name, status, consequence, f"{name} is {status}.")


def controls(**changed: ControlStatus) -> tuple[ControlOutcome, ...]:
    names = (*VOIDING, ControlName.POSITIVE, ControlName.BLIND_MEMBERS, ControlName.BLIND_TARGETS)
    return tuple(control(name, changed.get(name.name, PASSED)) for name in names)


EXPOSURE = Exposure(
    flagged=0,
    patients=100,
    flagged_ci=Interval(0.0, 0.04),
    q=0.1,
    expected_false=0.0,
    rank_test_p=0.4,
    prevalence_null_p=0.5,
    prevalence_lower=0.0,
    prevalence_estimate=None,
    prevalence_ci=None,
    missing_controls=0,
)
CLEAN = AuditResult(
    deciding_detector="fused",
    references=References.L1,
    design=Design.RANDOM,
    counts={Role.MEMBER: 200, Role.FITTING: 200, Role.CALIBRATION: 200, Role.TARGET: 100},
    detectors=(),
    controls=controls(),
    exposure=EXPOSURE,
    tier=Tier.E0,
    detectable=DetectableEffect(0.05, "members", "5 % would have been seen."),
    histogram=None,
    slices_kept=10,
    slices_total=100,
    audited_layers=(),
    memory_by_layer=(),
    decision_weights=(),
    model_facts={"bank_size": "255"},
    timings=(),
)


def with_exposure(tier: Tier, **numbers: float) -> AuditResult:
    return replace(CLEAN, tier=tier, exposure=replace(EXPOSURE, **numbers))


def with_count(role: Role, count: int, references: References = References.L1) -> AuditResult:
    return replace(CLEAN, references=references, counts={**CLEAN.counts, role: count})


LIMITED = replace(POLICY, exposure_limit=0.2)
STRONG = with_exposure(Tier.E3, rank_test_p=1e-6, flagged=9, prevalence_lower=0.3)

TABLE = [
    ("all passed, sensitive enough", POLICY, CLEAN, "PASS", 5),
    ("identity failed beats FAIL", POLICY, replace(STRONG, controls=controls(IDENTITY=FAILED)), "VOID", 1),
    ("too many unscored", POLICY, replace(CLEAN, controls=controls(UNSCORED=FAILED)), "VOID", 1),
    ("label leak", POLICY, replace(CLEAN, controls=controls(LABEL_PERMUTATION=FAILED)), "VOID", 1),
    ("controls flagged", POLICY,
     replace(CLEAN, controls=controls(CONTROL_AGAINST_CONTROL=FAILED)), "VOID", 1),
    ("identity failed, nothing judged", POLICY,
     replace(CLEAN, exposure=None, controls=controls(IDENTITY=FAILED)), "VOID", 1),
    ("few calibration controls", POLICY, with_count(Role.CALIBRATION, 99), "INCONCLUSIVE", 2),
    ("few targets", POLICY, with_count(Role.TARGET, 29), "INCONCLUSIVE", 2),
    ("few members", POLICY, with_count(Role.MEMBER, 99), "INCONCLUSIVE", 2),
    ("few fitting controls", POLICY, with_count(Role.FITTING, 99), "INCONCLUSIVE", 2),
    ("no members asked for at L4", POLICY, with_count(Role.MEMBER, 0, References.L4), "PASS", 5),
    ("small bank", POLICY, replace(CLEAN, model_facts={"bank_size": "30"}), "INCONCLUSIVE", 2),
    ("stopped before judgement", POLICY, replace(CLEAN, exposure=None), "INCONCLUSIVE", 2),
    ("strong, documented split", POLICY, STRONG, "FAIL", 3),
    ("strong, committed coins", POLICY, replace(STRONG, tier=Tier.E4), "FAIL", 3),
    ("strong, blind gate failed", POLICY, replace(STRONG, tier=Tier.E2), "REVIEW", 4),
    ("strong, shift not excluded", POLICY, replace(STRONG, tier=Tier.E1), "REVIEW", 4),
    ("p at alpha_fail is not below it", POLICY, with_exposure(Tier.E3, rank_test_p=0.001), "REVIEW", 4),
    ("within the tolerated share", LIMITED, with_exposure(Tier.E3, rank_test_p=1e-6, prevalence_lower=0.2),
     "REVIEW", 4),
    ("above the tolerated share", LIMITED, with_exposure(Tier.E3, prevalence_lower=0.21), "FAIL", 3),
    ("weak signal", POLICY, with_exposure(Tier.E3, rank_test_p=0.04), "REVIEW", 4),
    ("one patient flagged", POLICY, with_exposure(Tier.E1, flagged=1), "REVIEW", 4),
    ("positive control failed", POLICY,
     replace(CLEAN, controls=controls(POSITIVE=FAILED)), "INCONCLUSIVE", 6),
    ("targets differ from controls without the model", POLICY,
     replace(CLEAN, controls=controls(BLIND_TARGETS=FAILED)), "INCONCLUSIVE", 6),
    ("members differ from controls without the model", POLICY,
     replace(CLEAN, controls=controls(BLIND_MEMBERS=FAILED)), "INCONCLUSIVE", 6),
    ("public members differ from controls", POLICY,
     replace(CLEAN, references=References.L2, controls=controls(BLIND_MEMBERS=FAILED)), "INCONCLUSIVE", 6),
    ("handed-over members were not compared", POLICY,
     replace(CLEAN, references=References.L3, controls=controls(BLIND_MEMBERS=NOT_APPLICABLE)),
     "INCONCLUSIVE", 6),
    ("a spike-in has no members to compare", POLICY,
     replace(CLEAN, references=References.L4, controls=controls(BLIND_MEMBERS=NOT_APPLICABLE)), "PASS", 5),
    ("targets far below controls", POLICY, with_exposure(Tier.E0, rank_test_p=0.9999), "INCONCLUSIVE", 6),
    ("targets a little below controls", POLICY, with_exposure(Tier.E0, rank_test_p=0.99), "PASS", 5),
    ("not sensitive enough", POLICY, replace(CLEAN, detectable=DetectableEffect(0.11, "members", "")),
     "INCONCLUSIVE", 6),
    ("sensitivity unknown", POLICY, replace(CLEAN, detectable=DetectableEffect(None, "none", "No basis.")),
     "INCONCLUSIVE", 6),
    ("p is not a number", POLICY, with_exposure(Tier.E0, rank_test_p=math.nan), "INCONCLUSIVE", 6),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "result", "word", "line"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_the_first_line_that_applies_decides(
    policy: Policy, result: AuditResult, word: str, line: int
) -> None:
    """Every row of the table gets its word, its line and at least one reason that is a sentence."""
    verdict = decide(policy, result)
    assert (word, line) == (verdict.word, verdict.line)
    assert verdict.reasons and all(reason.endswith(".") for reason in verdict.reasons)


@pytest.mark.parametrize("name", (*NEEDED_FOR_PASS, *NEEDED_WITH_MEMBERS))
def test_not_applicable_never_counts_as_passed(name: ControlName) -> None:
    """A needed control that could not run bars PASS, and so does one that is missing altogether."""
    others = tuple(c for c in CLEAN.controls if c.name != name)
    for left in (others, (*others, control(name, NOT_APPLICABLE))):
        verdict = decide(POLICY, replace(CLEAN, controls=left))
        assert verdict.word is VerdictWord.INCONCLUSIVE
        assert any(name.value in reason for reason in verdict.reasons)


@pytest.mark.parametrize("policy", [POLICY, LIMITED])
@pytest.mark.parametrize("tier", list(Tier))
@pytest.mark.parametrize("share", [0.0, 0.05, None])
def test_void_and_too_small_never_become_pass(policy: Policy, tier: Tier, share: float | None) -> None:
    """Whatever else is perfect, a voiding control or a small cohort cannot end in PASS."""
    perfect = replace(CLEAN, tier=tier, detectable=DetectableEffect(share, "members", ""))
    for name in VOIDING:
        void = replace(perfect, controls=controls(**{name.name: FAILED}))
        assert decide(policy, void).word is VerdictWord.VOID
    for role in (Role.CALIBRATION, Role.TARGET):
        small = replace(perfect, counts={**CLEAN.counts, role: 1})
        assert decide(policy, small).word is VerdictWord.INCONCLUSIVE


@pytest.mark.parametrize(
    ("alike", "hangs_on", "unsaid"),
    [
        (PASSED, "to be false.", ""),
        (None, "to be false.", ""),
        (FAILED, "if controls are like targets, which data alone disprove.", "is not stated: targets and"),
        (NOT_APPLICABLE, "if controls are like targets, which was not tried.", "is not stated: targets and"),
    ],
)
def test_expected_false_hangs_on_controls_like_targets(
    alike: ControlStatus | None, hangs_on: str, unsaid: str
) -> None:
    """Where the blind baseline of targets did not pass, the sentence says so, and that no share is stated."""
    result = with_exposure(Tier.E2, rank_test_p=1e-6, flagged=9)
    assert result.exposure is not None
    result = replace(result, exposure=replace(result.exposure, targets_alike=alike))
    text = " ".join(decide(LIMITED, result).reasons)
    assert hangs_on in text and unsaid in text
    assert ("is not stated" in text) == bool(unsaid)


@pytest.mark.parametrize(("epochs", "word"), [(1, "PASS"), (2, "INCONCLUSIVE"), (40, "INCONCLUSIVE")])
def test_more_epochs_of_a_copy_buy_no_pass(epochs: int, word: str) -> None:
    """A throw-away copy trained for longer is found by any audit: only one epoch carries a PASS."""
    others = tuple(c for c in CLEAN.controls if c.name != ControlName.POSITIVE)
    found = replace(control(ControlName.POSITIVE), numbers={"epochs": float(epochs)})
    result = replace(
        CLEAN, references=References.L4, controls=(*others, found),
        detectable=DetectableEffect(0.05, "spike-in", ""),
    )  # fmt: skip
    verdict = decide(POLICY, result)
    assert verdict.word == word
    assert ("one epoch" if epochs == 1 else f"{epochs} epochs") in " ".join(verdict.reasons)


@pytest.mark.parametrize("status", [None, PASSED, FAILED, NOT_APPLICABLE])
@pytest.mark.parametrize("name", [ControlName.POST_RELEASE, ControlName.CONDITIONAL, ControlName.SHUFFLED])
def test_a_required_control_bars_pass_until_it_is_passed(name: str, status: ControlStatus | None) -> None:
    """Not run, failed or not applicable: INCONCLUSIVE, with its name; FAIL and REVIEW do not need it."""
    asks = replace(POLICY, required_controls=(name,))
    added = () if status is None else (replace(control(name, status), consequence=Consequence.NONE),)
    given = replace(CLEAN, controls=(*CLEAN.controls, *added))
    verdict = decide(asks, given)
    assert (verdict.word, verdict.line) == (("PASS", 5) if status is PASSED else ("INCONCLUSIVE", 6))
    assert (name in verdict.reasons[0]) is (status is not PASSED)
    assert decide(asks, STRONG).word is VerdictWord.FAIL
    assert decide(asks, with_exposure(Tier.E3, rank_test_p=0.04)).word is VerdictWord.REVIEW


def test_requiring_nothing_takes_nothing_away() -> None:
    """What PASS always needs is needed whatever a policy lists, and is said once."""
    for required in ((), (ControlName.POSITIVE.value,), tuple(name.value for name in ControlName)):
        asks = replace(POLICY, required_controls=required)
        for name in (*NEEDED_FOR_PASS, *NEEDED_WITH_MEMBERS):
            lacking = tuple(one for one in CLEAN.controls if one.name != name)
            verdict = decide(asks, replace(CLEAN, controls=lacking))
            assert verdict.word is VerdictWord.INCONCLUSIVE
            assert sum(name in reason for reason in verdict.reasons) == 1


@pytest.mark.parametrize("tier", list(Tier))
def test_fail_needs_the_tier_of_the_policy(tier: Tier) -> None:
    """E3 as METHOD has it, or E4; the same signal below it is a REVIEW that says so."""
    for asks, least in ((POLICY, Tier.E3), (replace(POLICY, fail_tier="E4"), Tier.E4)):
        verdict = decide(asks, replace(STRONG, tier=tier))
        assert (verdict.word, verdict.line) == (("FAIL", 3) if tier >= least else ("REVIEW", 4))
        assert f"The evidence is of tier {tier.name}; FAIL needs {least.name}." in verdict.reasons


def test_reasons_name_the_numbers() -> None:
    """A FAIL says its p-value, the limit it crossed, the tier and how many patients are flagged."""
    text = " ".join(decide(POLICY, STRONG).reasons)
    for part in ("1.0e-06", "0.001", "E3", "9 of 100"):
        assert part in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"q": 0.0}, {"q": 1.5}, {"alpha_fail": 0.1}, {"must_detect": 0.0}, {"exposure_limit": -0.1},
        {"deciding_detector": "oracle"},
        {"mask": "best"}, {"layers": "some"}, {"name": " "}, {"minimum_targets": 0}, {"bootstrap": 5},
        {"fail_tier": "E2"}, {"fail_tier": 3}, {"required_controls": ("prayer",)},
        {"required_controls": "unscored"},
        {"permutations": 2}, {"seed": -1}, {"tau": math.nan}, {"minimum_members": 2.5},
    ],
)  # fmt: skip
def test_a_policy_without_meaning_is_refused(wrong: dict[str, object]) -> None:
    """A value outside its range raises and the message names the key."""
    with pytest.raises(PolicyInvalid, match=next(iter(wrong))):
        replace(POLICY, **wrong)  # type: ignore[arg-type]


def test_settings_carry_every_shared_field() -> None:
    """No threshold that both know is lost between policy and settings."""
    changed = replace(POLICY, q=0.2, tau=0.2, seed=7, bootstrap=500, mask="fixed_tau", max_unscored_share=0.1)
    made = settings(changed, References.L3, Design.RANDOM)
    shared = set(Policy.__dataclass_fields__) & set(type(made).__dataclass_fields__)
    assert len(shared) >= 18
    assert {key: getattr(changed, key) for key in shared} == {key: getattr(made, key) for key in shared}
    assert (made.references, made.design) == (References.L3, Design.RANDOM)


def test_policy_needs_no_torch() -> None:
    """Deciding imports neither torch nor scikit-learn nor scipy."""
    code = (
        "import sys, audit_core.policy; print([m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
