"""Image-text matching (BLIP): the loss is −log p(match) of the own pair.

Image and text meet inside the network, layer by layer, and a head of two outputs says whether they match. No
bank is used: every anchor would need its own pass through both towers together, and the head's answer does
not depend on other pairs. The projections of the model's contrastive part take no part in it; they get no
gradient and are left out by the probe.

Signals of METHOD §4 with one decision per pair, z the two logits: `mink` is that decision's log-probability,
`minkpp` the log-odds z_match − z_not. Standardising by the two outcomes' own spread, as over a vocabulary,
would give ±√((1−p)/p): larger for a pair the model doubts.

Letters: B samples, T tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers.models.blip.modeling_blip import BlipForImageTextRetrieval

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome
from audit_core.adapters.families import MATCHING
from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.networks import named_token, open_network, open_tokenizer, stacked
from audit_core.adapters.opening import Opening
from audit_core.adapters.pixels import Pixels
from audit_core.adapters.predictions import REPORT, Predictions
from audit_core.adapters.towers import not_audited
from audit_core.adapters.two_towers import padded, report_text, shortened
from audit_core.samples import Sample

LOSS: Final = "−log p(match) of the matching head"
MATCH: Final = 1  # the head's second output
_HEADS: Final = {
    "itm_head": "matching head",
    "vision_proj": "image projection",
    "text_proj": "text projection",
}


class MatchingAdapter(ModelAdapter):
    """A BLIP with a matching head."""

    family = MATCHING

    def __init__(
        self, model: nn.Module, tokenizer: Tokenizer, pixels: Pixels, pad: int, facts: Mapping[str, str]
    ) -> None:
        super().__init__(model, facts)
        self.tokenizer = tokenizer
        self.pixels = pixels
        self.pad = pad
        config: Any = model.config
        self.positions = int(config.text_config.max_position_embeddings)

    @classmethod
    def load(cls, path: Path, facts: FolderFacts, opening: Opening) -> Self:
        """Open a folder that `inspect_folder` has accepted.

        Raises:
            ModelRefused: the weights do not fill the network, or tokenizer, pixels and weights are not of one
                model.
        """
        model = open_network(BlipForImageTextRetrieval, path, facts, opening, attention="eager")
        tokenizer = open_tokenizer(path, int(model.config.text_config.vocab_size))
        pixels = Pixels(path)
        pixels.refuse_other_size(int(model.config.vision_config.image_size))
        said = {
            "architecture": facts.architecture,
            "vision_tower": "the one inside the checkpoint",
            "preprocessor": f"{pixels.name} {facts.preprocessor[:16]}",
            "loss": LOSS,
        }
        pad = named_token(path, "pad_token", tokenizer)
        adapter = cls(model, tokenizer, pixels, 0 if pad is None else pad, said)
        left_out = not_audited(model, adapter.linear_names())
        return adapter.say(not_audited=f"{left_out}; without a gradient: contrastive projections")

    def candidates(self) -> tuple[Candidate, ...]:
        """Linear layers of vision tower, text tower (with its layers across to the image) and head."""
        return tuple(_candidate(name) for name in self.linear_names())

    def adaptable(self) -> tuple[str, ...]:
        """All linear layers of both towers, and the matching head."""
        return tuple(c.name for c in self.candidates() if not c.name.endswith("_proj"))

    @property
    def encoding(self) -> str:
        """Tokenizer, lengths, padding and preprocessing."""
        return json.dumps([self.tokenizer.to_str(), self.pixels.identity, self.positions, self.pad])

    def _encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded:
        most = min(max_text_tokens, self.positions)
        rows = [shortened(self.tokenizer.encode(report_text(s, s.text.strip())).ids, most) for s in samples]
        input_ids, mask = padded(rows, self.pad)
        tensors = {"input_ids": input_ids, "attention_mask": mask}
        tensors |= stacked([self.pixels(sample.image) for sample in samples])
        return Encoded(tuple(s.pair_id for s in samples), tuple(s.patient for s in samples), tensors)

    def _forward(self, batch: Encoded, anchors: Anchors | None) -> Outcome:
        del anchors  # no bank, see above
        logits_B2 = self._logits(batch)
        logp_B2 = torch.log_softmax(logits_B2, dim=1)
        losses_B = -logp_B2[:, MATCH]
        with torch.no_grad():
            scalars = {
                "neg_loss": logp_B2[:, MATCH],
                "mink": logp_B2[:, MATCH],
                "minkpp": logits_B2[:, MATCH] - logits_B2[:, 1 - MATCH],
                "neg_entropy": (logp_B2.exp() * logp_B2).sum(1),
                "max_logp": logp_B2.amax(1),
            }
            scalars = {name: values.detach().clone() for name, values in scalars.items()}
        return Outcome(losses_B, scalars, (1,) * len(batch.pair_ids))

    def _predictions(self, batch: Encoded, anchors: Anchors | None, where: str) -> tuple[Predictions, ...]:
        if where != REPORT:
            return super()._predictions(batch, anchors, where)
        logits_B2 = self._logits(batch)
        truth_1 = torch.full((1,), MATCH, device=logits_B2.device)
        return tuple(
            Predictions(row[None], truth_1, lambda z: torch.log_softmax(z, dim=-1)) for row in logits_B2
        )

    def _image_vectors(self, batch: Encoded) -> Tensor:
        model: Any = self.model
        seen: Tensor = model.vision_model(pixel_values=batch.tensors["pixel_values"]).last_hidden_state
        return seen[:, 0]

    def _training_loss(self, batch: Encoded) -> Tensor:
        """Own pairs match, each image with the next pair's text does not (Li 2022, with random negatives)."""
        logits_B2 = self._logits(batch)
        wanted_B = torch.full((len(logits_B2),), MATCH, device=logits_B2.device)
        loss = nn.functional.cross_entropy(logits_B2, wanted_B)
        if len(logits_B2) < 2:
            return loss
        texts = {name: batch.tensors[name].roll(1, 0) for name in ("input_ids", "attention_mask")}
        others_B2 = self._logits(Encoded(batch.pair_ids, batch.patients, {**batch.tensors, **texts}))
        return 0.5 * (loss + nn.functional.cross_entropy(others_B2, 1 - wanted_B))

    def _logits(self, batch: Encoded) -> Tensor:
        """What the head says of [no match, match], float32.

        As the library's own forward does, which makes its image mask on the CPU wherever the network is.
        """
        model: Any = self.model
        given = batch.tensors
        image_BTD = model.vision_model(pixel_values=given["pixel_values"]).last_hidden_state
        text_BTD = model.text_encoder(
            input_ids=given["input_ids"],
            attention_mask=given["attention_mask"],
            encoder_hidden_states=image_BTD,
            encoder_attention_mask=given["input_ids"].new_ones(image_BTD.shape[:-1]),
        ).last_hidden_state
        logits_B2: Tensor = model.itm_head(text_BTD[:, 0, :]).float()
        return logits_B2


def _candidate(name: str) -> Candidate:
    parts = name.split(".")
    tower = "vision" if parts[0] == "vision_model" else "text"
    for holder in ("layers", "layer"):
        if holder in parts:
            block = int(parts[parts.index(holder) + 1])
            return Candidate(name, tower, block, f"{tower} layer {block}")
    return Candidate(name, "head", -1, _HEADS[name])
