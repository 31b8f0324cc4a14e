"""From a model and samples to a table of signals: two passes, a handful of floats per pair kept.

Pass 1 ("references") sums the gradients of the reference members to R. Pass 2 ("signals") gives every pair its
scalars, norms and slice cosines. A base model, where there is one, gives the same scalars and the task vector
ΔW = W − W_base. A batch that fails is tried again pair by pair, so that only the bad pair becomes unscored.

Letters: N pairs, M audited matrices, K slices of all of them, S slices of one.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter
from audit_core.errors import AuditError, BadSample, CohortTooSmall, ModelRefused
from audit_core.gradients import LayerCapture, add_gradient_sum, audited_layers, capture
from audit_core.results import Progress
from audit_core.samples import ReportProgress, Sample, Settings
from audit_core.signals import GRADIENT_SCALAR, LIKELIHOOD_SCALARS, Matrix, SignalTable
from audit_core.slices import cosines, leave_one_out, matrix_slices, slice_sums

MAX_BANK = 255  # METHOD §4
PROBE_PAIRS = 2
NOT_FINITE = "the loss or its gradient is not a finite number"


@dataclass(slots=True)
class _Reference:
    """What pass 1 leaves behind: matrices, their mean gradient and task vector, and who is in the mean."""

    matrices: tuple[Matrix, ...]
    mean: dict[str, Tensor] = field(default_factory=dict)
    mean_squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    task: dict[str, Tensor] = field(default_factory=dict)
    task_squares: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    members: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Rows:
    """The table while it is being filled."""

    index: Mapping[str, int]
    scalars: dict[str, NDArray[np.float64]]
    norms: NDArray[np.float32]
    cosines: NDArray[np.float32]
    task_cosines: NDArray[np.float32]
    unscored: dict[str, str] = field(default_factory=dict)
    supervised: int = 0


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
) -> tuple[SignalTable, SignalTable | None]:
    """Read every signal off a model (and its base) for every sample.

    Args:
        adapter: the model under audit.
        samples: the pairs to be scored, in the order of the table.
        reference_members: ids among `samples` whose mean gradient is R; may be empty (no cosines then). Only the
            first pair of each patient enters R; cosines of that patient's further pairs are NaN.
        bank: anchor pairs of contrastive losses; ignored by generative models.
        base: the model it was fine-tuned from, if known.
        settings: batch size, text length, layers, minimum bank.
        progress: called with phases `references`, `signals`, `base model`.
        gradients: False reads the scalars only (shuffled pairs).

    Returns:
        The model's table, and the base model's table of scalars or None.

    Raises:
        CohortTooSmall: fewer than two references could be used, or the bank is under its minimum.
        ModelRefused: the base model does not have the model's matrices.
        AuditError: nothing could be scored.
    """
    anchors = _anchors(adapter, bank, settings)
    if not gradients:
        table = _likelihoods(adapter, samples, anchors, settings, progress, "signals")
    else:
        reference = _prepare(adapter, samples, reference_members, anchors, base, settings, progress)
        table = _all_signals(adapter, samples, reference, anchors, settings, progress)
    if base is None:
        return table, None
    base_anchors = _anchors(base, bank, settings)
    return table, _likelihoods(base, samples, base_anchors, settings, progress, "base model")


# ---- pass 1 -------------------------------------------------------------------------------------------------


def _prepare(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    reference_members: Sequence[str],
    anchors: Anchors | None,
    base: ModelAdapter | None,
    settings: Settings,
    progress: ReportProgress,
) -> _Reference:
    audited = audited_layers(adapter, _probe(adapter, samples, settings), settings.layers, anchors)
    reference = _Reference(_matrices(adapter, audited))
    if base is not None:
        for matrix in reference.matrices:
            reference.task[matrix.name] = _task_vector(adapter, base, matrix)
            reference.task_squares[matrix.name] = matrix_slices(reference.task[matrix.name])
    chosen = _one_per_patient(samples, reference_members)
    if chosen:
        _sum_references(adapter, chosen, reference, anchors, settings, progress)
    return reference


def _sum_references(
    adapter: ModelAdapter,
    chosen: Sequence[Sample],
    reference: _Reference,
    anchors: Anchors | None,
    settings: Settings,
    progress: ReportProgress,
) -> None:
    names = [m.name for m in reference.matrices]
    total = {m.name: torch.zeros(m.rows, m.cols) for m in reference.matrices}
    members: set[str] = set()

    def take(batch: Encoded) -> None:
        got = capture(adapter, batch, names, anchors)
        for name, layer in got.layers.items():
            add_gradient_sum(total[name], layer)
        members.update(p for p, fine in zip(batch.pair_ids, got.finite_B.tolist(), strict=True) if fine)

    _in_batches(adapter, chosen, settings, progress, "references", take)
    if len(members) < 2:
        raise CohortTooSmall(
            f"only {len(members)} of {len(chosen)} reference members could be scored",
            "an audit with reference members needs at least two of them",
        )
    for name, matrix in total.items():
        reference.mean[name] = matrix.div_(len(members))
        reference.mean_squares[name] = matrix_slices(matrix)
    reference.members = frozenset(members)


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


def _probe(adapter: ModelAdapter, samples: Sequence[Sample], settings: Settings) -> Encoded:
    usable: list[Sample] = []
    for sample in samples:
        try:
            adapter.encode([sample], settings.max_text_tokens)
        except BadSample:
            continue  # pass 2 names it; the probe only needs pairs that work
        usable.append(sample)
        if len(usable) == PROBE_PAIRS:
            break
    if not usable:
        raise AuditError(
            "no pair of this cohort can be given to the model", "check the reports and the model's family"
        )
    return adapter.encode(usable, settings.max_text_tokens)


# ---- pass 2 -------------------------------------------------------------------------------------------------


def _all_signals(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    reference: _Reference,
    anchors: Anchors | None,
    settings: Settings,
    progress: ReportProgress,
) -> SignalTable:
    rows = _empty_rows(adapter, samples, reference, with_gradients=True)
    names = [m.name for m in reference.matrices]
    siblings = _siblings(samples, reference.members)

    def take(batch: Encoded) -> None:
        got = capture(adapter, batch, names, anchors)
        where = np.array([rows.index[p] for p in batch.pair_ids])
        inside = np.array([p in reference.members for p in batch.pair_ids])
        total = np.zeros(len(where))
        for number, matrix in enumerate(reference.matrices):
            layer = got.layers.get(matrix.name)
            if layer is not None:
                total += _fill_matrix(rows, where, inside, number, matrix, layer, reference)
        rows.cosines[where[[p in siblings for p in batch.pair_ids]]] = np.nan
        _fill_scalars(rows, where, got.outcome.scalars, got.finite_B, batch.pair_ids)
        with np.errstate(divide="ignore"):
            rows.scalars[GRADIENT_SCALAR][where] = -0.5 * np.log(total)
        rows.supervised += sum(got.outcome.supervised)

    rows.unscored |= _in_batches(adapter, samples, settings, progress, "signals", take)
    return _table(adapter, samples, rows, reference.matrices, anchors, settings, len(reference.members))


def _fill_matrix(
    rows: _Rows,
    where: NDArray[np.int64],
    inside: NDArray[np.bool_],
    number: int,
    matrix: Matrix,
    layer: LayerCapture,
    reference: _Reference,
) -> NDArray[np.float64]:
    """Put one matrix's norms and cosines into the table; returns ‖G‖² per sample."""
    name = matrix.name
    against = tuple(part[name] for part in (reference.mean, reference.task) if part)
    sums = slice_sums(layer, against)
    squares = sums.squares_BS.double().numpy()
    length = squares[:, : matrix.rows].sum(1)
    with np.errstate(divide="ignore"):
        rows.norms[where, number] = 0.5 * np.log(length)
    dots = [d.double().numpy() for d in sums.dots_BS]
    if reference.mean:
        d, r = dots.pop(0), reference.mean_squares[name]
        span = slice(matrix.offset, matrix.offset + matrix.rows + matrix.cols)
        rows.cosines[where[~inside], span] = cosines(d[~inside], squares[~inside], r)
        rows.cosines[where[inside], span] = leave_one_out(
            d[inside], squares[inside], r, len(reference.members)
        )
    if reference.task:
        task = cosines(-dots.pop(0), squares, reference.task_squares[name])
        counted = np.maximum(1, np.isfinite(task).sum(1))
        # A matrix that did not move from the base says nothing: 0, not NaN.
        rows.task_cosines[where, number] = np.nansum(task, axis=1) / counted
    return length


