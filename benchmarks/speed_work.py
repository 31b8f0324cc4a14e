"""The four pieces of work that are compared, all on the same network, layers and samples.

- *loop*: as published. One sample at a time without padding, autograd to the weight gradients, the cosine of
  every row and every column of every matrix with the reference.
- *step*: a plain batched training step without its optimiser. Forward, backward to the same weight gradients.
- *engine*: capture, then row and column statistics against one reference.
- *masked*: capture, then statistics of the kept rows and columns only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from speed_models import BenchmarkAdapter, one_of
from torch import Tensor

from audit_core.adapters.base import Encoded
from audit_core.gradients import capture
from audit_core.slices import masked_sums, slice_sums

KEPT = 0.15
"""Share of rows and columns in the masked pass: METHOD §5 says 10–20 % of the work."""


@dataclass(frozen=True, slots=True)
class Work:
    """Everything one comparison works on."""

    adapter: BenchmarkAdapter
    batch: Encoded
    names: Sequence[str]
    references: dict[str, Tensor]
    kept: dict[str, tuple[Tensor, Tensor]]
    host_copies: bool = False

    @property
    def pieces(self) -> dict[str, Callable[[], object]]:
        """Name -> what to time."""
        return {"loop": self.loop, "step": self.step, "engine": self.engine, "masked": self.masked}

    def loop(self) -> None:
        """Sample by sample; `host_copies`: every gradient goes to the host first, as in the released code."""
        weights = self._weights()
        for number in range(len(self.batch.pair_ids)):
            loss = self.adapter.forward(one_of(self.batch, number)).losses_B.sum()
            grads = torch.autograd.grad(loss, weights)
            for name, grad in zip(self.names, grads, strict=True):
                made, reference = grad.float(), self.references[name]
                if self.host_copies:
                    made, reference = made.cpu(), reference.cpu()
                torch.nn.functional.cosine_similarity(made, reference, dim=1)
                torch.nn.functional.cosine_similarity(made, reference, dim=0)
        self.adapter.model.requires_grad_(False)

    def step(self) -> None:
        """One batch to the weight gradients."""
        weights = self._weights()
        torch.autograd.grad(self.adapter.forward(self.batch).losses_B.sum(), weights)
        self.adapter.model.requires_grad_(False)

    def engine(self) -> None:
        """One batch to row and column statistics."""
        got = capture(self.adapter, self.batch, self.names)
        for name in list(got.layers):
            slice_sums(got.layers.pop(name), (self.references[name],))

    def masked(self) -> None:
        """One batch to the statistics of the kept slices."""
        got = capture(self.adapter, self.batch, self.names)
        for name in list(got.layers):
            masked_sums(got.layers.pop(name), self.references[name], *self.kept[name])

    def _weights(self) -> list[Tensor]:
        return [self.adapter.linear(name).weight.requires_grad_(True) for name in self.names]


def work_on(
    adapter: BenchmarkAdapter, batch: Encoded, names: Sequence[str], *, host_copies: bool = False
) -> Work:
    """References drawn at random in the gradients' shape; rows and columns to keep drawn too."""
    generator = torch.Generator(device=adapter.device).manual_seed(1)
    references, kept = {}, {}
    for name in names:
        O, I = adapter.weight(name).shape  # noqa: E741
        made = torch.empty(O, I, device=adapter.device)
        references[name] = made.normal_(generator=generator)
        rows, cols = (torch.arange(0, size, round(1 / KEPT), device=adapter.device) for size in (O, I))
        kept[name] = rows, cols
    return Work(adapter, batch, names, references, kept, host_copies)


def activation_bytes(work: Work) -> int:
    """What a plain training step on these layers keeps for its backward pass, weights aside."""
    held: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in work.adapter.model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    for name in work.names:
        work.adapter.linear(name).weight.requires_grad_(True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = work.adapter.forward(work.batch).losses_B.sum()
    del loss
    work.adapter.model.requires_grad_(False)
    return sum(held.values())
