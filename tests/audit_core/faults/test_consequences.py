"""Every control of METHOD §6, made to fail, has the consequences of its table and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from audit_core import control_run
from audit_core.controls import halves
from audit_core.detectors.seam import Detector, FoldScores, Labelled, Signals
from audit_core.judgement import judge
from audit_core.policy import Policy, decide
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
)
from audit_core.samples import Settings
from audit_core.tiers import evidence_tier
from tests.audit_core.planted import FAST, IDENTITY, Planted, World, planted, silent

PASSED, FAILED, NOT_APPLICABLE = ControlStatus.PASSED, ControlStatus.FAILED, ControlStatus.NOT_APPLICABLE
SIZES = {Role.MEMBER: 60, Role.FITTING: 60, Role.CALIBRATION: 80, Role.TARGET: 80, Role.POST_RELEASE: 30}
POLICY = Policy(
    "t", "1", must_detect=0.6, minimum_members=20, minimum_fitting=20, minimum_calibration=20,
    minimum_targets=20,
)  # fmt: skip
SETTINGS = replace(FAST, design=Design.COMMITTED, permutations=5, bootstrap=200, simulations=60)
LEAKY = World(effect=1.5, sizes=SIZES)
CLEAN = replace(LEAKY, exposed=0.0)

METHOD_6 = {  # control -> its consequence in METHOD's table
    ControlName.IDENTITY: Consequence.VOID,
    ControlName.UNSCORED: Consequence.VOID,
    ControlName.LABEL_PERMUTATION: Consequence.VOID,
    ControlName.CONTROL_AGAINST_CONTROL: Consequence.VOID,
    ControlName.POSITIVE: Consequence.BARS_PASS,
    ControlName.BLIND_MEMBERS: Consequence.TIER_E2,
    ControlName.BLIND_TARGETS: Consequence.TIER_E2,
    ControlName.CONDITIONAL: Consequence.TIER_E1,
    ControlName.REFERENCE_MODEL: Consequence.TIER_E1,
    ControlName.POST_RELEASE: Consequence.TIER_E1,
    ControlName.SHUFFLED: Consequence.NONE,
}

# control, status -> (verdict and tier of an audit that ended in FAIL, verdict of one that ended in PASS)
EXPECTED: dict[tuple[ControlName, ControlStatus], tuple[tuple[str, Tier], str]] = {
    (ControlName.IDENTITY, FAILED): (("VOID", Tier.E4), "VOID"),
    (ControlName.UNSCORED, FAILED): (("VOID", Tier.E4), "VOID"),
    (ControlName.LABEL_PERMUTATION, FAILED): (("VOID", Tier.E4), "VOID"),
    (ControlName.CONTROL_AGAINST_CONTROL, FAILED): (("VOID", Tier.E4), "VOID"),
    (ControlName.POSITIVE, FAILED): (("FAIL", Tier.E4), "INCONCLUSIVE"),
    (ControlName.BLIND_MEMBERS, FAILED): (("REVIEW", Tier.E2), "INCONCLUSIVE"),
    (ControlName.BLIND_TARGETS, FAILED): (("REVIEW", Tier.E2), "INCONCLUSIVE"),
    (ControlName.CONDITIONAL, FAILED): (("REVIEW", Tier.E1), "PASS"),
    (ControlName.REFERENCE_MODEL, FAILED): (("REVIEW", Tier.E1), "PASS"),
    (ControlName.POST_RELEASE, FAILED): (("REVIEW", Tier.E1), "PASS"),
    (ControlName.SHUFFLED, FAILED): (("FAIL", Tier.E4), "PASS"),
    # what did not run never counts as passed: what needs it passed does not happen
    (ControlName.IDENTITY, NOT_APPLICABLE): (("FAIL", Tier.E4), "INCONCLUSIVE"),
    (ControlName.UNSCORED, NOT_APPLICABLE): (("FAIL", Tier.E4), "INCONCLUSIVE"),
    (ControlName.LABEL_PERMUTATION, NOT_APPLICABLE): (("FAIL", Tier.E4), "PASS"),  # nothing was fitted
    (ControlName.CONTROL_AGAINST_CONTROL, NOT_APPLICABLE): (("FAIL", Tier.E4), "INCONCLUSIVE"),
    (ControlName.POSITIVE, NOT_APPLICABLE): (("FAIL", Tier.E4), "INCONCLUSIVE"),
    (ControlName.BLIND_MEMBERS, NOT_APPLICABLE): (("REVIEW", Tier.E2), "INCONCLUSIVE"),
    (ControlName.BLIND_TARGETS, NOT_APPLICABLE): (("REVIEW", Tier.E2), "INCONCLUSIVE"),
    (ControlName.CONDITIONAL, NOT_APPLICABLE): (("REVIEW", Tier.E1), "PASS"),
    (ControlName.REFERENCE_MODEL, NOT_APPLICABLE): (("FAIL", Tier.E4), "PASS"),  # "where there is one"
    (ControlName.POST_RELEASE, NOT_APPLICABLE): (("FAIL", Tier.E4), "PASS"),  # "where there are any"
    (ControlName.SHUFFLED, NOT_APPLICABLE): (("FAIL", Tier.E4), "PASS"),
}


def run(cohort: Planted, settings: Settings = SETTINGS) -> AuditResult:
    """Judge planted signals; their own scalars stand in for shuffled reports."""
    result, _ = judge(
        cohort.table, cohort.base, cohort.facts, settings,
        identity=IDENTITY, spike=None, shuffled=cohort.table, progress=silent,
    )  # fmt: skip
    return result


@cache
def undisturbed(exposed: bool) -> AuditResult:
    return run(planted(LEAKY if exposed else CLEAN, 0))


def by_name(result: AuditResult) -> dict[str, ControlOutcome]:
    return {control.name: control for control in result.controls}


def with_status(result: AuditResult, name: ControlName, status: ControlStatus) -> AuditResult:
    """The same audit, with one control that came out otherwise."""
    controls = tuple(
        replace(one, status=status, sentence="It came out otherwise.") if one.name == name else one
        for one in result.controls
    )
    assert result.exposure is not None
    fires = result.exposure.rank_test_p < SETTINGS.alpha_review or result.exposure.flagged > 0
    return replace(
        result, controls=controls, tier=evidence_tier(fires, result.design, result.references, controls)
    )


def test_the_audits_that_are_disturbed_below_are_a_fail_and_a_pass() -> None:
    """Leaky and clean world with every control in order: FAIL with E4, PASS with E0."""
    leaky, clean = undisturbed(True), undisturbed(False)
    assert (decide(POLICY, leaky).word, leaky.tier) == ("FAIL", Tier.E4)
    assert (decide(POLICY, clean).word, clean.tier) == ("PASS", Tier.E0), decide(POLICY, clean).reasons
    assert {control.status for control in leaky.controls} == {PASSED}


def test_the_table_is_whole() -> None:
    """Every control, failed and not applicable, has its row; every control states METHOD's consequence."""
    both = {(name, status) for name in ControlName for status in (FAILED, NOT_APPLICABLE)}
    assert set(EXPECTED) == both
    small = run(planted(World(sizes={Role.CALIBRATION: 12, Role.TARGET: 6}, with_base=False), 0))
    without = run(planted(replace(CLEAN, with_base=False), 0), replace(SETTINGS, references=References.L5))
    published = run(planted(CLEAN, 0), replace(SETTINGS, as_published=True, deciding_detector="gradaudit"))
    for result in (undisturbed(True), undisturbed(False), small, without, published):
        assert {control.name: control.consequence for control in result.controls} == METHOD_6