def _siblings(samples: Sequence[Sample], members: frozenset[str]) -> frozenset[str]:
    """Further pairs of a patient who is in R: no unbiased cosine exists for them."""
    inside = {s.patient for s in samples if s.pair_id in members}
    return frozenset(s.pair_id for s in samples if s.patient in inside and s.pair_id not in members)


def _likelihoods(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    anchors: Anchors | None,
    settings: Settings,
    progress: ReportProgress,
    phase: str,
) -> SignalTable:
    rows = _empty_rows(adapter, samples, _Reference(()), with_gradients=False)

    def take(batch: Encoded) -> None:
        with torch.no_grad():
            outcome = adapter.forward(batch, anchors)
        where = np.array([rows.index[p] for p in batch.pair_ids])
        _fill_scalars(rows, where, outcome.scalars, torch.isfinite(outcome.losses_B), batch.pair_ids)
        rows.supervised += sum(outcome.supervised)

    rows.unscored |= _in_batches(adapter, samples, settings, progress, phase, take)
    return _table(adapter, samples, rows, (), anchors, settings, 0)


# ---- batches and tables -------------------------------------------------------------------------------------


def _in_batches(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    settings: Settings,
    progress: ReportProgress,
    phase: str,
    take: Callable[[Encoded], None],
) -> dict[str, str]:
    """Give every sample to `take`, in batches of similar text length; returns who failed and why."""
    failed: dict[str, str] = {}
    done = 0
    progress(Progress(phase, 0, len(samples)))
    for chunk in _chunks(samples, settings.batch_size):
        try:
            take(adapter.encode(chunk, settings.max_text_tokens))
        except BadSample:
            for sample in chunk:  # one of them is bad: find it, keep the others
                try:
                    take(adapter.encode([sample], settings.max_text_tokens))
                except BadSample as error:
                    failed[sample.pair_id] = str(error)
        done += len(chunk)
        progress(Progress(phase, done, len(samples)))
    return failed


