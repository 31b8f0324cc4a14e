"""One reference mean per fold: exact on a real model, and nothing is found in noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.blind import stratified_folds
from audit_core.cohort import reference_folds, references, scored_rows
from audit_core.collect import collect_signals
from audit_core.detectors.seam import Labelled, Signals, battery
from audit_core.fold_sums import FoldSums
from audit_core.ranking import auroc
from audit_core.results import References, Role
from audit_core.samples import Settings
from audit_core.signals import Matrix, SignalTable
from tests.audit_core import engine_models as tiny
from tests.audit_core.planted import FAST, World, planted

PAIRS = [tiny.sample(n) for n in range(12)]
MEMBERS = [p.pair_id for p in PAIRS[:7]]
FOLDS = {p.pair_id: n % 3 for n, p in enumerate(PAIRS[:10])}
"""Seven members, three fitting controls; the last two pairs are no references."""
SPLITS = 24


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> ModelAdapter:
    return open_model(tiny.write_llava(tmp_path_factory.mktemp("llava")), "image-text-to-text")


@cache
def _collected(adapter: ModelAdapter, members: Sequence[str], folded: bool = False) -> SignalTable:
    """Made once for each set of members: many a pair is in none of them."""
    return collect_signals(
        adapter, PAIRS, members, bank=(), base=None, settings=Settings(batch_size=12),
        folds=FOLDS if folded else None, progress=lambda step: None,
    )[0]  # fmt: skip


@pytest.mark.parametrize("held", [{0}, {2}, {0, 1}])
def test_cosines_of_a_fold_model_equal_a_mean_made_anew(llava: ModelAdapter, held: set[int]) -> None:
    """Without the folds and the pair itself, R summed afresh gives every reference the same cosines."""
    sums = _collected(llava, tuple(MEMBERS), folded=True).fold_sums
    assert sums is not None
    inside = np.array([[fold not in held for fold in range(3)]])
    found = next(sums.cosines(inside, slice(None)))
    kept = [pair for pair in MEMBERS if FOLDS[pair] not in held]
    for place, row in enumerate(sums.rows):
        without = [pair for pair in kept if pair != PAIRS[row].pair_id]
        if len(without) > 1:
            anew = _collected(llava, tuple(without)).cosines
            np.testing.assert_allclose(found[place], anew[row], atol=3e-4)


def test_folds_change_no_number_that_was_there_before(llava: ModelAdapter) -> None:
    """Cosines with the mean of all members, norms and scalars are what they are without folds."""
    plain, folded = (_collected(llava, tuple(MEMBERS), folded) for folded in (False, True))
    assert plain.fold_sums is None
    np.testing.assert_allclose(plain.cosines, folded.cosines, atol=3e-4)
    np.testing.assert_allclose(plain.norms, folded.norms, atol=1e-5)
    for name, values in plain.scalars.items():
        np.testing.assert_allclose(values, folded.scalars[name], atol=1e-5)


def test_a_slice_carried_by_one_pair_is_dropped_for_that_pair_only() -> None:
    """If one member alone has a gradient there, it gets no cosine, in the means it is in, and others do."""
    gradients = np.zeros((4, 1, 3))
    gradients[0] = [1.0, 2.0, 3.0]
    gradients[3] = [1.0, 0.0, 0.0]
    sums = _fold_sums(gradients, np.array([True, True, True, False]), np.array([0, 0, 1, 1]))
    both, second = sums.cosines(np.array([[True, True], [False, True]]), slice(None))
    assert np.isnan(both[:3]).all()
    assert both[3, 0] == pytest.approx(1 / np.sqrt(14), abs=1e-6)
    assert np.isnan(second).all()


def test_rows_taken_keep_their_own_sums() -> None:
    """Taking rows in another order, some left out, moves every pair's sums with it."""
    table, _ = _noise(0, slices=20)
    rows = np.array([40, 3, 17, 60], dtype=np.int64)
    whole, part = table.fold_sums, Signals(table, None).take(rows).table.fold_sums
    assert whole is not None
    assert part is not None
    inside = np.array([[fold != 1 for fold in range(5)]])
    before, after = (next(sums.cosines(inside, slice(5, 15))) for sums in (whole, part))
    assert sorted(part.rows.tolist()) == [0, 1, 2, 3]
    np.testing.assert_array_equal(after, before[rows[part.rows]])


def test_independent_noise_is_at_chance_with_one_mean_per_fold() -> None:
    """Held-out members of pure noise are found with one mean for all folds, and not with one per fold."""
    found = np.array([_held_out_aurocs(("gradaudit", "fused"), split) for split in range(SPLITS)])
    shared, own = found.mean(axis=0)
    errors = found[:, 1].std(axis=0, ddof=1) / np.sqrt(SPLITS)
    assert (shared > 0.7).all()
    assert (abs(own - 0.5) < 3 * errors).all() and (3 * errors < 0.1).all()


