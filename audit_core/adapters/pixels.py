"""Image processors by name, their PIL classes: the torchvision-backed ones make slightly other pixels.

A folder's settings are taken as they are, whatever class of a name it asks for; their sizes are bounded,
since a setting alone could make an image that fills the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from audit_core.adapters.configs import PREPROCESSOR_FILES
from audit_core.adapters.networks import read_json
from audit_core.errors import ModelRefused

IMAGE_PROCESSORS: Final[Mapping[str, Any]] = {
    "CLIPImageProcessor": CLIPImageProcessorPil,
    "CLIPFeatureExtractor": CLIPImageProcessorPil,
    "SiglipImageProcessor": SiglipImageProcessorPil,
    "Siglip2ImageProcessor": Siglip2ImageProcessorPil,
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
MAX_EDGE: Final = 8192  # of an image in pixels, and for every other number of the settings
MAX_PIXELS: Final = MAX_EDGE**2  # where a setting counts pixels
MAX_TILES: Final = 64
COUNTS: Final = ("min_pixels", "max_pixels")


def open_pixels(path: Path, default: Callable[[], Any] | None = None) -> Any:
    """The folder's image processor, its PIL class by name.

    Args:
        path: the model folder.
        default: makes one where the folder has no settings.

    Raises:
        ModelRefused: there are no settings, they name a processor that is not known, or sizes that cannot be.
    """
    for name in PREPROCESSOR_FILES:
        document = read_json(path / name)
        settings = dict(document.get("image_processor", document))
        if "image_mean" not in settings:
            continue
        older = settings.pop("feature_extractor_type", "CLIPImageProcessor")
        kind = str(settings.pop("image_processor_type", older)).removesuffix("Fast").removesuffix("Pil")
        settings.pop("processor_class", None)
        if kind not in IMAGE_PROCESSORS:
            raise ModelRefused(
                f"image preprocessor {kind!s:.60} is not known", f"known: {', '.join(IMAGE_PROCESSORS)}"
            )
        _check_sizes(name, kind, settings)
        return IMAGE_PROCESSORS[kind](**settings)
    if default is not None:
        return default()
    raise ModelRefused("the model folder has no image preprocessor (preprocessor_config.json)")


class Pixels:
    """The folder's image processor, for networks that take one tensor for each image."""

    def __init__(self, path: Path) -> None:
        """Read the settings.

        Raises:
            ModelRefused: as `open_pixels`.
        """
        self.processor = open_pixels(path)

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


def _check_sizes(file: str, kind: str, settings: Mapping[str, Any]) -> None:
    counts = (*COUNTS, "size") if kind == "Qwen2VLImageProcessor" else COUNTS  # its "edges" count pixels
    for key, value in settings.items():
        most = MAX_PIXELS if key in counts else MAX_TILES if key == "max_patches" else MAX_EDGE
        if any(not abs(number) <= most for number in _numbers(value)):
            raise ModelRefused(
                f"{file} holds no possible value for {key!s:.60}", "compare it with the vendor's"
            )


def _numbers(value: Any) -> Iterator[float]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _numbers(one)
    if isinstance(value, int | float):
        yield value
