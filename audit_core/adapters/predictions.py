"""Everything a model predicts at some positions, given out in pieces: a vocabulary times a report is large.

Letters: P positions, D width of what the head reads, V outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

ROWS = 32
"""Predictions worked on at once: of 150,000 tokens that is 20 MB a copy."""

REPORT, IMAGE = "report", "image"
"""Positions that predict a token of the report, and positions that hold the image."""

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions of one pair.

    Attributes:
        states_PD: what the head turns into predictions, or the logits themselves.
        truth_P: the outcome that was there, int64; −1 where nothing had to be said.
        log_probabilities: states [p, D] -> log-probabilities [p, V], float32, of any p positions.
    """

    states_PD: Tensor
    truth_P: Tensor
    log_probabilities: Callable[[Tensor], Tensor]

    def pieces(self, rows: int = ROWS) -> Iterator[tuple[Tensor, Tensor]]:
        """(log-probabilities [p, V], truth [p]) of at most so many positions at a time, in order."""
        for start in range(0, len(self.truth_P), rows):
            part = slice(start, start + rows)
            yield self.log_probabilities(self.states_PD[part]), self.truth_P[part]
