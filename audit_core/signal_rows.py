"""Signals while they come in: the rows of one step, and the table that steps are put together to.

A step is all that is computed between two moments of safety. Its rows depend on nothing but the step's own
key, so rows that were kept and rows that were computed are the same bits.

Letters: N pairs, n pairs of a step, M audited matrices, K slices, F folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audit_core.batches import TOO_LARGE
from audit_core.cosines import Block, Cosines, Floats32, StreamedCosines, held
from audit_core.errors import AuditError, NotEnoughMemory
from audit_core.fold_sums import FoldSums
from audit_core.signals import Matrix, SignalTable
from audit_core.store import Shelf, packed, unpacked
from audit_core.tokens import TOKEN_COLUMNS, TokenSignals

NOT_FINITE = "the loss or its gradient is not a finite number"
_ROWS, _COSINES = "rows", "cosines"
_NO_TOKENS: Floats32 = np.empty((0, len(TOKEN_COLUMNS)), np.float32)


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read off every pair.

    Attributes:
        scalars: names of scalar signals.
        matrices: audited matrices; empty where gradients are not read.
        slices: K; 0 without references.
        task: whether there is a task vector.
        tokens: most report tokens a pair can have; 0 where none are predicted.
    """

    scalars: tuple[str, ...]
    matrices: tuple[Matrix, ...] = ()
    slices: int = 0
    task: bool = False
    tokens: int = 0

    def row_bytes(self, folds: int) -> int:
        """Bytes of one pair's signals; `folds` sums are compared with it, 0 for pairs without a fold."""
        floats = self.slices * (1 + (folds + 1 if folds else 0)) + 3 * len(self.matrices)
        return 4 * (floats + self.tokens * len(TOKEN_COLUMNS)) + 8 * len(self.scalars)


