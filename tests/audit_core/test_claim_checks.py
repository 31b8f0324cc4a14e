"""A claimed ε against the vendor's own parameters and an audit's bound, and what follows for the verdict."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from audit_core.accountants import NO_DELTA
from audit_core.accountants import accounts as accounted
from audit_core.claim_checks import above_claim, checked, group_privacy, tightest
from audit_core.claims import (
    Account,
    Budget,
    Claim,
    ClaimCheck,
    ClaimFinding,
    ClaimKind,
    ClaimUnit,
    Neighbours,
)
from audit_core.epsilon import one_run_lower
from audit_core.policy import Policy, decide
from audit_core.results import (
    AuditResult,
    CanaryDose,
    CanaryReport,
    Design,
    DetectableEffect,
    EpsilonBound,
    References,
    Role,
    Tier,
    VerdictWord,
)
from tests.audit_core.planted import World, judged
from tests.audit_core.test_policy import CLEAN, EXPOSURE, PASSED, POLICY, controls

PATIENT = Budget(1.0, 1e-6, unit=ClaimUnit.PATIENT)
OF_RECORDS = Budget(0.5, 1e-6, records_per_patient=3)
BORNE_OUT = (Account("PRV", 0.9, 0.88), Account("RDP", 1.2, None))
SMALL = Budget(0.05, 1e-9, neighbours=Neighbours.ADD_REMOVE)
NOT_FINITE = (Account("PRV", None, None, NO_DELTA), Account("RDP", None, None, NO_DELTA))
TOO_MUCH = (Account("PRV", 3.02, 3.0), Account("RDP", 3.4, None))


def claim(budget: Budget = PATIENT, accounts: tuple[Account, ...] = BORNE_OUT) -> Claim:
    """One claim of differential privacy."""
    return Claim("C-00000001", ClaimKind.PRIVATE, "contract", budget, accounts, "opacus 1.6.0")


def guessed(right: int, guesses: int = 100, tier: Tier = Tier.E4) -> AuditResult:
    """An audit of drawn coins in which so many guesses about couples are right."""
    counts = {"couples": 200, "guesses": guesses, "right": right}
    bound = EpsilonBound("one run", one_run_lower(right, guesses), 0.95, counts, "A bound.")
    exposure = replace(EXPOSURE, rank_test_p=0.01)
    return replace(CLEAN, design=Design.COMMITTED, tier=tier, epsilon=(bound,), exposure=exposure)


def of_canaries(right: int, result: AuditResult = CLEAN, copies: int = 16, guesses: int = 100) -> AuditResult:
    """The same audit with canaries of which so many were guessed rightly."""
    doses = (CanaryDose(1, (1, 2), 0.4), CanaryDose(copies, (1,), 0.4))
    report = CanaryReport(200, 100, 0, doses, 0.4, 0.6, guesses, right, 1.0, "Canaries.")
    return replace(result, design=Design.COMMITTED, canaries=report)


def check(result: AuditResult, budget: Budget = PATIENT, accounts: tuple[Account, ...] = ()) -> ClaimCheck:
    """What an audit makes of a claim."""
    (found,) = checked([claim(budget, accounts)], result)
    return found


@given(st.floats(0.01, 3.0), st.integers(1, 6), st.floats(1e-12, 1e-3))
@hypothesis_settings(max_examples=80, deadline=None)
def test_group_privacy_is_step_by_step(epsilon: float, steps: int, delta: float) -> None:
    """The closed form is what one step after the other gives: δ grows by e^ε each time."""
    slow = sum(delta * math.exp(i * epsilon) for i in range(steps))
    found = group_privacy(Budget(epsilon, delta), steps)
    assert found == pytest.approx((steps * epsilon, slow))


def test_group_privacy_beyond_all_numbers() -> None:
    """So many units that e^ε overflows allow everything, and no δ stays no δ."""
    assert group_privacy(Budget(8.0, 1e-9), 1000) == (8000.0, math.inf)
    assert group_privacy(Budget(8.0, 0.0), 1000) == (8000.0, 0.0)


@pytest.mark.parametrize(
    ("budget", "allowed"),
    [
        (PATIENT, 2.0),  # one patient less, another more
        (replace(PATIENT, neighbours=Neighbours.ADD_REMOVE), 2.0),
        (replace(PATIENT, neighbours=Neighbours.REPLACE), 1.0),
        (replace(OF_RECORDS, neighbours=Neighbours.ADD_REMOVE), 3.0),
        (replace(OF_RECORDS, records_per_patient=1), 1.0),
        (replace(OF_RECORDS, records_per_patient=1, neighbours=Neighbours.REPLACE), 0.5),
    ],
)
def test_a_claim_is_read_in_its_favour(budget: Budget, allowed: float) -> None:
    """Couples put one patient in another's place: that is two patients, or two times their records."""
    found = check(guessed(99), budget)
    assert found.allowed == pytest.approx(allowed)
    assert found.lower == pytest.approx(
        one_run_lower(
            99, 100, 0.05, delta=group_privacy(budget, round(allowed / budget.epsilon))[1], coins=200
        )
    )


