"""Checkpoint layouts we know how to read, and the sizes that follow from them. Torch-free.

Sizes come from tensor shapes first and from the json second; a shape cannot be wrong about itself.
The number of attention heads leaves no trace in any shape: an optional field `heads` in `vision_cfg` or
`text_cfg` of open_clip_config.json states it, else heads are 64 wide, as in ViT-B/16 and BERT-base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.adapters.headers import Shapes
from audit_core.errors import ModelRefused

OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = (
    "open_clip_pytorch_model.safetensors",
    "open_clip_model.safetensors",
    "model.safetensors",
)

HEAD_WIDTH = 64  # both ViT-B/16 and BERT-base
TRUNK_EPS = 1e-6
BERT_EPS = 1e-12
DROPPED_KEYS = ("text.transformer.embeddings.position_ids",)  # a constant buffer older BERTs saved


@dataclass(frozen=True, slots=True)
class TrunkSizes:
    """A ViT trunk: `blocks` blocks of `width`, `patch`×`patch` pixels per token."""

    image: int
    patch: int
    width: int
    blocks: int
    heads: int
    mlp: int


@dataclass(frozen=True, slots=True)
class TextSizes:
    """A BERT text tower and its projection; `hidden` is None for a single linear projection."""

    vocabulary: int
    positions: int
    types: int
    width: int
    blocks: int
    heads: int
    mlp: int
    hidden: int | None
    context: int


@dataclass(frozen=True, slots=True)
class OpenClipLayout:
    """Everything needed to build a BiomedCLIP-shaped model and its preprocessing."""

    embed: int
    trunk: TrunkSizes
    text: TextSizes
    mean: tuple[float, ...]
    std: tuple[float, ...]


def read_open_clip(config: Mapping[str, Any], shapes: Shapes) -> OpenClipLayout:
    """Sizes of a BiomedCLIP-shaped checkpoint from its open_clip_config.json and its tensor shapes.

    Raises:
        ModelRefused: the checkpoint is not a ViT trunk with a BERT text tower, or a needed part is missing.
    """
    try:
        model = config["model_cfg"]
        vision, text = model["vision_cfg"], model["text_cfg"]
        _check_open_clip(vision, text)
        trunk = _trunk_sizes(vision, shapes)
        tower = _text_sizes(text, shapes)
        preprocess = config.get("preprocess_cfg", {})
        if preprocess.get("resize_mode", "shortest") != "shortest":
            raise ModelRefused(f"preprocessing {preprocess['resize_mode']!r} is not known")
        if preprocess.get("interpolation", "bicubic") != "bicubic":
            raise ModelRefused(f"interpolation {preprocess['interpolation']!r} is not known")
        mean = tuple(float(x) for x in preprocess["mean"])
        std = tuple(float(x) for x in preprocess["std"])
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ModelRefused("preprocessing mean and std must have three values each, std above zero")
        return OpenClipLayout(int(model["embed_dim"]), trunk, tower, mean, std)
    except KeyError as error:
        raise ModelRefused(
            f"the BiomedCLIP layout lacks {error.args[0]}",
            f"{OPEN_CLIP_CONFIG} and the weights must both be complete",
        ) from error
    except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ModelRefused(f"{OPEN_CLIP_CONFIG} does not have the expected form") from error


def _check_open_clip(vision: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    if not str(vision.get("timm_model_name", "")).startswith("vit_"):
        raise ModelRefused(f"image tower {vision.get('timm_model_name')!r} is not a ViT", _ONLY_BIOMEDCLIP)
    if vision.get("timm_pool", "") not in ("", "token") or vision.get("timm_proj", "linear") != "linear":
        raise ModelRefused("the image tower's pooling or projection is not BiomedCLIP's", _ONLY_BIOMEDCLIP)
    pooler = text.get("hf_pooler_type", text.get("pooler_type", "cls_last_hidden_state_pooler"))
    if pooler != "cls_last_hidden_state_pooler":
        raise ModelRefused(f"text pooling {pooler!r} is not BiomedCLIP's", _ONLY_BIOMEDCLIP)
    if "hf_model_name" not in text:
        raise ModelRefused("the text tower is not a BERT", _ONLY_BIOMEDCLIP)


_ONLY_BIOMEDCLIP = "contrastive models must have BiomedCLIP's shape: ViT trunk, BERT text tower"


def _trunk_sizes(vision: Mapping[str, Any], shapes: Shapes) -> TrunkSizes:
    width, channels, patch, _ = shapes["visual.trunk.patch_embed.proj.weight"]
    if channels != 3:
        raise ModelRefused(f"the image tower takes {channels} channels, not 3")
    tokens = shapes["visual.trunk.pos_embed"][1] - 1  # one is the class token
    image = math.isqrt(tokens) * patch
    stated = int(vision.get("image_size", image))
    if stated != image or math.isqrt(tokens) ** 2 != tokens:
        raise ModelRefused(f"image_size says {stated}, the position table says {image}")
    return TrunkSizes(
        image=image,
        patch=patch,
        width=width,
        blocks=_blocks(shapes, "visual.trunk.blocks."),
        heads=_heads(vision, width),
        mlp=shapes["visual.trunk.blocks.0.mlp.fc1.weight"][0],
    )


def _text_sizes(text: Mapping[str, Any], shapes: Shapes) -> TextSizes:
    prefix = "text.transformer."
    vocabulary, width = shapes[f"{prefix}embeddings.word_embeddings.weight"]
    positions = shapes[f"{prefix}embeddings.position_embeddings.weight"][0]
    hidden = shapes["text.proj.0.weight"][0] if "text.proj.0.weight" in shapes else None
    if hidden is None and "text.proj.weight" not in shapes:
        raise KeyError("text.proj.0.weight")
    return TextSizes(
        vocabulary=vocabulary,
        positions=positions,
        types=shapes[f"{prefix}embeddings.token_type_embeddings.weight"][0],
        width=width,
        blocks=_blocks(shapes, f"{prefix}encoder.layer."),
        heads=_heads(text, width),
        mlp=shapes[f"{prefix}encoder.layer.0.intermediate.dense.weight"][0],
        hidden=hidden,
        context=min(int(text.get("context_length", positions)), positions),
    )


def _blocks(shapes: Shapes, prefix: str) -> int:
    found = {int(k[len(prefix) :].split(".", 1)[0]) for k in shapes if k.startswith(prefix)}
    if found != set(range(len(found))) or not found:
        raise KeyError(f"{prefix}{min(set(range(len(found) + 1)) - found)}")
    return len(found)


def _heads(part: Mapping[str, Any], width: int) -> int:
    if "heads" not in part and width % HEAD_WIDTH:
        raise ModelRefused(
            f"a width of {width} does not say how many attention heads there are",
            "state `heads` in vision_cfg or text_cfg of open_clip_config.json",
        )
    heads = int(part.get("heads", width // HEAD_WIDTH))
    if heads < 1 or width % heads:
        raise ModelRefused(f"a width of {width} cannot have {heads} heads", "state `heads` in the config")
    return heads
