"""What a reading may ask of a model beyond a forward pass. A family has what it implements, the rest raises.

Part of the wall of `base.ModelAdapter`: public methods here, one underscored method each in a family. Nothing
keeps a graph.

Letters: B samples in a batch, T positions, D width of an embedding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from audit_core.adapters.adapted import switch
from audit_core.adapters.predictions import REPORT, Predictions
from audit_core.adapters.wall import walled
from audit_core.errors import AuditError
from audit_core.products import frozen_products
from audit_core.samples import Sample

if TYPE_CHECKING:
    from audit_core.adapters.base import Anchors, Candidate, Encoded, Outcome

_T = TypeVar("_T")
Take = Callable[[str, Tensor], None]
_FEED_FORWARD = ("down_proj", "fc2")
"""Names of the matrix that reads a block's neurons; BERT's is an `output.dense`."""


class Capabilities(ABC):
    """Further passes over a loaded model."""

    family: str
    model: nn.Module
    peft_on: bool

    def predictions(
        self, batch: Encoded, anchors: Anchors | None = None, where: str = REPORT
    ) -> tuple[Predictions, ...]:
        """All that the model predicts for each sample, to be asked for in pieces.

        Args:
            batch: B encoded samples.
            anchors: the bank, for contrastive models.
            where: `REPORT`, or `IMAGE` where a family predicts something there.

        Raises:
            BadSample: the model failed on this batch.
        """
        return self._inside(batch, lambda given: self._predictions(given, anchors, where))

    def image_vectors(self, batch: Encoded) -> Tensor:
        """One vector for each image, unit length, float32 [B, D]: what the rest of the model sees of it.

        Raises:
            BadSample: the model failed on this batch.
        """
        vectors = self._inside(batch, self._image_vectors).float()
        return nn.functional.normalize(vectors, dim=-1)

    def generated(self, batch: Encoded) -> tuple[str, ...]:
        """What the model says of each image by itself, greedily, for as many tokens as the report has.

        Raises:
            AuditError: the prompts of the batch have several lengths; give the pairs one by one.
            BadSample: the model failed on this batch.
        """
        return self._inside(batch, self._generated)

    def encode_after(self, samples: Sequence[Sample], before: Sequence[str], max_text_tokens: int) -> Encoded:
        """As `encode`, with other reports between prompt and report; they are read and not supervised.

        Args:
            samples: B pairs.
            before: reports to be read before each pair's own; their beginnings are cut where all of it is
                longer than the model's positions.
            max_text_tokens: of the pair's own report.

        Raises:
            BadSample: one of the samples cannot be given to this model.
        """
        return walled(samples[0].pair_id, lambda: self._encode_after(samples, before, max_text_tokens))

    def report_ids(self, batch: Encoded) -> tuple[tuple[int, ...], ...]:
        """The tokens of each report that reach the model, as they are supervised."""
        return walled(batch.pair_ids[0], lambda: self._report_ids_of(batch))

    def token_ids(self, text: str) -> tuple[int, ...]:
        """The tokens of a text inside another one, without any that opens or closes it."""
        return walled("-", lambda: self._token_ids(text))

    def spelled(self, ids: Sequence[int]) -> str:
        """Tokens as text, special ones left out."""
        return walled("-", lambda: self._spelled(ids))

    @property
    def outcomes(self) -> int:
        """Size of the vocabulary that the model predicts."""
        raise self._none("vocabulary")

    def feed_forward(self) -> tuple[str, ...]:
        """Layers whose input is the neurons of a block: of the language model, or of both towers."""
        return tuple(c.name for c in self.candidates() if c.block >= 0 and _reads_neurons(c.name))

    def neurons(
        self,
        batch: Encoded,
        anchors: Anchors | None,
        names: Sequence[str],
        take: Callable[[str, Tensor], None],
    ) -> None:
        """One forward pass; the input of each named layer is given to `take` as it comes by.

        Raises:
            BadSample: the model failed on this batch.
        """
        handles = [
            self.projection(name).register_forward_pre_hook(partial(_shown, name=name, take=take))
            for name in names
        ]
        try:
            self._inside(batch, lambda given: self._forward(given, anchors))
        finally:
            for handle in handles:
                handle.remove()

    def text_positions(self, batch: Encoded) -> Tensor:
        """Where the text tower reads a token that counts, bool [B, T]; padding and prompt do not."""
        mask = batch.tensors.get("attention_mask")
        return (torch.ones_like(batch.tensors["input_ids"]) if mask is None else mask).bool()

    # ---- what a family implements -----------------------------------------------------------------------

    @abstractmethod
    def candidates(self) -> tuple[Candidate, ...]:
        """See `base.ModelAdapter`."""

    @abstractmethod
    def projection(self, name: str) -> nn.Module:
        """See `base.ModelAdapter`."""

    @abstractmethod
    def _placed(self, batch: Encoded) -> Encoded: ...

    @abstractmethod
    def _forward(self, batch: Encoded, anchors: Anchors | None) -> Outcome: ...

    def _predictions(self, batch: Encoded, anchors: Anchors | None, where: str) -> tuple[Predictions, ...]:
        raise self._none("predictions at those positions")

    def _image_vectors(self, batch: Encoded) -> Tensor:
        raise self._none("vector of an image")

    def _generated(self, batch: Encoded) -> tuple[str, ...]:
        raise self._none("text of its own")

    def _encode_after(
        self, samples: Sequence[Sample], before: Sequence[str], max_text_tokens: int
    ) -> Encoded:
        raise self._none("text before a report")

    def _report_ids_of(self, batch: Encoded) -> tuple[tuple[int, ...], ...]:
        raise self._none("supervised tokens")

    def _token_ids(self, text: str) -> tuple[int, ...]:
        raise self._none("tokens to be predicted")

    def _spelled(self, ids: Sequence[int]) -> str:
        raise self._none("tokens to be predicted")

    def _none(self, what: str) -> AuditError:
        return AuditError(f"{self.family} models have no {what}")

    def _inside(self, batch: Encoded, act: Callable[[Encoded], _T]) -> _T:
        """`act` on the placed batch, without gradients, as `forward` computes."""
        switch(self.model, self.peft_on)
        with torch.no_grad(), frozen_products(self.model):
            return walled(batch.pair_ids[0], lambda: act(self._placed(batch)))


def _reads_neurons(name: str) -> bool:
    return name.rpartition(".")[2] in _FEED_FORWARD or (
        name.endswith(".output.dense") and "attention" not in name.lower()
    )


def _shown(module: nn.Module, inputs: tuple[Any, ...], *, name: str, take: Take) -> None:
    del module
    take(name, inputs[0])
