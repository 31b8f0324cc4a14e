"""Row and column statistics of per-sample gradients against a reference, and their cosines (METHOD §2, §5).

Two exact routes give the same numbers; a formula in T, I and O picks the cheaper one per layer:
- *make*: form one sample's G [O, I] in a buffer that stays in cache, read everything off it;
- *Gram*: never form G; dots by two products with R, norms by small T×T Grams. Wins where T is short.

Letters: B samples, T positions, I inputs, O outputs, S = O + I slices (rows, then columns).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit_core.fold_sums import CARRIED_BY_ONE
from audit_core.gradients import LayerCapture

BUFFER_PASSES = 30.0
"""Cost of reading statistics off a made G, in multiply-adds per element (measured on one core)."""


@dataclass(frozen=True, slots=True)
class SliceSums:
    """Per sample and slice: squared norms of G, and dots of G with each reference matrix; float32 [B, S]."""

    squares_BS: Tensor
    dots_BS: tuple[Tensor, ...]


def slice_sums(layer: LayerCapture, references_OI: tuple[Tensor, ...]) -> SliceSums:
    """Statistics of every sample's gradient of one layer.

    Args:
        layer: captures of a batch.
        references_OI: matrices to take dots with (reference mean, task vector); may be empty.
    """
    _, T, I = layer.acts_BTI.shape  # noqa: E741 - the letter of the header
    O = layer.grads_BTO.shape[2]  # noqa: E741
    count = len(references_OI)
    make = T * I * O + BUFFER_PASSES * (1 + count) * I * O
    gram = count * 2 * T * I * O + 2 * T * T * (I + O)
    return _by_making(layer, references_OI) if make < gram else _by_grams(layer, references_OI)


def matrix_slices(matrix_OI: Tensor) -> NDArray[np.float64]:
    """Squared norms of the rows, then the columns, of one matrix: float64 [S]."""
    squares = matrix_OI.double().square()
    return np.concatenate([squares.sum(1).numpy(), squares.sum(0).numpy()])


def cross_slices(matrices_OI: tuple[Tensor, ...]) -> NDArray[np.float64]:
    """Dots of the rows, then the columns, of every matrix with every other: float64 [F, F, S]."""
    count, size = len(matrices_OI), sum(matrices_OI[0].shape)
    found = np.empty((count, count, size))
    for f, one in enumerate(matrices_OI):
        for g in range(f, count):
            product = one.double() * matrices_OI[g]
            found[f, g] = found[g, f] = np.concatenate([product.sum(1).numpy(), product.sum(0).numpy()])
    return found


def cosines(
    dots: NDArray[np.float64], squares: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Cosine of each slice with its reference slice; NaN where either has no length.

    Args:
        dots: ⟨G, R⟩, [B, S].
        squares: ‖G‖², [B, S].
        reference: ‖R‖², [S].
    """
    length = np.sqrt(squares * reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(length > 0, dots / length, np.nan).astype(np.float32)


def leave_one_out(
    dots: NDArray[np.float64], squares: NDArray[np.float64], reference: NDArray[np.float64], members: int
) -> NDArray[np.float32]:
    """Cosine of each slice with the reference mean of the *other* members, from scalars already at hand.

    METHOD §2: c = (n·d − q) / (√q · √(n²r − 2nd + q)); slices with n²r − 2nd + q ≤ 1e-6·n²r are carried by
    this one pair and dropped (NaN). Everything in float64: the terms cancel.

    Args:
        dots: d = ⟨G, R⟩, [B, S].
        squares: q = ‖G‖², [B, S].
        reference: r = ‖R‖², [S].
        members: n, pairs in the mean R.
    """
    whole = members * members * reference
    rest = whole - 2 * members * dots + squares
    kept = (rest > CARRIED_BY_ONE * whole) & (squares > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (members * dots - squares) / (np.sqrt(squares) * np.sqrt(np.where(kept, rest, 1.0)))
    return np.where(kept, value, np.nan).astype(np.float32)


def _by_making(layer: LayerCapture, references_OI: tuple[Tensor, ...]) -> SliceSums:
    B, _, I = layer.acts_BTI.shape  # noqa: E741
    O = layer.grads_BTO.shape[2]  # noqa: E741
    squares = torch.empty(B, O + I)
    dots = tuple(torch.empty(B, O + I) for _ in references_OI)
    made, product = torch.empty(O, I), torch.empty(O, I)
    for b, (first, last) in enumerate(_spans(layer.grads_BTO)):
        torch.mm(layer.grads_BTO[b, first:last].T, layer.acts_BTI[b, first:last], out=made)
        for out, factor in zip((squares, *dots), (made, *references_OI), strict=True):
            torch.mul(made, factor, out=product)
            torch.sum(product, 1, out=out[b, :O])
            torch.sum(product, 0, out=out[b, O:])
    return SliceSums(squares, dots)


def _by_grams(layer: LayerCapture, references_OI: tuple[Tensor, ...]) -> SliceSums:
    acts, grads = layer.acts_BTI, layer.grads_BTO
    rows = (grads * torch.bmm(torch.bmm(acts, acts.mT), grads)).sum(1)
    cols = (acts * torch.bmm(torch.bmm(grads, grads.mT), acts)).sum(1)
    dots = tuple(
        torch.cat([(grads * (acts @ ref.T)).sum(1), (acts * (grads @ ref)).sum(1)], dim=1)
        for ref in references_OI
    )
    # A Gram may leave a norm a rounding error below zero.
    return SliceSums(torch.cat([rows, cols], dim=1).clamp_min_(0.0), dots)


def _spans(grads_BTO: Tensor) -> list[tuple[int, int]]:
    """First and last position with a gradient: padding and, in the last block, prompt are exactly zero."""
    alive = grads_BTO.ne(0).any(2)
    T = alive.shape[1]
    first = alive.int().argmax(1)
    last = T - alive.flip(1).int().argmax(1)
    none = ~alive.any(1)
    return list(zip(first.masked_fill(none, 0).tolist(), last.masked_fill(none, 0).tolist(), strict=True))
