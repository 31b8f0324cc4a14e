"""Dataset inference and patient-level ε bounds: levels under the null, power, and when they stay silent."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from audit_core.bounds import epsilon_bounds
from audit_core.cohort import scored_rows
from audit_core.dataset_inference import LEAST, SPLITS, combined_p, dataset_inference
from audit_core.readings.prices import OF_REFERENCES
from audit_core.readings.seam import readings
from audit_core.results import Design, Role
from tests.audit_core.planted import FAST, SIZES, World, judged, planted

NOBODY = np.array([])


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def inferred(world: World, seed: int):  # type: ignore[no-untyped-def]
    cohort = planted(world, seed)
    return dataset_inference(scored_rows(cohort.table, cohort.base, cohort.facts, FAST), FAST)


@pytest.mark.parametrize("shape", ["normal", "heavy tails", "unequal groups and spreads"])
def test_combined_p_keeps_its_level(shape: str) -> None:
    """With nothing to find at most 5 % of sets are called different, whatever the shape of the signals."""
    draw, small, wrong = rng(0), 5, 0
    for _ in range(150):
        first, second = draw.normal(size=(24, small)), draw.normal(size=(24, small))
        if shape == "heavy tails":
            first, second = draw.standard_t(2, (24, small)), draw.standard_t(2, (24, small))
        if shape == "unequal groups and spreads":
            first, second = draw.normal(size=(20, small)), 3.0 * draw.normal(size=(90, small))
        wrong += combined_p(first, second, draw, 10) <= 0.05
    assert wrong / 150 <= 0.05


def test_one_split_is_a_p_value_and_the_median_only_makes_it_stricter() -> None:
    """Without doubling a single split rejects about 5 % of nulls: learnt and tested halves do not mix."""
    draw = rng(1)
    p = [combined_p(draw.normal(size=(30, 4)), draw.normal(size=(30, 4)), draw, 1) / 2 for _ in range(800)]
    single = np.array(p)[np.array(p) < 0.5]  # above one half the cap hides the value
    assert (single <= 0.05).sum() / 800 == pytest.approx(0.05, abs=0.025)
    assert (single <= 0.25).sum() / 800 == pytest.approx(0.25, abs=0.05)


def test_many_weak_signals_add_up() -> None:
    """Ten signals, each too weak alone, are found together; sets are told apart in both directions."""
    draw = rng(2)
    found = [
        combined_p(draw.normal(size=(120, 10)) + sign * 0.3, draw.normal(size=(120, 10)), draw)
        for sign in (1.0, -1.0)
    ]
    assert max(found) < 0.001
    assert combined_p(np.ones((30, 2)), np.ones((30, 2)), draw) == 1.0


def test_a_leaky_model_is_seen_beside_a_quiet_null_check() -> None:
    """Half of the targets trained on: the sets differ, controls and controls do not."""
    found = inferred(World(effect=1.5, slices=40), 0)
    assert found.p is not None and found.null_p is not None
    assert found.p < 0.01 < 0.05 < found.null_p
    assert found.splits == SPLITS >= 10
    assert "neg_loss" in found.signals and "neg_loss minus base" in found.signals
    assert "decides nothing" in found.sentence


def test_null_models_hardly_ever_fire_either_number() -> None:
    """Over 40 never-trained models neither targets nor the null check fires in more than 5 %."""
    found = [inferred(World(slices=8, matrices=2), seed) for seed in range(40)]
    for numbers in ([one.p for one in found], [one.null_p for one in found]):
        assert np.mean(np.array(numbers, dtype=float) <= 0.05) <= 0.05


def test_a_signal_that_some_pairs_lack_has_no_vote() -> None:
    """A base that failed on a scalar of one pair takes that difference out for all, and nothing breaks."""
    cohort = planted(World(effect=1.5, slices=40), 0)
    assert cohort.base is not None
    cohort.base.scalars["mink"][3] = np.nan  # type: ignore[index]
    found = dataset_inference(scored_rows(cohort.table, cohort.base, cohort.facts, FAST), FAST)
    assert "mink minus base" not in found.signals and "mink" in found.signals
    assert found.p is not None and 0.0 <= found.p <= 1.0


def test_readings_that_saw_references_have_no_vote() -> None:
    """Fitting controls stand in what these compare with, so they would tell controls from targets by that."""
    cohort = planted(World(), 0)
    beside = np.arange(len(cohort.table.pair_ids), dtype=float)
    assert set(OF_REFERENCES) == {name for name, one in readings().items() if one.needs_references}
    for name, scalar in OF_REFERENCES.items():
        assert (scalar,) == readings()[name].scalars
    table = replace(
        cohort.table, scalars=cohort.table.scalars | dict.fromkeys(OF_REFERENCES.values(), beside)
    )
    found = dataset_inference(scored_rows(table, cohort.base, cohort.facts, FAST), FAST)
    assert "neg_loss" in found.signals and not set(found.signals) & set(OF_REFERENCES.values())


def test_too_few_patients_give_a_sentence_and_no_number() -> None:
    """Under twenty targets no p-value; under forty controls no null check, and the sentence says so."""
    few = inferred(World(sizes={**SIZES, Role.TARGET: LEAST - 1}), 0)
    assert (few.p, few.null_p, few.splits) == (None, None, 0) and "fewer than 20" in few.sentence
    sizes = {Role.CALIBRATION: 30, Role.TARGET: 40}
    unchecked = inferred(World(sizes=sizes), 0)
    assert unchecked.p is not None and unchecked.null_p is None and "nothing checks" in unchecked.sentence


# ---- bounds on epsilon -------------------------------------------------------------------------------------


def test_no_bound_for_convenience_cohorts_or_where_data_contradict_the_design() -> None:
    """Bounds need a drawn design whose blind baseline of targets passed; one-run ones need coins."""
    draw = rng(3)
    groups = draw.normal(3, 1, 60), draw.normal(size=60), draw.normal(3, 1, 60), draw.normal(size=60)
    names = {
        (design, borne): [one.name for one in epsilon_bounds(*groups, design, borne, rng(0))]
        for design in Design
        for borne in (True, False)
    }
    assert names.pop((Design.COMMITTED, True)) == ["empirical separation", "one run"]
    assert names.pop((Design.RANDOM, True)) == ["empirical separation"]
    assert not any(names.values())
    few = groups[0][:9], *groups[1:]
    assert epsilon_bounds(*few, Design.COMMITTED, True, rng(0)) == ()


def test_bounds_of_an_audit_speak_of_its_targets() -> None:
    """A leaky audit shows both bounds above 0 with counts of its patients; the separation is no ε."""
    result, _ = judged(World(effect=1.5, slices=100), 0, design=Design.COMMITTED)
    separation, one_run = result.epsilon
    assert (separation.counts["targets"], separation.counts["controls"]) == (46, 40)
    assert separation.lower > 0.0 and "no bound on privacy loss" in separation.sentence
    assert (one_run.counts["couples"], one_run.counts["guesses"]) == (40, 20)
    assert one_run.lower > 0.5 and one_run.level == 0.95
    assert judged(World(effect=1.5, slices=100), 0, design=Design.CONVENIENCE)[0].epsilon == ()


def test_scores_that_tell_nothing_guess_nothing_right() -> None:
    """Equal scores are wrong guesses, not half right ones, and lie beyond no threshold."""
    flat = np.ones(40)
    separation, one_run = epsilon_bounds(flat, flat, flat, flat, Design.COMMITTED, True, rng(6))
    assert (one_run.counts["right"], one_run.lower) == (0, 0.0) and "nothing is shown" in one_run.sentence
    assert (separation.counts["beyond"], separation.lower) == (0, 0.0)


@pytest.mark.parametrize("epsilon", [0.0, 0.6])
def test_one_run_bound_errs_in_at_most_five_percent(epsilon: float) -> None:
    """Couples whose order follows a known ε, in groups of unequal size: the bound exceeds it in ≤ 5 %."""
    draw, wrong, runs = rng(4), 0, 1000
    truth = 1.0 / (1.0 + math.exp(-epsilon))  # randomised response: a bit says "in" with this chance
    for _ in range(runs):
        targets = (draw.random(300) < truth) + 0.5 * draw.random(300)
        controls = (draw.random(200) > truth) + 0.5 * draw.random(200)
        found = epsilon_bounds(targets, controls, NOBODY, NOBODY, Design.COMMITTED, True, draw)
        wrong += found[0].lower > 2.0 * epsilon  # one patient in another's place changes two bits
    assert 0.01 <= wrong / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_separation_errs_in_at_most_five_percent() -> None:
    """Nothing leaked, a threshold from members that were: shares are called unequal in ≤ 5 %."""
    draw, shown = rng(5), 0
    for _ in range(300):
        members, fitting = draw.normal(2, 1, 60), draw.normal(size=60)
        groups = draw.normal(size=80), draw.normal(size=60), members, fitting
        shown += epsilon_bounds(*groups, Design.RANDOM, True, draw)[0].lower > 0.0
    assert shown / 300 <= 0.05
    alone = epsilon_bounds(
        draw.normal(4, 1, 80), draw.normal(size=60), NOBODY, fitting, Design.RANDOM, True, draw
    )
    assert alone[0].lower > 0.5