def test_a_record_claim_without_records_per_patient_is_not_tested() -> None:
    """How many records a patient has decides what the claim allows: without it nothing is compared."""
    found = check(guessed(100), Budget(0.1, 0.0))
    assert (found.finding, found.lower, found.allowed) == (ClaimFinding.NOT_TESTED, None, None)
    assert "how many one patient has" in found.sentence


@pytest.mark.parametrize(("neighbours", "says"), [(Neighbours.REPLACE, "compares"), (None, "may compare")])
def test_replaced_records_leave_their_number_as_it_is(neighbours: Neighbours | None, says: str) -> None:
    """Two patients with three records and one differ in size: replacing records never leads there."""
    found = check(guessed(100), replace(OF_RECORDS, neighbours=neighbours))
    assert (found.finding, found.lower, found.allowed) == (ClaimFinding.NOT_TESTED, None, None)
    assert f"it {says} training sets of one size only" in found.sentence


@pytest.mark.parametrize(
    ("result", "finding"),
    [
        (guessed(100), ClaimFinding.CONTRADICTED),
        (guessed(100, tier=Tier.E3), ClaimFinding.QUESTIONED),
        (guessed(100, tier=Tier.E0), ClaimFinding.QUESTIONED),
        (guessed(60), ClaimFinding.WITHIN),
        (guessed(10, guesses=10), ClaimFinding.NOT_TESTED),  # ten right of ten show 1.05 at most
        (CLEAN, ClaimFinding.NOT_TESTED),
        (replace(CLEAN, epsilon=(EpsilonBound("empirical separation", 5.0, 0.95, {}, "No."),)),
         ClaimFinding.NOT_TESTED),
        (replace(CLEAN, epsilon=(EpsilonBound("one run", 5.0, 0.95, {"guesses": 20}, "Old."),)),
         ClaimFinding.NOT_TESTED),
    ],
)  # fmt: skip
def test_only_coins_and_tier_e4_contradict(result: AuditResult, finding: ClaimFinding) -> None:
    """A bound above the claim contradicts it with evidence of tier E4, never from a separation alone."""
    assert check(result).finding is finding


def test_two_bounds_share_one_error() -> None:
    """With couples and canaries each bound has 97.5 %, alone it has 95 %; what says more is told."""
    alone, both = check(guessed(95)), check(of_canaries(50, guessed(95)))
    assert (alone.level, both.level) == (0.95, 0.975)
    assert (both.basis, both.finding) == ("patients", ClaimFinding.CONTRADICTED)
    assert both.lower is not None and alone.lower is not None and both.lower < alone.lower


def test_canaries_speak_for_all_their_copies() -> None:
    """Sixteen copies allow sixteen times ε; a small claim can be contradicted, one of ε = 1 allows all."""
    found = check(of_canaries(100, guessed(60)), SMALL)
    assert (found.basis, found.finding) == ("canaries", ClaimFinding.CONTRADICTED)
    assert found.allowed == pytest.approx(0.8)
    large = Budget(2.0, 1e-5, neighbours=Neighbours.ADD_REMOVE)
    assert "allows everything" in check(of_canaries(100), large).sentence


@pytest.mark.parametrize("neighbours", [Neighbours.REPLACE, None])
def test_canaries_say_nothing_of_training_sets_of_one_size(neighbours: Neighbours | None) -> None:
    """Planted, they make a training set larger; a vendor who is silent is read as one who replaces."""
    found = check(of_canaries(100), replace(SMALL, neighbours=neighbours))
    assert (found.finding, found.lower) == (ClaimFinding.NOT_TESTED, None)
    assert "training sets of one size only" in found.sentence


@pytest.mark.parametrize("tier", [Tier.E0, Tier.E1, Tier.E4])
def test_canaries_contradict_whatever_patients_say(tier: Tier) -> None:
    """Their coins are committed: evidence of tier E4, where the audit's own tier speaks of patients alone."""
    result = of_canaries(100, replace(CLEAN, tier=tier))
    result = replace(result, claims=checked([claim(SMALL)], result))
    assert result.claims[0].finding is ClaimFinding.CONTRADICTED
    verdict = decide(POLICY, result)
    assert (verdict.word, verdict.line) == (VerdictWord.FAIL, 3)
    assert "guesses about canaries" in verdict.reasons[0] and "is contradicted" in verdict.reasons[0]
    own = f"of tier {tier.name}, and by itself no FAIL" if tier < Tier.E4 else "of tier E4; FAIL needs E3"
    assert own in verdict.reasons[1]
    drawn = replace(result, design=Design.RANDOM, tier=min(tier, Tier.E3))
    assert check(drawn, SMALL).finding is ClaimFinding.QUESTIONED, "nothing committed"
    assert decide(POLICY, drawn).word is VerdictWord.REVIEW


