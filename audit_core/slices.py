"""Row and column statistics of per-sample gradients against a reference, and their cosines (METHOD §2, §5).

Two exact routes give the same numbers (`slice_routes.py`); a formula in T, I, O and the number of references
picks the cheaper one per layer. Whatever precision the captures have, statistics are float32.

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
from audit_core.slice_routes import by_grams, by_making, gram_ns, make_ns, row_sums

ROW_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class SliceSums:
    """Per sample and slice: squared norms of G, its dots with each reference; float32 [B, S], CPU."""

    squares_BS: Tensor
    dots_BS: tuple[Tensor, ...]


def slice_sums(layer: LayerCapture, references_OI: tuple[Tensor, ...]) -> SliceSums:
    """Statistics of every sample's gradient of one layer.

    Args:
        layer: captures of a batch.
        references_OI: float32 matrices on the captures' device to take dots with (reference mean, task
            vector); may be empty.
    """
    _, T, I = layer.acts_BTI.shape  # noqa: E741 - the letter of the header
    O = layer.grads_BTO.shape[2]  # noqa: E741
    count = len(references_OI)
    make = layer.acts_BTI.is_cuda or make_ns(T, I, O, count) < gram_ns(T, I, O, count)
    route = by_making if make else by_grams
    squares, *dots = (part.cpu() for part in route(layer.acts_BTI, layer.grads_BTO, references_OI))
    return SliceSums(squares, tuple(dots))


def masked_sums(layer: LayerCapture, reference_OI: Tensor, rows: Tensor, cols: Tensor) -> SliceSums:
    """Statistics of some slices only, once a mask has chosen them: a fraction of the work.

    Args:
        layer: captures of a batch.
        reference_OI: float32, on the captures' device.
        rows: int64 indices of the rows kept.
        cols: int64 indices of the columns kept.

    Returns:
        The chosen rows, then the chosen columns, in the order given: the same numbers as `slice_sums`.
    """
    device = layer.acts_BTI.device
    rows, cols = rows.to(device), cols.to(device)
    acts, grads = layer.acts_BTI, layer.grads_BTO
    parts = []
    if len(rows):
        parts.append(row_sums(acts, grads.index_select(2, rows), reference_OI.index_select(0, rows)))
    if len(cols):
        parts.append(row_sums(grads, acts.index_select(2, cols), reference_OI.index_select(1, cols).T))
    if not parts:
        none = torch.zeros(len(acts), 0)
        return SliceSums(none, (none,))
    squares, dots = (torch.cat(both, dim=1).cpu() for both in zip(*parts, strict=True))
    return SliceSums(squares, (dots,))


def matrix_slices(matrix_OI: Tensor) -> NDArray[np.float64]:
    """Squared norms of the rows, then the columns, of one matrix: float64 [S]."""
    return _sums(matrix_OI, matrix_OI)


def cross_slices(matrices_OI: tuple[Tensor, ...]) -> NDArray[np.float64]:
    """Dots of the rows, then the columns, of every matrix with every other: float64 [F, F, S]."""
    count, size = len(matrices_OI), sum(matrices_OI[0].shape)
    found = np.empty((count, count, size))
    for f, one in enumerate(matrices_OI):
        for g in range(f, count):
            found[f, g] = found[g, f] = _sums(one, matrices_OI[g])
    return found


def _sums(one_OI: Tensor, other_OI: Tensor) -> NDArray[np.float64]:
    """In float64, block after block of rows: never a second matrix of twice the size."""
    block = max(1, ROW_BLOCK // one_OI.shape[1])
    rows, columns = [], torch.zeros(one_OI.shape[1], dtype=torch.float64, device=one_OI.device)
    for one, other in zip(torch.split(one_OI, block), torch.split(other_OI, block), strict=True):
        both = one.double() * other
        rows.append(both.sum(1))
        columns += both.sum(0)
    return torch.cat([*rows, columns]).cpu().numpy()


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

    METHOD §2: c = (n·d − q) / (√q · √(n²r − 2nd + q)); slices where n²r − 2nd + q is too small a share of n²r
    (`CARRIED_BY_ONE`) are carried by this one pair and dropped (NaN). In float64: the terms cancel.

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
