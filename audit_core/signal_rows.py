"""A signal table while it is being filled, batch by batch, in any order.

Letters: N pairs, M audited matrices, K slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import AuditError
from audit_core.fold_sums import FoldSums
from audit_core.samples import Sample
from audit_core.signals import GRADIENT_SCALAR, LIKELIHOOD_SCALARS, Matrix, SignalTable

NOT_FINITE = "the loss or its gradient is not a finite number"


@dataclass(slots=True)
class SignalRows:
    """Rows of N pairs, NaN until filled; shapes as in `SignalTable`. `summed` [N] marks who is in R."""

    index: Mapping[str, int]
    matrices: tuple[Matrix, ...]
    scalars: dict[str, NDArray[np.float64]]
    norms: NDArray[np.float32]
    cosines: NDArray[np.float32]
    task_cosines: NDArray[np.float32]
    summed: NDArray[np.bool_]
    fold_sums: FoldSums | None = None
    unscored: dict[str, str] = field(default_factory=dict)
    supervised: int = 0

    @classmethod
    def empty(
        cls,
        samples: Sequence[Sample],
        matrices: tuple[Matrix, ...] = (),
        members: frozenset[str] = frozenset(),
        *,
        contrastive: bool,
        task: bool = False,
    ) -> Self:
        """Rows for these samples; with matrices also their norms, with members of R their cosines.

        Raises:
            AuditError: two samples share a pair id.
        """
        index = {s.pair_id: row for row, s in enumerate(samples)}
        if len(index) != len(samples):
            raise AuditError("two samples have the same pair id")
        names = [*LIKELIHOOD_SCALARS, *(["cosine"] if contrastive else [])]
        names += [GRADIENT_SCALAR] if matrices else []
        N, M = len(samples), len(matrices)
        K = sum(m.rows + m.cols for m in matrices) if members else 0
        return cls(
            index=index,
            matrices=matrices,
            scalars={name: np.full(N, np.nan) for name in names},
            norms=np.full((N, M), np.nan, np.float32),
            cosines=np.full((N, K), np.nan, np.float32),
            task_cosines=np.full((N, M if task else 0), np.nan, np.float32),
            summed=np.array([pair in members for pair in index], dtype=np.bool_),
        )

    def where(self, pair_ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of these pairs."""
        return np.array([self.index[p] for p in pair_ids], dtype=np.int64)

    def expect_folds(self, folds: Mapping[str, int], gram: NDArray[np.float64]) -> None:
        """Make room for the fold sums of these pairs; `gram` [F, F, K] is already known."""
        known = sorted((self.index[pair], fold) for pair, fold in folds.items() if pair in self.index)
        rows = np.array([row for row, _ in known], dtype=np.int64)
        F, _, K = gram.shape
        self.fold_sums = FoldSums(
            rows=rows,
            folds=np.array([fold for _, fold in known], dtype=np.int64),
            summed=self.summed[rows],
            dots=np.full((F, rows.size, K), np.nan, np.float32),
            squares=np.full((rows.size, K), np.nan, np.float32),
            gram=gram,
        )

    def in_fold(self, where: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these rows have a fold."""
        return np.isin(where, [] if self.fold_sums is None else self.fold_sums.rows)

    def put_folds(
        self,
        where: NDArray[np.int64],
        part: slice,
        dots: Sequence[NDArray[np.float64]],
        squares: NDArray[np.float64],
    ) -> None:
        """Fill some slices of pairs that have a fold: dots with every fold's sum, and own squares."""
        if self.fold_sums is not None:
            place = np.searchsorted(self.fold_sums.rows, where)
            self.fold_sums.squares[place, part] = squares
            for fold, values in enumerate(dots):
                self.fold_sums.dots[fold, place, part] = values

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

    def table(self, facts: Mapping[str, str]) -> SignalTable:
        """Close the table; every number of an unscored pair becomes NaN.

        Raises:
            AuditError: not one pair was scored.
        """
        if len(self.unscored) == len(self.index):
            first = next(iter(self.unscored.values()), "there are no pairs")
            raise AuditError(
                f"no pair could be scored: {first}", "check that the model folder is complete and undamaged"
            )
        out = self.where(tuple(self.unscored))
        for values in self.scalars.values():
            values[out] = np.nan
        for block in (self.norms, self.cosines, self.task_cosines):
            block[out] = np.nan
        if self.fold_sums is not None:
            self.fold_sums.squares[np.isin(self.fold_sums.rows, out)] = np.nan
        return SignalTable(
            pair_ids=tuple(self.index),
            scalars=self.scalars,
            norms=self.norms,
            cosines=self.cosines,
            task_cosines=self.task_cosines,
            matrices=self.matrices,
            unscored={p: self.unscored[p] for p in sorted(self.unscored)},
            facts={**facts, "supervised_tokens": str(self.supervised)},
            fold_sums=self.fold_sums,
        )
