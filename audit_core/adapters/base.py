"""The seam between the audit and a vendor's model. Adding a model family is one subclass with six methods.

Vendor code may raise anything; the public methods here are the wall that turns it into one of our errors,
naming pairs by their opaque ids. Subclasses implement the underscored methods and never see a caller. What a
reading may ask for besides is in `capabilities`.

Letters: B samples in a batch, T positions.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from audit_core.adapters.adapted import adapted_layers, effective_weight, linear_layers, switch
from audit_core.adapters.capabilities import Capabilities
from audit_core.adapters.wall import walled
from audit_core.errors import AuditError, ModelRefused
from audit_core.products import frozen_products
from audit_core.samples import Sample


@dataclass(frozen=True, slots=True)
class Encoded:
    """One batch as the model wants it, on the CPU; texts right-padded.

    Attributes:
        tensors: keyword arguments of the model's forward; most have B as their first dimension.
        share_B: how much of what the vision tower packs along its first dimension belongs to each sample,
            in its own units (tiles, patches); samples follow each other there. Empty: equal shares.
    """

    pair_ids: tuple[str, ...]
    patients: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    share_B: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one forward pass says about each sample.

    Attributes:
        losses_B: per-sample loss, differentiable where the graph was kept.
        scalars: scalar signals by name (`audit_core.signals.LIKELIHOOD_SCALARS` …), float32 [B], detached.
        supervised: number of loss terms per sample (report tokens; 1 for contrastive).
        tokens_PC: what is said at every report token, sample after sample, columns as in
            `audit_core.tokens.TOKEN_COLUMNS`; None for models that do not predict tokens.
    """

    losses_B: Tensor
    scalars: Mapping[str, Tensor]
    supervised: tuple[int, ...]
    tokens_PC: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Anchors:
    """Detached unit embeddings of the bank's pairs, float32 (METHOD §4); rows belong to pairs."""

    pair_ids: tuple[str, ...]
    patients: tuple[str, ...]
    image_ND: Tensor
    text_ND: Tensor


@dataclass(frozen=True, slots=True)
class Candidate:
    """A linear layer that may be audited.

    Attributes:
        name: parameter path without `.weight`.
        tower: `language`, `vision`, `text`, `qformer`, or `head` for projectors and projections.
        block: index of the transformer block in its tower, −1 for heads.
        layer: what an officer reads.
    """

    name: str
    tower: str
    block: int
    layer: str


