"""From a model and samples to a table of signals: two passes, a handful of floats per pair kept.

Pass 1 ("references") sums the gradients of the reference members to R, and by fold where folds were dealt.
Pass 2 ("signals") gives every pair its scalars, norms and slice cosines; reference pairs also their dots with
every fold's sum. A base model, where there is one, gives the same scalars and the task vector W − W_base. A
batch that fails is tried again pair by pair: only the bad pair becomes unscored.

Letters: N pairs, M audited matrices, K slices of all of them, S slices of one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome
from audit_core.batches import Feed
from audit_core.errors import CohortTooSmall, ModelRefused
from audit_core.gradients import LayerCapture, add_gradient_sum, audited_layers, capture
from audit_core.samples import ReportProgress, Sample, Settings
from audit_core.signal_rows import SignalRows
from audit_core.signals import GRADIENT_SCALAR, Matrix, SignalTable
from audit_core.slices import cosines, cross_slices, leave_one_out, matrix_slices, slice_sums

MAX_BANK = 255  # METHOD §4


@dataclass(slots=True)
class _Reference:
    """What pass 1 leaves behind: matrices, their mean gradient and task vector, and who is in the mean.

    `folds` are those of the reference pairs; `sums` holds one gradient sum per fold and matrix. Both are
    empty where no folds were given.
    """

    matrices: tuple[Matrix, ...]
    mean: dict[str, Tensor] = field(default_factory=dict)
    mean_squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    task: dict[str, Tensor] = field(default_factory=dict)
    task_squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    members: frozenset[str] = frozenset()
    folds: Mapping[str, int] = field(default_factory=dict)
    sums: dict[str, tuple[Tensor, ...]] = field(default_factory=dict)


def collect_signals(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    reference_members: Sequence[str],
    *,
    bank: Sequence[Sample],
    base: ModelAdapter | None,
    settings: Settings,
    progress: ReportProgress,
    gradients: bool = True,
    folds: Mapping[str, int] | None = None,
) -> tuple[SignalTable, SignalTable | None]:
    """Read every signal off a model (and its base) for every sample.

    Args:
        adapter: the model under audit.
        samples: the pairs to be scored, in the order of the table.
        reference_members: ids among `samples` whose mean gradient is R; may be empty (no cosines then). Only
            the first pair of each patient enters R; cosines of that patient's further pairs are NaN.
        bank: anchor pairs of contrastive losses; ignored by generative models.
        base: the model it was fine-tuned from, if known.
        settings: batch size, text length, layers, minimum bank.
        progress: called with phases `references`, `signals`, `base model`.
        gradients: False reads the scalars only (shuffled pairs).
        folds: reference pair id -> fold, fitting controls included; every reference member needs one. With
            them the table gets its `fold_sums`.

    Returns:
        The model's table, and the base model's table of scalars or None.

    Raises:
        CohortTooSmall: fewer than two references could be used, or the bank is under its minimum.
        ModelRefused: the base model does not have the model's matrices.
        AuditError: nothing could be scored.
    """
    feed = Feed(adapter, _anchors(adapter, bank, settings), settings, progress)
    if gradients:
        reference = _prepare(feed, samples, base)
        chosen = _one_per_patient(samples, reference_members)
        if chosen:
            _sum_references(feed, chosen, reference, folds or {})
        table = _all_signals(feed, samples, reference)
    else:
        table = _likelihoods(feed, samples, "signals")
    if base is None:
        return table, None
    other = feed.towards(base, _anchors(base, bank, settings))
    return table, _likelihoods(other, samples, "base model")


# ---- pass 1 ------------------------------------------------------------------------------------------------


def _prepare(feed: Feed, samples: Sequence[Sample], base: ModelAdapter | None) -> _Reference:
    adapter = feed.adapter
    audited = audited_layers(adapter, feed.probe(samples), feed.settings.layers, feed.anchors)
    reference = _Reference(_matrices(adapter, audited))
    if base is not None:
        for matrix in reference.matrices:
            reference.task[matrix.name] = _task_vector(adapter, base, matrix)
            reference.task_squares[matrix.name] = matrix_slices(reference.task[matrix.name])
    return reference


def _sum_references(
    feed: Feed, chosen: Sequence[Sample], reference: _Reference, folds: Mapping[str, int]
) -> None:
    names = [m.name for m in reference.matrices]
    count = max(folds.values(), default=0) + 1
    sums = {m.name: tuple(torch.zeros(m.rows, m.cols) for _ in range(count)) for m in reference.matrices}
    fold_of = {s.pair_id: folds[s.pair_id] if folds else 0 for s in chosen}
    members: set[str] = set()

    def take(batch: Encoded) -> None:
        got = capture(feed.adapter, batch, names, feed.anchors)
        fold_B = torch.tensor([fold_of[p] for p in batch.pair_ids])
        for fold in sorted(set(fold_B.tolist())):
            for name, layer in got.layers.items():
                add_gradient_sum(sums[name][fold], layer.take(fold_B == fold))
        members.update(p for p, fine in zip(batch.pair_ids, got.finite_B.tolist(), strict=True) if fine)

    feed.run(chosen, "references", take)
    if len(members) < 2:
        raise CohortTooSmall(
            f"only {len(members)} of {len(chosen)} reference members could be scored",
            "an audit with reference members needs at least two of them",
        )
    for name, parts in sums.items():
        reference.mean[name] = torch.stack(parts).sum(0).div_(len(members))
        reference.mean_squares[name] = matrix_slices(reference.mean[name])
    reference.members = frozenset(members)
    if folds:
        reference.folds, reference.sums = folds, sums


def _one_per_patient(samples: Sequence[Sample], reference_members: Sequence[str]) -> list[Sample]:
    """First pair of each patient: with a second one in R, leaving one *pair* out would not be enough."""
    wanted, seen, chosen = set(reference_members), set[str](), []
    for sample in samples:
        if sample.pair_id in wanted and sample.patient not in seen:
            seen.add(sample.patient)
            chosen.append(sample)
    return chosen


def _task_vector(adapter: ModelAdapter, base: ModelAdapter, matrix: Matrix) -> Tensor:
    ours, theirs = adapter.linear(matrix.name).weight, base.linear(matrix.name).weight
    if ours.shape != theirs.shape:
        raise ModelRefused(
            f"the base model's {matrix.name} is {tuple(theirs.shape)}, the model's {tuple(ours.shape)}",
            "give the base model this one was fine-tuned from",
        )
    return (ours - theirs).detach()


def _matrices(adapter: ModelAdapter, audited: Sequence[Candidate]) -> tuple[Matrix, ...]:
    found, offset = [], 0
    for candidate in audited:
        rows, cols = adapter.linear(candidate.name).weight.shape
        found.append(Matrix(candidate.name, candidate.layer, offset, rows, cols))
        offset += rows + cols
    return tuple(found)


# ---- pass 2 ------------------------------------------------------------------------------------------------


def _all_signals(feed: Feed, samples: Sequence[Sample], reference: _Reference) -> SignalTable:
    siblings = _siblings(samples, reference.members)
    rows = _empty_rows(feed, samples, reference, siblings)
    names = [m.name for m in reference.matrices]

    def take(batch: Encoded) -> None:
        got = capture(feed.adapter, batch, names, feed.anchors)
        where = rows.where(batch.pair_ids)
        in_fold = rows.in_fold(where)
        total = np.zeros(len(where))
        for group in (in_fold, ~in_fold):
            if group.any():
                chosen_B = torch.from_numpy(group)
                for number, matrix in enumerate(reference.matrices):
                    layer = got.layers.get(matrix.name)
                    if layer is not None:
                        some = layer.take(chosen_B)
                        total[group] += _fill_matrix(rows, where[group], number, some, reference)
        rows.cosines[where[[p in siblings for p in batch.pair_ids]]] = np.nan
        with np.errstate(divide="ignore"):  # captures of a pair that is not finite are zero: log 0 marks it
            norm = {GRADIENT_SCALAR: -0.5 * np.log(total)}
        rows.put(batch.pair_ids, _plain(got.outcome) | norm)
        rows.supervised += sum(got.outcome.supervised)

    rows.unscored |= feed.run(samples, "signals", take)
    return rows.table(_facts(feed, reference))


def _empty_rows(
    feed: Feed, samples: Sequence[Sample], reference: _Reference, siblings: frozenset[str]
) -> SignalRows:
    rows = SignalRows.empty(
        samples,
        reference.matrices,
        reference.members,
        contrastive=feed.adapter.uses_bank,
        task=bool(reference.task),
    )
    if reference.folds:
        gram = [cross_slices(reference.sums[matrix.name]) for matrix in reference.matrices]
        folds = {pair: fold for pair, fold in reference.folds.items() if pair not in siblings}
        rows.expect_folds(folds, np.concatenate(gram, axis=2))
    return rows


def _fill_matrix(
    rows: SignalRows, where: NDArray[np.int64], number: int, layer: LayerCapture, reference: _Reference
) -> NDArray[np.float64]:
    """Put one matrix's norms and cosines into the table; returns ‖G‖² per sample.

    The pairs have a fold, all or none of them: those that do get their dots with every fold's sum.
    """
    matrix = reference.matrices[number]
    name, n = matrix.name, len(reference.members)
    in_fold = bool(rows.in_fold(where).all())
    against = reference.sums[name] if in_fold else (reference.mean[name],) if reference.mean else ()
    sums = slice_sums(layer, (*against, *((reference.task[name],) if reference.task else ())))
    squares = sums.squares_BS.double().numpy()
    dots = [d.double().numpy() for d in sums.dots_BS]
    length: NDArray[np.float64] = squares[:, : matrix.rows].sum(1)
    with np.errstate(divide="ignore"):
        rows.norms[where, number] = 0.5 * np.log(length)
    if against:
        span = slice(matrix.offset, matrix.offset + matrix.rows + matrix.cols)
        d, r = dots[0], reference.mean_squares[name]
        if in_fold:
            d = np.sum(dots[: len(against)], axis=0) / n
            rows.put_folds(where, span, dots[: len(against)], squares)
        inside = rows.summed[where]
        rows.cosines[where[~inside], span] = cosines(d[~inside], squares[~inside], r)
        rows.cosines[where[inside], span] = leave_one_out(d[inside], squares[inside], r, n)
    if reference.task:
        task = cosines(-dots[-1], squares, reference.task_squares[name])
        counted = np.maximum(1, np.isfinite(task).sum(1))
        # A matrix that did not move from the base says nothing: 0, not NaN.
        rows.task_cosines[where, number] = np.nansum(task, axis=1) / counted
    return length


def _siblings(samples: Sequence[Sample], members: frozenset[str]) -> frozenset[str]:
    """Further pairs of a patient who is in R: no unbiased cosine exists for them."""
    inside = {s.patient for s in samples if s.pair_id in members}
    return frozenset(s.pair_id for s in samples if s.patient in inside and s.pair_id not in members)


def _likelihoods(feed: Feed, samples: Sequence[Sample], phase: str) -> SignalTable:
    rows = SignalRows.empty(samples, contrastive=feed.adapter.uses_bank)

    def take(batch: Encoded) -> None:
        with torch.no_grad():
            outcome = feed.adapter.forward(batch, feed.anchors)
        rows.put(batch.pair_ids, _plain(outcome))
        rows.supervised += sum(outcome.supervised)

    rows.unscored |= feed.run(samples, phase, take)
    return rows.table(_facts(feed, None))


def _plain(outcome: Outcome) -> dict[str, NDArray[np.float64]]:
    return {name: values.double().numpy() for name, values in outcome.scalars.items()}


def _anchors(adapter: ModelAdapter, bank: Sequence[Sample], settings: Settings) -> Anchors | None:
    if not adapter.uses_bank:
        return None
    if len(bank) < settings.minimum_bank:
        raise CohortTooSmall(
            f"the bank has {len(bank)} pairs, at least {settings.minimum_bank} are needed",
            "add independent pairs to the cohort's bank",
        )
    ordered = sorted(bank, key=lambda s: s.pair_id)
    if len(ordered) > MAX_BANK:
        ordered = random.Random(settings.seed).sample(ordered, MAX_BANK)
    return adapter.anchors(ordered, settings.max_text_tokens, settings.batch_size)


def _facts(feed: Feed, reference: _Reference | None) -> dict[str, str]:
    facts = {**feed.adapter.facts, "batch_size": str(feed.settings.batch_size)}
    if reference is not None:
        facts["audited_matrices"] = str(len(reference.matrices))
        facts["reference_members"] = str(len(reference.members))
    if feed.anchors is not None:
        digest = hashlib.sha256("\n".join(sorted(feed.anchors.pair_ids)).encode()).hexdigest()
        facts |= {"bank_size": str(len(feed.anchors.pair_ids)), "bank_digest": digest}
    return facts
