"""What an adapted model is compared with: peft's own merging, and slices taken by another network."""

from __future__ import annotations

import copy

import torch
from peft.tuners.lora import LoraLayer

from audit_core.adapters.base import ModelAdapter
from audit_core.gradients import audited_layers, capture
from audit_core.slices import slice_sums
from tests.audit_core import engine_models as tiny

PAIRS = [tiny.sample(n) for n in range(5)]
BANK = [tiny.sample(n) for n in range(50, 58)]


def merged_copy(adapter: ModelAdapter) -> ModelAdapter:
    """peft's own merging, on a copy, plain layers put back."""
    model = copy.deepcopy(adapter.model)
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            holder, _, last = name.rpartition(".")
            setattr(model.get_submodule(holder), last, module.get_base_layer())
    return adapter.around(model)


def losses(adapter: ModelAdapter) -> torch.Tensor:
    """Of `PAIRS`, one each."""
    return adapter.forward(adapter.encode(PAIRS, 99), adapter.anchors(BANK, 99, 4)).losses_B.detach()


def assert_same_slices(one: ModelAdapter, other: ModelAdapter) -> None:
    """Squared norms and dots of every audited layer agree, relative to the layer's largest."""
    batch = one.encode(PAIRS, 99)
    names = [c.name for c in audited_layers(one, batch, "all", one.anchors(BANK, 99, 4))]
    got = [capture(a, batch, names, a.anchors(BANK, 99, 4)) for a in (one, other)]
    assert set(got[0].layers) == set(got[1].layers) == set(names)
    for layer in names:
        reference = torch.randn(one.weight(layer).shape, generator=torch.Generator().manual_seed(0))
        sums = [slice_sums(one_of.layers[layer], (reference,)) for one_of in got]
        scale = sums[1].squares_BS.max().item()
        torch.testing.assert_close(sums[0].squares_BS, sums[1].squares_BS, rtol=1e-3, atol=1e-4 * scale)
        dots = [s.dots_BS[0] for s in sums]
        torch.testing.assert_close(dots[0], dots[1], rtol=1e-3, atol=1e-4 * dots[1].abs().max().item())
