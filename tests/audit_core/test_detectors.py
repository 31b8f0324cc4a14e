"""Detectors against slow obvious versions, and what must never leak between folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student
from sklearn.linear_model import LogisticRegression

from audit_core import logistic
from audit_core.cohort import references, scored_rows
from audit_core.detectors.fused import MINIMUM_REFERENCES
from audit_core.detectors.published.masks import released_mask
from audit_core.detectors.seam import FoldScores, Labelled, Signals, all_detectors, battery, published
from audit_core.detectors.slice_model import gaps, held_out_sets, mask
from audit_core.errors import PolicyInvalid
from audit_core.policy import DETECTORS, MASKS
from audit_core.results import References, Role, Unscored
from audit_core.samples import Settings
from audit_core.scoring import deciding_detector, score_all
from audit_core.signals import Matrix
from audit_core.thresholds import OFFICERS
from tests.audit_core.planted import FAST, SIZES, World, judged, planted

OFFICER = {"loss", "minkpp", "gradnorm", "gradaudit", "base_referenced", "task_vector", "fused"}


def scene(world: World, seed: int = 0, settings: Settings = FAST) -> tuple[Signals, Labelled]:
    cohort = planted(world, seed)
    rows = scored_rows(cohort.table, cohort.base, cohort.facts, settings)
    return rows.signals, references(rows, settings)


def run(name: str, signals: Signals, refs: Labelled, settings: Settings = FAST) -> FoldScores:
    return battery()[name].score(signals, refs, settings)


@pytest.mark.parametrize("shape", [(64, 5), (40, 15), (30, 1)])
def test_logistic_finds_the_optimum_of_scikit_learn(shape: tuple[int, int]) -> None:
    """Our Newton steps end where scikit-learn's solver ends."""
    rng = np.random.default_rng(shape[0])
    features = rng.normal(size=shape)
    positive = features[:, 0] + rng.normal(size=shape[0]) > 0.3
    weights, intercept = logistic.fit(features, positive, 0.1)
    oracle = LogisticRegression(C=0.1, tol=1e-10, max_iter=5000).fit(features, positive)
    np.testing.assert_allclose(weights, oracle.coef_[0], atol=1e-5)
    assert intercept == pytest.approx(float(oracle.intercept_[0]), abs=1e-5)


def test_gaps_of_every_fold_model_equal_a_plain_loop() -> None:
    """Gap and Welch z from fold sums equal mean, variance and t of the pairs left in, NaN slices left out."""
    signals, refs = scene(World(effect=1.0, slices=24))
    cosines = signals.table.cosines.copy()
    cosines[refs.rows[3], 5] = np.nan
    inside, set_of = held_out_sets(refs.fold_count)
    found = gaps(cosines, refs, inside)
    for out, row in set_of.items():
        kept = np.array([fold not in out for fold in refs.folds])
        for k in (0, 5, 23):
            values = cosines[refs.rows[kept], k].astype(np.float64)
            known = np.isfinite(values)
            up, down = values[known & refs.member[kept]], values[known & ~refs.member[kept]]
            delta = up.mean() - down.mean()
            z = delta / np.sqrt(up.var(ddof=1) / up.size + down.var(ddof=1) / down.size)
            assert found.delta[row, k] == pytest.approx(delta, abs=1e-9)
            assert found.welch_z[row, k] == pytest.approx(z, abs=1e-6)


@pytest.mark.parametrize("variant", MASKS)
def test_gradaudit_equals_a_plain_reimplementation(variant: str) -> None:
    """For every mask variant the full model's score is the mean over slices chosen pair by pair, by hand."""
    settings = replace(FAST, mask=variant, tau=0.12)
    signals, refs = scene(World(effect=1.0, slices=80))
    c = signals.table.cosines.astype(np.float64)
    up, down = c[refs.rows[refs.member]], c[refs.rows[~refs.member]]
    delta = up.mean(axis=0) - down.mean(axis=0)
    z = delta / np.sqrt(up.var(axis=0, ddof=1) / len(up) + down.var(axis=0, ddof=1) / len(down))
    kept = (delta > 0.12) & (z > student.isf(norm.sf(2.33), len(down) - 1))
    if variant != "tau_and_z":
        kept = np.concatenate([by_hand(variant, side, 0.12) for side in sides(delta, signals)])
    found = run("gradaudit", signals, refs, settings)
    np.testing.assert_allclose(found.scores[-1], c[:, kept].mean(axis=1), atol=1e-6)
    assert (found.kept, found.total) == (int(kept.sum()), 80)