@pytest.mark.parametrize("name", ["gradaudit", "fused"])
def test_gradients_outside_a_training_set_teach_it_nothing(name: str) -> None:
    """New gradients for one held-out member change neither weights nor scores of others under its fold."""
    member = 0
    before, after = _noise(1), _noise(1, replaced=member)
    refs = before[1]
    fold = refs.folds[member]
    others = np.flatnonzero((refs.folds == fold) & (refs.rows != member))
    settings = Settings(mask="quantile")
    first, second = (
        battery()[name].score(Signals(table, None), refs, settings).scores for table, _ in (before, after)
    )
    np.testing.assert_allclose(first[fold, others], second[fold, others], atol=1e-6)
    assert abs(first[fold, member] - second[fold, member]) > 1e-4


def test_sums_of_other_folds_are_refused() -> None:
    """A detector that is asked about folds the gradients were not summed by says so."""
    table, refs = _noise(0, slices=20)
    moved = replace(refs, folds=(refs.folds + 1) % 5)
    with pytest.raises(ValueError, match="other folds"):
        battery()["gradaudit"].score(Signals(table, None), moved, Settings())


def test_folds_are_dealt_alike_before_and_after_the_reading() -> None:
    """In any order of the pairs, judgement's references get the folds that the engine summed by."""
    cohort = planted(World(pairs_per_patient=2, slices=16), 0)
    dealt = reference_folds(cohort.facts[::-1], FAST)
    rows = scored_rows(cohort.table, cohort.base, cohort.facts, FAST)
    refs = references(rows, FAST)
    ids = [rows.facts[row].pair_id for row in refs.rows]
    assert dealt == dict(zip(ids, refs.folds.tolist(), strict=True))
    assert {rows.facts[row].role for row in refs.rows} == {Role.MEMBER, Role.FITTING}
    assert reference_folds(cohort.facts, replace(FAST, references=References.L4)) == {}


def _held_out_aurocs(names: Sequence[str], split: int) -> NDArray[np.float64]:
    """AUROC [2, names] of members against fitting controls, each scored without their fold.

    First with one mean for all folds, then with one for each.
    """
    table, refs = _noise(split)
    settings = Settings(mask="quantile")
    aurocs = []
    for given in (replace(table, fold_sums=None), table):
        for name in names:
            scores = battery()[name].score(Signals(given, None), refs, settings).scores
            held_out = scores[refs.folds, refs.rows]
            aurocs.append(auroc(held_out[refs.member], held_out[~refs.member]))
    return np.reshape(aurocs, (2, len(names)))


def _noise(seed: int, slices: int = 1600, replaced: int | None = None) -> tuple[SignalTable, Labelled]:
    """36 members and 28 controls: independent gradients around a weak common direction, nothing learnt."""
    rng = np.random.default_rng(seed)
    common = np.sqrt(0.02) * rng.normal(size=(1, slices, 30))
    gradients = common + np.sqrt(0.98) * rng.normal(size=(64, slices, 30))
    member = np.arange(64) < 36
    folds = stratified_folds(member, 5, rng)
    scalar = rng.normal(size=64)
    if replaced is not None:
        gradients[replaced] = rng.normal(size=(slices, 30))
    sums = _fold_sums(gradients, member, folds)
    table = SignalTable(
        tuple(f"pair{row}" for row in range(64)),
        {"neg_loss": scalar},
        np.empty((64, 0), np.float32),
        next(sums.cosines(np.ones((1, 5), dtype=np.bool_), slice(None))),
        np.empty((64, 0), np.float32),
        (Matrix("m", "layer 0", 0, slices // 2, slices // 2),),
        fold_sums=sums,
    )
    return table, Labelled(np.arange(64), member, folds)


def _fold_sums(
    gradients: NDArray[np.float64], member: NDArray[np.bool_], folds: NDArray[np.int64]
) -> FoldSums:
    """From gradients [n, K, width] themselves."""
    sums = np.stack([gradients[member & (folds == f)].sum(axis=0) for f in range(int(folds.max()) + 1)])
    return FoldSums(
        rows=np.arange(len(member)),
        folds=folds,
        summed=member,
        dots=np.einsum("nkw,fkw->fnk", gradients, sums).astype(np.float32),
        squares=np.square(gradients).sum(axis=2).astype(np.float32),
        gram=np.einsum("fkw,gkw->fgk", sums, sums),
    )
