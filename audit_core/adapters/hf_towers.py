"""Two towers of transformers: CLIP (as PubMedCLIP), SigLIP (as MedSigLIP), SigLIP 2 with any image shape.

CLIP was trained with a softmax over the batch and pools at the closing token of a causal text tower. SigLIP
was trained with a sigmoid per pair, on texts padded to the full length without a mask, and pools at the last
position, padding or not: its own rule is kept.

Letters: B samples, T tokens, E embedding.
"""

from __future__ import annotations

import json
import string
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers.models.clip.modeling_clip import CLIPModel
from transformers.models.siglip.modeling_siglip import SiglipModel
from transformers.models.siglip2.modeling_siglip2 import Siglip2Model

from audit_core.adapters.base import Candidate
from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.networks import named_token, open_network, open_tokenizer, read_json
from audit_core.adapters.opening import Opening
from audit_core.adapters.pixels import Pixels
from audit_core.adapters.two_towers import TwoTowers, padded, report_text, shortened
from audit_core.errors import BadSample, ModelRefused
from audit_core.samples import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CLASSES: Final = {"CLIPModel": CLIPModel, "SiglipModel": SiglipModel, "Siglip2Model": Siglip2Model}
LOWERED: Final = ("GemmaTokenizer", "GemmaTokenizerFast", "Siglip2Tokenizer")  # SigLIP 2, in any image shape
CANONICAL: Final = ("SiglipTokenizer", "SiglipTokenizerFast")  # letters and figures only, as it was trained
OLD_END: Final = 2  # CLIP configs that state this pool at the largest id, whatever the closing token is
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_PIXELS: Final = ("pixel_values", "pixel_attention_mask", "spatial_shapes")
_HEADS: Final = (
    ("visual_projection", "image projection"),
    ("text_projection", "text projection"),
    ("vision_model.head", "image pooling"),
    ("text_model.head", "text projection"),
)


def open_towers(path: Path, facts: FolderFacts, opening: Opening) -> tuple[Any, HfTowers, str]:
    """Network, towers and the preprocessor's name.

    Raises:
        ModelRefused: the weights do not fill the network, or tokenizer, pixels and weights are not of one
            model.
    """
    model = open_network(CLASSES[facts.architecture], path, facts, opening)
    text, vision = model.config.text_config, model.config.vision_config
    if not getattr(vision, "vision_use_head", True):
        raise ModelRefused("the vision tower has no pooled image (vision_use_head)", "audit a whole SigLIP")
    tokenizer = open_tokenizer(path, int(text.vocab_size))
    pixels = Pixels(path)
    if facts.architecture != "Siglip2Model":
        pixels.refuse_other_size(int(vision.image_size))
    towers = (ClipTowers if facts.architecture == "CLIPModel" else SiglipTowers)(
        tokenizer, pixels, int(text.max_position_embeddings), named_token(path, "pad_token", tokenizer)
    )
    towers.prepare(text, read_json(path / "tokenizer_config.json"))
    return model, towers, pixels.name


