"""Tiny checkpoints of models with two towers, as their vendors lay them out, and adapters for any model."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit_core.adapters.loading import OFFLINE_SWITCHES

os.environ.update(OFFLINE_SWITCHES)

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertTokenizer, PreTrainedModel, PreTrainedTokenizerFast
from transformers.models.blip.configuration_blip import BlipConfig
from transformers.models.blip.modeling_blip import BlipForImageTextRetrieval
from transformers.models.clip.configuration_clip import CLIPConfig
from transformers.models.clip.modeling_clip import CLIPModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer
from transformers.models.siglip.configuration_siglip import SiglipConfig
from transformers.models.siglip.modeling_siglip import SiglipModel
from transformers.models.siglip2.configuration_siglip2 import Siglip2Config
from transformers.models.siglip2.modeling_siglip2 import Siglip2Model

from audit_core.adapters.folder import inspect_folder
from audit_core.adapters.loading import open_model
from tests.audit_core import engine_models as tiny

LETTERS = [*"abcdefghijklmnopqrstuvwxyz0123456789.,:;-'()/?%>"]
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
HALF = [0.5, 0.5, 0.5]
EDGE, PATCH = 8, 4


def write_biomedclip(folder: Path, seed: int = 0) -> Path:
    """BiomedCLIP in open_clip's layout."""
    return tiny.write_clip(folder, seed=seed)


def write_pubmedclip(folder: Path, seed: int = 0) -> Path:
    """An early CLIP: vocab.json and merges.txt, a feature extractor, closing id 2, constant buffers saved."""
    end = _write_clip_words(folder)
    _save(CLIPModel(_clip_config(end_id=2)), folder, seed)
    (folder / "tokenizer.json").unlink()
    weights = load_file(folder / "model.safetensors")
    weights["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    weights["vision_model.embeddings.position_ids"] = torch.arange((EDGE // PATCH) ** 2 + 1)[None]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    settings = {
        "crop_size": EDGE, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor", "image_mean": CLIP_MEAN, "image_std": CLIP_STD,
        "resample": 3, "size": EDGE,
    }  # fmt: skip
    _write(folder / "preprocessor_config.json", settings)
    assert end == 2 * len(LETTERS) + 1
    return folder


def write_clip(folder: Path, seed: int = 0) -> Path:
    """A CLIP as saved today: tokenizer.json, processor sizes as objects, the closing id its own."""
    end = _write_clip_words(folder)
    _save(CLIPModel(_clip_config(end_id=end)), folder, seed)
    settings = {
        "crop_size": {"height": EDGE, "width": EDGE}, "do_center_crop": True, "do_convert_rgb": True,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": CLIP_MEAN,
        "image_processor_type": "CLIPImageProcessor", "image_std": CLIP_STD, "resample": 3,
        "rescale_factor": 1 / 255, "size": {"shortest_edge": EDGE},
    }  # fmt: skip
    _write(folder / "preprocessor_config.json", settings)
    return folder


def write_medsiglip(folder: Path, seed: int = 0) -> Path:
    """A SigLIP as MedSigLIP: square images, texts of 64 positions, an attention pool, a logit bias."""
    words = [("</s>", 0.0), ("<unk>", -9.0), ("▁", -3.0), *((letter, -3.0) for letter in LETTERS)]
    core = Tokenizer(models.Unigram(words, unk_id=1))
    core.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(".", ""), normalizers.Strip()]
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 0)])
    tokens = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="</s>", unk_token="<unk>", pad_token="</s>", model_max_length=64
    )
    _save_words(tokens, folder, tokenizer_class="SiglipTokenizer", do_lower_case=True)
    text = {**_tower(blocks=2), "vocab_size": len(words), "max_position_embeddings": 64, "pad_token_id": 0}
    text |= {"bos_token_id": 0, "eos_token_id": 0}
    vision = {**_tower(blocks=3), "image_size": EDGE, "patch_size": PATCH}
    _save(SiglipModel(SiglipConfig(text_config=text, vision_config=vision)), folder, seed)
    settings = {
        "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
        "image_mean": HALF, "image_processor_type": "SiglipImageProcessor", "image_std": HALF,
        "processor_class": "SiglipProcessor", "resample": 2, "rescale_factor": 1 / 255,
        "size": {"height": EDGE, "width": EDGE},
    }  # fmt: skip
    _write(folder / "preprocessor_config.json", settings)
    return folder


def write_siglip2(folder: Path, seed: int = 0) -> Path:
    """A SigLIP 2 whose images keep their shape: up to 9 patches of 4×4 pixels, cut by the processor."""
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *LETTERS, *(f"<0x{byte:02X}>" for byte in range(256))]
    core = Tokenizer(
        models.BPE(
            {w: i for i, w in enumerate(names)}, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    core.normalizer = normalizers.Replace(" ", "▁")
    core.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokens = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<eos>", unk_token="<unk>", pad_token="<pad>", model_max_length=64
    )
    _save_words(tokens, folder, tokenizer_class="GemmaTokenizer")
    text = {**_tower(blocks=2), "vocab_size": len(names), "max_position_embeddings": 64, "pad_token_id": 0}
    text |= {"bos_token_id": 2, "eos_token_id": 1}
    vision = {**_tower(blocks=3), "num_patches": 4, "patch_size": PATCH}
    _save(Siglip2Model(Siglip2Config(text_config=text, vision_config=vision)), folder, seed)
    settings = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": HALF, "image_std": HALF,
        "image_processor_type": "Siglip2ImageProcessor", "max_num_patches": 9, "patch_size": PATCH,
        "resample": 2, "rescale_factor": 1 / 255,
    }  # fmt: skip
    _write(folder / "preprocessor_config.json", settings)
    return folder


