"""From a model and samples to a table of signals: two passes, a handful of floats per pair kept.

Pass 1 ("references", `references.py`) sums the gradients of the reference members to R, and by fold where
folds were dealt. Pass 2 ("signals") gives every pair its scalars, norms and slice cosines; reference pairs
also their dots with every fold's sum. A base model, where there is one, gives the same scalars and the task
vector W − W_base. A batch that fails is tried again pair by pair: only the bad pair becomes unscored.

Every pass goes in steps. A step that is done lies on the shelf under the digest of all it depends on; a later
process finds it there and computes the next one.

Letters: N pairs, M audited matrices, K slices of all of them, S slices of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from audit_core.adapters.base import Encoded, ModelAdapter, Outcome
from audit_core.as_published import inclusive_cosines
from audit_core.bank import drawn, embedded
from audit_core.batch_plan import kept_or_measured
from audit_core.batches import Count, Feed, Pace
from audit_core.further import with_readings
from audit_core.gradients import LayerCapture, capture
from audit_core.machine import machine
from audit_core.readings.seam import Reading, Scene
from audit_core.references import (
    PHASE,
    Reference,
    one_per_patient,
    prepared,
    siblings,
    sum_references,
    task_vector,
)
from audit_core.samples import ReportProgress, Sample, Settings
from audit_core.signal_rows import Columns, StepRows, TableRows
from audit_core.signals import GRADIENT_SCALAR, LIKELIHOOD_SCALARS, SignalTable
from audit_core.slices import cosines, leave_one_out, slice_sums
from audit_core.stepwise import Read, read_in_steps
from audit_core.store import Shelf, digest_of_samples

HELD_BYTES = 256 << 20
"""Cosines of a table up to this size are held in memory; above it they are read from the shelf in blocks."""


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
    shelf: Shelf | None = None,
    readings: Sequence[Reading] = (),
) -> tuple[SignalTable, SignalTable | None]:
    """Read every signal off a model (and its base) for every sample.

    Args:
        adapter: the model under audit.
        samples: the pairs to be scored, in the order of the table.
        reference_members: ids among `samples` whose mean gradient is R; may be empty (no cosines then). Only
            the first pair of each patient enters R; cosines of that patient's further pairs are NaN.
        bank: anchor pairs of contrastive losses; ignored by generative models.
        base: the model it was fine-tuned from, if known.
        settings: batch size (0: measured), text length, layers, minimum bank.
        progress: called with phases `references`, `signals`, `base model`.
        gradients: False reads the scalars only (shuffled pairs).
        folds: reference pair id -> fold, fitting controls included; every reference member needs one. With
            them the table gets its `fold_sums`. Not looked at as published: there is one mean.
        shelf: where finished steps are kept and found; it must depend on the digests of model and base. With
            None nothing is kept, and all cosines are held in memory.
        readings: further forward passes to be made, each a phase of its own; their scalars join the tables.

    Returns:
        The model's table, and the base model's table of scalars or None.

    Raises:
        CohortTooSmall: fewer than two references could be used, or the bank is under its minimum.
        ModelRefused: the base model does not have the model's matrices.
        AuditError: nothing could be scored, or not even one pair fits into memory.
    """
    folds = {} if folds is None or settings.as_published else folds
    chosen = one_per_patient(samples, reference_members) if gradients else []
    anchors_of = drawn(bank, settings) if adapter.uses_bank else []
    if shelf is not None:
        shelf = shelf.on(
            **_conditions(adapter, base, settings),
            samples=digest_of_samples(samples),
            bank=digest_of_samples(anchors_of),
            gradients=gradients,
            references=[s.pair_id for s in chosen],
            folds=dict(folds),
        )
    anchors = embedded(adapter, anchors_of, settings, shelf, "bank")
    feed = Feed(adapter, anchors, settings, progress, Pace(max(1, settings.batch_size)))
    if gradients:
        reference = prepared(feed, samples, base)
        _settle_batch(feed, samples, reference, shelf)
        if chosen:
            place = None if shelf is None else shelf.on(phase=PHASE)
            sum_references(feed, chosen, reference, folds, place)
        table = _all_signals(feed, samples, reference, shelf)
    else:
        _settle_batch(feed, samples, None, shelf)
        table = _likelihoods(feed, samples, "signals", shelf)
    known = _known(samples, chosen, folds)
    table = with_readings(table, readings, Scene(feed, *known, base), samples, shelf)
    if base is None:
        return table, None
    other = feed.towards(base, embedded(base, anchors_of, settings, shelf, "bank of the base model"))
    theirs = _likelihoods(other, samples, "base model", shelf)
    of_base = [reading for reading in readings if reading.of_base]
    return table, with_readings(theirs, of_base, Scene(other, *known), samples, shelf, "base model")


def _known(
    samples: Sequence[Sample], members: Sequence[Sample], folds: Mapping[str, int]
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Reference members, and the pairs with a fold that are none: fitting controls."""
    inside = {sample.pair_id for sample in members}
    return tuple(members), tuple(s for s in samples if s.pair_id in folds and s.pair_id not in inside)


