"""The whole judgement on made-up worlds with a known truth (METHOD §8 items 6, 7, 8, 9)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit_core.cohort import judged_pairs, references, scored_rows
from audit_core.judgement import judge
from audit_core.policy import Policy, decide
from audit_core.ranking import auroc
from audit_core.results import (
    AuditResult,
    ControlName,
    ControlStatus,
    Design,
    Finding,
    Progress,
    References,
    Role,
    Score,
    Tier,
    Unscored,
    VerdictWord,
)
from audit_core.samples import Settings
from audit_core.scoring import SpikeSignals, deciding_detector, score_spike
from audit_core.signals import SignalTable
from tests.audit_core.planted import FAST, IDENTITY, SIZES, Planted, World, judged, planted, silent

POLICY = Policy(
    name="small", version="1", minimum_members=30, minimum_fitting=20, minimum_calibration=30,
    minimum_targets=30, must_detect=0.6,
)  # fmt: skip
LEAN = {"bootstrap": 100, "permutations": 5, "simulations": 50}


def run(
    cohort: Planted, settings: Settings = FAST, spike: SpikeSignals | None = None
) -> tuple[AuditResult, tuple[Finding, ...]]:
    return judge(
        cohort.table, cohort.base, cohort.facts, settings,
        identity=IDENTITY, spike=spike, shuffled=cohort.table, progress=silent,
    )  # fmt: skip


def lose(table: SignalTable, pairs: dict[str, str]) -> SignalTable:
    """The table after the engine failed on these pairs: rows of NaN and a reason."""
    rows = [pair in pairs for pair in table.pair_ids]
    scalars = {name: np.where(rows, np.nan, values) for name, values in table.scalars.items()}
    cosines = np.where(np.array(rows)[:, None], np.nan, table.cosines)
    return replace(table, scalars=scalars, cosines=cosines, unscored=pairs)


@pytest.fixture(scope="module")
def leaky() -> tuple[AuditResult, tuple[Finding, ...]]:
    return judged(World(effect=1.5), 0)


def test_a_leaky_model_fails(leaky: tuple[AuditResult, tuple[Finding, ...]]) -> None:
    """Half of the targets trained on: FAIL with tier E3, most of the exposed flagged, hardly anyone else."""
    result, findings = leaky
    verdict = decide(POLICY, result)
    assert (verdict.word, result.tier) == (VerdictWord.FAIL, Tier.E3), verdict.reasons
    trained = planted(World(effect=1.5), 0).trained
    targets = [(f, t) for f, t in zip(findings, trained, strict=True) if f.role is Role.TARGET]
    assert np.mean([f.flagged for f, t in targets if t]) > 0.8
    assert sum(f.flagged for f, t in targets if not t) <= 5
    assert result.exposure is not None
    assert result.exposure.flagged == sum(f.flagged for f in findings)
    assert 0.1 < result.exposure.prevalence_lower <= 0.5
    assert result.exposure.prevalence_estimate == pytest.approx(0.5, abs=0.2)


def test_aggregates_are_complete(leaky: tuple[AuditResult, tuple[Finding, ...]]) -> None:
    """Counts, layers, weights, histogram and reports agree with the cohort."""
    result, findings = leaky
    assert result.counts == {role.value: count for role, count in SIZES.items()}
    assert result.detectors[0].decides and result.detectors[0].name == result.deciding_detector == "fused"
    assert sum(report.decides for report in result.detectors) == 1
    assert result.histogram is not None
    assert sum(sum(counts) for counts in result.histogram.counts.values()) == sum(SIZES.values())
    flagged = [f.scores["fused"] for f in findings if f.flagged]
    assert result.histogram.threshold == min(s.value for s in flagged if isinstance(s, Score))
    assert 0 < result.slices_kept < result.slices_total == 400
    assert result.audited_layers == ("layer 0", "layer 1")
    assert {layer for layer, _ in result.memory_by_layer} == set(result.audited_layers)
    assert {"loss, to base", "slices, masked", "task vector"} <= dict(result.decision_weights).keys()
    assert dict(result.decision_carried).keys() == dict(result.decision_weights).keys()
    assert sum(added for _, added in result.decision_carried) > 0.0
    assert sum(kept for _, kept, _ in result.slices_by_layer) == result.slices_kept
    assert [timing.phase for timing in result.timings] == ["detectors", "controls", "exposure", "findings"]


def test_probabilities_never_fall_with_the_score(leaky: tuple[AuditResult, tuple[Finding, ...]]) -> None:
    """Posteriors and mixture rise with the deciding score and with the prior; p-values fall."""
    rows = []
    for finding in leaky[1]:
        score = finding.scores["fused"]
        if finding.p_value is not None and isinstance(score, Score):
            rows.append((score.value, -finding.p_value, *[finding.leak_probability[k] for k in
                        ("0.001", "0.01", "0.1", "mixture")]))  # fmt: skip
    table = np.array(sorted(rows))
    assert len(table) == SIZES[Role.TARGET]
    assert (np.diff(table[:, 1:], axis=0) >= -1e-12).all()
    assert (table[:, 2] < table[:, 3]).all() and (table[:, 3] < table[:, 4]).all()


def test_the_same_seed_gives_the_same_answer(leaky: tuple[AuditResult, tuple[Finding, ...]]) -> None:
    """Nothing but the seed is random: two runs differ in seconds only."""
    again, findings = judged(World(effect=1.5), 0)
    assert replace(again, timings=()) == replace(leaky[0], timings=())
    assert findings == leaky[1]


def test_null_models_are_not_failed_and_hardly_ever_reviewed() -> None:
    """40 never-trained models: no FAIL, REVIEW at about the 5 % the policy allows, PASS only by a fluke."""
    words, reference = [], []
    for seed in range(40):
        result, _ = judged(World(effect=0.0, slices=40), seed, **LEAN)
        words.append(decide(POLICY, result).word)
        reference.append(result.detectors[0].reference_auroc)
    assert VerdictWord.FAIL not in words
    assert words.count(VerdictWord.VOID) <= 1
    assert words.count(VerdictWord.REVIEW) <= 6
    assert words.count(VerdictWord.PASS) <= 1
    assert np.mean(np.array(reference, dtype=float)) == pytest.approx(0.5, abs=0.05)


def test_clean_targets_beside_real_members_are_rarely_flagged() -> None:
    """Members found, targets clean: over seeds FDR and rank test keep their levels, and PASS is possible."""
    p_values, flagged, words = [], [], []
    for seed in range(30):
        result, _ = judged(World(effect=1.5, exposed=0.0, slices=40), seed, **LEAN)
        assert result.exposure is not None
        p_values.append(result.exposure.rank_test_p)
        flagged.append(result.exposure.flagged > 0)
        words.append(decide(POLICY, result).word)
    assert np.mean(np.array(p_values) < 0.05) <= 0.05 + 0.12
    assert np.mean(flagged) <= 0.10
    assert words.count(VerdictWord.PASS) >= 22


@pytest.mark.parametrize("with_base", [True, False])
def test_a_shifted_cohort_stays_at_tier_e1(with_base: bool) -> None:
    """Never trained, members and targets from another hospital: high AUROC, tier at most E1, no FAIL."""
    shift = {Role.MEMBER: 3.0, Role.TARGET: 3.0}
    for seed in range(3):
        result, _ = judged(World(shift=shift, with_base=with_base, slices=100), seed, **LEAN)
        assert (result.detectors[0].target_auroc or 0.0) > 0.85
        assert result.tier <= Tier.E1
        assert decide(POLICY, result).word is VerdictWord.REVIEW


def test_unscored_pairs_never_move_a_number() -> None:
    """Dropping pairs and losing them give the same AUROCs, and the lost ones carry their reason.

    References are not among them: folds are dealt before the model is read, to lost pairs as well.
    """
    cohort = planted(World(effect=1.0), 2)
    asked = [f for f in cohort.facts if f.role not in (Role.MEMBER, Role.FITTING)]
    lost = {fact.pair_id: "half an image" for fact in asked[::17]}
    with_losses = replace(cohort, table=lose(cohort.table, lost))
    without = replace(cohort, facts=tuple(fact for fact in cohort.facts if fact.pair_id not in lost))
    settings = replace(FAST, max_unscored_share=0.9)
    (first, findings), (second, _) = run(with_losses, settings), run(without, settings)
    assert [(d.name, d.target_auroc, d.reference_auroc) for d in first.detectors] == [
        (d.name, d.target_auroc, d.reference_auroc) for d in second.detectors
    ]
    assert first.exposure == second.exposure
    for finding in findings:
        if finding.pair_id in lost:
            assert set(finding.scores.values()) == {Unscored("half an image")}
            assert (finding.p_value, finding.flagged) == (None, False)


def test_a_lost_reference_leaves_the_folds_of_the_others() -> None:
    """References that are lost have no row, and every other reference keeps the fold it was dealt."""
    cohort = planted(World(effect=1.0), 2)
    lost = {fact.pair_id: "x" for fact in cohort.facts if fact.role in (Role.MEMBER, Role.FITTING)}
    lost = dict(list(lost.items())[::9])
    found = []
    for table in (cohort.table, lose(cohort.table, lost)):
        rows = scored_rows(table, cohort.base, cohort.facts, FAST)
        refs = references(rows, FAST)
        ids = [rows.facts[row].pair_id for row in refs.rows]
        found.append(dict(zip(ids, refs.folds.tolist(), strict=True)))
    assert found[1] == {pair: fold for pair, fold in found[0].items() if pair not in lost}
    assert len(found[1]) == len(found[0]) - len(lost)


def test_pairs_that_only_the_decider_cannot_score_are_lost() -> None:
    """Read, but without slice cosines: counted as unscored, not as judged, and the audit is VOID."""
    cohort = planted(World(effect=1.5, exposed=0.0), 0)
    cosines = np.array(cohort.table.cosines)
    cosines[cohort.rows(Role.TARGET)[:15]] = np.nan
    settings = replace(FAST, deciding_detector="gradaudit", **LEAN)
    result, _ = run(replace(cohort, table=replace(cohort.table, cosines=cosines)), settings)
    control = next(c for c in result.controls if c.name == ControlName.UNSCORED)
    assert result.deciding_detector == "gradaudit"
    assert (control.status, control.numbers["unscored"]) == (ControlStatus.FAILED, 15.0)
    assert result.counts[Role.TARGET.value] == SIZES[Role.TARGET] - 15
    assert decide(POLICY, result).word is VerdictWord.VOID


def test_losing_one_role_voids() -> None:
    """When calibration controls fail to score and others do not, the audit is VOID."""
    cohort = planted(World(effect=1.0), 0)
    lost = {f.pair_id: "x" for f in cohort.facts if f.role is Role.CALIBRATION and f.pair_id.endswith("0-0")}
    result, _ = run(replace(cohort, table=lose(cohort.table, lost)))
    assert decide(POLICY, result).word is VerdictWord.VOID


def test_one_pair_per_patient_decides() -> None:
    """With three pairs each, one is judged, drawn by the seed; all are scored, the others have no p-value."""
    world = World(effect=1.0, pairs_per_patient=3, slices=80)
    result, findings = judged(world, 0)
    assert result.counts == {role.value: count for role, count in SIZES.items()}
    for role in SIZES:
        chosen = [f for f in findings if f.role is role and f.judged]
        assert len({f.patient for f in chosen}) == len(chosen) == SIZES[role]
    others = [f for f in findings if not f.judged]
    assert len(others) == 2 * len(findings) / 3
    assert all(f.p_value is None and not f.flagged and not f.leak_probability for f in others)
    assert all(isinstance(f.scores["fused"], Score) for f in others)
    facts = planted(world, 0).facts
    assert judged_pairs(facts, 0) == judged_pairs(facts[::-1], 0) != judged_pairs(facts, 1)


@pytest.mark.parametrize(
    ("role", "count", "word"),
    [(Role.CALIBRATION, 9, "calibration"), (Role.TARGET, 4, "targets"), (Role.TARGET, 0, "targets")],
)
def test_too_few_patients_stop_with_a_sentence(role: Role, count: int, word: str) -> None:
    """Under the least number there is no statistic: exposure None, a sentence, INCONCLUSIVE, no crash."""
    result, findings = judged(World(sizes={**SIZES, role: count}), 0)
    assert result.exposure is None
    assert f"{count} {word}" in result.detectable.sentence
    assert decide(POLICY, result).word is VerdictWord.INCONCLUSIVE
    assert not any(f.flagged for f in findings) and len(findings) == sum({**SIZES, role: count}.values())


def test_an_empty_mask_of_the_deciding_detector_stops() -> None:
    """GradAudit decides but keeps no slice: nobody has a score, the sentence says why."""
    result, _ = judged(World(effect=0.0), 0, deciding_detector="gradaudit", tau=1.5)
    assert result.exposure is None
    assert "mask is empty" in result.detectable.sentence


def test_without_members_the_rank_average_decides() -> None:
    """L5: members in the cohort are ignored, nothing is fitted, PASS is barred, a leak is still seen."""
    result, _ = judged(World(effect=1.5), 0, references=References.L5)
    assert result.deciding_detector == "rank_average"
    assert result.detectors[0].reference_auroc is None
    status = {c.name: c.status for c in result.controls}
    for name in (ControlName.POSITIVE, ControlName.LABEL_PERMUTATION, ControlName.BLIND_MEMBERS):
        assert status[name] is ControlStatus.NOT_APPLICABLE
    assert result.detectable.share is None
    assert decide(POLICY, result).word is VerdictWord.FAIL
    clean, _ = judged(World(effect=1.5, exposed=0.0), 1, references=References.L5)
    assert decide(POLICY, clean).word is VerdictWord.INCONCLUSIVE


def spiked(effect: float, seed: int, slices: int = 400) -> SpikeSignals:
    """A copy trained on 14 of the fitting controls."""
    sizes = {Role.MEMBER: 14, Role.CALIBRATION: 40}
    copy = planted(World(effect=effect, sizes=sizes, slices=slices), 1000 + seed)
    ids = np.array(copy.table.pair_ids)
    return SpikeSignals(
        copy.table, copy.base, tuple(ids[copy.rows(Role.MEMBER)]), tuple(ids[copy.rows(Role.CALIBRATION)])
    )


def test_a_spike_in_stands_in_for_members() -> None:
    """L4: a found spike-in makes PASS possible and gives the detectable share; an unseen one bars PASS."""
    cohort = planted(World(effect=1.5, exposed=0.0), 1)
    settings = replace(FAST, references=References.L4, seed=1)
    seen, _ = run(cohort, settings, spiked(2.0, 0))
    assert seen.detectable.basis == "spike-in" and seen.detectable.share is not None
    assert decide(POLICY, seen).word is VerdictWord.PASS
    unseen, _ = run(cohort, settings, spiked(0.0, 0))
    assert decide(POLICY, unseen).word is VerdictWord.INCONCLUSIVE


def test_harder_targets_cannot_hide_a_leak_behind_a_pass() -> None:
    """Half of the targets trained on, all harder than the controls: the shift is seen, PASS is barred."""
    world = World(effect=1.5, exposed=0.5, with_base=False, shift={Role.TARGET: -1.0}, slices=160)
    quiet = 0
    for seed in range(6):
        result, _ = judged(world, seed, **LEAN)
        control = next(c for c in result.controls if c.name == ControlName.BLIND_TARGETS)
        assert control.status is ControlStatus.FAILED
        assert decide(POLICY, result).word in (VerdictWord.REVIEW, VerdictWord.INCONCLUSIVE)
        quiet += result.exposure is not None and result.exposure.rank_test_p >= 0.05
    assert quiet  # the rank test alone would have let some through


def test_a_spike_in_is_judged_by_what_the_audit_learned() -> None:
    """Named members that were never trained on teach nothing: the spike-in is found less often than at L4."""
    cohort = planted(World(effect=0.0, members_trained=False, slices=100), 3)
    low = {References.L1: 0.0, References.L4: 0.0}
    for level in low:
        for seed in range(6):
            settings = replace(FAST, references=level)
            rows = scored_rows(cohort.table, cohort.base, cohort.facts, settings)
            refs = references(rows, settings)
            name = deciding_detector(settings, rows.signals, refs)
            low[level] += auroc(*score_spike(spiked(1.0, seed, slices=100), name, rows, refs, settings)) / 6
    assert low[References.L4] > 0.75
    assert low[References.L1] < low[References.L4] - 0.1


def test_a_strong_spike_in_cannot_hide_that_members_are_not_found() -> None:
    """Members and most targets trained on too weakly to be seen, a spike-in that is seen: never PASS."""
    unseen = 0
    for seed in range(6):
        cohort = planted(World(effect=0.1, exposed=0.6, slices=100), seed)
        result, _ = run(cohort, replace(FAST, seed=seed, **LEAN), spiked(2.0, seed, slices=100))
        assert decide(POLICY, result).word in (VerdictWord.REVIEW, VerdictWord.INCONCLUSIVE)
        unseen += result.detectable.basis == "none"
    assert unseen


def test_post_release_patients_are_counted_and_checked() -> None:
    """Post-release studies enter their own control and no AUROC."""
    world = World(effect=1.5, sizes={**SIZES, Role.POST_RELEASE: 30})
    result, findings = judged(world, 0)
    control = next(c for c in result.controls if c.name == ControlName.POST_RELEASE)
    assert control.status is ControlStatus.PASSED
    assert result.counts[Role.POST_RELEASE.value] == 30
    high, _ = judged(replace(world, shift={Role.POST_RELEASE: 6.0}), 0)
    control = next(c for c in high.controls if c.name == ControlName.POST_RELEASE)
    assert control.status is ControlStatus.FAILED
    assert not any(f.flagged or f.p_value is not None for f in findings if f.role is Role.POST_RELEASE)


def test_convenience_cohorts_cannot_fail_and_have_no_estimate() -> None:
    """Without a documented split the strongest signal is a REVIEW, and a share is bounded, not estimated."""
    result, _ = judged(World(effect=1.5), 0, design=Design.CONVENIENCE)
    assert result.exposure is not None and result.exposure.prevalence_estimate is None
    assert result.exposure.prevalence_lower > 0
    assert decide(POLICY, result).word is VerdictWord.REVIEW


def test_progress_is_told() -> None:
    """Four steps, counted up."""
    told: list[Progress] = []
    cohort = planted(World(slices=40), 0)
    judge(
        cohort.table, cohort.base, cohort.facts, replace(FAST, **LEAN),
        identity=IDENTITY, spike=None, shuffled=None, progress=told.append,
    )  # fmt: skip
    assert [(event.done, event.total) for event in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
