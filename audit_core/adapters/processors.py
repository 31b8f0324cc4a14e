"""The family's own processor, with the PIL image processor pinned by name and no video side.

A row of the table says which processor class a network has and which of its numbers follow from the config;
they are taken from the config and not from the processor's file, since the config is what the network obeys.

A folder's settings of the image processor are taken as they are. The torchvision-backed classes make slightly
different pixels, so the PIL class is used whatever the folder names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from transformers import ProcessorMixin
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.blip_2.processing_blip_2 import Blip2Processor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.gemma3.processing_gemma3 import Gemma3Processor
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.idefics3.processing_idefics3 import Idefics3Processor
from transformers.models.internvl.processing_internvl import InternVLProcessor
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava.processing_llava import LlavaProcessor
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_next.processing_llava_next import LlavaNextProcessor
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor
from transformers.models.paligemma.processing_paligemma import PaliGemmaProcessor
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from audit_core.adapters.configs import PREPROCESSOR_FILES
from audit_core.adapters.networks import read_json
from audit_core.errors import ModelRefused

INSTRUCTION: Final = "Describe this image."
PLAIN_PROMPT: Final = "USER: <image>\n" + INSTRUCTION + " ASSISTANT:"
"""The prompt of models that ship no chat template; the report follows after one space."""

IMAGE_PROCESSORS: Final[Mapping[str, Any]] = {
    "CLIPImageProcessor": CLIPImageProcessorPil,
    "CLIPFeatureExtractor": CLIPImageProcessorPil,
    "SiglipImageProcessor": SiglipImageProcessorPil,
    "LlavaImageProcessor": LlavaImageProcessorPil,
    "LlavaNextImageProcessor": LlavaNextImageProcessorPil,
    "LlavaOnevisionImageProcessor": LlavaOnevisionImageProcessorPil,
    "Qwen2VLImageProcessor": Qwen2VLImageProcessorPil,
    "Idefics3ImageProcessor": Idefics3ImageProcessorPil,
    "SmolVLMImageProcessor": SmolVLMImageProcessorPil,
    "GotOcr2ImageProcessor": GotOcr2ImageProcessorPil,
    "Gemma3ImageProcessor": Gemma3ImageProcessorPil,
    "BlipImageProcessor": BlipImageProcessorPil,
}


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


def open_pixels(path: Path, default: Callable[[], Any] | None = None) -> Any:
    """The folder's image processor, its PIL class by name.

    Args:
        path: the model folder.
        default: makes one where the folder has no settings.

    Raises:
        ModelRefused: there are no settings, or they name a processor that is not known.
    """
    for name in PREPROCESSOR_FILES:
        document = read_json(path / name)
        settings = dict(document.get("image_processor", document))
        if "image_mean" not in settings:
            continue
        older = settings.pop("feature_extractor_type", "CLIPImageProcessor")
        kind = str(settings.pop("image_processor_type", older)).removesuffix("Fast").removesuffix("Pil")
        settings.pop("processor_class", None)
        if kind in IMAGE_PROCESSORS:
            return IMAGE_PROCESSORS[kind](**settings)
        raise ModelRefused(
            f"image preprocessor {kind!s:.60} is not known", f"known: {', '.join(IMAGE_PROCESSORS)}"
        )
    if default is not None:
        return default()
    raise ModelRefused("the model folder has no image preprocessor (preprocessor_config.json)")


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