@pytest.mark.parametrize(("name", "status"), EXPECTED, ids=lambda value: str(value))
def test_one_control_has_its_consequence_and_no_other(name: ControlName, status: ControlStatus) -> None:
    """One outcome changed in an audit that ended in FAIL, and in one that ended in PASS."""
    (word, tier), clean_word = EXPECTED[name, status]
    leaky = with_status(undisturbed(True), name, status)
    assert (decide(POLICY, leaky).word, leaky.tier) == (word, tier)
    clean = with_status(undisturbed(False), name, status)
    assert (decide(POLICY, clean).word, clean.tier) == (clean_word, Tier.E0)
    if word == "VOID":
        assert decide(POLICY, leaky).line == decide(POLICY, clean).line == 1


# ---- faults put into the signals ----


def shifted(cohort: Planted, rows: object, push: float, *, data: bool = False) -> Planted:
    """Signals of some rows (and their data, where asked) moved up."""
    where = np.zeros(len(cohort.facts))
    where[rows] = push
    scalars = {name: values + where for name, values in cohort.table.scalars.items()}
    cosines = (cohort.table.cosines[slice(None), slice(None)] + 0.1 * where[:, None]).astype(np.float32)
    task = (cohort.table.task_cosines + 0.1 * where[:, None]).astype(np.float32)
    facts = tuple(
        replace(fact, pixels=fact.pixels + (where[i] if data else 0.0)) for i, fact in enumerate(cohort.facts)
    )
    return replace(
        cohort, table=replace(cohort.table, scalars=scalars, cosines=cosines, task_cosines=task), facts=facts
    )


