"""Contrastive models (BiomedCLIP): the loss of a pair against a fixed bank of anchor pairs.

L = ½(InfoNCE image→text + text→image) over {own pair} ∪ bank, bank embeddings detached (METHOD §4), so the
loss of a pair does not depend on its neighbours in the batch.

Letters: B samples, N anchors, E embedding, C = 1 + N choices (own pair first).
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from audit_core.adapters.base import Anchors, Candidate, Encoded, ModelAdapter, Outcome
from audit_core.adapters.biomedclip import BiomedClip
from audit_core.adapters.families import CONTRASTIVE
from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.layouts import (
    DROPPED_KEYS,
    OPEN_CLIP_CONFIG,
    OpenClipLayout,
    read_open_clip,
)
from audit_core.adapters.loading import refuse_wrong_keys
from audit_core.adapters.opening import Opening
from audit_core.errors import AuditError, BadSample, ModelRefused
from audit_core.samples import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ContrastiveAdapter(ModelAdapter):
    """A BiomedCLIP checkpoint in open_clip layout."""

    family = CONTRASTIVE
    uses_bank = True

    def __init__(
        self, model: nn.Module, tokenizer: Tokenizer, layout: OpenClipLayout, facts: Mapping[str, str]
    ) -> None:
        super().__init__(model, facts)
        self.tokenizer = tokenizer
        self.layout = layout

    @classmethod
    def load(cls, path: Path, facts: FolderFacts, opening: Opening) -> Self:
        """Open a folder that `inspect_folder` has accepted.

        Raises:
            ModelRefused: tensors are missing, left over or of another shape.
        """
        state = {k: v.float() for k, v in load_file(path / facts.weights[0]).items() if k not in DROPPED_KEYS}
        config = json.loads((path / OPEN_CLIP_CONFIG).read_text(encoding="utf-8"))
        layout = read_open_clip(config, {k: tuple(v.shape) for k, v in state.items()})
        with torch.device("meta"):
            expected = set(BiomedClip(layout).state_dict())
        refuse_wrong_keys(list(expected - set(state)), list(set(state) - expected))
        model = BiomedClip(layout)
        try:
            model.load_state_dict(state, strict=True)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise ModelRefused(f"the weights do not fit the model: {reason}"[:300]) from error
        said = {
            "architecture": facts.architecture,
            "vision_tower": "the one inside the checkpoint",
            "preprocessor": f"PIL bicubic {facts.preprocessor[:16]}",
        }
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(layout.text.context)
        known = tokenizer.get_vocab_size()
        if known > layout.text.vocabulary:
            raise ModelRefused(
                f"the tokenizer knows {known} tokens, the model {layout.text.vocabulary}",
                "tokenizer and weights must belong to the same model",
            )
        return cls(opening.placed(model, facts), tokenizer, layout, said)

    def candidates(self) -> tuple[Candidate, ...]:
        """Linear layers of trunk, BERT and the two projections."""
        return tuple(_candidate(name) for name in self.linear_names())

    def adaptable(self) -> tuple[str, ...]:
        """All linear layers of both towers and the projections."""
        return tuple(c.name for c in self.candidates())

    @property
    def encoding(self) -> str:
        """Tokenizer (with its truncation), padding and preprocessing."""
        size, layout = self.layout.trunk.image, self.layout
        return json.dumps([self.tokenizer.to_str(), self._padding_id(), size, layout.mean, layout.std])

    # ---- encoding ---------------------------------------------------------------------------------------

    def _encode(self, samples: Sequence[Sample], max_text_tokens: int) -> Encoded:
        rows = [self._ids(sample, max_text_tokens) for sample in samples]
        width = max(len(ids) for ids in rows)
        input_ids = torch.full((len(rows), width), self._padding_id())
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for row, ids in enumerate(rows):
            input_ids[row, : len(ids)] = torch.tensor(ids)
            mask[row, : len(ids)] = 1
        pixels = torch.stack([self._pixels(sample.image) for sample in samples])
        return Encoded(
            tuple(s.pair_id for s in samples),
            tuple(s.patient for s in samples),
            {"input_ids": input_ids, "attention_mask": mask, "pixels": pixels},
        )

    def _ids(self, sample: Sample, max_text_tokens: int) -> list[int]:
        text = " ".join(html.unescape(html.unescape(sample.text)).split())
        if not text:
            raise BadSample(f"pair {sample.pair_id} has no report text")
        ids: list[int] = self.tokenizer.encode(text).ids
        if len(ids) > max_text_tokens:
            ids = [*ids[: max_text_tokens - 1], ids[-1]]  # the closing [SEP] stays
        return ids

    def _pixels(self, image: NDArray[np.uint8]) -> Tensor:
        """Shortest edge to the model's size (bicubic), centre crop, mean and std, as open_clip does."""
        size = self.layout.trunk.image
        picture = Image.fromarray(image).convert("RGB")
        width, height = picture.size
        target = (size, int(size * height / width)) if width <= height else (int(size * width / height), size)
        if (width, height) != target:
            picture = picture.resize(target, Image.Resampling.BICUBIC)
        left, top = round((target[0] - size) / 2), round((target[1] - size) / 2)
        pixels = np.asarray(picture, dtype=np.float32)[top : top + size, left : left + size] / 255.0
        mean, std = (np.array(x, np.float32) for x in (self.layout.mean, self.layout.std))
        return torch.from_numpy(((pixels - mean) / std).transpose(2, 0, 1).copy())

    def _padding_id(self) -> int:
        pad = self.tokenizer.token_to_id("[PAD]")
        return 0 if pad is None else pad

    # ---- forward ----------------------------------------------------------------------------------------

    def _embed(self, batch: Encoded) -> tuple[Tensor, Tensor]:
        given = batch.tensors
        image_BE, text_BE = self.model(given["pixels"], given["input_ids"], given["attention_mask"])
        return image_BE.float(), text_BE.float()

    def _forward(self, batch: Encoded, anchors: Anchors | None) -> Outcome:
        if anchors is None:
            raise AuditError("contrastive models need a bank of anchor pairs")
        image_BE, text_BE = self._embed(batch)
        scale = self._scale()
        own_B = (image_BE * text_BE).sum(1)
        closed_BN = _closed(batch, anchors)
        to_text_BC = _logits(scale, own_B, image_BE @ anchors.text_ND.T, closed_BN)
        to_image_BC = _logits(scale, own_B, text_BE @ anchors.image_ND.T, closed_BN)
        both = [torch.log_softmax(logits, dim=1) for logits in (to_text_BC, to_image_BC)]
        losses_B = -0.5 * (both[0][:, 0] + both[1][:, 0])
        with torch.no_grad():
            scalars = _bank_scalars(both, [to_text_BC, to_image_BC], closed_BN)
            scalars |= {"neg_loss": -losses_B.detach(), "cosine": own_B.detach()}
        return Outcome(losses_B, scalars, (1,) * len(batch.pair_ids))

    def _training_loss(self, batch: Encoded) -> Tensor:
        image_BE, text_BE = self._embed(batch)
        logits_BB = self._scale() * image_BE @ text_BE.T
        own = torch.arange(len(logits_BB), device=logits_BB.device)
        return 0.5 * (functional.cross_entropy(logits_BB, own) + functional.cross_entropy(logits_BB.T, own))

    def _scale(self) -> Tensor:
        model: Any = self.model
        scale: Tensor = model.logit_scale.float().exp()
        return scale