@dataclass(slots=True)
class StepRows:
    """Signals of one step's pairs, NaN until filled.

    Attributes:
        scalars: name -> float64 [n].
        norms: float32 [n, M].
        cosines: float32 [n, K]; None where they were kept and not read back.
        task_cosines: float32 [n, M], or [n, 0].
        task_slopes: the same shape.
        dots: float32 [F, n, K], with every fold's sum; F = 0 for pairs without a fold.
        squares: float32 [n, K], or [n, 0] without folds.
        unscored: pair id -> reason.
        supervised: loss terms of all pairs.
        batch: pairs computed at once.
        tokens: float32 [T, C] of every pair, T = 0 where there are none; None where tokens are not read.
    """

    pair_ids: tuple[str, ...]
    scalars: dict[str, NDArray[np.float64]]
    norms: Floats32
    cosines: Floats32 | None
    task_cosines: Floats32
    task_slopes: Floats32
    dots: Floats32
    squares: Floats32
    batch: int
    unscored: dict[str, str] = field(default_factory=dict)
    supervised: int = 0
    tokens: list[Floats32] | None = None

    @classmethod
    def empty(cls, pair_ids: tuple[str, ...], columns: Columns, folds: int, batch: int) -> Self:
        """Rows to be filled; `folds` is F, 0 for pairs without a fold."""
        n, M, K = len(pair_ids), len(columns.matrices), columns.slices
        return cls(
            pair_ids=pair_ids,
            scalars={name: np.full(n, np.nan) for name in columns.scalars},
            norms=np.full((n, M), np.nan, np.float32),
            cosines=np.full((n, K), np.nan, np.float32),
            task_cosines=np.full((n, M if columns.task else 0), np.nan, np.float32),
            task_slopes=np.full((n, M if columns.task else 0), np.nan, np.float32),
            dots=np.full((folds, n, K), np.nan, np.float32),
            squares=np.full((n, K if folds else 0), np.nan, np.float32),
            batch=batch,
            tokens=[_NO_TOKENS] * n if columns.tokens else None,
        )

    def where(self, pair_ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of these pairs in the step."""
        place = {pair: row for row, pair in enumerate(self.pair_ids)}
        return np.array([place[pair] for pair in pair_ids], dtype=np.int64)

    def put(self, pair_ids: Sequence[str], scalars: Mapping[str, NDArray[np.float64]]) -> None:
        """Fill scalars of some pairs; a pair with one that is not finite is unscored."""
        where = self.where(pair_ids)
        fine = np.ones(len(where), dtype=bool)
        for name, values in scalars.items():
            self.scalars[name][where] = values
            fine &= np.isfinite(values)
        for pair_id, good in zip(pair_ids, fine.tolist(), strict=True):
            if not good:
                self.unscored[pair_id] = NOT_FINITE

    def put_tokens(self, pair_ids: Sequence[str], blocks: Sequence[Floats32]) -> None:
        """Fill the tokens of some pairs, [T, C] each."""
        if self.tokens is not None:
            for row, block in zip(self.where(pair_ids).tolist(), blocks, strict=True):
                self.tokens[row] = block

    def close(self, failed: Mapping[str, str]) -> None:
        """Every number of an unscored pair becomes NaN; `failed` gives further ones with their reasons."""
        self.unscored |= failed
        out = self.where(tuple(self.unscored))
        for values in self.scalars.values():
            values[out] = np.nan
        for block in (self.norms, self.cosines, self.task_cosines, self.task_slopes, self.squares):
            if block is not None:
                block[out] = np.nan
        self.put_tokens(tuple(self.unscored), [_NO_TOKENS] * len(self.unscored))

    def keep(self, shelf: Shelf) -> None:
        """Put the step where a later process finds it; it counts as done once its last part is there."""
        if self.cosines is not None and self.cosines.size:
            shelf.on(part=_COSINES).put(packed({}, {"cosines": self.cosines}))
        facts = {
            "pair_ids": self.pair_ids,
            "unscored": self.unscored,
            "supervised": self.supervised,
            "batch": self.batch,
            "slices": self.dots.shape[2],
        }
        arrays: dict[str, NDArray[Any]] = {f"scalar {name}": values for name, values in self.scalars.items()}
        arrays |= {"norms": self.norms, "task": self.task_cosines, "slopes": self.task_slopes}
        arrays |= {"dots": self.dots, "squares": self.squares}
        if self.tokens is not None:
            ragged = TokenSignals.of(self.tokens)
            arrays |= {"token starts": ragged.starts, "tokens": ragged.values}
        shelf.on(part=_ROWS).put(packed(facts, arrays))

    @classmethod
    def found(cls, shelf: Shelf, *, cosines: bool) -> Self | None:
        """A step that was kept, or None; its cosines stay in the store unless asked for."""
        blob = shelf.on(part=_ROWS).get()
        if blob is None:
            return None
        facts, arrays = unpacked(blob)
        prefix, n, K = "scalar ", len(facts["pair_ids"]), int(facts["slices"])
        kept = np.empty((n, 0), np.float32) if K == 0 else None
        return cls(
            pair_ids=tuple(facts["pair_ids"]),
            scalars={name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)},
            norms=arrays["norms"],
            cosines=read_cosines(shelf, n) if cosines and K else kept,
            task_cosines=arrays["task"],
            task_slopes=arrays["slopes"],
            dots=arrays["dots"],
            squares=arrays["squares"],
            batch=int(facts["batch"]),
            unscored=dict(facts["unscored"]),
            supervised=int(facts["supervised"]),
            tokens=_read_tokens(arrays),
        )


def _read_tokens(arrays: Mapping[str, NDArray[Any]]) -> list[Floats32] | None:
    if "tokens" not in arrays:
        return None
    ragged = TokenSignals(arrays["token starts"], arrays["tokens"])
    return [ragged.pair(row) for row in range(len(ragged.starts) - 1)]


def read_cosines(shelf: Shelf, rows: int) -> Floats32:
    """Cosines of a kept step, [n, K].

    Raises:
        AuditError: they are gone although the step was finished.
    """
    blob = shelf.on(part=_COSINES).get()
    if blob is None:
        raise AuditError("signals of a finished step are gone", "run the audit anew")
    cosines: Floats32 = unpacked(blob)[1]["cosines"]
    if cosines.shape[0] != rows:
        raise AuditError("signals of a finished step have the wrong size", "run the audit anew")
    return cosines


@dataclass(slots=True)
class TableRows:
    """Steps put together to a table of N pairs; shapes as in `SignalTable`.

    Attributes:
        streamed: cosines of pairs without a fold stay in the store.
        parts: where the cosines of each step are, while `streamed`.
    """

    index: Mapping[str, int]
    columns: Columns
    streamed: bool
    scalars: dict[str, NDArray[np.float64]]
    norms: Floats32
    task_cosines: Floats32
    task_slopes: Floats32
    cosines: Floats32
    parts: list[Block] = field(default_factory=list)
    fold_sums: FoldSums | None = None
    unscored: dict[str, str] = field(default_factory=dict)
    supervised: int = 0
    tokens: list[Floats32] | None = None

    @classmethod
    def empty(cls, pair_ids: Sequence[str], columns: Columns, *, streamed: bool) -> Self:
        """Room for these pairs.

        Raises:
            AuditError: two samples share a pair id.
        """
        index = {pair: row for row, pair in enumerate(pair_ids)}
        if len(index) != len(pair_ids):
            raise AuditError("two samples have the same pair id")
        N, M, K = len(index), len(columns.matrices), columns.slices
        return cls(
            index=index,
            columns=columns,
            streamed=streamed,
            scalars={name: np.full(N, np.nan) for name in columns.scalars},
            norms=np.full((N, M), np.nan, np.float32),
            task_cosines=np.full((N, M if columns.task else 0), np.nan, np.float32),
            task_slopes=np.full((N, M if columns.task else 0), np.nan, np.float32),
            cosines=np.full((0 if streamed else N, K), np.nan, np.float32),
            tokens=[_NO_TOKENS] * N if columns.tokens else None,
        )

    def expect_folds(
        self, folds: Mapping[str, int], members: frozenset[str], gram: NDArray[np.float64]
    ) -> None:
        """Make room for the fold sums of these pairs; `gram` [F, F, K] is already known."""
        known = sorted((self.index[pair], pair) for pair in folds if pair in self.index)
        F, _, K = gram.shape
        self.fold_sums = FoldSums(
            rows=np.array([row for row, _ in known], dtype=np.int64),
            folds=np.array([folds[pair] for _, pair in known], dtype=np.int64),
            summed=np.array([pair in members for _, pair in known], dtype=np.bool_),
            dots=np.full((F, len(known), K), np.nan, np.float32),
            squares=np.full((len(known), K), np.nan, np.float32),
            gram=gram,
        )

    def add(self, step: StepRows, shelf: Shelf | None) -> None:
        """Put a finished step in its place.

        Args:
            step: its rows.
            shelf: where it is kept; needed where cosines are streamed.
        """
        where = np.array([self.index[pair] for pair in step.pair_ids], dtype=np.int64)
        for name, values in step.scalars.items():
            self.scalars[name][where] = values
        self.norms[where], self.task_cosines[where] = step.norms, step.task_cosines
        self.task_slopes[where] = step.task_slopes
        if self.fold_sums is not None and step.dots.shape[0]:
            place = np.searchsorted(self.fold_sums.rows, where)
            self.fold_sums.dots[:, place], self.fold_sums.squares[place] = step.dots, step.squares
        if self.tokens is not None and step.tokens is not None:
            for row, block in zip(where.tolist(), step.tokens, strict=True):
                self.tokens[row] = block
        self._add_cosines(step, where, shelf)
        self.unscored |= step.unscored
        self.supervised += step.supervised

    def _add_cosines(self, step: StepRows, where: NDArray[np.int64], shelf: Shelf | None) -> None:
        if not self.streamed:
            assert step.cosines is not None
            self.cosines[where] = step.cosines
        elif step.cosines is not None and (step.dots.shape[0] or shelf is None):
            self.parts.append(held(where, step.cosines))  # references are asked for again and again
        elif shelf is not None:
            load = partial(read_cosines, shelf, len(where))
            self.parts.append(Block(where, np.arange(len(where)), load))

    def table(self, facts: Mapping[str, str]) -> SignalTable:
        """Close the table.

        Raises:
            AuditError: not one pair was scored; NotEnoughMemory where that is why.
        """
        if len(self.unscored) == len(self.index):
            first = next(iter(self.unscored.values()), "there are no pairs")
            if first == TOO_LARGE:
                raise NotEnoughMemory(f"no pair could be scored: {first}")
            raise AuditError(
                f"no pair could be scored: {first}", "check that the model folder is complete and undamaged"
            )
        shape = (len(self.index), self.columns.slices)
        cosines: Cosines = StreamedCosines(tuple(self.parts), shape) if self.streamed else self.cosines
        return SignalTable(
            pair_ids=tuple(self.index),
            scalars=self.scalars,
            norms=self.norms,
            cosines=cosines,
            task_cosines=self.task_cosines,
            matrices=self.columns.matrices,
            unscored={p: self.unscored[p] for p in sorted(self.unscored)},
            facts={**facts, "supervised_tokens": str(self.supervised)},
            fold_sums=self.fold_sums,
            tokens=None if self.tokens is None else TokenSignals.of(self.tokens),
            task_slopes=self.task_slopes if self.columns.matrices else None,
        )