def write_blip_itm(folder: Path, seed: int = 0) -> Path:
    """A BLIP with a matching head and the projections of its contrastive part."""
    folder.mkdir(parents=True, exist_ok=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"]
    names = [*special, *tiny.WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokens = BertTokenizer(vocab={word: number for number, word in enumerate(names)})
    _save_words(tokens, folder)
    text = {
        **_tower(blocks=2), "encoder_hidden_size": 16, "vocab_size": len(names), "projection_dim": 12,
        "max_position_embeddings": 64, "pad_token_id": 0, "sep_token_id": 3, "bos_token_id": 5,
    }  # fmt: skip
    vision = {**_tower(blocks=2), "image_size": EDGE, "patch_size": PATCH, "projection_dim": 12}
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=12, image_text_hidden_size=12)
    _save(BlipForImageTextRetrieval(config), folder, seed)
    settings = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": CLIP_MEAN,
        "image_processor_type": "BlipImageProcessor", "image_std": CLIP_STD,
        "processor_class": "BlipProcessor", "resample": 3, "rescale_factor": 1 / 255,
        "size": {"height": EDGE, "width": EDGE},
    }  # fmt: skip
    _write(folder / "preprocessor_config.json", settings)
    return folder


TWO_TOWER_MODELS: dict[str, Callable[..., Path]] = {
    "biomedclip": write_biomedclip,
    "pubmedclip": write_pubmedclip,
    "clip": write_clip,
    "medsiglip": write_medsiglip,
    "siglip2": write_siglip2,
    "blip-itm": write_blip_itm,
}


def write_lora(folder: Path, model_folder: Path, dora: bool = False, seed: int = 0, **settings: Any) -> Path:
    """An adapter as peft saves it, of rank 3 with a B that is not zero, on all layers a fine-tune adapts.

    Args:
        folder: to be written.
        model_folder: of any family.
        dora: with magnitudes that differ from those of the base.
        seed: of its matrices.
        settings: further keys of `LoraConfig`.
    """
    adapter = open_model(model_folder, inspect_folder(model_folder, digests=False).family)
    targets = _short(set(adapter.adaptable()), [name for name, _ in adapter.model.named_modules()])
    given: dict[str, Any] = {"r": 3, "lora_alpha": 6, "target_modules": targets, "init_lora_weights": False}
    if not isinstance(adapter.model, PreTrainedModel):
        given["task_type"] = "FEATURE_EXTRACTION"  # else peft notes this repository's own module
    model = get_peft_model(adapter.model, LoraConfig(**given | settings, use_dora=dora))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "magnitude" in name:
                parameter.mul_(0.7 + 0.6 * torch.rand(parameter.shape, generator=generator))
            elif "lora_" in name:
                parameter.normal_(std=0.2, generator=generator)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def _short(wanted: set[str], every: list[str]) -> list[str]:
    """Last parts of names, as fine-tuning scripts give them; whole names where a part means others too."""
    ends: dict[str, set[str]] = {}
    for name in every:
        ends.setdefault(name.rpartition(".")[2], set()).add(name)
    return sorted({end if names <= wanted else n for end, names in ends.items() for n in names & wanted})


def _tower(blocks: int) -> dict[str, Any]:
    return {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": blocks, "num_attention_heads": 2,
    }  # fmt: skip


def _clip_config(end_id: int) -> CLIPConfig:
    known = 2 * len(LETTERS) + 2
    text = {**_tower(blocks=2), "vocab_size": known, "max_position_embeddings": 77, "projection_dim": 12}
    text |= {"eos_token_id": end_id, "bos_token_id": known - 2, "pad_token_id": 1}
    vision = {**_tower(blocks=3), "image_size": EDGE, "patch_size": PATCH, "projection_dim": 12}
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=12)


def _write_clip_words(folder: Path) -> int:
    """CLIP's own byte-pair tokenizer without a merge: every letter a token. Returns the closing id."""
    names = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokens = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
    _save_words(tokens, folder)
    _write(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return len(names) - 1


def _save_words(tokens: Any, folder: Path, **said: Any) -> None:
    tokens.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    _write(folder / "tokenizer_config.json", {**settings, **said})


def _save(model: PreTrainedModel, folder: Path, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 or "class" in name:
                parameter.normal_(std=0.25, generator=generator)
            elif name == "logit_bias":
                parameter.fill_(-2.0)
            elif name == "logit_scale":
                parameter.fill_(math.log(5.0))
    model.save_pretrained(folder)


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
