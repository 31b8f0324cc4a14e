"""One reading of a model, many audits of it: signals of every pair, gradients kept, roles dealt anew.

An audit reads a model with the references of its own cohort, because slice cosines are taken with their mean.
Here the gradient of every pair is kept instead, so that the mean, the fold sums and the cosines of any other
deal follow by the formulas of the engine without another look at the model. `difference` shows that they do.

Letters: N pairs, n of them asked, F folds, K slices, O outputs and I inputs of one matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit_core.adapters.base import ModelAdapter
from audit_core.blind import pair_facts
from audit_core.collect import collect_signals
from audit_core.detectors.seam import Signals
from audit_core.fold_sums import FoldSums
from audit_core.gradients import capture
from audit_core.readings.seam import suited
from audit_core.results import Progress
from audit_core.samples import PairFacts, Sample, Settings
from audit_core.scoring import readings_asked_for
from audit_core.signals import SignalTable
from audit_core.slices import cosines, cross_slices, leave_one_out

BATCH = 32


def silent(event: Progress) -> None:
    """Progress of a reading that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything about one model and N pairs that does not depend on who plays which role.

    Attributes:
        table: signals without cosines.
        base: the base model's scalars, or None.
        facts: data-only facts; their roles mean nothing here.
        rows: matrix -> gradients float32 [O, N, I]; empty where only detectors without members decide.
        squares: float64 [N, K], squared norms of all slices.
    """

    table: SignalTable
    base: SignalTable | None
    facts: tuple[PairFacts, ...]
    rows: Mapping[str, Tensor]
    squares: NDArray[np.float64]

    def where(self, pairs: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of these pairs."""
        place = {pair: row for row, pair in enumerate(self.table.pair_ids)}
        return np.array([place[pair] for pair in pairs], dtype=np.int64)


def read_model(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    settings: Settings,
    *,
    base: ModelAdapter | None = None,
    bank: Sequence[Sample] = (),
    gradients: bool = True,
    facts: Sequence[PairFacts] = (),
) -> Reading:
    """Read every signal of every pair once, and keep each pair's gradient of every audited matrix.

    Args:
        adapter: the audited model.
        samples: all pairs that any audit may ask about, one per patient.
        settings: text length, layers.
        base: the model it was fine-tuned from.
        bank: anchors of a contrastive model.
        gradients: False where no deal will have members.
        facts: of the samples, where they were computed before.

    Raises:
        SystemExit: a pair could not be scored; a failure is never a number.
    """
    table, base_table = signals_of(adapter, samples, settings, base=base, bank=bank)
    kept = _gradients(adapter, samples, table, settings, bank) if gradients else {}
    squares = [_squares(rows) for rows in kept.values()]
    return Reading(
        table,
        base_table,
        tuple(facts) or tuple(pair_facts(sample) for sample in samples),
        kept,
        np.concatenate(squares, axis=1) if squares else np.empty((len(samples), 0)),
    )


def signals_of(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    settings: Settings,
    *,
    base: ModelAdapter | None,
    bank: Sequence[Sample] = (),
    members: Sequence[str] = (),
    folds: Mapping[str, int] | None = None,
) -> tuple[SignalTable, SignalTable | None]:
    """The engine's tables, with the readings that an officer's audit makes.

    Raises:
        SystemExit: a pair could not be scored; a failure is never a number.
    """
    tables = collect_signals(
        adapter,
        samples,
        members,
        bank=bank,
        base=base,
        settings=settings,
        progress=silent,
        folds=folds,
        readings=suited(readings_asked_for(settings), adapter.family),
    )
    for table in tables:
        if table is not None and table.unscored:
            raise SystemExit(f"{len(table.unscored)} pairs could not be scored")
    return tables


def without_base(
    reading: Reading, adapter: ModelAdapter, samples: Sequence[Sample], settings: Settings
) -> Reading:
    """What somebody without the base model reads; the gradients are the same."""
    table, _ = signals_of(adapter, samples, settings, base=None)
    return replace(reading, table=table, base=None)


def _gradients(
    adapter: ModelAdapter,
    samples: Sequence[Sample],
    table: SignalTable,
    settings: Settings,
    bank: Sequence[Sample],
) -> dict[str, Tensor]:
    """Matrix -> [O, N, I]. Pairs go in the order of their length, as the engine reads them."""
    from audit_core.bank import drawn, embedded

    names = [matrix.name for matrix in table.matrices]
    kept = {m.name: torch.zeros(m.rows, len(samples), m.cols) for m in table.matrices}
    anchors_of = drawn(bank, settings) if adapter.uses_bank else []
    anchors = embedded(adapter, anchors_of, settings, None, "bank")
    order = sorted(range(len(samples)), key=lambda i: (len(samples[i].text), samples[i].pair_id))
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        batch = adapter.encode([samples[i] for i in chosen], settings.max_text_tokens)
        got = capture(adapter, batch, names, anchors)
        for name, layer in got.layers.items():
            made_BOI = torch.einsum("bto,bti->boi", layer.grads_BTO, layer.acts_BTI)
            kept[name][:, chosen] = made_BOI.transpose(0, 1)
    return kept


