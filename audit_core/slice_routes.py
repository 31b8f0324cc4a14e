"""Two exact ways to row and column statistics of per-sample gradients, and what each of them costs.

*Make* forms G [O, I] of one sample, block after block of rows that stay in cache, and reads every statistic
off it; matrices so small that calling torch costs more than computing are made for many samples at once.
*Gram* never forms G: the norms come from T×T Grams, ‖G_r‖² = K_rᵀ(AAᵀ)K_r, the dots from products with R,
⟨G_r, R_r⟩ = Σ_t K_tr (A Rᵀ)_tr; columns the same with A and K in each other's place (METHOD §5). Slices that
nearly cancel along T are made there, too.

Letters: B samples, T positions, I inputs, O outputs, S = O + I slices (rows, then columns).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from audit_core.products import gradient, product, weighted_product

MULTIPLY_NS = 1 / 115
"""One multiply-add of a product over the batch. These five: `benchmarks/speed.py --crossing`, one core."""
BATCHED_NS = 1 / 45
"""One multiply-add of many small products at once."""
READ_NS = 0.27
"""Row and column sums of one elementwise product with a made G, per element."""
TOUCH_NS = 0.25
"""One elementwise product of captures and its sum over positions, per element."""
CALL_NS = 4_000
"""One torch operation, whatever its size."""

TOGETHER = 65_536
"""Elements of the matrices that are made at once, where at least four of them fit in."""
BLOCK = {"cpu": 1 << 20, "cuda": 1 << 24}
"""Elements of a block of rows of G: on the CPU it stays in cache beside its product with R."""
CANCELS = 3e-5
"""Share of its bound under which a squared norm from Grams is not trusted: rounding may be 1e-9 of that."""
LARGE_GRAM = 2_500_000
"""T·T·(I + O) from which Grams are faster one sample at a time than all at once."""


def make_ns(T: int, I: int, O: int, references: int) -> float:  # noqa: E741 - the letters of the header
    """What making costs per sample; see the constants."""
    size, reads = I * O, 1 + references
    if 4 * size <= TOGETHER:
        return size * (T * BATCHED_NS + reads * READ_NS)
    blocks = -(-size // BLOCK["cpu"])
    return size * (T * MULTIPLY_NS + reads * READ_NS) + blocks * (1 + 3 * reads) * CALL_NS


def gram_ns(T: int, I: int, O: int, references: int) -> float:  # noqa: E741
    """What Grams cost per sample; see the constants."""
    squares = 2 * T * T * (I + O)
    large = T * T * (I + O) >= LARGE_GRAM
    norms = squares * MULTIPLY_NS + 8 * CALL_NS if large else squares * BATCHED_NS
    dots = references * 2 * T * I * O * MULTIPLY_NS
    return norms + dots + (2 + references) * T * (I + O) * TOUCH_NS


# ---- making ------------------------------------------------------------------------------------------------


def by_making(acts_BTI: Tensor, grads_BTO: Tensor, references_OI: tuple[Tensor, ...]) -> list[Tensor]:
    """Squared norms, then dots with each reference: float32 [B, S] each."""
    B, _, I = acts_BTI.shape  # noqa: E741
    O = grads_BTO.shape[2]  # noqa: E741
    if 4 * I * O <= TOGETHER:
        return _made_together(acts_BTI, grads_BTO, references_OI)
    out = [torch.zeros(B, O + I, device=acts_BTI.device) for _ in range(1 + len(references_OI))]
    block = max(1, BLOCK[acts_BTI.device.type] // I)
    buffer_OI = torch.empty(min(block, O), I, device=acts_BTI.device)
    ones_I = torch.ones(I, device=acts_BTI.device)
    for first in range(0, O, block):
        last = min(O, first + block)
        product_OI, ones_O = buffer_OI[: last - first], torch.ones(last - first, device=acts_BTI.device)
        factors = [reference[first:last] for reference in references_OI]
        for b in range(B):
            made_OI = gradient(grads_BTO[b, :, first:last], acts_BTI[b])
            for sums, factor in zip(out, (made_OI, *factors), strict=True):
                torch.mul(made_OI, factor, out=product_OI)
                torch.mv(product_OI, ones_I, out=sums[b, first:last])
                sums[b, O:].addmv_(product_OI.T, ones_O)
    return out


def _made_together(acts_BTI: Tensor, grads_BTO: Tensor, references_OI: tuple[Tensor, ...]) -> list[Tensor]:
    """As many samples at once as keep their matrices in cache; here torch's calls cost most."""
    out: list[list[Tensor]] = [[] for _ in range(1 + len(references_OI))]
    group = TOGETHER // (acts_BTI.shape[2] * grads_BTO.shape[2])
    for acts, grads in zip(torch.split(acts_BTI, group), torch.split(grads_BTO, group), strict=True):
        made_BOI = torch.bmm(grads.float().mT, acts.float())
        for parts, factor in zip(out, (made_BOI, *references_OI), strict=True):
            both = made_BOI * factor
            parts.append(torch.cat([both.sum(2), both.sum(1)], dim=1))
    return [torch.cat(parts) for parts in out]


# ---- Grams -------------------------------------------------------------------------------------------------


def by_grams(acts_BTI: Tensor, grads_BTO: Tensor, references_OI: tuple[Tensor, ...]) -> list[Tensor]:
    """Squared norms, then dots with each reference: float32 [B, S] each."""
    acts, grads = acts_BTI.float(), grads_BTO.float()
    rows = _gram_rows(acts, grads, references_OI)
    columns = _gram_rows(grads, acts, tuple(reference.T for reference in references_OI))
    return [torch.cat(both, dim=1) for both in zip(rows, columns, strict=True)]


