"""Every control passes where it should, and fails when the fault it looks for is put in."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from audit_core import logistic
from audit_core.blind import PIXEL_FEATURES, blind_baseline, pair_facts, pixel_features
from audit_core.cohort import references, scored_rows
from audit_core.control_run import ControlRun, run_controls
from audit_core.controls import (
    control_against_control,
    halves,
    label_permutation,
    positive_control,
    post_release_control,
    unscored_control,
)
from audit_core.copies import copy_epochs
from audit_core.detectors import fused
from audit_core.detectors.fused import plain_features
from audit_core.detectors.seam import Detector, FoldScores, Labelled, Signals, battery
from audit_core.detectors.slice_model import held_out_sets
from audit_core.results import (
    Consequence,
    ControlName,
    ControlOutcome,
    ControlStatus,
    Design,
    Interval,
    References,
    Role,
    Tier,
)
from audit_core.samples import Sample, Settings
from audit_core.scoring import score_all
from audit_core.shift_controls import (
    conditional_test,
    reference_model_control,
    shuffled_control,
)
from audit_core.tiers import evidence_tier
from tests.audit_core.planted import FAST, IDENTITY, SIZES, Planted, World, planted

PASSED, FAILED, NOT_APPLICABLE = ControlStatus.PASSED, ControlStatus.FAILED, ControlStatus.NOT_APPLICABLE


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def reference_scene(world: World, seed: int) -> tuple[Signals, Labelled]:
    """Signals of the references alone, counted 0 … n−1."""
    cohort = planted(world, seed)
    rows = scored_rows(cohort.table, cohort.base, cohort.facts, FAST)
    refs = references(rows, FAST)
    alone = replace(refs, rows=np.arange(refs.rows.size, dtype=np.int64))
    return rows.signals.take(refs.rows), alone


def run_all(cohort: Planted, settings: Settings = FAST) -> dict[str, ControlOutcome]:
    rows = scored_rows(cohort.table, cohort.base, cohort.facts, settings)
    refs = references(rows, settings)
    name = "fused" if refs.rows.size else "rank_average"
    decider = score_all(rows, refs, settings)[name]
    outcomes = run_controls(
        ControlRun(rows, refs, decider, cohort.facts, settings, IDENTITY, (), cohort.table)
    )
    return {outcome.name: outcome for outcome in outcomes}


# ---- unscored ----------------------------------------------------------------------------------------------


def test_unscored_shares() -> None:
    """2 % of a role is allowed, more voids; so does a share that differs between roles."""
    few = {Role.MEMBER: (2, 100), Role.TARGET: (1, 100)}
    assert unscored_control(few, FAST).status is PASSED
    many = unscored_control({Role.MEMBER: (3, 100), Role.TARGET: (1, 100)}, FAST)
    assert (many.status, many.consequence) == (FAILED, Consequence.VOID)
    wide = replace(FAST, max_unscored_share=0.5)
    unequal = {Role.CALIBRATION: (0, 200), Role.TARGET: (20, 200)}
    assert unscored_control(unequal, wide).status is FAILED
    assert unscored_control({Role.CALIBRATION: (20, 200), Role.TARGET: (20, 200)}, wide).status is PASSED


# ---- label permutation -------------------------------------------------------------------------------------


def _self_inclusion(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Fault: held-out references are scored by the model that was fitted on them."""
    features = np.column_stack(list(plain_features(signals).values()))
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    weights, _ = logistic.fit(features[refs.rows], refs.member, 0.1)
    return FoldScores(np.tile(features @ weights, (refs.fold_count + 1, 1)))


