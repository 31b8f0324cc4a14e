"""Pass 1: the reference members' gradients, summed to R, by fold where folds were dealt.

The sums stay where the network computes, one float32 matrix per fold and audited layer. Pairs with a fold are
read first, against every fold's sum; then the sums are added up in place to the mean, which is all that the
other pairs need. So R is never in memory twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit_core.adapters.base import Candidate, Encoded, ModelAdapter
from audit_core.batches import Count, Feed, Pace, Tight, in_steps
from audit_core.errors import CohortTooSmall, ModelRefused, NotEnoughMemory
from audit_core.gradients import add_gradient_sum, capture
from audit_core.probe import audited
from audit_core.samples import Sample
from audit_core.signals import Matrix
from audit_core.slices import cross_slices, matrix_slices
from audit_core.store import Shelf, packed, unpacked

PHASE = "references"
SEALED_BYTES = 1 << 30
ONE_BLOB = 192 << 20
"""Sums are kept after every step where all of them take no more than this; else they are computed again."""


@dataclass(slots=True)
class Reference:
    """What pass 1 leaves behind.

    Attributes:
        matrices: the audited ones.
        base: the model it was fine-tuned from, for the task vector W − W_base; None without.
        task_squares: matrix -> squared norms of the task vector's slices, float64 [S].
        sums: matrix -> one gradient sum [O, I] per fold, or the mean alone once `add_up` was called; empty
            without references.
        squares: matrix -> squared norms of the mean's slices, float64 [S].
        gram: [F, F, K], dots of the fold sums' slices, all matrices side by side; None without folds.
        members: who is in the mean.
        folds: pair id -> fold of every reference pair, fitting controls included; empty without folds.
        as_published: cosines of members are with the mean that holds them too.
    """

    matrices: tuple[Matrix, ...]
    base: ModelAdapter | None
    task_squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    sums: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)
    squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    gram: NDArray[np.float64] | None = None
    members: frozenset[str] = frozenset()
    folds: Mapping[str, int] = field(default_factory=dict)
    as_published: bool = False

    @property
    def slices(self) -> int:
        """K; 0 without references."""
        return sum(m.rows + m.cols for m in self.matrices) if self.sums else 0

    def add_up(self) -> None:
        """Turn every matrix's fold sums into their mean, in the memory of the first."""
        for name, (first, *others) in self.sums.items():
            for other in others:
                first.add_(other)
            self.sums[name] = (first.div_(len(self.members)),)


def prepared(feed: Feed, samples: Sequence[Sample], base: ModelAdapter | None) -> Reference:
    """The audited matrices and, with a base model, the lengths of the task vector's slices.

    As published there is no task vector.

    Raises:
        ModelRefused: the base model does not have the model's matrices.
        AuditError: no pair gives finite numbers, or no layer receives a gradient.
    """
    adapter = feed.adapter
    matrices = _matrices(adapter, audited(feed, samples))
    if feed.settings.as_published:
        return Reference(matrices, None, as_published=True)
    reference = Reference(matrices, base)
    if base is not None:
        for matrix in reference.matrices:
            reference.task_squares[matrix.name] = matrix_slices(task_vector(adapter, base, matrix.name))
    return reference


def task_vector(adapter: ModelAdapter, base: ModelAdapter, name: str) -> Tensor:
    """W − W_base of one matrix, float32 [O, I]; made anew for every batch, because that costs no memory.

    Raises:
        ModelRefused: the base model's matrix has another shape.
    """
    ours, theirs = adapter.weight(name), base.weight(name)
    if ours.shape != theirs.shape:
        raise ModelRefused(
            f"the base model's {name} is {tuple(theirs.shape)}, the model's {tuple(ours.shape)}",
            "give the base model this one was fine-tuned from",
        )
    return ours.float() - theirs.to(ours.device).float()


def sum_references(
    feed: Feed,
    chosen: Sequence[Sample],
    reference: Reference,
    folds: Mapping[str, int],
    shelf: Shelf | None,
) -> None:
    """Sum the gradients of the chosen members into `reference`.

    Where memory runs out the sums are made anew with half the batch: half a batch may have been added.

    Args:
        chosen: reference members, one per patient.
        reference: prepared; filled here.
        folds: pair id -> fold; empty for one sum.
        shelf: where sums are kept after every step; None keeps nothing.

    Raises:
        CohortTooSmall: fewer than two members could be read.
        NotEnoughMemory: the same, because they do not fit.
    """
    names = [m.name for m in reference.matrices]
    count = max(folds.values(), default=0) + 1
    device = feed.adapter.device
    sums = {
        m.name: tuple(torch.zeros(m.rows, m.cols, device=device) for _ in range(count))
        for m in reference.matrices
    }
    running = _Running(names, sums, {s.pair_id: folds[s.pair_id] if folds else 0 for s in chosen})
    excluded: dict[str, str] = {}
    while True:
        try:
            running.run(feed, [s for s in chosen if s.pair_id not in excluded], shelf)
            break
        except Tight as tight:
            feed.relieve(tight, excluded)
    if len(running.members) < 2:
        if excluded:
            raise NotEnoughMemory(
                f"{len(excluded)} of {len(chosen)} reference members need more memory than there is"
            )
        raise CohortTooSmall(
            f"only {len(running.members)} of {len(chosen)} reference members could be scored",
            "an audit with reference members needs at least two of them",
        )
    grams = {name: cross_slices(parts) for name, parts in sums.items()}
    n = len(running.members)
    reference.sums, reference.members = sums, frozenset(running.members)
    reference.squares = {name: np.maximum(gram.sum((0, 1)), 0.0) / (n * n) for name, gram in grams.items()}
    if folds:
        reference.folds = folds
        reference.gram = np.concatenate([grams[name] for name in names], axis=2)


