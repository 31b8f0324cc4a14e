"""Linear layers with and without a LoRA adapter on them: names, effective matrices, the switch.

An adapter stays a layer of its own; it is never merged into the vendor's weights. What is audited is the
matrix such a layer computes with, W + s·BA, or with DoRA m/‖W + s·BA‖ · (W + s·BA) by rows.

Letters: O outputs, I inputs, R rank.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn


def linear_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of every linear layer that is called as one, in the order of the network.

    A layer with an adapter comes once, under its own name, never its parts. Layers inside
    `nn.MultiheadAttention` are not called: it reads their weights and computes by itself.
    """
    yield from _walk("", model, set())


def _walk(name: str, module: nn.Module, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    if id(module) in seen or isinstance(module, nn.MultiheadAttention):
        return
    seen.add(id(module))
    if isinstance(module, LoraLayer):
        if isinstance(module.get_base_layer(), nn.Linear):
            yield name, module
    elif isinstance(module, nn.Linear):
        yield name, module
    else:
        for inner, child in module.named_children():
            yield from _walk(f"{name}.{inner}" if name else inner, child, seen)


def adapted_layers(model: nn.Module) -> tuple[tuple[str, LoraLayer], ...]:
    """Every layer with an adapter on it."""
    return tuple((name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer))


def switch(model: nn.Module, on: bool) -> None:
    """Let all adapters of a network take part in its forward pass, or none; everything stays frozen."""
    for _, layer in adapted_layers(model):
        if layer.disable_adapters == on:
            layer.enable_adapters(on)
            layer.requires_grad_(False)


@torch.no_grad()
def effective_weight(layer: LoraLayer) -> Tensor:
    """The matrix [O, I] the layer computes with while its adapter is on, float32.

    Source: Hu 2022 (LoRA); Kalajdzievski 2023 (rank-stabilised scaling); Liu 2024 (DoRA, eq. 5).
    """
    weight_OI: Tensor = layer.get_base_layer().weight.detach().float()
    for name in layer.active_adapters:
        if name not in layer.lora_A:
            continue
        a_RI, b_OR = layer.lora_A[name].weight.float(), layer.lora_B[name].weight.float()
        adapted_OI = weight_OI + layer.scaling[name] * (b_OR @ a_RI)
        if name in layer.lora_magnitude_vector:
            length_O = torch.linalg.vector_norm(adapted_OI, dim=1)
            adapted_OI = (layer.lora_magnitude_vector[name].weight.float() / length_O)[:, None] * adapted_OI
        weight_OI = adapted_OI
    return weight_OI
