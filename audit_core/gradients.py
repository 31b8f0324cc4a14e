"""Batched capture of what a weight gradient is made of, without making any weight gradient.

For a linear layer the gradient of sample b is G_b = Σ_t K_bt ⊗ A_bt, with A its inputs and K the gradients at
its outputs. One forward and one backward to the activations give A and K of a whole batch. Weights are
frozen, so the graph starts by itself at the first audited layer: nothing below it is differentiated.

Positions where K is exactly zero for all samples add nothing and are dropped: in the last block of a decoder
only the report's positions stay. Captures keep the precision of the forward pass; whatever is computed from
them is float32. bfloat16 has the exponents of float32, so the loss is not scaled.

Letters: B samples, T positions, I inputs, O outputs of a layer, F any of the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from audit_core.adapters.adapted import linear_layers
from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome, last_blocks
from audit_core.adapters.opening import BILLION
from audit_core.errors import AuditError, ModelRefused
from audit_core.ownership import by_sample
from audit_core.products import gradient

LAST_K = 3


@dataclass(frozen=True, slots=True)
class LayerCapture:
    """Inputs and output gradients of one matrix for a batch; all its uses follow each other along T."""

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
    Taking a layer out of `layers` frees its memory as soon as its statistics are done.
    """

    outcome: Outcome
    layers: dict[str, LayerCapture]
    finite_B: Tensor


@dataclass(slots=True)
class _Use:
    """One call of an audited matrix: its input, and where in the graph the gradient of its output is."""

    name: str
    acts: Tensor
    version: int
    edge: GradientEdge
    grads: Tensor | None = None


def capture(
    adapter: ModelAdapter, batch: Encoded, names: Sequence[str], anchors: Anchors | None = None
) -> Capture:
    """Run one batch forward and back to the outputs of the named layers.

    Args:
        adapter: the frozen model.
        batch: B encoded samples, none of which touches another in this model (see `audited_layers`).
        names: layers to audit. Layers that share one weight are one matrix, under any of their names.
        anchors: the bank, for contrastive models.

    Raises:
        BadSample: the model failed on this batch.
        ModelRefused: rows of a layer cannot be told apart by sample.
    """
    outcome, uses = _forward(adapter, batch, names, anchors)
    # The sum of per-sample losses: no sample's gradient is scaled by its neighbours.
    _backward(outcome.losses_B.sum(), uses, keep=False)
    outcome = replace(outcome, losses_B=outcome.losses_B.detach())
    layers = _layers(uses, batch)
    finite_B = torch.isfinite(outcome.losses_B)
    return _cleaned(outcome, layers, finite_B)


def audited_layers(
    adapter: ModelAdapter,
    probe: Encoded,
    which: str,
    anchors: Anchors | None = None,
    among: Sequence[Candidate] | None = None,
) -> tuple[Candidate, ...]:
    """The layers an audit looks at: of those that receive a gradient, all or the last three blocks.

    A probe decides, not a name: with `vision_feature_layer = −2` the last vision block gets no gradient, is
    left out here, and is not counted among the last three. The same probe proves that the pairs of a batch
    do not touch each other: the loss of one pair alone must leave the rows of every other exactly zero.

    Args:
        adapter: the frozen model.
        probe: a few encoded pairs.
        which: `all`, `last3`, or `auto` (all under one billion parameters).
        anchors: the bank, for contrastive models.
        among: the layers to choose from, where that is not all of the adapter's.

    Returns:
        The layers in forward order; of those that share one weight the first, of those that share one with an
        embedding none.

    Raises:
        AuditError: no layer receives a gradient.
        ModelRefused: the pairs of a batch touch each other in a layer, or cannot be told apart there.
    """
    candidates = adapter.candidates() if among is None else among
    alive_names = _reached(adapter, probe, [c.name for c in candidates], anchors)
    # An embedding with the same weight adds to the gradient what no capture sees: not audited.
    alive, seen = [], {id(m.weight) for m in adapter.model.modules() if isinstance(m, nn.Embedding)}
    for candidate in candidates:
        matrix = _matrix(adapter.projection(candidate.name))
        if candidate.name in alive_names and matrix not in seen:
            seen.add(matrix)
            alive.append(candidate)
    if not alive:
        raise AuditError("no layer of this model receives a gradient from the audited pairs")
    if which == "last3" or (which == "auto" and adapter.parameters >= BILLION):
        return last_blocks(alive, LAST_K)
    return tuple(alive)


def add_gradient_sum(total_OI: Tensor, layer: LayerCapture) -> None:
    """Add the weight gradients of all samples of a batch to `total_OI`, float32: one product over B·T."""
    grads = layer.grads_BTO.reshape(-1, layer.grads_BTO.shape[-1])
    total_OI.add_(gradient(grads, layer.acts_BTI.reshape(-1, layer.acts_BTI.shape[-1])))


# ---- forward and backward ----------------------------------------------------------------------------------


def _forward(
    adapter: ModelAdapter, batch: Encoded, names: Sequence[str], anchors: Anchors | None
) -> tuple[Outcome, list[_Use]]:
    uses: list[_Use] = []
    with torch.enable_grad(), _traced(adapter, names, uses):
        outcome = adapter.forward(batch, anchors)
    for use in uses:
        if use.acts._version != use.version:
            raise ModelRefused(f"the model overwrites the input of {use.name}", "this network is not audited")
    return outcome, uses


