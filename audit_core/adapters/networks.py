"""Opening one of transformers' own networks: offline, filled exactly, its tokenizer and pixels pinned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.clip.tokenization_clip import CLIPTokenizer
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.utils import logging

from audit_core.adapters.configs import PREPROCESSOR_FILES
from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.loading import refuse_wrong_keys
from audit_core.adapters.opening import Opening
from audit_core.errors import ModelRefused

CONSTANT: Final = "position_ids"  # a buffer older versions saved; counted up from 0, never learnt
PROCESSORS: Final = {
    "CLIPImageProcessor": CLIPImageProcessorPil,
    "CLIPFeatureExtractor": CLIPImageProcessorPil,
    "SiglipImageProcessor": SiglipImageProcessorPil,
    "Siglip2ImageProcessor": Siglip2ImageProcessorPil,
    "BlipImageProcessor": BlipImageProcessorPil,
}
_TOGETHER: Final = "tokenizer and weights must belong to the same model"


def open_network(
    kind: type[PreTrainedModel],
    path: Path,
    facts: FolderFacts,
    opening: Opening,
    attention: str = "sdpa",
    **layout: Any,
) -> Any:
    """A network of a known class, every tensor from its file or from `opening.tensors`.

    It is first filled with shapes alone, by the library's own renaming of older names: a config of other
    sizes than the weights is refused before it has taken any memory.

    `layout` is for files of another layout than transformers' own: its `config` and `key_mapping`.

    Raises:
        ModelRefused: tensors are missing, left over or of another shape.
    """
    config = layout.get("config") or kind.config_class.from_pretrained(str(path), local_files_only=True)
    given = {**layout, "config": config, "attn_implementation": attention, "dtype": opening.dtype(facts)}
    shapes = opening.shapes(path, facts)
    shadows = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    _filled(kind, None, state_dict=shadows, device_map={"": "meta"}, **given)
    if opening.tensors is not None:
        model = _filled(kind, None, state_dict=dict(opening.tensors), **given)
    else:
        model = _filled(kind, str(path), use_safetensors=True, local_files_only=True, **given)
    return opening.placed(model, facts)


def _filled(kind: type[PreTrainedModel], source: str | None, **given: Any) -> Any:
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # its own bar would write into the worker's stderr
    try:
        model, info = kind.from_pretrained(
            source,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are named below, and refused
            **given,
        )
    finally:
        if shown:
            logging.enable_progress_bar()
    refuse_wrong_keys(
        list(info["missing_keys"]),
        [key for key in info["unexpected_keys"] if key.rpartition(".")[2] != CONSTANT],
        [str(key) for key, *_ in info["mismatched_keys"]],
    )
    return model


def open_tokenizer(path: Path, known: int) -> Tokenizer:
    """The folder's tokenizer, neither padding nor cutting by itself.

    Args:
        path: with tokenizer.json, or with CLIP's vocab.json and merges.txt.
        known: number of tokens the model knows.

    Raises:
        ModelRefused: it is of a kind that cannot be read, or knows tokens the model does not.
    """
    if (path / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    elif not (path / "merges.txt").is_file():
        raise ModelRefused("the model folder has no tokenizer.json", "ask the vendor for one of this model")
    else:
        tokenizer = CLIPTokenizer.from_pretrained(str(path), local_files_only=True).backend_tokenizer
    tokenizer.no_padding()
    tokenizer.no_truncation()
    largest = max(tokenizer.get_vocab().values())
    if largest >= known:
        raise ModelRefused(f"the tokenizer has a token {largest}, the model knows {known}", _TOGETHER)
    return tokenizer


def named_token(path: Path, role: str, tokenizer: Tokenizer) -> int | None:
    """Id of the token that the tokenizer's settings name for a role (`pad_token`); None where they do not."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        said = read_json(path / file).get(role)
        text = said.get("content") if isinstance(said, dict) else said
        if isinstance(text, str):
            found: int | None = tokenizer.token_to_id(text)
            return found
    return None


class Pixels:
    """The folder's own image processor, its PIL class by name: the other backend makes other pixels."""

    def __init__(self, path: Path) -> None:
        """Read the settings.

        Raises:
            ModelRefused: there are none, or they name a processor that is not known.
        """
        for file in PREPROCESSOR_FILES:
            document = read_json(path / file)
            settings = dict(document.get("image_processor", document))
            if "image_mean" in settings:
                self.processor = _processor(settings)
                return
        raise ModelRefused("the model folder has no image preprocessor (preprocessor_config.json)")

    @property
    def name(self) -> str:
        """Class of the processor."""
        return type(self.processor).__name__

    @property
    def identity(self) -> str:
        """All its settings."""
        return str(self.processor.to_json_string())

    def __call__(self, image: NDArray[np.uint8]) -> dict[str, Tensor]:
        """Tensors of one image, without the leading B; fractions in float32."""
        coded: Mapping[str, Tensor] = self.processor(Image.fromarray(image), return_tensors="pt")
        return {k: v[0].float() if v.is_floating_point() else v[0] for k, v in coded.items()}

    def refuse_other_size(self, edge: int) -> None:
        """Refuse settings that do not make what the vision tower takes.

        Args:
            edge: of the square image it takes, in pixels.

        Raises:
            ModelRefused: naming both sizes.
        """
        made = tuple(self(np.zeros((edge + 9, edge, 3), np.uint8))["pixel_values"].shape)
        if made != (3, edge, edge):
            raise ModelRefused(
                f"the preprocessor makes {'×'.join(map(str, made[1:]))} images, "
                f"the vision tower takes {edge}×{edge}",
                "preprocessor_config.json and config.json must belong to the same model",
            )


def _processor(settings: dict[str, Any]) -> Any:
    older = settings.pop("feature_extractor_type", "CLIPImageProcessor")
    kind = str(settings.pop("image_processor_type", older)).removesuffix("Fast").removesuffix("Pil")
    settings.pop("processor_class", None)
    if kind not in PROCESSORS:
        raise ModelRefused(f"image preprocessor {kind!s:.60} is not known", f"known: {', '.join(PROCESSORS)}")
    return PROCESSORS[kind](**settings)


def read_json(path: Path) -> dict[str, Any]:
    """One json object; empty where there is no such file."""
    if not path.is_file():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    return document if isinstance(document, dict) else {}


def stacked(images: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors of single images as one batch."""
    return {name: torch.stack([image[name] for image in images]) for name in images[0]}