@dataclass(slots=True)
class _Running:
    """Sums while they grow, with those already in them."""

    names: list[str]
    sums: dict[str, tuple[Tensor, ...]]
    fold_of: Mapping[str, int]
    members: list[str] = field(default_factory=list)

    def run(self, feed: Feed, chosen: Sequence[Sample], shelf: Shelf | None) -> None:
        """All steps, from the last one that was kept."""
        steps = in_steps(chosen, 0)
        size = sum(t.numel() * t.element_size() for parts in self.sums.values() for t in parts)
        if size > ONE_BLOB or size * len(steps) > SEALED_BYTES:
            shelf = None
        places = _places(shelf, feed.pace, steps)
        count = Count(PHASE, sum(map(len, steps)), feed.progress)
        first = self._found(places)
        count.add(sum(map(len, steps[:first])))
        for step, place in zip(steps[first:], places[first:], strict=True):
            feed.give(step, lambda batch: self._take(feed, batch), count.add)
            if place is not None:
                place.put(packed({"members": self.members}, self._arrays()))

    def _take(self, feed: Feed, batch: Encoded) -> None:
        got = capture(feed.adapter, batch, self.names, feed.anchors)
        fold_B = torch.tensor([self.fold_of[p] for p in batch.pair_ids])
        for name in list(got.layers):
            layer = got.layers.pop(name)
            for fold in sorted(set(fold_B.tolist())):
                add_gradient_sum(self.sums[name][fold], layer.take(fold_B == fold))
        self.members += [p for p, fine in zip(batch.pair_ids, got.finite_B.tolist(), strict=True) if fine]

    def _found(self, places: Sequence[Shelf | None]) -> int:
        """Start from the last step that was kept, or from nothing; returns how many steps are done."""
        self.members = []
        for parts in self.sums.values():
            for total in parts:
                total.zero_()
        for number in reversed(range(len(places))):
            place = places[number]
            blob = None if place is None else place.get()
            if blob is not None:
                facts, arrays = unpacked(blob)
                self.members = list(facts["members"])
                for name, parts in self.sums.items():
                    for fold, total in enumerate(parts):
                        total.copy_(torch.from_numpy(arrays[f"{name} {fold}"]))
                return number + 1
        return 0

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            f"{name} {fold}": total.cpu().numpy()
            for name, parts in self.sums.items()
            for fold, total in enumerate(parts)
        }


def one_per_patient(samples: Sequence[Sample], reference_members: Sequence[str]) -> list[Sample]:
    """First pair of each patient: with a second one in R, leaving one *pair* out would not be enough."""
    wanted, seen, chosen = set(reference_members), set[str](), []
    for sample in samples:
        if sample.pair_id in wanted and sample.patient not in seen:
            seen.add(sample.patient)
            chosen.append(sample)
    return chosen


def siblings(samples: Sequence[Sample], members: frozenset[str]) -> frozenset[str]:
    """Further pairs of a patient who is in R: no unbiased cosine exists for them."""
    inside = {s.patient for s in samples if s.pair_id in members}
    return frozenset(s.pair_id for s in samples if s.patient in inside and s.pair_id not in members)


def _places(shelf: Shelf | None, pace: Pace, steps: Sequence[Sequence[Sample]]) -> list[Shelf | None]:
    """Where the sums after each step are kept. A pass that was finished in smaller batches is preferred."""
    if shelf is None:
        return [None] * len(steps)
    here = shelf.on(steps=[[sample.pair_id for sample in step] for step in steps])
    batch = pace.batch
    while batch > 1 and here.on(batch=batch, step=len(steps) - 1).get() is None:
        batch //= 2
    if here.on(batch=batch, step=len(steps) - 1).get() is not None:
        pace.batch = batch
    return [here.on(batch=pace.batch, step=number) for number in range(len(steps))]


def _matrices(adapter: ModelAdapter, layers: Sequence[Candidate]) -> tuple[Matrix, ...]:
    found, offset = [], 0
    for candidate in layers:
        rows, cols = adapter.weight(candidate.name).shape
        found.append(Matrix(candidate.name, candidate.layer, offset, rows, cols))
        offset += rows + cols
    return tuple(found)