def _closed(batch: Encoded, anchors: Anchors) -> Tensor:
    """True [B, N] where an anchor is the pair itself or of the same patient: never its own negative."""
    own = [[p == a for a in anchors.patients] for p in batch.patients]
    return torch.tensor(own, dtype=torch.bool, device=anchors.image_ND.device)


def _logits(scale: Tensor, own_B: Tensor, others_BN: Tensor, closed_BN: Tensor) -> Tensor:
    others_BN = (scale * others_BN).masked_fill(closed_BN, -torch.inf)
    return torch.cat([(scale * own_B)[:, None], others_BN], dim=1)


def _bank_scalars(
    logp_BC: Sequence[Tensor], logits_BC: Sequence[Tensor], closed_BN: Tensor
) -> dict[str, Tensor]:
    """Likelihood signals on the softmax over own pair and bank, both directions (METHOD §4)."""
    open_BN = ~closed_BN
    count_B = open_BN.sum(1)
    standard, entropy, best = [], [], []
    for logp, logits in zip(logp_BC, logits_BC, strict=True):
        others = logits[:, 1:].masked_fill(closed_BN, 0.0)
        mean = others.sum(1) / count_B
        variance = ((others - mean[:, None]).square() * open_BN).sum(1) / count_B
        standard.append((logits[:, 0] - mean) / variance.clamp_min(1e-12).sqrt())
        entropy.append(torch.special.entr(logp.exp()).sum(1))
        best.append(logp.amax(1))
    return {
        "mink": torch.minimum(logp_BC[0][:, 0], logp_BC[1][:, 0]),
        "minkpp": 0.5 * (standard[0] + standard[1]),
        "neg_entropy": -0.5 * (entropy[0] + entropy[1]),
        "max_logp": 0.5 * (best[0] + best[1]),
    }


def _candidate(name: str) -> Candidate:
    parts = name.split(".")
    for tower, holder, said in (("vision", "blocks", "vision layer"), ("text", "layer", "text layer")):
        if holder in parts:
            block = int(parts[parts.index(holder) + 1])
            return Candidate(name, tower, block, f"{said} {block}")
    return Candidate(
        name, "head", -1, "image projection" if name.startswith("visual.") else "text projection"
    )