def _unscored_targets(cohort: Planted) -> Planted:
    lost = {cohort.facts[row].pair_id: "it failed" for row in cohort.rows(Role.TARGET)[:16]}
    return replace(cohort, table=replace(cohort.table, unscored=lost))


def _drift_between_controls(cohort: Planted) -> Planted:
    rows = cohort.rows(Role.CALIBRATION)
    return shifted(cohort, rows[halves(rows.size, SETTINGS.seed)[0]], 4.0)


def _members_never_trained(cohort: Planted) -> Planted:
    exposed = 0.5 if cohort.trained[cohort.rows(Role.TARGET)].any() else 0.0
    return planted(replace(LEAKY, members_trained=False, exposed=exposed), 0)


def _members_and_controls_exchanged(cohort: Planted) -> Planted:
    swap = {Role.MEMBER: Role.FITTING, Role.FITTING: Role.MEMBER}
    facts = tuple(replace(fact, role=swap.get(fact.role, fact.role)) for fact in cohort.facts)
    return replace(cohort, facts=facts)


def _members_from_elsewhere(cohort: Planted) -> Planted:
    return _moved_pixels(cohort, Role.MEMBER)


def _targets_from_elsewhere(cohort: Planted) -> Planted:
    return _moved_pixels(cohort, Role.TARGET)


def _moved_pixels(cohort: Planted, role: Role) -> Planted:
    facts = tuple(
        replace(fact, pixels=fact.pixels + 0.6) if fact.role is role else fact for fact in cohort.facts
    )
    return replace(cohort, facts=facts)


def _the_model_is_its_base(cohort: Planted) -> Planted:
    return replace(cohort, base=cohort.table)


def _newer_studies_score_high(cohort: Planted) -> Planted:
    return shifted(cohort, cohort.rows(Role.POST_RELEASE), 4.0)


def _reports_from_two_templates(cohort: Planted) -> Planted:
    """The same words in every report; only the headings tell targets from controls."""
    texts = {
        True: "Findings: heart {}\nImpression: lungs clear",
        False: "Lungs clear: findings\nHeart {}: impression",
    }
    facts = tuple(
        replace(fact, text=texts[fact.role is Role.TARGET].format("abcdefghijk"[i % 11]))
        for i, fact in enumerate(cohort.facts)
    )
    return replace(cohort, facts=facts)


VOID_OR_BARRED: tuple[tuple[Callable[[Planted], Planted], ControlName], ...] = (
    (_unscored_targets, ControlName.UNSCORED),
    (_drift_between_controls, ControlName.CONTROL_AGAINST_CONTROL),
    (_members_never_trained, ControlName.POSITIVE),
    (_members_and_controls_exchanged, ControlName.POSITIVE),
)
CAPPED: tuple[tuple[Callable[[Planted], Planted], ControlName, Tier], ...] = (
    (_members_from_elsewhere, ControlName.BLIND_MEMBERS, Tier.E2),
    (_targets_from_elsewhere, ControlName.BLIND_TARGETS, Tier.E2),
    (_reports_from_two_templates, ControlName.BLIND_TARGETS, Tier.E1),  # no look-alike patients are left
    (_the_model_is_its_base, ControlName.REFERENCE_MODEL, Tier.E1),
    (_newer_studies_score_high, ControlName.POST_RELEASE, Tier.E1),
)


