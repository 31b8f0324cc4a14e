"""Matrix products of captures: the fastest exact one there is for where the tensors lie.

On the CPU, float32 products go to oneDNN: beside the library behind `torch.mm` it was 2.2 times faster on an
AMD core with AVX-512 (docs/performance.md). It rounds like any other float32 product. On a GPU, bfloat16
captures are multiplied as they are and summed in float32, so nothing is lost; everything else is upcast.

Letters: N rows, I inputs, O outputs, T positions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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
