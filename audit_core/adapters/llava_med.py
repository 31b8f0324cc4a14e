"""The original file layout of LLaVA-Med v1.5 (`model_type: llava_mistral`), opened as a LLaVA.

Its config is that of a Mistral with `mm_…` keys beside, which transformers refuses. The language model's
sizes come from there, the vision tower's from the shapes of its tensors. The vendor's image token is −200,
which is no id at all: a token that no report can contain takes its place, and the embedding keeps its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from transformers import AddedToken
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.configuration_llava import LlavaConfig
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.mistral.configuration_mistral import MistralConfig

from audit_core.adapters.folder import FolderFacts
from audit_core.adapters.headers import Shapes
from audit_core.adapters.layouts import HEAD_WIDTH
from audit_core.adapters.networks import read_json
from audit_core.adapters.opening import Opening
from audit_core.errors import ModelRefused

MODEL_TYPE: Final = "llava_mistral"
KEYS: Final[Mapping[str, str]] = {
    r"^model\.mm_projector\.0\.": "model.multi_modal_projector.linear_1.",
    r"^model\.mm_projector\.2\.": "model.multi_modal_projector.linear_2.",
    r"^model\.vision_tower\.vision_tower\.vision_model\.": "model.vision_tower.",
    r"^model\.(layers|embed_tokens|norm)\.": r"model.language_model.\1.",
}
_TOWER: Final = "model.vision_tower.vision_tower.vision_model."
_EMBEDDINGS: Final = _TOWER + "embeddings."
_LANGUAGE_KEYS: Final = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "rms_norm_eps", "rope_theta",
    "rope_scaling", "rope_parameters", "sliding_window", "attention_dropout", "tie_word_embeddings",
    "bos_token_id", "eos_token_id", "pad_token_id",
)  # fmt: skip
_FEATURES: Final = {"patch": "default", "cls_patch": "full"}
_ACT: Final = "gelu"  # between the projector's two layers


def layout(path: Path, facts: FolderFacts, opening: Opening, image_token_id: int) -> dict[str, Any]:
    """Config and key mapping for `networks.open_network`.

    Args:
        path: the folder.
        facts: what `inspect_folder` found there.
        opening: holds the tensors where the folder's weights were converted.
        image_token_id: see `name_image_token`.

    Raises:
        ModelRefused: a projector or feature choice that a LLaVA does not have, or no vision tower inside.
    """
    said = read_json(path / "config.json")
    _check(said)
    text = MistralConfig(**{key: said[key] for key in _LANGUAGE_KEYS if key in said})
    config = LlavaConfig(
        vision_config=_vision(opening.shapes(path, facts)),
        text_config=text,
        image_token_index=image_token_id,
        projector_hidden_act=_ACT,
        vision_feature_layer=int(said.get("mm_vision_select_layer", -2)),
        vision_feature_select_strategy=_FEATURES[said.get("mm_vision_select_feature", "patch")],
        tie_word_embeddings=bool(said.get("tie_word_embeddings", False)),
    )
    return {"config": config, "key_mapping": dict(KEYS)}


def name_image_token(path: Path, tokenizer: Any) -> str:
    """Give an id that no text of a report becomes a name the tokenizer knows; returns the name.

    Args:
        path: the folder, whose config says how many tokens the model knows; the embedding is not resized.
        tokenizer: gets one special token more, or an unused byte of its own becomes special.

    Raises:
        ModelRefused: every id the model knows may stand in a report.
    """
    known = int(read_json(path / "config.json")["vocab_size"])
    vocabulary = tokenizer.get_vocab()
    name = "<image>" if max(vocabulary.values()) + 1 < known or "<image>" in vocabulary else "<0x00>"
    if name not in vocabulary and name != "<image>":
        raise ModelRefused("the tokenizer leaves no token that could stand for the image")
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False)], special_tokens=True)
    return name


def processor_default(path: Path, config: Any) -> Any:
    """Image preprocessing as the vendor's code does it where the folder has no settings for it.

    `image_aspect_ratio: pad` makes the image square with the mean colour first, else its middle is cut out.
    """
    edge = int(config.vision_config.image_size)
    sizes = {"size": {"shortest_edge": edge}, "crop_size": {"height": edge, "width": edge}}
    if read_json(path / "config.json").get("image_aspect_ratio") == "pad":
        return LlavaImageProcessorPil(do_pad=True, **sizes)
    return CLIPImageProcessorPil(**sizes)


def tower_said(path: Path) -> str:
    """Which vision tower is audited, and which one the vendor's own loader would have taken."""
    public = read_json(path / "config.json").get("mm_vision_tower", "a public one")
    return f"the one inside the checkpoint; the vendor's own loader takes {public!s:.80} in its place"


def _check(said: Mapping[str, Any]) -> None:
    if said.get("mm_projector_type") != "mlp2x_gelu":
        raise ModelRefused(
            f"mm_projector_type {said.get('mm_projector_type')!s:.40} is not known", "known: mlp2x_gelu"
        )
    if said.get("mm_vision_select_feature", "patch") not in _FEATURES:
        raise ModelRefused(
            f"mm_vision_select_feature {said.get('mm_vision_select_feature')!s:.40} is not known",
            f"known: {', '.join(_FEATURES)}",
        )
    if said.get("mm_use_im_start_end"):
        raise ModelRefused(
            "mm_use_im_start_end is not known", "ask the vendor for the model in LLaVA's layout"
        )


def _vision(shapes: Shapes) -> CLIPVisionConfig:
    """Sizes of the CLIP tower from its tensors; its heads are 64 wide."""
    try:
        width, _, patch, _ = shapes[_EMBEDDINGS + "patch_embedding.weight"]
        places = shapes[_EMBEDDINGS + "position_embedding.weight"][0] - 1  # one is the class token
        inner = shapes[_TOWER + "encoder.layers.0.mlp.fc1.weight"][0]
    except KeyError as error:
        raise ModelRefused(
            f"the checkpoint has no vision tower inside ({error.args[0]})",
            "another tower may not be the one it was trained with; ask the vendor for the whole model",
        ) from error
    stem = _TOWER + "encoder.layers."
    blocks = {name[len(stem) :].partition(".")[0] for name in shapes if name.startswith(stem)}
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=len(blocks),
        num_attention_heads=max(1, width // HEAD_WIDTH),
        image_size=round(places**0.5) * patch,
        patch_size=patch,
    )