def _backward(loss: Tensor, uses: Sequence[_Use], *, keep: bool) -> None:
    """Gradients at the outputs of all uses; None where the loss does not depend on one."""
    if not (uses and loss.requires_grad):
        return
    edges = [use.edge for use in uses]
    found = list(torch.autograd.grad(loss, edges, retain_graph=keep, allow_unused=True))
    for use in reversed(uses):
        use.grads = found.pop()


@contextmanager
def _traced(adapter: ModelAdapter, names: Sequence[str], uses: list[_Use]) -> Iterator[None]:
    """Hooks on every module that computes with one of the named matrices, under whatever name."""
    owner = {_matrix(adapter.projection(name)): name for name in reversed(names)}
    modules = {id(m): m for m in (adapter.projection(name) for name in names)}
    modules |= {id(m): m for _, m in linear_layers(adapter.model) if _matrix(m) in owner}
    handles = [
        module.register_forward_hook(partial(_keep, uses=uses, name=owner[_matrix(module)]), with_kwargs=True)
        for module in modules.values()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _matrix(module: nn.Module) -> int:
    """What makes two modules one matrix: the same weight; a layer with a PEFT adapter is its own."""
    return id(module.weight) if isinstance(module, nn.Linear) else id(module)


def _keep(
    module: nn.Module,
    inputs: tuple[Any, ...],
    named: Mapping[str, Any],
    output: Tensor,
    *,
    uses: list[_Use],
    name: str,
) -> None:
    del module
    if not output.requires_grad:
        output.requires_grad_(True)  # a leaf: the graph starts here
    acts = (inputs[0] if inputs else next(iter(named.values()))).detach()
    # The place in the graph, not the output itself: that may be freed.
    uses.append(_Use(name, acts, acts._version, get_gradient_edge(output)))


# ---- from uses to matrices ---------------------------------------------------------------------------------


def _layers(uses: list[_Use], batch: Encoded) -> dict[str, LayerCapture]:
    """Uses of one matrix along T; `uses` is emptied, so that nothing is held twice."""
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {}
    while uses:
        use = uses.pop(0)
        if use.grads is not None:
            both = by_sample(use.name, use.acts, batch), by_sample(use.name, use.grads, batch)
            parts.setdefault(use.name, []).append(both)
    return {
        name: LayerCapture(*(x[0] if len(x) == 1 else torch.cat(x, dim=1) for x in zip(*found, strict=True)))
        for name, found in parts.items()
    }


def _cleaned(outcome: Outcome, layers: dict[str, LayerCapture], finite_B: Tensor) -> Capture:
    """Drop positions without a gradient, zero the samples that are not finite; one wait for the device."""
    live, checked = [], set[tuple[object, ...]]()
    for layer in layers.values():
        size_BT = _size(layer.grads_BTO)
        live.append((size_BT != 0).any(0))
        for tensor, known in ((layer.grads_BTO, size_BT), (layer.acts_BTI, None)):
            place = (tensor.data_ptr(), tensor.shape, tensor.stride())
            if place not in checked:  # several layers may read one input
                checked.add(place)
                finite_B = finite_B & torch.isfinite(_size(tensor) if known is None else known).all(1)
    flags = torch.cat([finite_B, *live]).tolist()
    count = len(finite_B)
    good, flags = flags[:count], flags[count:]
    bad_B = None if all(good) else ~finite_B
    for name in list(layers):
        layer, T = layers.pop(name), live[0].shape[0]
        live = live[1:]
        kept, flags = [t for t in range(T) if flags[t]], flags[T:]
        layers[name] = _only(layer, kept or [0], bad_B)
    return Capture(outcome, layers, torch.tensor(good))


def _size(tensor_BTF: Tensor) -> Tensor:
    """Sum of magnitudes per position, [B, T]: 0 only if all are 0, NaN or infinite if one is."""
    return tensor_BTF.abs().sum(2)


def _only(layer: LayerCapture, kept: Sequence[int], bad_B: Tensor | None) -> LayerCapture:
    """These positions; the samples that are not finite are zero, so that they touch no sum (0·NaN would)."""
    acts, grads = layer.acts_BTI, layer.grads_BTO
    if len(kept) < acts.shape[1]:
        index = torch.tensor(kept, device=acts.device)
        acts, grads = acts.index_select(1, index), grads.index_select(1, index)
    if bad_B is not None:
        where = bad_B[:, None, None]
        acts, grads = acts.masked_fill(where, 0.0), grads.masked_fill(where, 0.0)
    return LayerCapture(acts, grads)


def _reached(
    adapter: ModelAdapter, probe: Encoded, names: Sequence[str], anchors: Anchors | None
) -> set[str]:
    """Layers with a gradient that is not zero; proves on the way that pairs do not touch each other."""
    outcome, uses = _forward(adapter, probe, names, anchors)
    reached: set[str] = set()
    for own, loss in enumerate(outcome.losses_B):
        _backward(loss, uses, keep=True)
        for use in uses:
            if use.grads is None:
                continue
            by_sample(use.name, use.acts, probe)
            # A row that is not finite is its own pair's fault, 0·NaN: no sign that pairs touch each other.
            finite = use.grads.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
            live_B = by_sample(use.name, finite, probe).ne(0).flatten(1).any(1).tolist()
            if any(live_B):
                reached.add(use.name)
            if any(alive for b, alive in enumerate(live_B) if b != own):
                raise ModelRefused(
                    f"the pairs of a batch touch each other in {use.name}",
                    "the loss of one pair must not depend on its neighbours",
                )
    return reached