@pytest.mark.parametrize("world", [LEAKY, CLEAN], ids=["leaky", "clean"])
@pytest.mark.parametrize(
    ("fault", "name"), VOID_OR_BARRED, ids=[fault.__name__.strip("_") for fault, _ in VOID_OR_BARRED]
)
def test_a_fault_that_voids_or_bars(
    fault: Callable[[Planted], Planted], name: ControlName, world: World
) -> None:
    """The control that looks for the fault fails: VOID, or no PASS whatever the world is like."""
    result = run(fault(planted(world, 0)))
    assert by_name(result)[name].status is FAILED, by_name(result)[name].sentence
    word = decide(POLICY, result).word
    assert word == "VOID" if METHOD_6[name] is Consequence.VOID else word != "PASS"


@pytest.mark.parametrize(
    ("fault", "name", "tier"), CAPPED, ids=[fault.__name__.strip("_") for fault, *_ in CAPPED]
)
def test_a_fault_that_caps_the_tier(
    fault: Callable[[Planted], Planted], name: ControlName, tier: Tier
) -> None:
    """The audit that was FAIL with E4 becomes REVIEW with the tier that the control leaves."""
    result = run(fault(planted(LEAKY, 0)))
    assert by_name(result)[name].status is FAILED, by_name(result)[name].sentence
    assert (decide(POLICY, result).word, result.tier) == ("REVIEW", tier)


@pytest.mark.parametrize("world", [LEAKY, CLEAN], ids=["leaky", "clean"])
def test_a_leak_of_labels_is_void(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deciding detector that has seen the labels it is asked for: VOID, for a leaky and a clean model."""

    def cheating(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
        told = np.zeros(signals.pairs)
        told[refs.rows] = refs.member
        return FoldScores(np.tile(told + signals.table.scalars["neg_loss"], (refs.fold_count + 1, 1)))

    leaky = Detector("fused", "fault", True, lambda signals, refs: "", cheating)
    honest = control_run.all_detectors()
    monkeypatch.setattr(control_run, "all_detectors", lambda: {**honest, "fused": leaky})
    result = run(planted(world, 0))
    assert by_name(result)[ControlName.LABEL_PERMUTATION].status is FAILED
    assert (decide(POLICY, result).word, decide(POLICY, result).line) == ("VOID", 1)


@pytest.mark.parametrize("references", [References.L1, References.L5])
def test_another_domain_is_not_memory(references: References) -> None:
    """A model that never saw anybody, targets from elsewhere: E1 at most, neither FAIL nor PASS."""
    for seed in range(2):
        world = World(effect=0.0, shift={Role.TARGET: 2.0}, sizes=SIZES)
        result = run(planted(world, seed), replace(SETTINGS, references=references, seed=seed))
        if references is References.L5:  # fitted on members that nobody trained on, the direction is chance
            (decider,) = (report for report in result.detectors if report.decides)
            assert decider.target_auroc is not None and decider.target_auroc > 0.7
        assert result.tier <= Tier.E1
        assert decide(POLICY, result).word not in ("FAIL", "PASS")


@pytest.mark.parametrize("references", [References.L1, References.L5])
def test_a_model_that_never_saw_anything_fires_nothing(references: References) -> None:
    """Patients alike in all roles: no voiding control fails, nothing ends in FAIL, and none in PASS."""
    for seed in range(2):
        settings = replace(SETTINGS, references=references, seed=seed)
        result = run(planted(World(effect=0.0, sizes=SIZES), seed), settings)
        voiding = [c for c in result.controls if c.consequence is Consequence.VOID]
        assert all(control.status is not FAILED for control in voiding)
        assert decide(POLICY, result).word in (
            "INCONCLUSIVE",
            "REVIEW",
        )  # members that are not found bar PASS


def test_reports_from_one_template_void_nothing_and_hide_nothing() -> None:
    """The same text for everybody: words say nothing, the audit runs, and memory of images is still found."""
    for exposed, words in ((0.5, ("FAIL",)), (0.0, ("PASS", "INCONCLUSIVE"))):
        cohort = planted(replace(LEAKY, exposed=exposed), 0)
        facts = tuple(replace(fact, text="No acute findings.") for fact in cohort.facts)
        assert decide(POLICY, run(replace(cohort, facts=facts))).word in words
