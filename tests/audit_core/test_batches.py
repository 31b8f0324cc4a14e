"""Memory that runs out, batch sizes that are measured, steps that are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

import audit_core.references
from audit_core.adapters.base import Anchors, Encoded, ModelAdapter, Outcome
from audit_core.adapters.loading import open_model
from audit_core.batch_plan import Tried, choose, kept_or_measured, measured
from audit_core.batches import STEP_BYTES, STEP_PAIRS, TOO_LARGE, Feed, Pace, in_steps
from audit_core.collect import collect_signals
from audit_core.errors import AuditError
from audit_core.results import Progress
from audit_core.samples import Sample
from audit_core.signals import SignalTable
from audit_core.store import MemoryStore, Shelf
from tests.audit_core import engine_models as tiny
from tests.audit_core.test_audit import SETTINGS, silent

PAIRS = [tiny.sample(n) for n in range(12)]
MEMBERS = [pair.pair_id for pair in PAIRS[:6]]
FULL: dict[str, Callable[[], Exception]] = {
    "python": MemoryError,
    "device": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "products": lambda: RuntimeError("could not create a primitive"),
    "processor": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        " to allocate 68719476736 bytes. Error code 12 (Cannot allocate memory)"
    ),
}


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> ModelAdapter:
    return open_model(tiny.write_llava(tmp_path_factory.mktemp("llava")), "image-text-to-text")


@dataclass
class Small:
    """A machine on which so many pairs fit at once, and some not even alone."""

    room: int
    full: Callable[[], Exception] = MemoryError
    never: frozenset[str] = frozenset()
    seen: list[int] = field(default_factory=list)


@pytest.fixture
def machine(llava: ModelAdapter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    small = Small(room=10**6)
    forward = type(llava)._forward

    def limited(adapter: ModelAdapter, batch: Encoded, anchors: Anchors | None) -> Outcome:
        small.seen.append(len(batch.pair_ids))
        if len(batch.pair_ids) > small.room or small.never & set(batch.pair_ids):
            raise small.full()
        return forward(adapter, batch, anchors)  # type: ignore[arg-type]

    monkeypatch.setattr(type(llava), "_forward", limited)
    yield small


def collected(
    adapter: ModelAdapter, batch: int, pairs: list[Sample] = PAIRS, shelf: Shelf | None = None
) -> SignalTable:
    return collect_signals(
        adapter, pairs, MEMBERS, bank=(), base=None, settings=replace(SETTINGS, batch_size=batch),
        progress=silent, shelf=shelf,
    )[0]  # fmt: skip


def assert_same(one: SignalTable, other: SignalTable) -> None:
    for name, values in one.scalars.items():
        np.testing.assert_array_equal(values, other.scalars[name], err_msg=name)
    np.testing.assert_array_equal(one.cosines[:, :], other.cosines[:, :])


@pytest.mark.parametrize("kind", FULL)
def test_a_batch_that_does_not_fit_is_halved(kind: str, llava: ModelAdapter, machine: Small) -> None:
    """However the shortage shows itself, the numbers are those of the size that fits."""
    wanted = collected(llava, 2)
    machine.room, machine.full = 2, FULL[kind]
    got = collected(llava, 8)
    assert got.facts["batch_size"] == "2"
    assert not got.unscored
    assert_same(got, wanted)


def test_half_a_batch_in_the_sums_is_taken_out_again(
    llava: ModelAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory runs out after some matrices were added to: the mean is still that of every member once."""
    wanted = collected(llava, 2)
    add, calls = audit_core.references.add_gradient_sum, [0]

    def failing(total: torch.Tensor, layer: object) -> None:
        calls[0] += 1
        if calls[0] == 5:
            raise MemoryError
        add(total, layer)  # type: ignore[arg-type]

    monkeypatch.setattr(audit_core.references, "add_gradient_sum", failing)
    assert_same(collected(llava, 4), wanted)


def test_a_pair_too_large_alone_is_unscored(llava: ModelAdapter, machine: Small) -> None:
    """It costs no other pair its numbers; a reference member that is too large is not in the mean."""
    machine.never = frozenset({PAIRS[3].pair_id, PAIRS[9].pair_id})
    got = collected(llava, 4)
    assert got.unscored == dict.fromkeys(sorted(machine.never), TOO_LARGE)
    assert got.facts["reference_members"] == "5"
    assert all(np.isnan(values[[3, 9]]).all() for values in got.scalars.values())
    assert np.isfinite(np.delete(got.scalars["neg_loss"], [3, 9])).all()


def test_two_pairs_that_do_not_fit_are_audited_one_by_one(llava: ModelAdapter, machine: Small) -> None:
    """Nobody could look at what one pair does to another, so they never share a batch."""
    wanted = collected(llava, 1)
    machine.room = 1
    for asked in (8, 0):
        assert_same(collected(llava, asked), wanted)


def test_when_nothing_fits_the_error_says_so(llava: ModelAdapter, machine: Small) -> None:
    """Every pair too large: no numbers, and the hint is about memory."""
    machine.room = 0
    with pytest.raises(AuditError, match="memory") as stopped:
        collected(llava, 0)
    assert "machine with more" in stopped.value.hint


def test_another_error_is_not_taken_for_a_shortage(llava: ModelAdapter, machine: Small) -> None:
    """A model that breaks on large batches for another reason is asked pair by pair; the size stays."""
    machine.room, machine.full = 2, lambda: RuntimeError("shapes cannot be multiplied")
    got = collected(llava, 4)
    assert got.facts["batch_size"] == "4"
    assert not got.unscored


