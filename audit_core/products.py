"""Matrix products of captures: the fastest exact one there is for where the tensors lie.

On the CPU, float32 products go to oneDNN: beside the library behind `torch.mm` it was 2.2 times faster on an
AMD core with AVX-512 (docs/performance.md). It rounds like any other float32 product. On a GPU, bfloat16
captures are multiplied as they are and summed in float32, so nothing is lost; everything else is upcast.

Letters: N rows, I inputs, O outputs, T positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

_ONEDNN: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)  # not in every build


def product(x_NI: Tensor, w_OI: Tensor) -> Tensor:
    """x·Wᵀ, float32 [N, O]; both float32 on one device, contiguous or transposed."""
    if _ONEDNN is None or x_NI.is_cuda:
        return x_NI @ w_OI.T
    made: Tensor = _ONEDNN.default(x_NI, w_OI, None, "none", [], "")
    return made


def weighted_product(x_NI: Tensor, w_OI: Tensor, by_NO: Tensor) -> Tensor:
    """(x·Wᵀ)∘by, float32 [N, O], without a second pass over the result where the library can."""
    if _ONEDNN is None or x_NI.is_cuda:
        return (x_NI @ w_OI.T).mul_(by_NO)
    made: Tensor = _ONEDNN.binary(x_NI, by_NO, w_OI, None, "mul")
    return made


def gradient(grads_TO: Tensor, acts_TI: Tensor) -> Tensor:
    """KᵀA, float32 [O, I]: the weight gradient of these positions; both of one type, on one device."""
    if grads_TO.is_cuda and grads_TO.dtype != torch.float32:
        return torch.mm(grads_TO.T, acts_TI, out_dtype=torch.float32)
    return product(grads_TO.float().T, acts_TI.float().T)


@contextmanager
def frozen_products(model: nn.Module) -> Iterator[None]:
    """Within it, frozen float32 layers of a model on the CPU compute by `product`, forward and backward.

    The same numbers but for rounding. Layers whose weight is being trained are left as they are.
    """
    changed = []
    for module in model.modules():
        if _ONEDNN is not None and type(module) is nn.Linear and _is_frozen(module.weight):
            module.forward = partial(_frozen_forward, module)  # type: ignore[method-assign]
            changed.append(module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


class _FrozenLinear(torch.autograd.Function):
    """x·Wᵀ + b, and the gradient at x alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_OI: Tensor, bias_O: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight_OI)
        made: Tensor = _ONEDNN.default(x, weight_OI, bias_O, "none", [], "")
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (weight_OI,) = ctx.saved_tensors
        return product(grads[0], weight_OI.T), None, None


def _is_frozen(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and not weight.is_cuda and not weight.requires_grad


def _frozen_forward(module: nn.Linear, input: Tensor) -> Tensor:
    made: Tensor = _FrozenLinear.apply(input, module.weight, module.bias)  # type: ignore[no-untyped-call]
    return made
