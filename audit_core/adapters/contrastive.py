"""Contrastive models: one adapter over two towers, the loss of a pair against a fixed bank of anchor pairs.

What differs between layouts is in `open_clip` (BiomedCLIP) and `hf_towers` (CLIP, SigLIP); the losses are in
`bank_losses`.

Letters: B samples, E embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from audit_core.adapters.bank_losses import SIGMOID, SOFTMAX, closed, sigmoid_loss, softmax_loss
from audit_core.adapters.bank_predictions import choices, decisions
from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome
from audit_core.adapters.families import CONTRASTIVE, OPEN_CLIP
from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.networks import stacked
from audit_core.adapters.opening import Opening
from audit_core.adapters.predictions import REPORT, Predictions
from audit_core.adapters.towers import not_audited
from audit_core.adapters.two_towers import TwoTowers
from audit_core.errors import AuditError
from audit_core.samples import Sample


class ContrastiveAdapter(ModelAdapter):
    """An image tower and a text tower that meet in one space."""

    family = CONTRASTIVE
    uses_bank = True

    def __init__(self, model: nn.Module, towers: TwoTowers, facts: Mapping[str, str]) -> None:
        super().__init__(model, facts)
        self.towers = towers

    @classmethod
    def load(cls, path: Path, facts: FolderFacts, opening: Opening) -> Self:
        """Open a folder that `inspect_folder` has accepted.

        Raises:
            ModelRefused: tensors are missing, left over or of another shape; or tokenizer, pixels and weights
                are not of one model.
        """
        model: nn.Module
        towers: TwoTowers
        if facts.model_type == OPEN_CLIP.model_type:
            from audit_core.adapters.open_clip import open_biomedclip

            model, towers, pixels = open_biomedclip(path, facts, opening)
        else:
            from audit_core.adapters.hf_towers import open_towers

            model, towers, pixels = open_towers(path, facts, opening)
        said = {
            "architecture": facts.architecture,
            "vision_tower": "the one inside the checkpoint",
            "preprocessor": f"{pixels} {facts.preprocessor[:16]}",
            "loss": SIGMOID if towers.sigmoid else SOFTMAX,
        }
        adapter = cls(opening.placed(model, facts), towers, said)
        return adapter.say(not_audited=not_audited(model, adapter.linear_names()))

    def candidates(self) -> tuple[Candidate, ...]:
        """Linear layers of both towers, their pooling and their projections."""
        return tuple(self.towers.candidate(name) for name in self.linear_names())

    def adaptable(self) -> tuple[str, ...]:
        """All linear layers of both towers and the projections."""
        return self.linear_names()

    @property
    def encoding(self) -> str:
        """Tokenizer, lengths, padding and preprocessing."""
        return self.towers.encoding

    def _encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded:
        texts = self.towers.texts(samples, max_text_tokens)
        pixels = stacked([self.towers.pixels(sample.image) for sample in samples])
        ids, patients = tuple(s.pair_id for s in samples), tuple(s.patient for s in samples)
        return Encoded(ids, patients, texts | pixels)

    def _embed(self, batch: Encoded) -> tuple[Tensor, Tensor]:
        return self.towers.embed(self.model, batch.tensors)

    def _forward(self, batch: Encoded, anchors: Anchors | None) -> Outcome:
        if anchors is None:
            raise AuditError("contrastive models need a bank of anchor pairs")
        image_BE, text_BE = self._embed(batch)
        scale, bias = self.towers.temperature(self.model)
        closed_BN = closed(batch, anchors)
        if self.towers.sigmoid:
            losses_B, scalars = sigmoid_loss(image_BE, text_BE, scale, bias, anchors, closed_BN)
        else:
            losses_B, scalars = softmax_loss(image_BE, text_BE, scale, anchors, closed_BN)
        return Outcome(losses_B, scalars, (1,) * len(batch.pair_ids))

    def _predictions(self, batch: Encoded, anchors: Anchors | None, where: str) -> tuple[Predictions, ...]:
        if anchors is None or where != REPORT:
            return super()._predictions(batch, anchors, where)
        image_BE, text_BE = self._embed(batch)
        scale, bias = self.towers.temperature(self.model)
        decide = decisions if self.towers.sigmoid else choices
        return decide(image_BE, text_BE, scale, bias, anchors, closed(batch, anchors))

    def _image_vectors(self, batch: Encoded) -> Tensor:
        return self._embed(batch)[0]

    def _training_loss(self, batch: Encoded) -> Tensor:
        image_BE, text_BE = self._embed(batch)
        scale, bias = self.towers.temperature(self.model)
        logits_BB = scale * image_BE @ text_BE.T + bias
        if self.towers.sigmoid:
            signs_BB = 2 * torch.eye(len(logits_BB), device=logits_BB.device) - 1
            return -functional.logsigmoid(signs_BB * logits_BB).sum(1).mean()
        own = torch.arange(len(logits_BB), device=logits_BB.device)
        return 0.5 * (functional.cross_entropy(logits_BB, own) + functional.cross_entropy(logits_BB.T, own))