# ---- what everything depends on ----------------------------------------------------------------------------


def _conditions(adapter: ModelAdapter, base: ModelAdapter | None, settings: Settings) -> dict[str, object]:
    """What gives other numbers, apart from weights and pairs."""
    models = {"model": adapter} | ({} if base is None else {"base": base})
    return {
        **machine(adapter.device),
        "models": {
            name: {"encoding": one.encoding, "precision": str(one.dtype), "device": one.device.type}
            for name, one in models.items()
        },
        "asked": {
            "layers": settings.layers,
            "max_text_tokens": settings.max_text_tokens,
            "batch_size": settings.batch_size,
            "as_published": settings.as_published,
        },
    }


def _settle_batch(
    feed: Feed, samples: Sequence[Sample], reference: Reference | None, shelf: Shelf | None
) -> None:
    """Measure the batch size where the settings leave it open."""
    if feed.settings.batch_size:
        return
    names = [] if reference is None else [m.name for m in reference.matrices]

    def work(batch: Encoded) -> None:
        if reference is None:
            _without_gradients(feed, batch)
            return
        got = capture(feed.adapter, batch, names, feed.anchors)
        for name in list(got.layers):  # the weights stand in for R, which there is not yet
            slice_sums(got.layers.pop(name), (feed.adapter.weight(name).float(),))

    kept_or_measured(feed, samples, work, shelf)


# ---- pass 2 ------------------------------------------------------------------------------------------------


def _all_signals(
    feed: Feed, samples: Sequence[Sample], reference: Reference, shelf: Shelf | None
) -> SignalTable:
    columns = Columns(
        _scalars(feed, gradients=True),
        reference.matrices,
        reference.slices,
        reference.base is not None,
        _most_tokens(feed),
    )
    streamed = shelf is not None and 4 * len(samples) * columns.slices > HELD_BYTES
    rows = TableRows.empty([s.pair_id for s in samples], columns, streamed=streamed)
    further = siblings(samples, reference.members)
    in_fold = set(reference.folds) - further
    count = Count("signals", len(samples), feed.progress)
    if shelf is not None:
        mean = {"batch": feed.pace.batch, "members": sorted(reference.members)}
        shelf = shelf.on(phase="signals", mean=mean)
    if reference.gram is not None:
        folds = {pair: fold for pair, fold in reference.folds.items() if pair in in_fold}
        rows.expect_folds(folds, reference.members, reference.gram)
        chosen = [s for s in samples if s.pair_id in in_fold]
        read = _reader(feed, reference, further)
        F = reference.gram.shape[0]
        read_in_steps(feed, chosen, rows, read, count, shelf and shelf.on(folds_read=True), F)
    reference.add_up()
    others = [s for s in samples if reference.gram is None or s.pair_id not in in_fold]
    read = _reader(feed, reference, further)
    read_in_steps(feed, others, rows, read, count, shelf and shelf.on(folds_read=False), 0)
    table = rows.table(_facts(feed, reference))
    return replace(table, as_published=reference.as_published)


def _reader(feed: Feed, reference: Reference, further: frozenset[str]) -> Read:
    """What is read off a batch whose pairs all have a fold, or all have none."""
    names = [m.name for m in reference.matrices]

    def read(chunk: Sequence[Sample], into: StepRows) -> None:
        batch = feed.encode(chunk)
        got = capture(feed.adapter, batch, names, feed.anchors)
        where = into.where(batch.pair_ids)
        inside = np.array([pair in reference.members for pair in batch.pair_ids], dtype=np.bool_)
        total = np.zeros(len(where))
        for number, matrix in enumerate(reference.matrices):
            layer = got.layers.pop(matrix.name, None)
            if layer is not None:
                total += _fill_matrix(feed.adapter, into, where, number, layer, reference, inside)
        if into.cosines is not None:
            into.cosines[where[[pair in further for pair in batch.pair_ids]]] = np.nan
        with np.errstate(divide="ignore"):  # captures of a pair that is not finite are zero: log 0 marks it
            norm = {GRADIENT_SCALAR: -0.5 * np.log(total)}
        _put(into, batch, got.outcome, norm)

    return read


