"""BiomedCLIP in open_clip's layout: opened by our own module, encoded as open_clip does."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor

from audit_core.adapters.base import Candidate
from audit_core.adapters.biomedclip import BiomedClip
from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.layouts import DROPPED_KEYS, OPEN_CLIP_CONFIG, OpenClipLayout, read_open_clip
from audit_core.adapters.loading import refuse_wrong_keys
from audit_core.adapters.opening import Opening
from audit_core.adapters.two_towers import TwoTowers, padded, report_text, shortened
from audit_core.errors import ModelRefused
from audit_core.samples import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray


def open_biomedclip(
    path: Path, facts: FolderFacts, opening: Opening
) -> tuple[BiomedClip, OpenClipTowers, str]:
    """Network, towers and the preprocessor's name.

    Raises:
        ModelRefused: tensors are missing, left over or of another shape; or the tokenizer is another model's.
    """
    shapes = {k: shape for k, shape in opening.shapes(path, facts).items() if k not in DROPPED_KEYS}
    config = json.loads((path / OPEN_CLIP_CONFIG).read_text(encoding="utf-8"))
    layout = read_open_clip(config, shapes)
    with torch.device("meta"):  # a config of other sizes than the weights takes no memory
        expected = {name: tuple(tensor.shape) for name, tensor in BiomedClip(layout).state_dict().items()}
    refuse_wrong_keys(
        expected.keys() - shapes.keys(),
        shapes.keys() - expected.keys(),
        (name for name in expected.keys() & shapes.keys() if expected[name] != shapes[name]),
    )
    model = BiomedClip(layout)
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in opening.coming(path, facts):
            if name not in DROPPED_KEYS:
                own[name].copy_(tensor)
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(layout.text.context)
    known = tokenizer.get_vocab_size()
    if known > layout.text.vocabulary:
        raise ModelRefused(
            f"the tokenizer knows {known} tokens, the model {layout.text.vocabulary}",
            "tokenizer and weights must belong to the same model",
        )
    return model, OpenClipTowers(tokenizer, layout), "PIL bicubic"


class OpenClipTowers(TwoTowers):
    """A ViT with a class token and a BERT."""

    def __init__(self, tokenizer: Tokenizer, layout: OpenClipLayout) -> None:
        self.tokenizer = tokenizer
        self.layout = layout

    def texts(self, samples: Sequence[Sample], max_text_tokens: int) -> dict[str, Tensor]:
        """Ids with their closing [SEP], and a mask."""
        rows = [self._ids(sample, max_text_tokens) for sample in samples]
        input_ids, mask = padded(rows, self._padding_id())
        return {"input_ids": input_ids, "attention_mask": mask}

    def pixels(self, image: NDArray[np.uint8]) -> dict[str, Tensor]:
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
        return {"pixels": torch.from_numpy(((pixels - mean) / std).transpose(2, 0, 1).copy())}

    def embed(self, model: Any, given: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Class tokens of both towers, projected."""
        image_BE, text_BE = model(given["pixels"], given["input_ids"], given["attention_mask"])
        return image_BE.float(), text_BE.float()

    def temperature(self, model: Any) -> tuple[Tensor, Tensor]:
        """The learnt scale; no bias."""
        scale: Tensor = model.logit_scale.float().exp()
        return scale, torch.zeros_like(scale)

    def candidate(self, name: str) -> Candidate:
        """Blocks of trunk and BERT, the two projections as heads."""
        parts = name.split(".")
        for tower, holder, said in (("vision", "blocks", "vision layer"), ("text", "layer", "text layer")):
            if holder in parts:
                block = int(parts[parts.index(holder) + 1])
                return Candidate(name, tower, block, f"{said} {block}")
        return Candidate(
            name, "head", -1, "image projection" if name.startswith("visual.") else "text projection"
        )

    @property
    def encoding(self) -> str:
        """Tokenizer (with its truncation), padding and preprocessing."""
        size, layout = self.layout.trunk.image, self.layout
        return json.dumps([self.tokenizer.to_str(), self._padding_id(), size, layout.mean, layout.std])

    def _ids(self, sample: Sample, max_text_tokens: int) -> list[int]:
        text = " ".join(html.unescape(html.unescape(sample.text)).split())
        return shortened(self.tokenizer.encode(report_text(sample, text)).ids, max_text_tokens)

    def _padding_id(self) -> int:
        pad = self.tokenizer.token_to_id("[PAD]")
        return 0 if pad is None else pad