def test_a_shortage_that_is_over_does_not_change_kept_steps(llava: ModelAdapter, machine: Small) -> None:
    """Resumed on a larger machine, the audit finds what the smaller one kept and goes on at its size."""
    machine.room, store = 2, MemoryStore()
    wanted = collected(llava, 8, shelf=Shelf(store))
    machine.room, machine.seen[:] = 10**6, []
    got = collected(llava, 8, shelf=Shelf(store))
    assert got.facts["batch_size"] == "2"
    assert machine.seen == [1, 1, 2]  # the probe that finds the layers
    assert_same(got, wanted)


# ---- measured ----------------------------------------------------------------------------------------------


def feed(adapter: ModelAdapter) -> Feed:
    return Feed(adapter, None, SETTINGS, silent, Pace(1))


class Clock:
    """Seconds that a batch of each size takes."""

    def __init__(self, of_size: Callable[[int], float]) -> None:
        self.now, self.of_size = 0.0, of_size

    def __call__(self) -> float:
        return self.now

    def work(self, batch: Encoded) -> None:
        self.now += self.of_size(len(batch.pair_ids))


def test_the_smallest_of_the_fast_sizes_is_taken() -> None:
    """Within 5 % of the fastest, less memory wins; nothing measured is an error."""
    tried = [Tried(1, 1.0, 0), Tried(2, 0.62, 0), Tried(4, 0.51, 0), Tried(8, 0.50, 0), Tried(16, 0.55, 0)]
    assert choose(tried) == 4
    with pytest.raises(AuditError, match="not even one pair"):
        choose([])


def test_the_size_is_measured_on_the_longest_pairs(llava: ModelAdapter) -> None:
    """A fixed cost a batch makes large batches worth while, a cost that grows faster stops the search."""
    clock = Clock(lambda size: 1.0 + 0.01 * size)
    assert measured(feed(llava), PAIRS, clock.work, clock=clock, budget_bytes=1 << 40) == 8
    clock = Clock(lambda size: float(size**2))
    assert measured(feed(llava), PAIRS, clock.work, clock=clock, budget_bytes=1 << 40) == 1


def test_the_budget_bounds_the_search(llava: ModelAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A size whose memory is foreseen to be over the budget is not tried."""
    clock, held = Clock(lambda size: 1.0), [0]

    def work(batch: Encoded) -> None:
        clock.work(batch)
        held[0] = max(held[0], 100 * len(batch.pair_ids))

    monkeypatch.setattr("audit_core.batch_plan.peak_bytes", lambda device: held[0])
    assert measured(feed(llava), PAIRS, work, clock=clock, budget_bytes=450) == 4
    assert held[0] == 400


def test_memory_that_runs_out_ends_the_search(llava: ModelAdapter, machine: Small) -> None:
    """What fitted before is taken."""
    machine.room = 4
    assert collected(llava, 0).facts["batch_size"] in ("1", "2", "4")


@pytest.mark.parametrize("asked", [0, 4])
def test_the_longest_pair_too_large_alone_is_unscored(
    asked: int, llava: ModelAdapter, machine: Small
) -> None:
    """Measured or given, the batch size is that of the pairs that fit; the one that does not ends nothing."""
    longest = max(PAIRS, key=lambda pair: len(pair.text))
    machine.never = frozenset({longest.pair_id})
    got = collected(llava, asked)
    assert got.unscored == {longest.pair_id: TOO_LARGE}


def test_a_resumed_audit_takes_the_size_that_was_found(llava: ModelAdapter) -> None:
    """It is not measured again, whatever the clock would say now."""
    shelf = Shelf(MemoryStore())
    fast, slow = Clock(lambda size: 1.0), Clock(lambda size: float(size**2))
    first = feed(llava)
    found = kept_or_measured(first, PAIRS, fast.work, shelf)
    assert kept_or_measured(feed(llava), PAIRS, slow.work, shelf) == found
    assert slow.now == 0.0


# ---- steps -------------------------------------------------------------------------------------------------


def test_steps_are_bounded_by_pairs_and_bytes() -> None:
    """At most 64 pairs and 128 MiB, at least one pair; every pair once, by length."""
    many = [tiny.sample(n) for n in range(150)]
    by_count = in_steps(many, 1000)
    assert [len(step) for step in by_count] == [STEP_PAIRS, STEP_PAIRS, 150 - 2 * STEP_PAIRS]
    assert [len(step) for step in in_steps(many[:5], STEP_BYTES // 2)] == [2, 2, 1]
    assert [len(step) for step in in_steps(many[:3], 2 * STEP_BYTES)] == [1, 1, 1]
    lengths = [len(sample.text) for step in by_count for sample in step]
    assert lengths == sorted(lengths)
    assert in_steps(many[::-1], 1000) == by_count


def test_progress_ends_at_all_pairs_even_after_halving(llava: ModelAdapter, machine: Small) -> None:
    """Pairs that are read again are not counted twice."""
    machine.room = 2
    told: list[Progress] = []
    collect_signals(
        llava, PAIRS, MEMBERS, bank=(), base=None, settings=replace(SETTINGS, batch_size=8),
        progress=told.append,
    )  # fmt: skip
    last = {step.phase: (step.done, step.total) for step in told}
    assert last == {"references": (6, 6), "signals": (12, 12)}
    assert max(step.done for step in told) == 12