def test_exposed_patients_keep_their_own_tier_beside_canaries() -> None:
    """Where patients give FAIL too, the tier in the verdict is theirs."""
    result = of_canaries(100, replace(FAILED, tier=Tier.E3))
    reasons = decide(POLICY, replace(result, claims=checked([claim(SMALL)], result))).reasons
    assert any("is contradicted" in reason for reason in reasons)
    assert "The evidence is of tier E3; FAIL needs E3." in reasons


@pytest.mark.parametrize(
    ("accounts", "above"),
    [
        (BORNE_OUT, False),
        (TOO_MUCH, True),
        ((Account("PRV", 1.005, 0.985), Account("RDP", 1.2, None)), False),  # within its error
        ((Account("PRV", None, None, "it did not converge"), Account("RDP", 1.2, None)), True),
        ((Account("PRV", None, None, "it did not converge"), Account("RDP", 1.009, None)), False),
        ((Account("PRV", None, None, "no"), Account("RDP", None, None, "no")), False),
        (NOT_FINITE, True),
        ((), False),
    ],
)
def test_the_tightest_proof_decides(accounts: tuple[Account, ...], above: bool) -> None:
    """PRV where it gives a number, else RDP; more than the claim, beyond numerical error, is questioned."""
    account = tightest(accounts)
    assert above_claim(accounts, 1.0) is above
    found = check(CLEAN, accounts=accounts)
    assert (found.finding is ClaimFinding.QUESTIONED) is above
    assert found.accounted == (account.upper if account else None)


def test_no_finite_epsilon_is_more_than_any_claim() -> None:
    """With Gaussian noise δ = 0 is a claim that nothing bears out: a REVIEW, and never a number."""
    pure = replace(PATIENT, delta=0.0, noise=1.1, sampling_rate=0.004, steps=14_000)
    found = check(CLEAN, pure, accounted(pure))
    assert (found.finding, found.accounted) == (ClaimFinding.QUESTIONED, None)
    assert "no finite epsilon holds at a delta of 0, the claim says 1." in found.sentence
    verdict = decide(POLICY, replace(CLEAN, claims=(found,)))
    assert (verdict.word, verdict.line) == (VerdictWord.REVIEW, 4)


@pytest.mark.parametrize("kind", [ClaimKind.NOT_TRAINED, ClaimKind.DE_IDENTIFIED])
def test_other_claims_change_no_verdict(kind: ClaimKind) -> None:
    """What is claimed without an ε is answered by the verdict, and not the other way round."""
    found = checked([Claim("C-1", kind, "letter")], guessed(100))
    assert found == (ClaimCheck("C-1", kind, "letter"),)


CONTRADICTED = checked([claim()], guessed(100))
QUESTIONED = checked([claim(accounts=TOO_MUCH)], CLEAN)
WITHIN = checked([claim()], guessed(60))
E4 = replace(CLEAN, tier=Tier.E4, exposure=replace(EXPOSURE, rank_test_p=0.02))
FAILED = replace(CLEAN, controls=controls(), tier=Tier.E3, exposure=replace(EXPOSURE, rank_test_p=1e-6))
VOID = controls(IDENTITY=type(PASSED)("failed"))

