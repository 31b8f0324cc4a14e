"""Batched capture of what a weight gradient is made of, without making any weight gradient.

For a linear layer the gradient of sample b is G_b = Σ_t K_bt ⊗ A_bt, with A its inputs and K the gradients at
its outputs. One forward and one backward to the activations give A and K of a whole batch. Weights are
frozen, so the graph starts by itself at the first audited layer: nothing below it is differentiated.

Letters: B samples, T positions, I inputs, O outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from audit_core.adapters.base import BILLION, Anchors, Candidate, Encoded, ModelAdapter, Outcome, last_blocks
from audit_core.errors import AuditError

LAST_K = 3


@dataclass(frozen=True, slots=True)
class LayerCapture:
    """Inputs and output gradients of one layer for a batch; a layer used twice has both uses along T."""

    acts_BTI: Tensor
    grads_BTO: Tensor

    def take(self, chosen_B: Tensor) -> LayerCapture:
        """The same layer for some samples of the batch, given as a mask; itself where that is all of them."""
        if bool(chosen_B.all()):
            return self
        return LayerCapture(self.acts_BTI[chosen_B], self.grads_BTO[chosen_B])


@dataclass(frozen=True, slots=True)
class Capture:
    """One batch: its outcome, the captures by layer name, and which samples are finite throughout.

    `layers` lacks the layers that received no gradient at all. Samples that are not finite have zeros there.
    """

    outcome: Outcome
    layers: dict[str, LayerCapture]
    finite_B: Tensor


@dataclass(slots=True)
class _Trace:
    inputs: dict[str, list[Tensor]] = field(default_factory=dict)
    outputs: dict[str, list[Tensor]] = field(default_factory=dict)


def capture(
    adapter: ModelAdapter, batch: Encoded, names: Sequence[str], anchors: Anchors | None = None
) -> Capture:
    """Run one batch forward and back to the outputs of the named layers.

    Args:
        adapter: the frozen model.
        batch: B encoded samples.
        names: layers to audit.
        anchors: the bank, for contrastive models.

    Raises:
        BadSample: the model failed on this batch.
    """
    with torch.enable_grad(), _traced(adapter, names) as trace:
        outcome = adapter.forward(batch, anchors)
        flat = [(name, out) for name, outs in trace.outputs.items() for out in outs]
        # The sum of per-sample losses: no sample's gradient is scaled by its neighbours.
        grads = torch.autograd.grad(outcome.losses_B.sum(), [out for _, out in flat], allow_unused=True)
    finite_B = torch.isfinite(outcome.losses_B.detach())
    layers: dict[str, LayerCapture] = {}
    for name in names:
        uses = [g for (owner, _), g in zip(flat, grads, strict=True) if owner == name]
        pairs = [(a, g) for a, g in zip(trace.inputs.get(name, ()), uses, strict=True) if g is not None]
        if not pairs:
            continue
        layers[name] = LayerCapture(_along_time([a for a, _ in pairs]), _along_time([g for _, g in pairs]))
        finite_B &= torch.isfinite(layers[name].grads_BTO.sum((1, 2)))
    outcome = Outcome(outcome.losses_B.detach(), outcome.scalars, outcome.supervised)
    return Capture(outcome, _without(layers, ~finite_B), finite_B)


def audited_layers(
    adapter: ModelAdapter,
    probe: Encoded,
    which: str,
    anchors: Anchors | None = None,
    among: Sequence[Candidate] | None = None,
) -> tuple[Candidate, ...]:
    """The layers an audit looks at: of those that receive a gradient, all or the last three blocks.

    A probe decides, not a name: with `vision_feature_layer = −2` the last vision block gets no gradient, is
    left out here, and is not counted among the last three.

    Args:
        adapter: the frozen model.
        probe: a few encoded pairs.
        which: `all`, `last3`, or `auto` (all under one billion parameters).
        anchors: the bank, for contrastive models.
        among: the layers to choose from, where that is not all of the adapter's.

    Raises:
        AuditError: no layer receives a gradient.
    """
    candidates = adapter.candidates() if among is None else among
    seen = capture(adapter, probe, [c.name for c in candidates], anchors)
    alive = [c for c in candidates if c.name in seen.layers and bool(seen.layers[c.name].grads_BTO.any())]
    if not alive:
        raise AuditError("no layer of this model receives a gradient from the audited pairs")
    if which == "last3" or (which == "auto" and adapter.parameters >= BILLION):
        return last_blocks(alive, LAST_K)
    return tuple(alive)


def add_gradient_sum(total_OI: Tensor, layer: LayerCapture) -> None:
    """Add the weight gradients of all samples of a batch to `total_OI`: one product over B·T."""
    grads = layer.grads_BTO.reshape(-1, layer.grads_BTO.shape[-1])
    total_OI.addmm_(grads.T, layer.acts_BTI.reshape(-1, layer.acts_BTI.shape[-1]))


@contextmanager
def _traced(adapter: ModelAdapter, names: Sequence[str]) -> Iterator[_Trace]:
    trace = _Trace()
    handles = [
        adapter.projection(name).register_forward_hook(partial(_keep, trace=trace, name=name))
        for name in names
    ]
    try:
        yield trace
    finally:
        for handle in handles:
            handle.remove()


def _keep(module: nn.Module, inputs: tuple[Any, ...], output: Tensor, *, trace: _Trace, name: str) -> None:
    del module
    if not output.requires_grad:
        output.requires_grad_(True)  # a leaf: the graph starts here
    trace.inputs.setdefault(name, []).append(inputs[0].detach())
    trace.outputs.setdefault(name, []).append(output)


def _along_time(uses: Sequence[Tensor]) -> Tensor:
    """[B, …, F] as [B, T, F] (one vector per sample: T = 1); several uses of one layer follow each other."""
    flat = [x.reshape(x.shape[0], -1, x.shape[-1]) for x in uses]
    return flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)


def _without(layers: dict[str, LayerCapture], bad_B: Tensor) -> dict[str, LayerCapture]:
    """Zero the samples that are not finite, so that they can touch no sum; 0·NaN would not do."""
    if not bool(bad_B.any()):
        return layers
    where = bad_B[:, None, None]
    return {
        name: LayerCapture(layer.acts_BTI.masked_fill(where, 0.0), layer.grads_BTO.masked_fill(where, 0.0))
        for name, layer in layers.items()
    }
