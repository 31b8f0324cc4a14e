"""Slice cosines of reference pairs with the mean of any folds' members.

A score is honest only where neither the pair nor the held-out fold helped to make what it is compared with.
For the model of fold f that is the mean gradient of the members outside fold f, less the pair itself. With
one gradient sum S_f per fold, three kinds of scalars give every such cosine exactly; gradients are not kept.

Letters: n reference pairs, F folds, K slices, k some of them, S sets of folds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

CARRIED_BY_ONE = 3e-3
"""A slice whose squared sum without a pair is this small a share of the whole is carried by that pair.
What is left is a difference of float32 sums: under this share its cosine could be off by more than 1e-4."""


@dataclass(frozen=True, slots=True)
class FoldSums:
    """Scalars of the reference pairs, members and fitting controls alike.

    Attributes:
        rows: [n] row of each pair in its signal table.
        folds: [n] fold of each pair.
        summed: [n] whether the pair's own gradient is in its fold's sum: members only.
        dots: float32 [F, n, K], ⟨G, S_f⟩.
        squares: float32 [n, K], ‖G‖².
        gram: float64 [F, F, K], ⟨S_f, S_g⟩.
    """

    rows: NDArray[np.int64]
    folds: NDArray[np.int64]
    summed: NDArray[np.bool_]
    dots: NDArray[np.float32]
    squares: NDArray[np.float32]
    gram: NDArray[np.float64]

    def cosines(self, inside: NDArray[np.bool_], part: slice) -> Iterator[NDArray[np.float32]]:
        """For each row of `inside`: [n, k] cosines with those folds' mean, less the pair itself.

        METHOD §2's identity with n·d = ⟨G, S⟩ and n²·r = ‖S‖², S the sum over those folds: for a pair in it
        ‖S − G‖² = ‖S‖² − 2⟨G, S − G⟩ − ‖G‖². In float64: the terms cancel. NaN where nothing, or one pair
        alone, carries the slice.

        Args:
            inside: [S, F] folds whose members make the mean.
            part: which slices.
        """
        dots = self.dots[:, :, part].astype(np.float64)
        squares = self.squares[:, part].astype(np.float64)
        own = np.flatnonzero(self.summed)
        dots[self.folds[own], own] -= squares[own]  # a pair is never compared with itself
        total = dots.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            unit = np.where(squares > 0, 1.0 / np.sqrt(squares), np.nan)
            for folds in inside:
                whole = self.gram[folds][:, folds, part].sum(axis=(0, 1))
                value = total - dots[~folds].sum(axis=0)
                length = np.broadcast_to(np.sqrt(whole), value.shape).copy()
                left = own[folds[self.folds[own]]]
                rest = whole - squares[left] - 2.0 * value[left]
                length[left] = np.sqrt(np.where(rest > CARRIED_BY_ONE * whole, rest, np.nan))
                value *= unit
                value /= length
                value[:, ~(whole > 0)] = np.nan
                yield value.astype(np.float32)

    def take(self, rows: NDArray[np.int64]) -> FoldSums:
        """The same sums for a table of these rows only, in this order; other pairs are dropped."""
        place = {int(row): new for new, row in enumerate(rows)}
        kept = np.array([int(row) in place for row in self.rows], dtype=np.bool_)
        moved = np.array([place[int(row)] for row in self.rows[kept]], dtype=np.int64)
        if kept.all():
            return replace(self, rows=moved)
        return replace(
            self,
            rows=moved,
            folds=self.folds[kept],
            summed=self.summed[kept],
            dots=self.dots[:, kept],
            squares=self.squares[kept],
        )