TABLE = [
    ("contradicted", POLICY, replace(E4, claims=CONTRADICTED), "FAIL", 3),
    ("contradicted, no sign of exposure", POLICY, replace(CLEAN, tier=Tier.E4, claims=CONTRADICTED),
     "FAIL", 3),
    ("contradicted at E3", POLICY, replace(E4, tier=Tier.E3, claims=CONTRADICTED), "REVIEW", 4),
    ("contradicted as published", replace(POLICY, deciding_detector="gradaudit", mask="fixed_tau",
     as_published=True), replace(E4, claims=CONTRADICTED), "REVIEW", 4),
    ("contradicted in a void audit", POLICY, replace(E4, claims=CONTRADICTED, controls=VOID), "VOID", 1),
    ("contradicted, too few targets", POLICY,
     replace(E4, claims=CONTRADICTED, counts={**CLEAN.counts, Role.TARGET: 5}), "INCONCLUSIVE", 2),
    ("contradicted, nothing judged", POLICY, replace(E4, claims=CONTRADICTED, exposure=None),
     "INCONCLUSIVE", 2),
    ("exposed and contradicted", POLICY, replace(FAILED, tier=Tier.E4, claims=CONTRADICTED), "FAIL", 3),
    ("accountant above the claim", POLICY, replace(CLEAN, claims=QUESTIONED), "REVIEW", 4),
    ("accountant above, exposed too", POLICY, replace(FAILED, claims=QUESTIONED), "FAIL", 3),
    ("accountant above, not sensitive", POLICY,
     replace(CLEAN, claims=QUESTIONED, detectable=DetectableEffect(0.5, "members", "")), "REVIEW", 4),
    ("accountant above, void", POLICY, replace(CLEAN, claims=QUESTIONED, controls=VOID), "VOID", 1),
    ("within the claim", POLICY, replace(CLEAN, claims=WITHIN), "PASS", 5),
    ("within the claim, not sensitive", POLICY,
     replace(CLEAN, claims=WITHIN, detectable=DetectableEffect(0.5, "members", "")), "INCONCLUSIVE", 6),
    ("another kind of claim", POLICY,
     replace(CLEAN, claims=checked([Claim("C-1", ClaimKind.NOT_TRAINED, "")], CLEAN)), "PASS", 5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "result", "word", "line"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_claims_in_every_line(policy: Policy, result: AuditResult, word: str, line: int) -> None:
    """Lines 1 and 2 come first; then a contradiction fails, a question asks for review, and no more."""
    verdict = decide(policy, result)
    assert (word, line) == (verdict.word, verdict.line)
    if without_claims(policy, result) is not verdict.word:
        assert any(claim().claim in reason for reason in verdict.reasons)


def without_claims(policy: Policy, result: AuditResult) -> VerdictWord:
    """What the audit ends in where nothing is claimed."""
    return decide(policy, replace(result, claims=())).word


@pytest.mark.parametrize("claims", [CONTRADICTED, QUESTIONED, WITHIN, (*CONTRADICTED, *QUESTIONED, *WITHIN)])
@pytest.mark.parametrize("tier", list(Tier))
def test_no_claim_makes_a_verdict_better(claims: tuple[ClaimCheck, ...], tier: Tier) -> None:
    """Whatever is claimed and found, the verdict is the one without claims, REVIEW or FAIL."""
    order = [VerdictWord.PASS, VerdictWord.INCONCLUSIVE, VerdictWord.REVIEW, VerdictWord.FAIL]
    for result in (CLEAN, E4, FAILED, replace(CLEAN, detectable=DetectableEffect(None, "none", ""))):
        without = decide(POLICY, replace(result, tier=tier)).word
        found = decide(POLICY, replace(result, tier=tier, claims=claims)).word
        assert order.index(found) >= order.index(without)
    void = replace(CLEAN, tier=tier, claims=claims, controls=VOID)
    assert decide(POLICY, void).word is VerdictWord.VOID


def test_another_tier_is_judged_by_the_numbers() -> None:
    """A dry run may ask what a bound of tier E2 would have done at E4, and the other way round."""
    weak = checked([claim()], guessed(100, tier=Tier.E2))
    assert decide(POLICY, replace(E4, claims=weak)).word is VerdictWord.FAIL
    assert decide(POLICY, replace(E4, tier=Tier.E2, claims=CONTRADICTED)).word is VerdictWord.REVIEW


def test_a_planted_leak_contradicts_a_claim_of_one() -> None:
    """Drawn coins and a model that learnt by heart: ε = 1 is contradicted, by the judgement's own bound."""
    sizes = {Role.FITTING: 30, Role.CALIBRATION: 120, Role.TARGET: 120}
    world = World(effect=4.0, exposed=1.0, sizes=sizes)
    result, _ = judged(world, 3, design=Design.COMMITTED, references=References.L5)
    assert result.tier is Tier.E4, "the control: evidence by design"
    result = replace(result, claims=checked([claim()], result))
    few = replace(POLICY, minimum_calibration=50, alpha_fail=1e-300)  # no rank test is so small
    assert decide(few, replace(result, claims=())).word is VerdictWord.REVIEW
    verdict = decide(few, result)
    assert (verdict.word, verdict.line) == (VerdictWord.FAIL, 3)
    assert "C-00000001, epsilon 1, is contradicted" in verdict.reasons[0]


def test_an_honest_model_keeps_its_claim() -> None:
    """The same world and a model that never saw anybody: the claim stands, and no verdict rests on it."""
    sizes = {Role.FITTING: 30, Role.CALIBRATION: 120, Role.TARGET: 120}
    result, _ = judged(World(effect=0.0, sizes=sizes), 3, design=Design.COMMITTED, references=References.L5)
    assert check(result).finding is ClaimFinding.WITHIN


def test_checking_claims_needs_no_torch() -> None:
    """The appliance checks claims in its own process, where torch has no place."""
    code = "import sys, audit_core.claim_checks, audit_core.accountants; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
