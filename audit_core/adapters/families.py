"""Which networks are audited, by family: the allow-list of architectures. Torch-free.

What is not listed is refused by name. A row says only what cannot be read from the checkpoint itself; to let
another network of a family in, append its row here and show it in a test with a checkpoint of its layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

GENERATIVE: Final = "image-text-to-text"
CONTRASTIVE: Final = "contrastive"
MATCHING: Final = "image-text-matching"
FAMILIES: Final = (GENERATIVE, CONTRASTIVE, MATCHING)

UNSTATED: Final = ""  # a part whose config names no model_type, as some vendors publish it


@dataclass(frozen=True, slots=True)
class Known:
    """One network that is audited.

    Attributes:
        model_type: as config.json states it.
        architecture: class name, the one entry of `architectures` in config.json.
        family: one of `FAMILIES`.
        parts: key of an inner config (`text_config` …) -> model types it may state. Other keys of that form
            are refused; a key that is listed may be absent only if `UNSTATED` is among its types.
        title: what an officer reads.
        pixels_from: keys of config.json that say how an image becomes pixels where the vendor ships no
            preprocessor file; empty where the file is needed.
    """

    model_type: str
    architecture: str
    family: str
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    title: str = ""
    pixels_from: tuple[str, ...] = ()


def _parts(
    text: tuple[str, ...], vision: tuple[str, ...], **more: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    return {"text_config": text, "vision_config": vision, **more}


_LLAVA_TEXT: Final = ("llama", "mistral", "qwen2")
_LLAVA_VISION: Final = ("clip_vision_model", "siglip_vision_model")

KNOWN: Final = (
    Known(
        "llava",
        "LlavaForConditionalGeneration",
        GENERATIVE,
        _parts(_LLAVA_TEXT, _LLAVA_VISION),
        "LLaVA",
    ),
    Known(
        "llava_mistral",
        "LlavaMistralForCausalLM",
        GENERATIVE,
        {},
        "LLaVA-Med v1.5, original layout",
        ("mm_vision_tower", "image_aspect_ratio"),
    ),
    Known(
        "llava_next",
        "LlavaNextForConditionalGeneration",
        GENERATIVE,
        _parts(_LLAVA_TEXT, _LLAVA_VISION),
        "LLaVA-NeXT",
    ),
    Known(
        "llava_onevision",
        "LlavaOnevisionForConditionalGeneration",
        GENERATIVE,
        _parts(("qwen2",), ("siglip_vision_model",)),
        "LLaVA-OneVision",
    ),
    Known(
        "qwen2_vl",
        "Qwen2VLForConditionalGeneration",
        GENERATIVE,
        _parts(("qwen2_vl_text", UNSTATED), ("qwen2_vl", "qwen2_vl_vision", UNSTATED)),
        "Qwen2-VL",
    ),
    Known(
        "qwen2_5_vl",
        "Qwen2_5_VLForConditionalGeneration",
        GENERATIVE,
        _parts(("qwen2_5_vl_text", UNSTATED), ("qwen2_5_vl", "qwen2_5_vl_vision", UNSTATED)),
        "Qwen2.5-VL",
    ),
    Known(
        "idefics3",
        "Idefics3ForConditionalGeneration",
        GENERATIVE,
        _parts(("llama",), ("idefics3", "idefics3_vision", UNSTATED)),
        "Idefics3",
    ),
    Known(
        "smolvlm",
        "SmolVLMForConditionalGeneration",
        GENERATIVE,
        _parts(("llama",), ("smolvlm", "smolvlm_vision", UNSTATED)),
        "SmolVLM2",
    ),
    Known(
        "internvl",
        "InternVLForConditionalGeneration",
        GENERATIVE,
        _parts(("qwen2", "llama"), ("internvl_vision",)),
        "InternVL",
    ),
    Known(
        "paligemma",
        "PaliGemmaForConditionalGeneration",
        GENERATIVE,
        _parts(("gemma", "gemma2"), ("siglip_vision_model",)),
        "PaliGemma",
    ),
    Known(
        "gemma3",
        "Gemma3ForConditionalGeneration",
        GENERATIVE,
        _parts(("gemma3_text",), ("siglip_vision_model",)),
        "Gemma 3",
    ),
    Known(
        "blip-2",
        "Blip2ForConditionalGeneration",
        GENERATIVE,
        _parts(("opt",), ("blip_2_vision_model",), qformer_config=("blip_2_qformer",)),
        "BLIP-2 with OPT",
    ),
    Known("clip", "CLIPModel", CONTRASTIVE, _parts(("clip_text_model",), ("clip_vision_model",)), "CLIP"),
    Known(
        "siglip",
        "SiglipModel",
        CONTRASTIVE,
        _parts(("siglip_text_model",), ("siglip_vision_model",)),
        "SigLIP",
    ),
    Known(
        "siglip2",
        "Siglip2Model",
        CONTRASTIVE,
        _parts(("siglip2_text_model",), ("siglip2_vision_model",)),
        "SigLIP 2",
    ),
    Known(
        "blip",
        "BlipForImageTextRetrieval",
        MATCHING,
        _parts(("blip_text_model",), ("blip_vision_model",)),
        "BLIP, matching head",
    ),
)

OPEN_CLIP: Final = Known("open_clip", "BiomedCLIP layout (ViT and BERT)", CONTRASTIVE, {}, "BiomedCLIP")
"""Has no config.json of the kind above; told by its open_clip_config.json."""


def known(model_type: object, architecture: object) -> Known | None:
    """The row of a network; None when it is not audited."""
    found = (row for row in KNOWN if (row.model_type, row.architecture) == (model_type, architecture))
    return next(found, None)


def architectures() -> Iterator[str]:
    """Class names and layouts of all rows, for a hint."""
    yield from dict.fromkeys(row.architecture for row in (*KNOWN, OPEN_CLIP))