def _squares(gradients_ONI: Tensor) -> NDArray[np.float64]:
    """[N, O + I] squared norms of rows, then of columns."""
    squared = gradients_ONI**2
    return torch.cat([squared.sum(2).T, squared.sum(0)], dim=1).double().numpy()


def dealt(
    reading: Reading, pairs: Sequence[str], members: Sequence[str], folds: Mapping[str, int]
) -> tuple[SignalTable, SignalTable | None]:
    """The tables that `collect_signals` would give for these pairs with these reference members.

    Args:
        reading: with gradients where there are members.
        pairs: [n] asked for, in the order of the table.
        members: reference members among them; empty gives a table without cosines.
        folds: reference pair -> fold, fitting controls included.
    """
    rows = reading.where(pairs)
    asked = Signals(reading.table, reading.base).take(rows)
    table, base = asked.table, asked.base
    if not members:
        return table, base
    place = {pair: row for row, pair in enumerate(pairs)}
    known = np.array(sorted(place[pair] for pair in folds), dtype=np.int64)
    inside = np.isin(np.arange(len(pairs)), [place[pair] for pair in members])
    dots, total, gram = _against_folds(reading, rows, known, members, folds)
    squares, n = reading.squares[rows], len(members)
    mean, length = total / n, np.maximum(gram.sum((0, 1)), 0.0) / (n * n)
    values = np.empty(squares.shape, np.float32)
    values[~inside] = cosines(mean[~inside], squares[~inside], length)
    values[inside] = leave_one_out(mean[inside], squares[inside], length, n)
    sums = FoldSums(
        rows=known,
        folds=np.array([folds[pairs[row]] for row in known], dtype=np.int64),
        summed=inside[known],
        dots=dots.astype(np.float32),
        squares=squares[known].astype(np.float32),
        gram=gram,
    )
    return replace(table, cosines=values, fold_sums=sums), base


def _against_folds(
    reading: Reading,
    rows: NDArray[np.int64],
    known: NDArray[np.int64],
    members: Sequence[str],
    folds: Mapping[str, int],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """What the engine sums up while it reads.

    Returns:
        Dots [F, r, K] of the r reference pairs with every fold's sum, dots [n, K] of all pairs with the sum
        of all folds, and dots [F, F, K] of the sums with each other.
    """
    own = [
        torch.from_numpy(reading.where([pair for pair in members if folds[pair] == fold]))
        for fold in range(max(folds.values()) + 1)
    ]
    others = np.setdiff1d(np.arange(len(rows)), known)
    dots, totals, grams = [], [], []
    for gradients_ONI in reading.rows.values():
        sums_FOI = torch.stack([gradients_ONI[:, where].sum(1) for where in own])
        grams.append(cross_slices(tuple(sums_FOI)))
        dots.append(_dots(gradients_ONI[:, torch.from_numpy(rows[known])], sums_FOI))
        total = np.empty((len(rows), dots[-1].shape[2]))
        total[known] = dots[-1].sum(0)
        rest = gradients_ONI[:, torch.from_numpy(rows[others])]
        total[others] = _dots(rest, sums_FOI.sum(0, keepdim=True))[0]
        totals.append(total)
    return np.concatenate(dots, axis=2), np.concatenate(totals, axis=1), np.concatenate(grams, axis=2)


def _dots(gradients_ONI: Tensor, sums_FOI: Tensor) -> NDArray[np.float64]:
    """[F, N, O + I] dots of rows, then of columns."""
    by_row_FNO = torch.bmm(gradients_ONI, sums_FOI.permute(1, 2, 0)).permute(2, 1, 0)
    by_col_FNI = torch.stack([(gradients_ONI * total[:, None]).sum(0) for total in sums_FOI])
    return torch.cat([by_row_FNO, by_col_FNI], dim=2).double().numpy()


def difference(ours: SignalTable, engine: SignalTable) -> float:
    """Largest difference between two tables of the same pairs, over scalars, cosines and fold sums.

    Fold sums are compared as shares of their largest number, everything else as it is. A slice that only one
    of the two drops counts as a difference of 1.
    """
    mine, theirs = np.asarray(ours.cosines), np.asarray(engine.cosines)
    dropped = np.isnan(mine) != np.isnan(theirs)
    apart = [float(np.abs(values - engine.scalars[name]).max()) for name, values in ours.scalars.items()]
    apart += [float(np.nanmax(np.abs(mine - theirs))), float(dropped.any())]
    if ours.fold_sums is None or engine.fold_sums is None:
        raise SystemExit("a table has no fold sums")
    for name in ("dots", "gram", "squares"):
        one, other = getattr(ours.fold_sums, name), getattr(engine.fold_sums, name)
        apart.append(float(np.abs(one - other).max() / np.abs(other).max()))
    return max(apart)