def _gram_rows(acts_BTI: Tensor, grads_BTO: Tensor, references_OI: tuple[Tensor, ...]) -> list[Tensor]:
    """Squared norms and dots of the rows of G, [B, O]; those that cancel along T are made after all.

    A Gram's sum is off by rounding of its terms, whose size ‖K_r‖²·‖A‖² bounds ‖G_r‖². Behind a softmax, say,
    K sums to zero over T, and an input that hardly varies along T leaves a difference of large numbers.
    """
    squares_BO = gram_norms(acts_BTI, grads_BTO)
    dots_BO = [product_dots(acts_BTI, grads_BTO, reference) for reference in references_OI]
    whole_B1 = torch.linalg.vector_norm(acts_BTI, dim=(1, 2)).square_()[:, None]
    lost_BO = squares_BO < grads_BTO.square().sum(1).mul_(whole_B1).mul_(CANCELS)
    for b in lost_BO.any(1).nonzero().flatten().tolist():
        rows = lost_BO[b].nonzero().flatten()
        made_OI = gradient(grads_BTO[b].index_select(1, rows), acts_BTI[b])
        for dots, reference in zip(dots_BO, references_OI, strict=True):
            dots[b, rows] = (made_OI * reference.index_select(0, rows)).sum(1)
        squares_BO[b, rows] = made_OI.square_().sum(1)
    return [squares_BO, *dots_BO]


def gram_norms(acts_BTI: Tensor, grads_BTO: Tensor) -> Tensor:
    """Squared norms of the rows of G, [B, O]; never below zero, where a Gram may round to."""
    B, T, I = acts_BTI.shape  # noqa: E741
    O = grads_BTO.shape[2]  # noqa: E741
    if T * T * (I + O) < LARGE_GRAM or acts_BTI.is_cuda:
        gram_BTT = torch.bmm(acts_BTI, acts_BTI.mT)
        return (torch.bmm(gram_BTT, grads_BTO).mul_(grads_BTO)).sum(1).clamp_min_(0.0)
    out = torch.empty(B, O, device=acts_BTI.device)
    ones_T = torch.ones(T, device=acts_BTI.device)
    for b in range(B):
        gram_TT = product(acts_BTI[b], acts_BTI[b])
        torch.mv(weighted_product(gram_TT, grads_BTO[b].T, grads_BTO[b]).T, ones_T, out=out[b])
    return out.clamp_min_(0.0)


def product_dots(acts_BTI: Tensor, grads_BTO: Tensor, reference_OI: Tensor) -> Tensor:
    """Dots of the rows of G with those of R, [B, O]: one product over the whole batch."""
    B, T, I = acts_BTI.shape  # noqa: E741
    O = grads_BTO.shape[2]  # noqa: E741
    both = weighted_product(acts_BTI.reshape(B * T, I), reference_OI, grads_BTO.reshape(B * T, O))
    return both.view(B, T, O).sum(1)


# ---- rows only ---------------------------------------------------------------------------------------------


def row_sums(acts_BTI: Tensor, grads_BTO: Tensor, reference_OI: Tensor) -> tuple[Tensor, Tensor]:
    """Squared norms and dots of rows of G alone: float32 [B, O] each, by the cheaper of both ways."""
    T, I = acts_BTI.shape[1:]  # noqa: E741
    O = grads_BTO.shape[2]  # noqa: E741
    if 4 * I * O <= TOGETHER:
        group = TOGETHER // (I * O)
        parts = zip(torch.split(acts_BTI, group), torch.split(grads_BTO, group), strict=True)
        together = [torch.bmm(grads.float().mT, acts.float()) for acts, grads in parts]
        dots = torch.cat([(made_BOI * reference_OI).sum(2) for made_BOI in together])
        return torch.cat([made_BOI.square_().sum(2) for made_BOI in together]), dots
    large = T * T * (I + O) >= LARGE_GRAM
    gram = T * T * (I + O) * (MULTIPLY_NS if large else BATCHED_NS) + T * (I + 3 * O) * TOUCH_NS
    if gram + (4 * CALL_NS if large else 0) <= I * O * READ_NS + 4 * CALL_NS and not acts_BTI.is_cuda:
        squares, dots = _gram_rows(acts_BTI.float(), grads_BTO.float(), (reference_OI,))
        return squares, dots
    made = list(_made_rows(acts_BTI, grads_BTO, reference_OI))
    return torch.stack([squares for squares, _ in made]), torch.stack([dots for _, dots in made])


def _made_rows(acts_BTI: Tensor, grads_BTO: Tensor, reference_OI: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    block = max(1, BLOCK[acts_BTI.device.type] // acts_BTI.shape[2])
    ones_I = torch.ones(acts_BTI.shape[2], device=acts_BTI.device)
    for acts, grads in zip(acts_BTI, grads_BTO, strict=True):
        squares, dots = [], []
        for grads_TO, reference in zip(
            torch.split(grads, block, 1), torch.split(reference_OI, block), strict=True
        ):
            made_OI = gradient(grads_TO, acts)
            squares.append(torch.linalg.vector_norm(made_OI, dim=1).square_())
            dots.append(torch.mv(made_OI.mul_(reference), ones_I))
        yield torch.cat(squares), torch.cat(dots)
