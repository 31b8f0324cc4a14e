"""An audit cut off anywhere goes on where it was: done steps are read, and the bits are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import audit_core.collect
import audit_core.references
import audit_core.spike_in
from audit_core import batches
from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.audit import run_audit
from audit_core.collect import collect_signals
from audit_core.results import References, Role
from audit_core.samples import Sample
from audit_core.signals import SignalTable
from audit_core.store import COPY, MemoryStore, Shelf
from tests.audit_core import engine_models as tiny
from tests.audit_core.test_audit import FAMILIES, SETTINGS, SIZES, cohort, silent, source

PAIRS = [tiny.sample(n) for n in range(14)]
MEMBERS = [pair.pair_id for pair in PAIRS[:6]]
FOLDS = {pair.pair_id: n % 2 for n, pair in enumerate(PAIRS[:9])}
BANK = [tiny.sample(n) for n in range(50, 58)]
SMALL = replace(SETTINGS, batch_size=2)


class Cut(Exception):
    """The process is gone."""


@dataclass
class Cutting:
    """A store on which a process may put only so many things that it lacks before it is gone."""

    inner: MemoryStore
    left: int
    puts: int = field(default=0)

    def get(self, key: str) -> bytes | None:
        return self.inner.get(key)

    def put(self, key: str, blob: bytes) -> None:
        new = key not in self.inner.kept
        if new and self.puts == self.left:
            raise Cut
        self.puts += new
        self.inner.put(key, blob)


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of four pairs, so that a tiny cohort has many."""
    monkeypatch.setattr(batches, "STEP_PAIRS", 4)


@pytest.fixture(scope="module", params=FAMILIES)
def models(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelAdapter, ModelAdapter]:
    write = tiny.write_llava if request.param == FAMILIES[0] else tiny.write_clip
    model, base = (write(tmp_path_factory.mktemp("model"), seed=seed) for seed in (0, 1))
    return open_model(model, request.param), open_model(base, request.param, base=True)


def collected(
    models: tuple[ModelAdapter, ModelAdapter], shelf: Shelf | None
) -> tuple[SignalTable, SignalTable]:
    table, base = collect_signals(
        models[0], PAIRS, MEMBERS, bank=BANK, base=models[1], settings=SMALL, progress=silent, folds=FOLDS,
        shelf=shelf,
    )  # fmt: skip
    assert base is not None
    return table, base


