"""Tiny checkpoints of image-text-to-text networks, as their vendors lay them out.

Every writer makes the files a hospital would have on disk: config, weights, tokenizer with the family's
special tokens, chat template of the vendor's form, image preprocessor.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers as tf

from tests.audit_core.families.generative_parts import (
    CLIP_MEAN,
    CLIP_STD,
    EDGE,
    GEMMA_CHAT,
    HALF,
    IDEFICS_CHAT,
    LLAVA_CHAT,
    MISTRAL_CHAT,
    PATCH,
    byte_words,
    chatml,
    clip,
    piece_words,
    pixels,
    save,
    shard,
    siglip,
    square,
    text_config,
    write_json,
)


def write_llava(folder: Path, seed: int = 0) -> Path:
    """LLaVA 1.5: CLIP and Llama, names of transformers 4.52 and later."""
    words = byte_words(folder, ("<image>",), template=LLAVA_CHAT, start=True)
    config = tf.LlavaConfig(
        vision_config=clip(),
        text_config=text_config(tf.LlamaConfig, words),
        image_token_index=words["<image>"],
    )
    names = {"model.vision_tower.": "model.vision_tower.vision_model."}
    save(tf.LlavaForConditionalGeneration(config), folder, seed, names)
    return pixels(folder, "CLIPImageProcessor", size={"shortest_edge": EDGE}, crop_size=square(EDGE))


def write_llava_451(folder: Path, seed: int = 0) -> Path:
    """LLaVA under the file names of transformers up to 4.51, Mistral text, sharded with an index."""
    words = byte_words(folder, ("<image>",), template=LLAVA_CHAT, start=True)
    config = tf.LlavaConfig(
        vision_config=clip(),
        text_config=text_config(tf.MistralConfig, words),
        image_token_index=words["<image>"],
    )
    names = {
        "lm_head.": "language_model.lm_head.",
        "model.language_model.": "language_model.model.",
        "model.multi_modal_projector.": "multi_modal_projector.",
        "model.vision_tower.": "vision_tower.vision_model.",
    }
    save(tf.LlavaForConditionalGeneration(config), folder, seed, names)
    shard(folder)
    return pixels(folder, "CLIPImageProcessor", size={"shortest_edge": EDGE}, crop_size=square(EDGE))


def write_llava_siglip(folder: Path, seed: int = 0) -> Path:
    """LLaVA with SigLIP and Qwen2; all image features are used."""
    words = byte_words(folder, ("<image>", "<|im_start|>", "<|im_end|>"), template=chatml("<image>\n"))
    config = tf.LlavaConfig(
        vision_config=siglip(),
        text_config=text_config(tf.Qwen2Config, words),
        image_token_index=words["<image>"],
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    save(tf.LlavaForConditionalGeneration(config), folder, seed)
    return pixels(folder, "SiglipImageProcessor", HALF, HALF, size=square(EDGE))


def write_llava_med(folder: Path, seed: int = 0) -> Path:
    """The original LLaVA-Med v1.5: flat config with `mm_` keys, its own tensor names, no preprocessor."""
    words = piece_words(folder, MISTRAL_CHAT)
    text = text_config(tf.MistralConfig, words, wide=0)
    vision = clip(hidden_size=64)
    config = tf.LlavaConfig(vision_config=vision, text_config=text, image_token_index=0)
    names = {
        "model.language_model.": "model.",
        "model.multi_modal_projector.linear_1.": "model.mm_projector.0.",
        "model.multi_modal_projector.linear_2.": "model.mm_projector.2.",
        "model.vision_tower.": "model.vision_tower.vision_tower.vision_model.",
    }
    save(tf.LlavaForConditionalGeneration(config), folder, seed, names)
    flat = {
        "architectures": ["LlavaMistralForCausalLM"],
        "model_type": "llava_mistral",
        "vocab_size": len(words),
        "hidden_size": 16,
        "intermediate_size": 20,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "hidden_act": "silu",
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "image_aspect_ratio": "pad",
        "mm_hidden_size": 64,
        "torch_dtype": "bfloat16",
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "tune_mm_mlp_adapter": False,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "use_mm_proj": True,
        "use_cache": True,
    }
    write_json(folder / "config.json", flat)
    return folder


def write_llava_next(folder: Path, seed: int = 0) -> Path:
    """LLaVA-NeXT: an image in tiles of a grid that suits its shape."""
    words = byte_words(folder, ("<image>",), template=LLAVA_CHAT, start=True)
    pinpoints = [[8, 16], [16, 8], [16, 16]]
    config = tf.LlavaNextConfig(
        vision_config=clip(),
        text_config=text_config(tf.MistralConfig, words),
        image_token_index=words["<image>"],
        image_grid_pinpoints=pinpoints,
    )
    save(tf.LlavaNextForConditionalGeneration(config), folder, seed)
    sizes = {"size": {"shortest_edge": EDGE}, "crop_size": square(EDGE)}
    return pixels(folder, "LlavaNextImageProcessor", image_grid_pinpoints=pinpoints, **sizes)


def write_llava_onevision(folder: Path, seed: int = 0) -> Path:
    """LLaVA-OneVision: SigLIP, Qwen2, tiles."""
    words = byte_words(
        folder, ("<image>", "<video>", "<|im_start|>", "<|im_end|>"), template=chatml("<image>\n")
    )
    pinpoints = [[8, 8], [8, 16], [16, 8], [16, 16]]
    config = tf.LlavaOnevisionConfig(
        vision_config=siglip(),
        text_config=text_config(tf.Qwen2Config, words),
        image_token_index=words["<image>"],
        video_token_index=words["<video>"],
        image_grid_pinpoints=pinpoints,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    save(tf.LlavaOnevisionForConditionalGeneration(config), folder, seed)
    settings = {"image_grid_pinpoints": pinpoints, "size": square(EDGE)}
    return pixels(folder, "LlavaOnevisionImageProcessor", HALF, HALF, **settings)


def write_qwen2_vl(folder: Path, seed: int = 0) -> Path:
    """Qwen2-VL: patches of all images follow each other; the vendor's flat config."""
    _qwen(
        folder,
        seed,
        tf.Qwen2VLConfig,
        tf.Qwen2VLForConditionalGeneration,
        {
            "depth": 2,
            "embed_dim": 16,
            "hidden_size": 16,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    )
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    flat = {**said.pop("text_config"), **said}
    write_json(folder / "config.json", flat)
    return folder


def write_qwen2_5_vl(folder: Path, seed: int = 0) -> Path:
    """Qwen2.5-VL: windows of patches, one block looks at all."""
    return _qwen(
        folder,
        seed,
        tf.Qwen2_5_VLConfig,
        tf.Qwen2_5_VLForConditionalGeneration,
        {
            "depth": 2,
            "hidden_size": 16,
            "out_hidden_size": 16,
            "intermediate_size": 24,
            "num_heads": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "window_size": 16,
            "fullatt_block_indexes": [1],
        },
    )


def write_idefics3(folder: Path, seed: int = 0) -> Path:
    """Idefics3: rows and columns of tiles, and the whole image."""
    return _idefics(folder, seed, tf.Idefics3Config, tf.Idefics3ForConditionalGeneration, "Idefics3")


def write_smolvlm(folder: Path, seed: int = 0) -> Path:
    """SmolVLM2: Idefics3's tiles."""
    return _idefics(folder, seed, tf.SmolVLMConfig, tf.SmolVLMForConditionalGeneration, "SmolVLM")


def write_internvl(folder: Path, seed: int = 0) -> Path:
    """InternVL 3 in transformers' layout: tiles, features of four patches merged."""
    named = {
        "context_image_token": "<IMG_CONTEXT>",
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "video_token": "<video>",
    }
    special = ("<|im_start|>", "<|im_end|>")
    words = byte_words(folder, special, template=chatml("<IMG_CONTEXT>\n"), named=named)
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [8, 8],
        "patch_size": [4, 4],
    }
    config = tf.InternVLConfig(
        vision_config=vision,
        text_config=text_config(tf.Qwen2Config, words),
        image_seq_length=1,
        image_token_id=words["<IMG_CONTEXT>"],
        downsample_ratio=0.5,
    )
    save(tf.InternVLForConditionalGeneration(config), folder, seed)
    settings = {"size": square(EDGE), "crop_to_patches": True, "min_patches": 1, "max_patches": 4}
    return pixels(folder, "GotOcr2ImageProcessor", CLIP_MEAN, CLIP_STD, **settings)


