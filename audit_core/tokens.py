"""What a generative model says at every report token, pair after pair.

Letters: N pairs, P tokens of all pairs, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOKEN_COLUMNS = ("logp", "mean", "spread", "best")
"""log p of the token; mean and standard deviation of log p (METHOD §4, Min-K%++); the largest log p."""


@dataclass(frozen=True, slots=True)
class TokenSignals:
    """Ragged rows: tokens starts[i] … starts[i+1]−1 belong to pair i; none to a pair without a score.

    Attributes:
        starts: [N+1].
        values: float32 [P, C], columns as in `TOKEN_COLUMNS`.
    """

    starts: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, pairs: list[NDArray[np.float32]]) -> TokenSignals:
        """From one [T, C] block per pair."""
        lengths = [len(block) for block in pairs]
        empty = np.empty((0, len(TOKEN_COLUMNS)), np.float32)
        return cls(
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), np.concatenate([empty, *pairs])
        )

    def column(self, name: str) -> NDArray[np.float64]:
        """[P] one number per token."""
        return self.values[:, TOKEN_COLUMNS.index(name)].astype(np.float64)

    def pair(self, row: int) -> NDArray[np.float32]:
        """[T, C] of one pair."""
        return self.values[self.starts[row] : self.starts[row + 1]]

    def take(self, rows: NDArray[np.int64]) -> TokenSignals:
        """The same for these pairs only, in this order."""
        return TokenSignals.of([self.pair(int(row)) for row in rows])

    def then(self, others: TokenSignals) -> TokenSignals:
        """These pairs, followed by others."""
        starts = np.concatenate([self.starts, self.starts[-1] + others.starts[1:]])
        return TokenSignals(starts, np.concatenate([self.values, others.values]))

    def owners(self) -> NDArray[np.int64]:
        """[P] row of the pair each token belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
