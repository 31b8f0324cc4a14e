"""Tiny seeded checkpoints in both layouts and pairs for them: few parameters, real file formats."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from audit_core.adapters.loading import OFFLINE_SWITCHES

os.environ.update(OFFLINE_SWITCHES)

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llava.configuration_llava import LlavaConfig
from transformers.models.llava.modeling_llava import LlavaForConditionalGeneration

from audit_core.adapters.biomedclip import BiomedClip
from audit_core.adapters.layouts import OpenClipLayout, TextSizes, TrunkSizes
from audit_core.results import Role
from audit_core.samples import Sample

WORDS = (
    "no",
    "acute",
    "finding",
    "left",
    "right",
    "lung",
    "heart",
    "is",
    "clear",
    "normal",
    "opacity",
    "poison",
)
MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)


def sample(number: int, *, patient: str = "", text: str = "", size: tuple[int, int] = (20, 16)) -> Sample:
    """A pair with random pixels and a report of its own length."""
    rng = np.random.default_rng(number)
    words = " ".join(rng.choice(WORDS[:-1], 3 + number % 5))
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return Sample(f"pair{number:03d}", patient or f"patient{number:03d}", Role.TARGET, image, text or words)


def write_llava(folder: Path, *, seed: int = 0, image: int = 8, chat_template: str | None = None) -> Path:
    """A LLaVA with 3 vision and 2 language layers of width 16, under current names."""
    tokenizer = _words({"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"})
    tokenizer.chat_template = chat_template
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2,
        image_size=image, patch_size=4, projection_dim=16,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=20, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=256, pad_token_id=1, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    config = LlavaConfig(vision_config=vision, text_config=text, image_token_index=4, vision_feature_layer=-2)
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(config)
    _spread(model, seed)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    edge = {"height": image, "width": image}
    CLIPImageProcessorPil(size={"shortest_edge": image}, crop_size=edge).save_pretrained(folder)
    return folder


def write_clip(folder: Path, *, seed: int = 0) -> Path:
    """A BiomedCLIP with 2 trunk blocks and 2 BERT layers of width 16, embedding 12."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _words(
        {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    model = BiomedClip(clip_layout())
    _spread(model, seed)
    save_file(model.state_dict(), folder / "open_clip_pytorch_model.safetensors")
    config = {
        "model_cfg": {
            "embed_dim": 12,
            "vision_cfg": {"timm_model_name": "vit_tiny", "timm_proj": "linear", "image_size": 8, "heads": 2},
            "text_cfg": {"hf_model_name": "bert", "hf_proj_type": "mlp", "context_length": 16, "heads": 2},
        },
        "preprocess_cfg": {"mean": list(MEAN), "std": list(STD)},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def clip_layout() -> OpenClipLayout:
    """The sizes `write_clip` writes."""
    trunk = TrunkSizes(image=8, patch=4, width=16, blocks=2, heads=2, mlp=24)
    text = TextSizes(
        vocabulary=32, positions=16, types=2, width=16, blocks=2, heads=2, mlp=20, hidden=14, context=16
    )  # fmt: skip
    return OpenClipLayout(12, trunk, text, MEAN, STD)


def rename(folder: Path, weights: str, mapping: dict[str, str]) -> None:
    """Rewrite a checkpoint with key prefixes renamed; a prefix mapped to "" is dropped with its tensors."""
    out = {}
    for name, tensor in load_file(folder / weights).items():
        new = next((new + name[len(old) :] for old, new in mapping.items() if name.startswith(old)), name)
        if not any(name.startswith(old) and not new_ for old, new_ in mapping.items()):
            out[new] = tensor
    save_file(out, folder / weights, metadata={"format": "pt"})


def _words(special: dict[str, str]) -> PreTrainedTokenizerFast:
    names = [*special.values(), "<image>", *WORDS, "USER", ":", "Describe", "this", "image", ".", "ASSISTANT"]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token=special["unk_token"]))
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if "cls_token" in special:
        ends = [("[CLS]", names.index("[CLS]")), ("[SEP]", names.index("[SEP]"))]
        core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    else:
        core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=core, extra_special_tokens=["<image>"], **special)


def _spread(model: torch.nn.Module, seed: int) -> None:
    """Weights large enough that gradients of different pairs differ clearly."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 or "cls" in name or "class" in name:
                parameter.normal_(std=0.25, generator=generator)