def write_paligemma(folder: Path, seed: int = 0) -> Path:
    """PaliGemma: the prompt is seen both ways, the report from left to right."""
    words = byte_words(folder, ("<image>",), start=True)
    text = text_config(tf.GemmaConfig, words, head_dim=8)
    config = tf.PaliGemmaConfig(
        vision_config=siglip(), text_config=text, image_token_index=words["<image>"], projection_dim=16
    )
    save(tf.PaliGemmaForConditionalGeneration(config), folder, seed)
    return pixels(folder, "SiglipImageProcessor", HALF, HALF, size=square(EDGE), image_seq_length=4)


def write_gemma3(folder: Path, seed: int = 0) -> Path:
    """Gemma 3, as MedGemma: image features pooled, seen both ways among themselves."""
    named = {
        "image_token": "<image_soft_token>",
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
    }
    special = ("<start_of_turn>", "<end_of_turn>")
    words = byte_words(folder, special, template=GEMMA_CHAT, named=named, start=True)
    text = text_config(tf.Gemma3TextConfig, words, head_dim=8, sliding_window=64, sliding_window_pattern=2)
    config = tf.Gemma3Config(
        vision_config=siglip(vision_use_head=False),
        text_config=text,
        mm_tokens_per_image=1,
        image_token_index=words["<image_soft_token>"],
        boi_token_index=words["<start_of_image>"],
        eoi_token_index=words["<end_of_image>"],
    )
    save(tf.Gemma3ForConditionalGeneration(config), folder, seed)
    return pixels(folder, "Gemma3ImageProcessor", HALF, HALF, size=square(EDGE))