def sides(delta: np.ndarray, signals: Signals) -> list[np.ndarray]:
    """The gaps of each matrix's rows, then of its columns."""
    found = []
    for m in signals.table.matrices:
        found += [delta[m.offset : m.offset + m.rows], delta[m.offset + m.rows : m.offset + m.rows + m.cols]]
    return found


def by_hand(variant: str, delta: np.ndarray, tau: float) -> np.ndarray:
    """The released rules for the rows or the columns of one matrix."""
    over = delta > tau
    if variant == "tau_or_topq" and not over.any():
        return delta >= np.quantile(delta, 0.9)
    if variant == "adaptive_keep" and over.mean() < 0.2:
        return delta >= np.quantile(delta, 0.8)
    if variant == "quantile":
        return delta > np.quantile(delta, 0.8)
    return over


def test_quantile_keeps_the_sixteen_largest_where_gaps_are_alike() -> None:
    """Where no gap is above its quantile, the released rule keeps sixteen; of fewer slices, all."""
    matrices = (Matrix("m", "layer", 0, 40, 5),)
    kept = released_mask(np.full((1, 45), 0.3), matrices, "quantile", 0.1)
    assert (int(kept[0, :40].sum()), int(kept[0, 40:].sum())) == (16, 5)


def test_the_variants_differ() -> None:
    """No two mask variants keep the same slices under both a low and a high threshold."""
    signals, refs = scene(World(effect=1.0, slices=400, matrices=20))
    kept = {
        tuple(run("gradaudit", signals, refs, replace(FAST, mask=name, tau=tau)).kept for tau in (0.02, 0.25))
        for name in MASKS
    }
    assert len(kept) == len(MASKS)


def test_pure_noise_keeps_hardly_any_slice() -> None:
    """Of slices that are independent noise at most 1 % pass gap and Welch z (METHOD §8 item 3)."""
    signals, refs = scene(World(slices=8000))
    noise = np.random.default_rng(0).normal(0, 0.3, signals.table.cosines.shape).astype(np.float32)
    inside, set_of = held_out_sets(refs.fold_count)
    found = gaps(noise, refs, inside)
    kept = mask(found, signals.table.matrices, FAST)[set_of[frozenset()]]
    assert 0 < kept.mean() <= 0.01
    assert mask(found, signals.table.matrices, replace(FAST, mask="fixed_tau"))[0].mean() > 0.03


def test_an_empty_mask_leaves_everybody_unscored() -> None:
    """When no slice passes, the detector says why for every pair and never scores 0."""
    _, findings = judged(World(effect=0.0), 3, tau=1.5)
    scores = [finding.scores["gradaudit"] for finding in findings]
    assert all(isinstance(score, Unscored) and "mask is empty" in score.reason for score in scores)


@pytest.mark.parametrize("name", ["gradaudit", "fused"])
def test_a_fold_is_scored_without_its_own_labels(name: str) -> None:
    """Swapping the labels of fold 0 leaves the scores of fold 0 untouched, and changes those of others."""
    signals, refs = scene(World(effect=1.0))
    swapped = replace(refs, member=np.where(refs.folds == 0, ~refs.member, refs.member))
    before, after = (run(name, signals, labels).scores for labels in (refs, swapped))
    own = refs.rows[refs.folds == 0]
    np.testing.assert_array_equal(before[0, own], after[0, own])
    assert not np.allclose(before[1, own], after[1, own])


def test_fused_trains_on_slice_features_from_outside_the_fold() -> None:
    """On pure noise the slice features get no more weight than plain noise: they are seen out of fold."""
    slices, plain = [], []
    for seed in range(12):
        signals, refs = scene(World(effect=0.0, slices=2000, with_base=False), seed)
        weights = run("fused", signals, refs).weights
        slices.append(weights["slices, Fisher-weighted"])
        plain.append(abs(weights["gradient norm"]))
    assert np.mean(slices) < 3 * np.mean(plain)


def test_fused_asks_only_for_the_order_of_a_signal() -> None:
    """Any increasing change of one signal leaves the fused scores as they are: tails cannot outshout."""
    signals, refs = scene(World(effect=1.0, with_base=False))
    bent = {name: np.exp(values / 3.0) for name, values in signals.table.scalars.items()}
    moved = replace(signals, table=replace(signals.table, scalars=bent))
    before, after = run("fused", signals, refs), run("fused", moved, refs)
    np.testing.assert_allclose(before.scores, after.scores, atol=1e-9)


def test_fused_says_what_every_signal_adds() -> None:
    """The parts of a pair's score differ from the score by one number, the same for all."""
    signals, refs = scene(World(effect=1.0))
    found = run("fused", signals, refs)
    rest = found.scores[-1] - sum(found.parts.values())
    assert found.parts.keys() == found.weights.keys()
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)