def assert_same_bits(one: SignalTable, other: SignalTable) -> None:
    assert one.pair_ids == other.pair_ids
    assert one.facts == other.facts
    assert one.unscored == other.unscored
    assert set(one.scalars) == set(other.scalars)
    for name, values in one.scalars.items():
        np.testing.assert_array_equal(values, other.scalars[name], err_msg=name)
    every = (slice(None), slice(None))
    for mine, theirs in (
        (one.norms, other.norms),
        (one.cosines[every], other.cosines[every]),
        (one.task_cosines, other.task_cosines),
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert (one.fold_sums is None) == (other.fold_sums is None)
    if one.fold_sums is not None and other.fold_sums is not None:
        for name in ("rows", "folds", "summed", "dots", "squares", "gram"):
            np.testing.assert_array_equal(getattr(one.fold_sums, name), getattr(other.fold_sums, name))


def cut_again_and_again(run: Callable[[Cutting], object], puts: int, every: int) -> MemoryStore:
    """What a chain of processes leaves that each die after `every` puts, the last of them before its last."""
    store = MemoryStore()
    for kept in [*range(0, puts - 1, every), puts - 1]:
        with pytest.raises(Cut):
            run(Cutting(store, kept - len(store.kept)))
        assert len(store.kept) == kept
    return store


def test_cut_off_after_any_put_it_goes_on_to_the_same_bits(models: tuple[ModelAdapter, ModelAdapter]) -> None:
    """Wherever the process dies, the next one goes on to what an undisturbed run keeps, and to its table."""
    wanted = collected(models, None)
    whole = MemoryStore()
    collected(models, Shelf(whole))
    assert len(whole.kept) > 10
    store = cut_again_and_again(lambda cutting: collected(models, Shelf(cutting)), len(whole.kept), 1)
    got = collected(models, Shelf(store))
    assert store.kept == whole.kept
    for one, other in zip(got, wanted, strict=True):
        assert_same_bits(one, other)


@dataclass
class Counting:
    """Pairs given to a model, by what was done with them."""

    gradients: int = 0
    forward: int = 0


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    count = Counting()
    capture = audit_core.collect.capture
    forward = ModelAdapter.forward

    def counted_capture(adapter: ModelAdapter, batch: object, *rest: object) -> object:
        count.gradients += len(batch.pair_ids)  # type: ignore[attr-defined]
        return capture(adapter, batch, *rest)  # type: ignore[arg-type]

    def counted_forward(adapter: ModelAdapter, batch: object, *rest: object) -> object:
        count.forward += len(batch.pair_ids)  # type: ignore[attr-defined]
        return forward(adapter, batch, *rest)  # type: ignore[arg-type]

    for module in (audit_core.collect, audit_core.references):
        monkeypatch.setattr(module, "capture", counted_capture)
    monkeypatch.setattr(ModelAdapter, "forward", counted_forward)
    return count


def test_done_steps_are_not_computed_again(
    models: tuple[ModelAdapter, ModelAdapter], counting: Counting
) -> None:
    """A finished collection costs no pass; one cut off costs what it lacks and at most one step more.

    The bits are the same, however much was there and however much was lacking.
    """
    store = MemoryStore()
    wanted = collected(models, Shelf(store))
    asked = len(MEMBERS) + len(PAIRS)
    assert counting.gradients == asked
    counting.gradients = counting.forward = 0
    collected(models, Shelf(store))
    assert counting.gradients == 0
    probes = counting.forward  # two pairs, to find the layers
    assert probes < len(PAIRS)
    for left in (4, 10):
        half = MemoryStore()
        counting.gradients = counting.forward = 0
        with pytest.raises(Cut):
            collected(models, Shelf(Cutting(half, left)))
        got = collected(models, Shelf(half))
        assert counting.gradients <= asked + batches.STEP_PAIRS
        assert counting.forward <= asked + len(PAIRS) + batches.STEP_PAIRS + 2 * probes
        for one, other in zip(got, wanted, strict=True):
            assert_same_bits(one, other)


def test_sums_too_large_to_keep_are_made_again_alike(
    models: tuple[ModelAdapter, ModelAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without kept sums the references are read again, the signals are not, and nothing changes."""
    wanted = collected(models, None)
    monkeypatch.setattr(audit_core.references, "SEALED_BYTES", 0)
    whole = MemoryStore()
    collected(models, Shelf(whole))
    store = cut_again_and_again(lambda cutting: collected(models, Shelf(cutting)), len(whole.kept), 3)
    for one, other in zip(collected(models, Shelf(store)), wanted, strict=True):
        assert_same_bits(one, other)


def test_blocks_in_the_store_hold_what_an_array_would(
    models: tuple[ModelAdapter, ModelAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamed cosines are the same numbers, by row, by slice, taken in another order, and stacked."""
    held, _ = collected(models, None)
    monkeypatch.setattr(audit_core.collect, "HELD_BYTES", 0)
    streamed, _ = collected(models, Shelf(MemoryStore()))
    assert not isinstance(streamed.cosines, np.ndarray)
    assert_same_bits(held, streamed)


@pytest.mark.parametrize("references", [References.L1, References.L4])
def test_a_whole_audit_cut_off_ends_in_the_same_result(
    references: References, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References, signals, base, shuffled pairs and spike-in: result and findings are those of one go."""
    monkeypatch.setattr(batches, "STEP_PAIRS", 8)
    model = source(FAMILIES[0], tmp_path, base=tmp_path / "base")
    with_spike = references is References.L4
    settings = replace(SETTINGS, references=references, spike_in_epochs=int(with_spike), batch_size=8)
    samples = cohort({**SIZES, Role.MEMBER: 0 if with_spike else SIZES[Role.MEMBER]})

    def run(store: Cutting | MemoryStore) -> tuple[object, object]:
        result, findings = run_audit(model, samples, settings, silent, store)
        return replace(result, timings=()), findings

    whole = MemoryStore()
    wanted = run(whole)
    store = cut_again_and_again(run, len(whole.kept), len(whole.kept) // 5)
    assert run(store) == wanted
    assert store.kept == whole.kept


def test_all_that_a_throw_away_copy_leaves_is_kept_as_its_own(tmp_path: Path) -> None:
    """Training and what was read of the copy have the kind that a store forgets first; nothing else has."""
    model = source(FAMILIES[0], tmp_path)
    samples = cohort({**SIZES, Role.MEMBER: 0})
    kept = []
    for epochs in (0, 1):
        store = MemoryStore()
        settings = replace(SETTINGS, references=References.L4, spike_in_epochs=epochs, batch_size=8)
        run_audit(model, samples, settings, silent, store)
        kept.append(list(store.kept))
    without, with_copy = kept
    own = [key for key in with_copy if key.startswith(COPY)]
    assert len(with_copy) - len(own) == len(without)
    assert not any(key.startswith(COPY) for key in without)
    assert with_copy[-len(own) :] == own and len(own) > 3  # training, reference sums, steps of pairs


def test_a_bank_comes_back_as_it_was_in_half_precision(tmp_path: Path) -> None:
    """Embeddings are float32 whatever the network computes in, made or kept."""
    folder = tiny.write_clip(tmp_path, seed=0)
    half = open_model(folder, FAMILIES[1], opening=Opening(precision="bfloat16"))
    store = MemoryStore()
    with pytest.raises(Cut):
        collected((half, half), Shelf(Cutting(store, 1)))
    for one, other in zip(collected((half, half), Shelf(store)), collected((half, half), None), strict=True):
        assert_same_bits(one, other)


def test_an_image_that_changed_is_read_again(
    models: tuple[ModelAdapter, ModelAdapter], counting: Counting
) -> None:
    """Same ids, other pixels: nothing of the old run is used."""
    store = MemoryStore()
    collected(models, Shelf(store))
    counting.gradients = 0
    changed: list[Sample] = [replace(PAIRS[0], image=255 - PAIRS[0].image), *PAIRS[1:]]
    collect_signals(
        models[0], changed, MEMBERS, bank=BANK, base=models[1], settings=SMALL, progress=silent, folds=FOLDS,
        shelf=Shelf(store),
    )  # fmt: skip
    assert counting.gradients == len(MEMBERS) + len(PAIRS)
