"""Where a number stands in a picture, and which numbers have no place in one."""

from __future__ import annotations

import math


class NotDrawable(ValueError):
    """A value that no picture may show; the message says which, for a person."""


def finite(*values: float) -> None:
    """Every value is a number; a failure is never drawn as one.

    Raises:
        NotDrawable: one is not finite.
    """
    if not all(math.isfinite(value) for value in values):
        raise NotDrawable("a value is not a number")


def counted(part: int, whole: int) -> None:
    """`part` of `whole` is a count.

    Raises:
        NotDrawable: it is none.
    """
    if not 0 <= part <= whole:
        raise NotDrawable(f"{part:,} of {whole:,} is no count")


def shares(*values: float) -> None:
    """Every value is a share, 0 … 1.

    Raises:
        NotDrawable: one is not.
    """
    finite(*values)
    if not all(0 <= value <= 1 for value in values):
        raise NotDrawable("a share lies outside 0 to 100 %")


def cell(value: float, top: float, cells: int) -> int:
    """The cell of `value` on an axis from 0 to `top` of `cells` cells; what lies beyond stands at an end."""
    return min(cells - 1, max(0, int(value / top * cells + 1e-9)))