class HfTowers(TwoTowers):
    """What both kinds share: tensors by transformers' names, pooled features by its own methods."""

    def __init__(self, tokenizer: Tokenizer, pixels: Pixels, positions: int, pad: int | None) -> None:
        self.tokenizer = tokenizer
        self.processor = pixels
        self.positions = positions
        self.pad = 0 if pad is None else pad

    @abstractmethod
    def prepare(self, text: Any, said: Mapping[str, Any]) -> None:
        """Take what else matters from the text tower's config and from tokenizer_config.json."""

    def spelled(self, text: str) -> str:
        """The text as the tokenizer wants it."""
        return text

    def pixels(self, image: NDArray[np.uint8]) -> dict[str, Tensor]:
        """By the folder's own processor."""
        return self.processor(image)

    def embed(self, model: Any, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Pooled and projected features, as `get_image_features` and `get_text_features` give them."""
        images = {name: given[name] for name in _PIXELS if name in given}
        texts = {name: given[name] for name in ("input_ids", "attention_mask") if name in given}
        image_BE = model.get_image_features(**images).pooler_output
        text_BE = model.get_text_features(**texts).pooler_output
        return functional.normalize(image_BE.float(), dim=-1), functional.normalize(text_BE.float(), dim=-1)

    def candidate(self, name: str) -> Candidate:
        """Blocks of both towers; projections and pooling as heads."""
        parts = name.split(".")
        tower = "vision" if parts[0] in ("vision_model", "visual_projection") else "text"
        if "layers" in parts:
            block = int(parts[parts.index("layers") + 1])
            return Candidate(name, tower, block, f"{tower} layer {block}")
        if "embeddings" in parts:  # SigLIP 2 cuts patches beforehand: the first layer is a plain matrix
            return Candidate(name, tower, 0, f"{tower} layer 0")
        return Candidate(name, "head", -1, next(said for head, said in _HEADS if name.startswith(head)))

    @property
    def encoding(self) -> str:
        """Tokenizer, lengths, padding and preprocessing."""
        sizes = [self.positions, self.pad, self.spelled("A, b"), type(self).__name__]
        return json.dumps([self.tokenizer.to_str(), self.processor.identity, *sizes])

    def _ids(self, sample: Sample, max_text_tokens: int) -> list[int]:
        text = report_text(sample, self.spelled(sample.text).strip())
        ids: list[int] = self.tokenizer.encode(text).ids
        return shortened(ids, min(max_text_tokens, self.positions))


class ClipTowers(HfTowers):
    """CLIP: causal text, pooled at the closing token."""

    end: int = OLD_END

    def prepare(self, text: Any, said: Mapping[str, Any]) -> None:
        """See that pooling finds the closing token.

        Raises:
            ModelRefused: the tokenizer closes texts with another token than the model pools at.
        """
        del said
        self.end = int(text.eos_token_id)
        ids: list[int] = self.tokenizer.encode("a").ids
        if len(ids) < 2 or self._pooled(ids) != len(ids) - 1:
            raise ModelRefused(
                "the tokenizer does not close a text with the token the model pools at",
                "tokenizer and weights must belong to the same model",
            )

    def texts(self, samples: Sequence[Sample], max_text_tokens: int) -> dict[str, Tensor]:
        """Ids with their closing token, and a mask."""
        rows = [self._ids(sample, max_text_tokens) for sample in samples]
        for sample, ids in zip(samples, rows, strict=True):
            if self._pooled(ids) != len(ids) - 1:
                raise BadSample(f"the report of pair {sample.pair_id} contains the model's closing token")
        input_ids, mask = padded(rows, self.pad)
        return {"input_ids": input_ids, "attention_mask": mask}

    def temperature(self, model: Any) -> tuple[Tensor, Tensor]:
        """The learnt scale; no bias."""
        scale: Tensor = model.logit_scale.float().exp()
        return scale, torch.zeros_like(scale)

    def _pooled(self, ids: Sequence[int]) -> int:
        wanted = max(ids) if self.end == OLD_END else self.end
        return ids.index(wanted) if wanted in ids else -1


class SiglipTowers(HfTowers):
    """SigLIP and SigLIP 2: full-length texts without a mask, pooled at the last position."""

    sigmoid = True
    lower = False
    canonical = False

    def prepare(self, text: Any, said: Mapping[str, Any]) -> None:
        """How texts were spelled in training; a tokenizer.json may do the same once more, without effect."""
        del text
        kind = said.get("tokenizer_class")
        self.canonical = kind in CANONICAL
        self.lower = kind in LOWERED or self.canonical or bool(said.get("do_lower_case"))

    def spelled(self, text: str) -> str:
        """In lower case; for the first SigLIP without punctuation (Zhai 2023's own evaluation code)."""
        text = text.lower() if self.lower else text
        if self.canonical:
            text = " ".join(text.translate(_NO_PUNCTUATION).split())
        return text

    def texts(self, samples: Sequence[Sample], max_text_tokens: int) -> dict[str, Tensor]:
        """Ids padded to all the positions the tower has."""
        rows = [self._ids(sample, max_text_tokens) for sample in samples]
        return {"input_ids": padded(rows, self.pad, self.positions)[0]}

    def temperature(self, model: Any) -> tuple[Tensor, Tensor]:
        """The learnt scale and bias."""
        return model.logit_scale.float().exp(), model.logit_bias.float()