def test_kept_slices_are_told_by_layer() -> None:
    """They add up to the mask, and every layer has its rows and columns."""
    signals, refs = scene(World(effect=1.5))
    found = run("gradaudit", signals, refs)
    assert sum(kept for kept, _ in found.kept_by_layer.values()) == found.kept > 0
    assert sum(total for _, total in found.kept_by_layer.values()) == found.total


def test_calibration_and_targets_teach_nothing() -> None:
    """Doubling all signals of calibration controls and targets leaves the references' scores as they were."""
    signals, refs = scene(World(effect=1.0))
    others = np.setdiff1d(np.arange(signals.pairs), refs.rows)
    cosines = signals.table.cosines.copy()
    cosines[others] *= 2
    moved = replace(signals, table=replace(signals.table, cosines=cosines))
    for name in ("gradaudit", "fused"):
        before, after = run(name, signals, refs), run(name, moved, refs)
        np.testing.assert_array_equal(before.scores[:, refs.rows], after.scores[:, refs.rows])


def test_the_planted_effect_is_found_by_every_family() -> None:
    """A clear effect gives loss, base-referenced, GradAudit, task vector and fused AUROCs above chance."""
    result, _ = judged(World(effect=1.5), 0)
    found = {report.name: report.reference_auroc for report in result.detectors}
    assert OFFICER | {"rank_average"} == set(found)
    for name in ("base_referenced", "gradaudit", "fused", "rank_average"):
        assert (found[name] or 0.0) > 0.85, name
    for name in ("loss", "minkpp", "task_vector", "gradnorm"):
        assert (found[name] or 0.0) > 0.6, name


def test_base_referenced_is_the_gain_in_loss() -> None:
    """L_base − L, pair by pair."""
    cohort = planted(World(effect=1.0), 1)
    signals, refs = scene(World(effect=1.0), 1)
    assert cohort.base is not None
    expected = cohort.table.scalars["neg_loss"] - cohort.base.scalars["neg_loss"]
    np.testing.assert_array_equal(expected, run("base_referenced", signals, refs).scores[-1])


def test_rank_average_ignores_scale() -> None:
    """Any increasing change of one signal leaves the rank average as it is."""
    signals, refs = scene(World(effect=1.0, with_base=False))
    scalars = dict(signals.table.scalars) | {"minkpp": np.exp(signals.table.scalars["minkpp"])}
    bent = replace(signals, table=replace(signals.table, scalars=scalars))
    np.testing.assert_allclose(
        run("rank_average", signals, refs).scores, run("rank_average", bent, refs).scores
    )


def test_who_decides() -> None:
    """Fused decides with 60 references and members; else the rank average; an unknown name is refused."""
    signals, refs = scene(World(effect=1.0))
    assert refs.rows.size >= MINIMUM_REFERENCES
    assert deciding_detector(FAST, signals, refs) == "fused"
    few = replace(refs, rows=refs.rows[:59], member=refs.member[:59], folds=refs.folds[:59])
    assert deciding_detector(FAST, signals, few) == "rank_average"
    alone = replace(FAST, references=References.L5)
    assert deciding_detector(alone, signals, refs) == "rank_average"
    assert deciding_detector(replace(alone, deciding_detector="minkpp"), signals, refs) == "minkpp"
    with pytest.raises(PolicyInvalid, match="oracle"):
        deciding_detector(replace(FAST, deciding_detector="oracle"), signals, refs)


def test_what_cannot_run_says_why() -> None:
    """Without base, members and gradients the detectors that need them give a reason, the rest scores."""
    cohort = planted(World(with_base=False, sizes={**SIZES, Role.MEMBER: 0}), 0)
    bare = replace(cohort.table, cosines=np.empty((len(cohort.facts), 0), dtype=np.float32))
    rows = scored_rows(bare, None, cohort.facts, FAST)
    scored = score_all(rows, references(rows, FAST), FAST)
    silent = {name for name, one in scored.items() if one.found is None}
    assert silent == {"gradaudit", "fused", "base_referenced", "task_vector"}
    assert all(scored[name].reason for name in silent)
    assert all(np.isfinite(scored[name].values).all() for name in set(scored) - silent)


def test_a_policy_may_name_exactly_what_is_registered() -> None:
    """The names a policy is checked against without numpy are those of the registered detectors."""
    assert tuple(sorted(all_detectors())) == DETECTORS
    assert tuple(sorted(battery())) == OFFICERS


def test_an_officers_audit_is_the_seven_and_their_fallback() -> None:
    """METHOD §4: what is published is run only where a policy names it."""
    assert set(battery()) == OFFICER | {"rank_average"}
    assert not set(battery()) & set(published())