class ModelAdapter(Capabilities):
    """A loaded checkpoint, frozen, in evaluation mode, placed where and as it will compute."""

    family: str
    uses_bank: bool = False
    predicts_tokens: bool = False
    peft_on: bool = True  # only means something where the network has a PEFT adapter

    def __init__(self, model: nn.Module, facts: Mapping[str, str]) -> None:
        self.model = model.eval().requires_grad_(False)
        self._facts = dict(facts)

    # ---- what the audit calls ---------------------------------------------------------------------------

    def encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded:
        """Turn samples into one padded batch.

        Raises:
            BadSample: one of the samples cannot be given to this model.
        """
        return walled(samples[0].pair_id, lambda: self._encode(samples, max_text_tokens))

    def forward(self, batch: Encoded, anchors: Anchors | None = None) -> Outcome:
        """Per-sample losses and scalar signals of a batch; differentiable when gradients are enabled.

        Raises:
            BadSample: the model failed on this batch.
        """
        switch(self.model, self.peft_on)
        with frozen_products(self.model):
            return walled(batch.pair_ids[0], lambda: self._forward(self._placed(batch), anchors))

    def anchors(self, bank: Sequence[Sample], max_text_tokens: int, batch_size: int) -> Anchors | None:
        """Embed the bank once, without gradients; None for families that need no bank.

        Raises:
            BadSample: a pair of the bank cannot be encoded.
        """
        if not self.uses_bank:
            return None
        switch(self.model, self.peft_on)
        chunks = [bank[i : i + batch_size] for i in range(0, len(bank), batch_size)]
        with torch.no_grad():
            pairs = [self._embedded(chunk, max_text_tokens) for chunk in chunks]
        return Anchors(
            tuple(s.pair_id for s in bank),
            tuple(s.patient for s in bank),
            torch.cat([image for image, _ in pairs]),
            torch.cat([text for _, text in pairs]),
        )

    def training_loss(self, batch: Encoded) -> Tensor:
        """The loss this family is fine-tuned with, a differentiable scalar; used by the spike-in."""
        switch(self.model, self.peft_on)
        return walled(batch.pair_ids[0], lambda: self._training_loss(self._placed(batch)))

    @abstractmethod
    def candidates(self) -> tuple[Candidate, ...]:
        """Every linear layer that may be audited, in forward order; embeddings and `lm_head` are not."""

    @abstractmethod
    def adaptable(self) -> tuple[str, ...]:
        """Names of the linear layers a LoRA fine-tune usually adapts."""

    def refuse_other_base(self, base: ModelAdapter) -> None:
        """Refuse a base model that this one cannot have been fine-tuned from.

        Raises:
            ModelRefused: one of its matrices is missing there or has another shape.
        """
        known = set(base.linear_names())
        for candidate in self.candidates():
            if candidate.name not in known:
                raise ModelRefused(
                    f"the base model is another network: it has no {candidate.name}",
                    "give the base model this one was fine-tuned from",
                )
            ours = tuple(self.linear(candidate.name).weight.shape)
            theirs = tuple(base.linear(candidate.name).weight.shape)
            if ours != theirs:
                raise ModelRefused(
                    f"the base model's {candidate.name} is {theirs}, the model's {ours}",
                    "give the base model this one was fine-tuned from",
                )

    def linear_names(self) -> tuple[str, ...]:
        """Names of all linear layers the network calls, in its order; the same with a PEFT adapter on it."""
        return tuple(name for name, _ in linear_layers(self.model))

    def linear(self, name: str) -> nn.Linear:
        """The plain linear layer called `name`; of a layer with a PEFT adapter, the one below it.

        Raises:
            ModelRefused: this model has no such linear layer.
        """
        module = self.projection(name)
        plain = module.get_base_layer() if isinstance(module, LoraLayer) else module
        assert isinstance(plain, nn.Linear)
        return plain

    def projection(self, name: str) -> nn.Module:
        """The module that computes x·Wᵀ with the audited W: a linear layer, or one with a PEFT adapter on it.

        Its first input and its output are where a capture looks, so W is always the effective matrix.

        Raises:
            ModelRefused: this model has no such linear layer.
        """
        try:
            module = self.model.get_submodule(name)
        except AttributeError as error:
            raise ModelRefused(f"the model has no layer {name}") from error
        plain = module.get_base_layer() if isinstance(module, LoraLayer) else module
        if not isinstance(plain, nn.Linear):
            raise ModelRefused(f"{name} is not a linear layer")
        return module

    def weight(self, name: str) -> Tensor:
        """The effective matrix [O, I] of an audited layer, detached: with a PEFT adapter, base and adapter.

        Raises:
            ModelRefused: this model has no such linear layer.
        """
        module = self.projection(name)
        if self.peft_on and isinstance(module, LoraLayer):
            return effective_weight(module)
        return self.linear(name).weight.detach()

    def without_peft(self) -> ModelAdapter | None:
        """The same network with its PEFT adapter switched off, as base model; None where there is none.

        Both views may be used in turn: each sets the switch before it computes.
        """
        if not (self.peft_on and adapted_layers(self.model)):
            return None
        twin = copy.copy(self)
        twin.peft_on = False
        twin._facts = {**self._facts, "peft": "switched off"}
        return twin

    def say(self, **facts: str) -> Self:
        """Add to what the reader of the audit is told; returns the adapter itself."""
        self._facts.update(facts)
        return self

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """In what precision the network computes."""
        return next(self.model.parameters()).dtype

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.model.parameters())

    @property
    @abstractmethod
    def encoding(self) -> str:
        """Identity of all that `encode` depends on; two adapters with the same one share batches."""

    @property
    def facts(self) -> dict[str, str]:
        """What was loaded, for the reader of the audit."""
        return {
            "family": self.family,
            "parameters": str(self.parameters),
            "precision": str(self.dtype).removeprefix("torch."),
            "device": self.device.type,
            **self._facts,
        }

    def around(self, model: nn.Module) -> Self:
        """The same adapter (tokenizer, preprocessing) around another copy of the network."""
        twin = copy.copy(self)
        twin.model = model.eval().requires_grad_(False)
        return twin

    def _embedded(self, chunk: Sequence[Sample], max_text_tokens: int) -> tuple[Tensor, Tensor]:
        batch = self._placed(self.encode(chunk, max_text_tokens))
        return walled(batch.pair_ids[0], lambda: self._embed(batch))

    def _placed(self, batch: Encoded) -> Encoded:
        """The batch where the network computes, its fractions in the network's precision."""
        device, dtype = self.device, self.dtype
        moved = {
            name: tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
            for name, tensor in batch.tensors.items()
        }
        return replace(batch, tensors=moved)

    # ---- what a family implements -----------------------------------------------------------------------

    @abstractmethod
    def _encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded: ...

    @abstractmethod
    def _forward(self, batch: Encoded, anchors: Anchors | None) -> Outcome: ...

    @abstractmethod
    def _training_loss(self, batch: Encoded) -> Tensor: ...

    def _embed(self, batch: Encoded) -> tuple[Tensor, Tensor]:
        raise AuditError(f"{self.family} models have no anchor embeddings")


def last_blocks(candidates: Sequence[Candidate], count: int) -> tuple[Candidate, ...]:
    """The last `count` blocks of every tower, and all heads (METHOD §1, "last K").

    Args:
        candidates: layers that receive a gradient; blocks that do not are left out by the caller.
        count: K.
    """
    kept: dict[str, set[int]] = {}
    for tower in {c.tower for c in candidates}:
        blocks = sorted({c.block for c in candidates if c.tower == tower and c.block >= 0})
        kept[tower] = set(blocks[-count:])
    return tuple(c for c in candidates if c.block < 0 or c.block in kept[c.tower])