def _fill_matrix(
    adapter: ModelAdapter,
    into: StepRows,
    where: NDArray[np.int64],
    number: int,
    layer: LayerCapture,
    reference: Reference,
    inside: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Put one matrix's norms and cosines into the step; returns ‖G‖² per sample.

    Args:
        into: the step; with folds it also gets its dots with every fold's sum.
        where: rows of the batch in the step.
        number: of the matrix.
        layer: its captures.
        reference: fold sums, or their mean once they are added up.
        inside: who of the batch is in the mean.
    """
    matrix = reference.matrices[number]
    name, n, folds = matrix.name, len(reference.members), into.dots.shape[0]
    against = reference.sums.get(name, ())
    task = () if reference.base is None else (task_vector(adapter, reference.base, name),)
    sums = slice_sums(layer, (*against, *task))
    squares = sums.squares_BS.double().numpy()
    dots = [d.double().numpy() for d in sums.dots_BS]
    length: NDArray[np.float64] = squares[:, : matrix.rows].sum(1)
    with np.errstate(divide="ignore"):
        into.norms[where, number] = 0.5 * np.log(length)
    if against and into.cosines is not None:
        span = slice(matrix.offset, matrix.offset + matrix.rows + matrix.cols)
        d, r = dots[0], reference.squares[name]
        if folds:
            d = np.sum(dots[:folds], axis=0) / n
            into.squares[where, span] = squares
            for fold in range(folds):
                into.dots[fold, where, span] = dots[fold]
        if reference.as_published:
            into.cosines[where, span] = inclusive_cosines(d, squares, r)
        else:
            into.cosines[where[~inside], span] = cosines(d[~inside], squares[~inside], r)
            into.cosines[where[inside], span] = leave_one_out(d[inside], squares[inside], r, n)
    if task:
        along = cosines(-dots[-1], squares, reference.task_squares[name])
        counted = np.maximum(1, np.isfinite(along).sum(1))
        # A matrix that did not move from the base says nothing: 0, not NaN.
        into.task_cosines[where, number] = np.nansum(along, axis=1) / counted
        into.task_slopes[where, number] = -dots[-1][:, : matrix.rows].sum(1)
    return length


def _likelihoods(feed: Feed, samples: Sequence[Sample], phase: str, shelf: Shelf | None) -> SignalTable:
    def read(chunk: Sequence[Sample], into: StepRows) -> None:
        batch = feed.encode(chunk)
        _put(into, batch, _without_gradients(feed, batch), {})

    columns = Columns(_scalars(feed, gradients=False), tokens=_most_tokens(feed))
    rows = TableRows.empty([s.pair_id for s in samples], columns, streamed=False)
    count = Count(phase, len(samples), feed.progress)
    read_in_steps(feed, samples, rows, read, count, None if shelf is None else shelf.on(phase=phase), 0)
    return rows.table(_facts(feed, None))


def _without_gradients(feed: Feed, batch: Encoded) -> Outcome:
    with torch.no_grad():
        return feed.adapter.forward(batch, feed.anchors)


def _most_tokens(feed: Feed) -> int:
    return feed.settings.max_text_tokens + 1 if feed.adapter.predicts_tokens else 0


def _scalars(feed: Feed, *, gradients: bool) -> tuple[str, ...]:
    names = [*LIKELIHOOD_SCALARS, *(["cosine"] if feed.adapter.uses_bank else [])]
    return (*names, *([GRADIENT_SCALAR] if gradients else []))


def _put(into: StepRows, batch: Encoded, outcome: Outcome, more: Mapping[str, NDArray[np.float64]]) -> None:
    """Scalars and tokens of a batch; `more` are scalars that the forward pass does not give."""
    plain = {name: values.double().cpu().numpy() for name, values in outcome.scalars.items()}
    into.put(batch.pair_ids, {**plain, **more})
    if outcome.tokens_PC is not None:
        blocks = torch.split_with_sizes(outcome.tokens_PC.float().cpu(), list(outcome.supervised))
        into.put_tokens(batch.pair_ids, [block.numpy() for block in blocks])
    into.supervised += sum(outcome.supervised)


def _facts(feed: Feed, reference: Reference | None) -> dict[str, str]:
    facts = {**feed.adapter.facts, "batch_size": str(feed.pace.batch)}
    if reference is not None:
        facts["audited_matrices"] = str(len(reference.matrices))
        facts["reference_members"] = str(len(reference.members))
    if feed.anchors is not None:
        digest = hashlib.sha256("\n".join(sorted(feed.anchors.pair_ids)).encode()).hexdigest()
        facts |= {"bank_size": str(len(feed.anchors.pair_ids)), "bank_digest": digest}
    return facts