def _mask_sees_all_folds(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Fault: the mask is fitted on all references, held-out ones included."""
    honest = battery()["gradaudit"].score(signals, refs, replace(settings, mask="quantile"))
    return FoldScores(np.tile(honest.scores[-1], (refs.fold_count + 1, 1)))


def _slice_weights_see_all_folds(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Fault: the fused detector's slice features come from all references instead of out of fold."""
    with mock.patch.object(fused, "held_out_sets", _nothing_held_out):
        return fused.score(signals, refs, settings)


def _nothing_held_out(folds: int) -> tuple[NDArray[np.bool_], dict[frozenset[int], int]]:
    inside, rows = held_out_sets(folds)
    return np.ones_like(inside), rows


@pytest.mark.parametrize("fault", [_self_inclusion, _mask_sees_all_folds, _slice_weights_see_all_folds])
@pytest.mark.parametrize("effect", [0.0, 1.5])
def test_label_permutation_catches_leaks(fault: object, effect: float) -> None:
    """Scoring pairs with a model or mask that saw them fails the control, whether or not members leak."""
    signals, refs = reference_scene(World(effect=effect), 0)
    leaky = Detector("leaky", "fault", True, lambda signals, refs: "", fault)  # type: ignore[arg-type]
    found = label_permutation(leaky, signals, refs, FAST, rng(1000))
    assert (found.status, found.consequence) == (FAILED, Consequence.VOID)


@pytest.mark.parametrize("name", ["fused", "gradaudit"])
@pytest.mark.parametrize("effect", [0.0, 1.5])
def test_label_permutation_passes_honest_detectors(name: str, effect: float) -> None:
    """Honest cross-fitting stays at chance, also when members are really found."""
    for seed in range(8):
        signals, refs = reference_scene(World(effect=effect, slices=200), seed)
        found = label_permutation(battery()[name], signals, refs, FAST, rng(seed))
        assert found.status is PASSED, found.sentence


def test_label_permutation_hardly_ever_cries_wolf() -> None:
    """The first set's excess over .5 is as rare as its standard error says, before any confirmation."""

    def blank(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
        return FoldScores(np.tile(signals.table.scalars["neg_loss"], (refs.fold_count + 1, 1)))

    signals, refs = reference_scene(World(slices=8, matrices=2), 0)
    knows_nothing = Detector("blank", "test", True, lambda signals, refs: "", blank)
    runs = [label_permutation(knows_nothing, signals, refs, FAST, rng(seed)) for seed in range(300)]
    z = np.array([(run.numbers["auroc"] - 0.5) / run.numbers["standard_error"] for run in runs])
    assert abs(z.mean()) < 0.2
    assert (z > 1.645).mean() <= 0.06
    assert all(run.status is PASSED for run in runs)


# ---- control against control, post-release, positive -------------------------------------------------------


def test_control_against_control_catches_a_drift() -> None:
    """If the half that plays target scores higher, the run is void."""
    scores = rng(1).normal(size=80)
    assert control_against_control(scores, FAST).status is PASSED
    playing, _ = halves(80, FAST.seed)
    scores[playing] += 2.0
    found = control_against_control(scores, FAST)
    assert (found.status, found.consequence) == (FAILED, Consequence.VOID)


def test_control_against_control_false_alarms() -> None:
    """Among exchangeable controls it fails in well under 1 % of runs, at demo size and above."""
    for size in (40, 100):
        failed = [
            control_against_control(rng(seed).normal(size=size), FAST).status is FAILED
            for seed in range(3000)
        ]
        assert np.mean(failed) <= 0.003
    assert control_against_control(np.arange(19.0), FAST).status is NOT_APPLICABLE


def test_post_release_studies_must_not_be_flagged() -> None:
    """Studies newer than the model that score high cap the tier at E1; ordinary ones do not."""
    controls = rng(2).normal(size=60)
    assert post_release_control(rng(3).normal(size=40), controls, FAST).status is PASSED
    high = post_release_control(rng(3).normal(1.5, 1, size=40), controls, FAST)
    assert (high.status, high.consequence) == (FAILED, Consequence.TIER_E1)
    assert post_release_control(np.array([]), controls, FAST).status is NOT_APPLICABLE
    for few, many in ((6, 40), (40, 60)):
        pairs = [(rng(s).normal(size=few), rng(s + 9999).normal(size=many)) for s in range(1000)]
        alarms = [post_release_control(new, old, FAST).status is FAILED for new, old in pairs]
        assert np.mean(alarms) <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 1000)


def test_positive_control_needs_something_found() -> None:
    """An interval that reaches .5 fails; a found spike-in does not make up for members that are not."""
    lost, found = Interval(0.45, 0.7), Interval(0.6, 0.9)
    assert positive_control([("members", 0.6, lost)]).status is FAILED
    assert positive_control([("members", 0.6, lost)]).consequence is Consequence.BARS_PASS
    assert positive_control([("members", 0.8, found)]).status is PASSED
    assert positive_control([("members", 0.6, lost), ("spike-in", 0.8, found)]).status is FAILED
    assert positive_control([("spike-in", 0.8, found)]).status is PASSED
    assert positive_control([]).status is NOT_APPLICABLE


def test_a_spike_in_tells_how_long_its_copy_was_trained() -> None:
    """Epochs stand in number and sentence where the spike-in counts, and nowhere else."""
    found = Interval(0.7, 0.9)
    eight = positive_control([("spike-in", 0.8, found)], epochs=8)
    assert copy_epochs([eight]) == 8 and eight.sentence.endswith("trained for 8 epochs.")
    assert positive_control([("spike-in", 0.8, found)], epochs=1).sentence.endswith("trained for one epoch.")
    members = positive_control([("members", 0.8, found), ("spike-in", 0.8, found)], epochs=8)
    assert copy_epochs([members]) == copy_epochs([]) == 0 and "epoch" not in members.sentence


# ---- blind baseline ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.MEMBER, Role.TARGET])
def test_blind_baseline_sees_a_shift(role: Role) -> None:
    """A role from elsewhere is told apart without the model, in its own contrast only."""
    outcomes = run_all(planted(World(shift={role: 2.0}), 0))
    names = {Role.MEMBER: ControlName.BLIND_MEMBERS, Role.TARGET: ControlName.BLIND_TARGETS}
    for contrast, name in names.items():
        assert outcomes[name].status is (FAILED if contrast is role else PASSED), outcomes[name].sentence
        assert outcomes[name].consequence is Consequence.TIER_E2
        assert "excess" in outcomes[name].numbers


SHIFTS = {
    "words": lambda fact: replace(fact, text=fact.text.replace("heart", "cor").replace("left", "sin")),
    "text shape": lambda fact: replace(fact, text=fact.text.upper()),
    "acquisition": lambda fact: replace(fact, covariates={**fact.covariates, "year": 2019.0}),
    "pixels": lambda fact: replace(fact, pixels=fact.pixels + 1.5),
}


@pytest.mark.parametrize("block", SHIFTS)
def test_each_block_alone_is_enough(block: str) -> None:
    """A shift in words, letter case, year or pixels only is seen, and the block is named."""
    cohort = planted(World(sizes={Role.TARGET: 60, Role.CALIBRATION: 60}), 1)
    first = np.array([fact.role is Role.TARGET for fact in cohort.facts])
    dated = [replace(fact, covariates={**fact.covariates, "year": 2010.0}) for fact in cohort.facts]
    assert blind_baseline(dated, first, 400, rng(0)).best_ci.low <= 0.55
    moved = [SHIFTS[block](fact) if fact.role is Role.TARGET else fact for fact in dated]
    found = blind_baseline(moved, first, 400, rng(0))
    assert found.best_ci.low > 0.55
    assert found.best_block == block


def test_blind_baseline_false_alarms() -> None:
    """Cohorts split at random fail the gate in at most a few per cent of audits at demo size."""
    failed = []
    for seed in range(40):
        cohort = planted(World(sizes={Role.TARGET: 46, Role.CALIBRATION: 68}, slices=8, matrices=2), seed)
        first = np.array([fact.role is Role.TARGET for fact in cohort.facts])
        failed.append(blind_baseline(cohort.facts, first, 300, rng(seed)).best_ci.low > 0.55)
    assert np.mean(failed) <= 0.05


def test_pixel_features_tell_jpeg_borders_and_colour() -> None:
    """Features are finite and of fixed length for any image, and react to blocks, borders and colour."""
    draw = rng(4)
    plain = draw.integers(100, 140, (64, 48, 3), dtype=np.uint8)
    grey = np.repeat(plain[:, :, :1], 3, axis=2)
    blocks = np.kron(draw.integers(0, 255, (8, 6)), np.ones((8, 8))).astype(np.uint8)
    bordered = grey.copy()
    bordered[0], bordered[-1] = 0, 0
    images = {"plain": plain, "grey": grey, "blocks": np.stack([blocks] * 3, axis=2), "bordered": bordered}
    features = {name: pixel_features(image) for name, image in images.items()}
    for values in features.values():
        assert values.shape == (PIXEL_FEATURES,) and np.isfinite(values).all()
    assert features["plain"][2] > 0.01 > features["grey"][2]
    assert features["bordered"][19] < features["grey"][19]
    assert features["blocks"][23] > features["grey"][23] + 1
    tiny = pixel_features(np.zeros((1, 1, 3), dtype=np.uint8))
    assert np.isfinite(tiny).all() and tiny.size == PIXEL_FEATURES


def test_blind_baseline_survives_poor_data() -> None:
    """No words in common, no covariates and equal pictures: at chance, no crash."""
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    facts = [pair_facts(Sample(f"p{i}", f"q{i}", Role.TARGET, image, f"w{i}", {})) for i in range(40)]
    found = blind_baseline(facts, np.arange(40) < 20, 200, rng(0))
    assert found.best_ci.low <= 0.55


# ---- conditional test, reference model, shuffled pairs -----------------------------------------------------


def contrast(
    effect: float, confounding: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Scores, roles and blind scores where a seen confounder drives both role and score."""
    draw = rng(seed)
    hidden = draw.normal(size=400)
    target = draw.random(400) < 1 / (1 + np.exp(-confounding * hidden))
    return confounding * hidden + effect * target + draw.normal(size=400), target, hidden


def test_conditional_test_keeps_its_level_under_a_seen_shift() -> None:
    """Where data alone explain role and score, it calls that significant in about 5 % of cohorts or fewer."""
    passed = [
        conditional_test(*contrast(0.0, 2.0, seed), 0.05, rng(seed)).status is PASSED for seed in range(40)
    ]
    assert np.mean(passed) <= 0.15
    scores, target, _ = contrast(0.0, 2.0, 0)
    naive = conditional_test(scores, target, rng(1).normal(size=400), 0.05, rng(0))
    assert naive.numbers["p"] < 0.001  # without the right strata the same data look like memory


def test_conditional_test_finds_memory_beside_a_shift() -> None:
    """Memory on top of the seen shift is significant; the stricter level asks for more."""
    found = conditional_test(*contrast(1.0, 1.0, 3), 0.001, rng(0))
    assert found.status is PASSED
    weak = contrast(0.3, 1.0, 5)
    p = conditional_test(*weak, 0.05, rng(0)).numbers["p"]
    strict = conditional_test(*weak, p / 2, rng(0))
    assert (strict.status, strict.consequence) == (FAILED, Consequence.TIER_E1)


def test_conditional_test_without_overlap_proves_nothing() -> None:
    """When data alone separate the roles no stratum holds both, and the test fails."""
    target = np.arange(100) < 50
    blind = np.where(target, 5.0, -5.0) + rng(0).normal(size=100)
    found = conditional_test(10.0 * target, target, blind, 0.05, rng(0))
    assert (found.status, found.numbers["strata"]) == (FAILED, 0.0)


def test_reference_model() -> None:
    """A gain on targets passes, none caps the tier at E1, no base is not applicable."""
    target = np.arange(90) < 45
    noise = rng(6).normal(size=90)
    assert reference_model_control(noise + 1.5 * target, target, FAST).status is PASSED
    none = reference_model_control(noise, target, FAST)
    assert (none.status, none.consequence) == (FAILED, Consequence.TIER_E1)
    assert reference_model_control(None, target, FAST).status is NOT_APPLICABLE
    trained, clean = World(effect=1.5), World(effect=0.0, shift={Role.TARGET: 2.0})
    assert run_all(planted(trained, 0))[ControlName.REFERENCE_MODEL].status is PASSED
    assert run_all(planted(clean, 0))[ControlName.REFERENCE_MODEL].status is FAILED


def test_a_model_that_is_its_own_base_gains_nothing() -> None:
    """All gains tie: AUROC .5, not the order in which the roles are listed."""
    cohort = planted(World(), 0)
    found = run_all(replace(cohort, base=cohort.table))[ControlName.REFERENCE_MODEL]
    assert (found.status, found.numbers["auroc"]) == (FAILED, 0.5)


def test_shuffled_pairs_divide_the_memory() -> None:
    """Memory of the pair vanishes with a foreign report; memory of one half stays. Never a failure."""
    draw = rng(7)
    up, down, flat = draw.normal(2, 1, 80), draw.normal(size=80), draw.normal(size=80)
    pair = shuffled_control((up, down), (flat, draw.normal(size=80)))
    half = shuffled_control((up, down), (draw.normal(2, 1, 80), down))
    assert pair.numbers["pair_share"] > 0.7 > 0.3 > half.numbers["pair_share"]
    assert {pair.status, half.status} == {PASSED} and pair.consequence is Consequence.NONE
    assert "pair_share" not in shuffled_control((flat, flat), (flat, flat)).numbers
    assert shuffled_control(None, None).status is NOT_APPLICABLE


def test_every_control_is_reported_once() -> None:
    """All eleven controls appear, whether or not they can run; what cannot run gives a reason."""
    for world, settings in (
        (World(effect=1.0), FAST),
        (World(sizes={**SIZES, Role.MEMBER: 0}, with_base=False), replace(FAST, references=References.L5)),
        (World(sizes={Role.CALIBRATION: 12, Role.TARGET: 6}), replace(FAST, references=References.L5)),
    ):
        outcomes = run_all(planted(world, 0), settings)
        assert set(outcomes) == {name.value for name in ControlName}
        assert all(outcome.sentence.endswith(".") for outcome in outcomes.values())


# ---- tiers -------------------------------------------------------------------------------------------------


def outcomes(**status: ControlStatus) -> list[ControlOutcome]:
    consequence = {
        "BLIND_MEMBERS": Consequence.TIER_E2,
        "BLIND_TARGETS": Consequence.TIER_E2,
        "CONDITIONAL": Consequence.TIER_E1,
        "REFERENCE_MODEL": Consequence.TIER_E1,
        "POST_RELEASE": Consequence.TIER_E1,
    }
    return [
        ControlOutcome(ControlName[name].value, status.get(name, PASSED), what, "s.")
        for name, what in consequence.items()
    ]


TIERS = [
    (False, Design.COMMITTED, References.L1, {}, Tier.E0),
    (True, Design.COMMITTED, References.L1, {}, Tier.E4),
    (True, Design.RANDOM, References.L1, {}, Tier.E3),
    (True, Design.CONVENIENCE, References.L1, {}, Tier.E2),
    (True, Design.RANDOM, References.L1, {"BLIND_MEMBERS": FAILED}, Tier.E2),
    (True, Design.RANDOM, References.L1, {"BLIND_TARGETS": FAILED}, Tier.E2),
    (True, Design.COMMITTED, References.L1, {"BLIND_TARGETS": NOT_APPLICABLE}, Tier.E2),
    (True, Design.RANDOM, References.L1, {"BLIND_MEMBERS": NOT_APPLICABLE}, Tier.E2),
    (True, Design.RANDOM, References.L5, {"BLIND_MEMBERS": NOT_APPLICABLE}, Tier.E3),
    (True, Design.RANDOM, References.L1, {"BLIND_TARGETS": FAILED, "CONDITIONAL": FAILED}, Tier.E1),
    (True, Design.RANDOM, References.L1, {"CONDITIONAL": NOT_APPLICABLE}, Tier.E1),
    (True, Design.RANDOM, References.L1, {"REFERENCE_MODEL": FAILED}, Tier.E1),
    (True, Design.RANDOM, References.L1, {"REFERENCE_MODEL": NOT_APPLICABLE}, Tier.E3),
    (True, Design.COMMITTED, References.L1, {"POST_RELEASE": FAILED}, Tier.E1),
]


@pytest.mark.parametrize(("fires", "design", "level", "changed", "tier"), TIERS)
def test_tiers(
    fires: bool, design: Design, level: References, changed: dict[str, ControlStatus], tier: Tier
) -> None:
    """Design gives the ceiling, failed controls lower it, gates that were not passed keep it under E3."""
    assert evidence_tier(fires, design, level, outcomes(**changed)) is tier