def write_blip2(folder: Path, seed: int = 0) -> Path:
    """BLIP-2 with OPT: a Q-Former between image and language, no chat template."""
    words = byte_words(folder, ("<image>",), start=True)
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": EDGE,
        "patch_size": PATCH,
    }
    qformer = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "vocab_size": 40,
        "encoder_hidden_size": 16,
        "max_position_embeddings": 32,
    }
    text = {
        "model_type": "opt",
        "vocab_size": len(words),
        "hidden_size": 16,
        "ffn_dim": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 512,
        "word_embed_proj_dim": 16,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "dropout": 0.0,
    }
    config = tf.Blip2Config(
        vision_config=vision,
        qformer_config=qformer,
        text_config=text,
        num_query_tokens=3,
        image_token_index=words["<image>"],
    )
    save(tf.Blip2ForConditionalGeneration(config), folder, seed)
    return pixels(folder, "BlipImageProcessor", size=square(EDGE))


GENERATIVE_MODELS: dict[str, Callable[..., Path]] = {
    "llava": write_llava,
    "llava-4.51": write_llava_451,
    "llava-siglip": write_llava_siglip,
    "llava-med": write_llava_med,
    "llava-next": write_llava_next,
    "llava-onevision": write_llava_onevision,
    "qwen2-vl": write_qwen2_vl,
    "qwen2.5-vl": write_qwen2_5_vl,
    "idefics3": write_idefics3,
    "smolvlm": write_smolvlm,
    "internvl": write_internvl,
    "paligemma": write_paligemma,
    "gemma3": write_gemma3,
    "blip-2": write_blip2,
}


def _qwen(folder: Path, seed: int, config_kind: Any, kind: Any, vision: dict[str, Any]) -> Path:
    special = (
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
    )
    words = byte_words(folder, special, template=chatml("<|vision_start|><|image_pad|><|vision_end|>"))
    text = {
        "vocab_size": len(words),
        "hidden_size": 16,
        "intermediate_size": 20,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0},
    }
    ids = {
        "image_token_id": words["<|image_pad|>"],
        "video_token_id": words["<|video_pad|>"],
        "vision_start_token_id": words["<|vision_start|>"],
        "vision_end_token_id": words["<|vision_end|>"],
    }
    save(kind(config_kind(vision_config=vision, text_config=text, **ids)), folder, seed)
    limits = {
        "min_pixels": 64,
        "max_pixels": 1024,
        "patch_size": 4,
        "merge_size": 2,
        "temporal_patch_size": 2,
    }
    return pixels(folder, "Qwen2VLImageProcessor", CLIP_MEAN, CLIP_STD, **limits)


def _idefics(folder: Path, seed: int, config_kind: Any, kind: Any, name: str) -> Path:
    rows = tuple(f"<row_{r}_col_{c}>" for r in range(1, 7) for c in range(1, 7))
    special = (
        "<|im_start|>",
        "<image>",
        "<fake_token_around_image>",
        "<global-img>",
        "<end_of_utterance>",
        *rows,
    )
    words = byte_words(folder, special, template=IDEFICS_CHAT, end="<end_of_utterance>")
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": EDGE,
        "patch_size": PATCH,
    }
    text = text_config(tf.LlamaConfig, words).to_dict()
    config = config_kind(
        vision_config=vision,
        text_config=text,
        scale_factor=2,
        image_token_id=words["<image>"],
        pad_token_id=0,
    )
    save(kind(config), folder, seed)
    settings = {
        "do_image_splitting": True,
        "size": {"longest_edge": 24},
        "max_image_size": {"longest_edge": EDGE},
        "do_pad": True,
    }
    return pixels(folder, f"{name}ImageProcessor", HALF, HALF, **settings)
