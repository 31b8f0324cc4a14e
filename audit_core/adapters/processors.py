"""The family's own processor, without its video side.

A row of the table says which processor class a network has and which of its numbers follow from the config;
they are taken from the config and not from the processor's file, since the config is what the network obeys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from transformers import ProcessorMixin
from transformers.models.blip_2.processing_blip_2 import Blip2Processor
from transformers.models.gemma3.processing_gemma3 import Gemma3Processor
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.llava.processing_llava import LlavaProcessor
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.paligemma.processing_paligemma import PaliGemmaProcessor
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.models.smolvlm import processing_smolvlm

from audit_core.errors import ModelRefused

INSTRUCTION: Final = "Describe this image."
PLAIN_PROMPT: Final = "USER: <image>\n" + INSTRUCTION + " ASSISTANT:"
"""The prompt of models that ship no chat template; the report follows after one space."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network's pairs are encoded, where that differs between networks.

    Attributes:
        processor: transformers' class.
        numbers: what the processor must be told, from the network's config and the image token's text.
        prompt: for folders without a chat template; `<image>` stands for the image.
        suffix: the report is tokenised on its own and told from the prompt by its token type (prefix-LM).
        dummies: sub-processors the class insists on and an image never needs.
    """

    processor: type[ProcessorMixin]
    numbers: Callable[[Any, str], dict[str, Any]] = lambda config, token: {}
    prompt: str = PLAIN_PROMPT
    suffix: bool = False
    dummies: tuple[str, ...] = ()


def _grid(config: Any) -> int:
    vision = config.vision_config
    return int(_edge(vision.image_size) // _edge(vision.patch_size)) ** 2


def _edge(size: Any) -> int:
    return int(size[0] if isinstance(size, list | tuple) else size)


def _llava(config: Any, token: str) -> dict[str, Any]:
    return {
        "patch_size": int(config.vision_config.patch_size),
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
        "num_additional_image_tokens": int(config.vision_config.model_type == "clip_vision_model"),
        "image_token": token,
    }


def _onevision(config: Any, token: str) -> dict[str, Any]:
    return {
        "num_image_tokens": _grid(config),
        "vision_feature_select_strategy": config.vision_feature_select_strategy,
        "vision_aspect_ratio": config.vision_aspect_ratio,
        "image_token": token,
    }


def _tiles(config: Any, token: str) -> dict[str, Any]:
    del token
    return {"image_seq_len": _grid(config) // int(config.scale_factor) ** 2}


def _internvl(config: Any, token: str) -> dict[str, Any]:
    del token
    return {"image_seq_length": int(config.image_seq_length)}


_VIDEO: Final = ("video_processor",)
_MISTRAL: Final = "[INST] <image>\n" + INSTRUCTION + " [/INST]"

RECIPES: Final[Mapping[str, Recipe]] = {
    "llava": Recipe(LlavaProcessor, _llava),
    "llava_mistral": Recipe(LlavaProcessor, _llava, _MISTRAL),
    "llava_next": Recipe(LlavaNextProcessor, _llava),
    "llava_onevision": Recipe(LlavaOnevisionProcessor, _onevision, dummies=_VIDEO),
    "qwen2_vl": Recipe(Qwen2VLProcessor, dummies=_VIDEO),
    "qwen2_5_vl": Recipe(Qwen2_5_VLProcessor, dummies=_VIDEO),
    "idefics3": Recipe(Idefics3Processor, _tiles),
    "smolvlm": Recipe(processing_smolvlm.SmolVLMProcessor, _tiles, dummies=_VIDEO),
    "internvl": Recipe(InternVLProcessor, _internvl, dummies=_VIDEO),
    "paligemma": Recipe(PaliGemmaProcessor, prompt="<image>caption en", suffix=True),
    "gemma3": Recipe(
        Gemma3Processor, lambda config, token: {"image_seq_length": int(config.mm_tokens_per_image)}
    ),
    "blip-2": Recipe(
        Blip2Processor,
        lambda config, token: {"num_query_tokens": int(config.num_query_tokens)},
        "Question: " + INSTRUCTION + " Answer:",
    ),
}


def open_processor(recipe: Recipe, config: Any, pixels: Any, tokenizer: Any, image_token: str) -> Any:
    """The network's own processor around an image processor and a tokenizer.

    Args:
        recipe: the network's row.
        config: of the network, as loaded.
        pixels: PIL image processor.
        tokenizer: the folder's.
        image_token: text of the token the config names.
    """
    if recipe.processor is PaliGemmaProcessor:
        pixels.image_seq_length = _grid(config)
    if recipe.processor is processing_smolvlm.SmolVLMProcessor and processing_smolvlm.num2words is None:
        processing_smolvlm.num2words = _no_video
    kind = _without(recipe.processor, recipe.dummies) if recipe.dummies else recipe.processor
    given = dict.fromkeys(recipe.dummies)
    return kind(image_processor=pixels, tokenizer=tokenizer, **given, **recipe.numbers(config, image_token))


def _without(processor: type[ProcessorMixin], dummies: tuple[str, ...]) -> type[Any]:
    """The same class, content with None for sub-processors that are never called."""

    def check(self: Any, argument_name: str, argument: Any) -> Any:
        if argument_name in dummies:
            return type(argument)
        return processor.check_argument_for_proper_class(self, argument_name, argument)

    return type(processor.__name__, (processor,), {"check_argument_for_proper_class": check})


def _no_video(*args: object, **settings: object) -> NoReturn:
    del args, settings
    raise ModelRefused("this model is audited on single images, never on videos")