def _chunks(samples: Sequence[Sample], size: int) -> Iterator[Sequence[Sample]]:
    ordered = sorted(samples, key=lambda s: (len(s.text), s.pair_id))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _empty_rows(
    adapter: ModelAdapter, samples: Sequence[Sample], reference: _Reference, *, with_gradients: bool
) -> _Rows:
    index = {s.pair_id: row for row, s in enumerate(samples)}
    if len(index) != len(samples):
        raise AuditError("two samples have the same pair id")
    names = list(LIKELIHOOD_SCALARS) + (["cosine"] if adapter.uses_bank else [])
    names += [GRADIENT_SCALAR] if with_gradients else []
    M = len(reference.matrices)
    K = sum(m.rows + m.cols for m in reference.matrices) if reference.mean else 0
    N = len(samples)
    return _Rows(
        index=index,
        scalars={name: np.full(N, np.nan) for name in names},
        norms=np.full((N, M), np.nan, np.float32),
        cosines=np.full((N, K), np.nan, np.float32),
        task_cosines=np.full((N, M if reference.task else 0), np.nan, np.float32),
    )


def _fill_scalars(
    rows: _Rows,
    where: NDArray[np.int64],
    scalars: Mapping[str, Tensor],
    finite_B: Tensor,
    pair_ids: Sequence[str],
) -> None:
    for name, values in scalars.items():
        rows.scalars[name][where] = values.double().numpy()
        finite_B = finite_B & torch.isfinite(values)
    for pair_id, fine in zip(pair_ids, finite_B.tolist(), strict=True):
        if not fine:
            rows.unscored[pair_id] = NOT_FINITE


def _table(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    rows: _Rows,
    matrices: tuple[Matrix, ...],
    anchors: Anchors | None,
    settings: Settings,
    members: int,
) -> SignalTable:
    if len(rows.unscored) == len(samples):
        first = next(iter(rows.unscored.values()), "there are no pairs")
        raise AuditError(
            f"no pair could be scored: {first}", "check that the model folder is complete and undamaged"
        )
    out = [rows.index[p] for p in rows.unscored]
    for values in (*rows.scalars.values(), rows.norms, rows.cosines, rows.task_cosines):
        values[out] = np.nan
    facts = {
        **adapter.facts,
        "batch_size": str(settings.batch_size),
        "supervised_tokens": str(rows.supervised),
        "audited_matrices": str(len(matrices)),
        "reference_members": str(members),
    }
    if anchors is not None:
        facts |= {"bank_size": str(len(anchors.pair_ids)), "bank_digest": _bank_digest(anchors)}
    return SignalTable(
        pair_ids=tuple(s.pair_id for s in samples),
        scalars=rows.scalars,
        norms=rows.norms,
        cosines=rows.cosines,
        task_cosines=rows.task_cosines,
        matrices=matrices,
        unscored={p: rows.unscored[p] for p in sorted(rows.unscored)},
        facts=facts,
    )


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


def _bank_digest(anchors: Anchors) -> str:
    return hashlib.sha256("\n".join(sorted(anchors.pair_ids)).encode()).hexdigest()
