"""Edges of bins at round numbers: none of them is anybody's score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

FINE = (1, 5)
COARSE = (1, 2, 5)
"""First digits of a step. Each coarse step that is wider than a fine one is a multiple of it."""


def round_edges(low: float, high: float, most: int, digits: Sequence[int]) -> tuple[float, ...]:
    """Ascending multiples of the least step of these digits that covers both in at most `most` bins.

    None where a number or the span is beyond what floats can be divided into.
    """
    span = max(high - low, 1e-6 * max(abs(low), abs(high))) or 1.0
    if not 1e-200 < span < 1e200:
        return ()
    power = math.floor(math.log10(span / most))
    steps = [Decimal(digit).scaleb(power + up) for up in range(3) for digit in digits]
    for step in steps:
        first = math.floor(low / float(step))
        first -= float(first * step) > low
        last = math.ceil(high / float(step))
        last += float(last * step) < high
        if last - first <= most:
            break
    return tuple(float(number * step) for number in range(first, max(last, first + 1) + 1))
