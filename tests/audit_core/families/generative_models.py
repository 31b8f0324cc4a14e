"""Tiny checkpoints of image-text-to-text networks, as their vendors lay them out.

Every writer makes the files a hospital would have on disk: config, weights, tokenizer with the family's
special tokens, chat template of the vendor's form, image preprocessor.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit_core.adapters.loading import OFFLINE_SWITCHES

os.environ.update(OFFLINE_SWITCHES)

import transformers as tf
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from tests.audit_core import engine_models as tiny

CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]
HALF = [0.5, 0.5, 0.5]
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
START, END = "<s>", "</s>"
BASE = ("<pad>", START, END)
EDGE, PATCH = 8, 4

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['content'] is string %}"
    "{{ m['content'] }}{% else %}{% for p in m['content'] %}{% if p['type'] == 'image' %}IMAGE"
    "{% else %}{{ p['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAVA_CHAT = (
    "{% for m in messages %}{{ m['role'].upper() + ': ' }}"
    "{% for p in m['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{% for p in m['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ p['text'] + ' ' }}{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
IDEFICS_CHAT = (
    "<|im_start|>{% for m in messages %}{{ m['role'] | capitalize }}"
    "{% if m['content'][0]['type'] == 'image' %}"
    "{{ ':' }}{% else %}{{ ': ' }}{% endif %}{% for p in m['content'] %}{% if p['type'] == 'text' %}"
    "{{ p['text'] }}{% elif p['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
GEMMA_CHAT = (
    "{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' }}"
    "{{ (m['role'] if m['role'] == 'user' else 'model') + '\n' }}"
    "{% if m['content'] is string %}{{ m['content'] | trim }}{% else %}{% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}{{ '<start_of_image>' }}{% else %}{{ p['text'] | trim }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
MISTRAL_CHAT = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}"
)


def write_llava(folder: Path, seed: int = 0) -> Path:
    """LLaVA 1.5: CLIP and Llama, names of transformers 4.52 and later."""
    words = _words(folder, ("<image>",), template=LLAVA_CHAT, start=True)
    config = tf.LlavaConfig(
        vision_config=_clip(), text_config=_text(tf.LlamaConfig, words), image_token_index=words["<image>"]
    )
    names = {"model.vision_tower.": "model.vision_tower.vision_model."}
    _save(tf.LlavaForConditionalGeneration(config), folder, seed, names)
    return _pixels(folder, "CLIPImageProcessor", size={"shortest_edge": EDGE}, crop_size=_square(EDGE))


def write_llava_451(folder: Path, seed: int = 0) -> Path:
    """LLaVA under the file names of transformers up to 4.51, Mistral text, sharded with an index."""
    words = _words(folder, ("<image>",), template=LLAVA_CHAT, start=True)
    config = tf.LlavaConfig(
        vision_config=_clip(), text_config=_text(tf.MistralConfig, words), image_token_index=words["<image>"]
    )
    names = {
        "lm_head.": "language_model.lm_head.",
        "model.language_model.": "language_model.model.",
        "model.multi_modal_projector.": "multi_modal_projector.",
        "model.vision_tower.": "vision_tower.vision_model.",
    }
    _save(tf.LlavaForConditionalGeneration(config), folder, seed, names)
    _shard(folder)
    return _pixels(folder, "CLIPImageProcessor", size={"shortest_edge": EDGE}, crop_size=_square(EDGE))


def write_llava_siglip(folder: Path, seed: int = 0) -> Path:
    """LLaVA with SigLIP and Qwen2; all image features are used."""
    words = _words(folder, ("<image>", "<|im_start|>", "<|im_end|>"), template=_chatml("<image>\n"))
    config = tf.LlavaConfig(
        vision_config=_siglip(),
        text_config=_text(tf.Qwen2Config, words),
        image_token_index=words["<image>"],
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    _save(tf.LlavaForConditionalGeneration(config), folder, seed)
    return _pixels(folder, "SiglipImageProcessor", HALF, HALF, size=_square(EDGE))


def write_llava_med(folder: Path, seed: int = 0) -> Path:
    """The original LLaVA-Med v1.5: flat config with `mm_` keys, its own tensor names, no preprocessor."""
    words = _words(folder, ("<unk>",), template=MISTRAL_CHAT, start=True, pad="<unk>")
    text = _text(tf.MistralConfig, words, wide=0)
    vision = _clip(hidden_size=64)
    config = tf.LlavaConfig(vision_config=vision, text_config=text, image_token_index=0)
    names = {
        "model.language_model.": "model.",
        "model.multi_modal_projector.linear_1.": "model.mm_projector.0.",
        "model.multi_modal_projector.linear_2.": "model.mm_projector.2.",
        "model.vision_tower.": "model.vision_tower.vision_tower.vision_model.",
    }
    _save(tf.LlavaForConditionalGeneration(config), folder, seed, names)
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
    _write(folder / "config.json", flat)
    return folder


def write_llava_next(folder: Path, seed: int = 0) -> Path:
    """LLaVA-NeXT: an image in tiles of a grid that suits its shape."""
    words = _words(folder, ("<image>",), template=LLAVA_CHAT, start=True)
    pinpoints = [[8, 16], [16, 8], [16, 16]]
    config = tf.LlavaNextConfig(
        vision_config=_clip(),
        text_config=_text(tf.MistralConfig, words),
        image_token_index=words["<image>"],
        image_grid_pinpoints=pinpoints,
    )
    _save(tf.LlavaNextForConditionalGeneration(config), folder, seed)
    sizes = {"size": {"shortest_edge": EDGE}, "crop_size": _square(EDGE)}
    return _pixels(folder, "LlavaNextImageProcessor", image_grid_pinpoints=pinpoints, **sizes)


def write_llava_onevision(folder: Path, seed: int = 0) -> Path:
    """LLaVA-OneVision: SigLIP, Qwen2, tiles."""
    words = _words(
        folder, ("<image>", "<video>", "<|im_start|>", "<|im_end|>"), template=_chatml("<image>\n")
    )
    pinpoints = [[8, 8], [8, 16], [16, 8], [16, 16]]
    config = tf.LlavaOnevisionConfig(
        vision_config=_siglip(),
        text_config=_text(tf.Qwen2Config, words),
        image_token_index=words["<image>"],
        video_token_index=words["<video>"],
        image_grid_pinpoints=pinpoints,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    _save(tf.LlavaOnevisionForConditionalGeneration(config), folder, seed)
    settings = {"image_grid_pinpoints": pinpoints, "size": _square(EDGE)}
    return _pixels(folder, "LlavaOnevisionImageProcessor", HALF, HALF, **settings)


def write_qwen2_vl(folder: Path, seed: int = 0) -> Path:
    """Qwen2-VL: patches of all images follow each other."""
    return _qwen(
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
    words = _words(folder, special, template=_chatml("<IMG_CONTEXT>\n"), named=named)
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
        text_config=_text(tf.Qwen2Config, words),
        image_seq_length=1,
        image_token_id=words["<IMG_CONTEXT>"],
        downsample_ratio=0.5,
    )
    _save(tf.InternVLForConditionalGeneration(config), folder, seed)
    settings = {"size": _square(EDGE), "crop_to_patches": True, "min_patches": 1, "max_patches": 4}
    return _pixels(folder, "GotOcr2ImageProcessor", CLIP_MEAN, CLIP_STD, **settings)


def write_paligemma(folder: Path, seed: int = 0) -> Path:
    """PaliGemma: the prompt is seen both ways, the report from left to right."""
    words = _words(folder, ("<image>",), start=True)
    text = _text(tf.GemmaConfig, words, head_dim=8)
    config = tf.PaliGemmaConfig(
        vision_config=_siglip(), text_config=text, image_token_index=words["<image>"], projection_dim=16
    )
    _save(tf.PaliGemmaForConditionalGeneration(config), folder, seed)
    return _pixels(folder, "SiglipImageProcessor", HALF, HALF, size=_square(EDGE), image_seq_length=4)


def write_gemma3(folder: Path, seed: int = 0) -> Path:
    """Gemma 3, as MedGemma: image features pooled, seen both ways among themselves."""
    named = {
        "image_token": "<image_soft_token>",
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
    }
    special = ("<start_of_turn>", "<end_of_turn>")
    words = _words(folder, special, template=GEMMA_CHAT, named=named, start=True)
    text = _text(tf.Gemma3TextConfig, words, head_dim=8, sliding_window=64, sliding_window_pattern=2)
    config = tf.Gemma3Config(
        vision_config=_siglip(vision_use_head=False),
        text_config=text,
        mm_tokens_per_image=1,
        image_token_index=words["<image_soft_token>"],
        boi_token_index=words["<start_of_image>"],
        eoi_token_index=words["<end_of_image>"],
    )
    _save(tf.Gemma3ForConditionalGeneration(config), folder, seed)
    return _pixels(folder, "Gemma3ImageProcessor", HALF, HALF, size=_square(EDGE))


def write_blip2(folder: Path, seed: int = 0) -> Path:
    """BLIP-2 with OPT: a Q-Former between image and language, no chat template."""
    words = _words(folder, ("<image>",), start=True)
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
    _save(tf.Blip2ForConditionalGeneration(config), folder, seed)
    return _pixels(folder, "BlipImageProcessor", size=_square(EDGE))


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
    words = _words(folder, special, template=_chatml("<|vision_start|><|image_pad|><|vision_end|>"))
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
    _save(kind(config_kind(vision_config=vision, text_config=text, **ids)), folder, seed)
    limits = {
        "min_pixels": 64,
        "max_pixels": 1024,
        "patch_size": 4,
        "merge_size": 2,
        "temporal_patch_size": 2,
    }
    return _pixels(folder, "Qwen2VLImageProcessor", CLIP_MEAN, CLIP_STD, **limits)


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
    words = _words(folder, special, template=IDEFICS_CHAT, end="<end_of_utterance>")
    vision = {
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": EDGE,
        "patch_size": PATCH,
    }
    text = _text(tf.LlamaConfig, words).to_dict()
    config = config_kind(
        vision_config=vision,
        text_config=text,
        scale_factor=2,
        image_token_id=words["<image>"],
        pad_token_id=0,
    )
    _save(kind(config), folder, seed)
    settings = {
        "do_image_splitting": True,
        "size": {"longest_edge": 24},
        "max_image_size": {"longest_edge": EDGE},
        "do_pad": True,
    }
    return _pixels(folder, f"{name}ImageProcessor", HALF, HALF, **settings)


def _chatml(image: str) -> str:
    return CHATML.replace("IMAGE", "{{ '" + image.replace("\n", "\\n") + "' }}")


def _clip(**more: Any) -> Any:
    return tf.CLIPVisionConfig(
        **{
            "hidden_size": 16,
            "intermediate_size": 24,
            "num_hidden_layers": 3,
            "num_attention_heads": 1,
            "image_size": EDGE,
            "patch_size": PATCH,
            "projection_dim": 16,
            **more,
        }
    )


def _siglip(**more: Any) -> Any:
    return tf.SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=EDGE,
        patch_size=PATCH,
        **more,
    )


def _text(kind: Any, words: dict[str, int], wide: int = 2, **more: Any) -> Any:
    """Two layers of width 16; `wide`: rows of the embedding beyond the tokenizer's, as vendors round up."""
    return kind(
        vocab_size=len(words) + wide,
        hidden_size=16,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        **more,
    )


def _words(
    folder: Path,
    special: tuple[str, ...],
    *,
    template: str | None = None,
    named: dict[str, str] | None = None,
    start: bool = False,
    end: str = "",
    pad: str = "<pad>",
) -> dict[str, int]:
    """A byte-level tokenizer of 256 bytes and a space joined to nothing; returns its vocabulary."""
    names = [*BASE, *special, *(named or {}).values()]
    plain = ["<0x00>", *BYTES] if "<unk>" in special else BYTES
    core = Tokenizer(models.BPE({w: i for i, w in enumerate([*names, *plain])}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    if start:
        core.post_processor = processors.TemplateProcessing(
            single=f"{START} $A", pair=f"{START} $A $B", special_tokens=[(START, 1)]
        )
    end = end or next((name for name in ("<|im_end|>",) if name in special), END)
    given: dict[str, Any] = {"extra_special_tokens": named} if named else {}
    tokenizer = tf.PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=pad, bos_token=START if start else None, eos_token=end, **given
    )
    tokenizer.chat_template = template
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    return {name: number for number, name in enumerate([*names, *plain])}


def _save(model: Any, folder: Path, seed: int, names: dict[str, str] | None = None) -> None:
    """Save a seeded network as transformers does, which is under its vendor's names; or under those given."""
    tiny._spread(model, seed)
    model.save_pretrained(folder)
    if names is None:
        return
    renamed = {}
    for name, tensor in model.state_dict().items():
        start = next((start for start in names if name.startswith(start)), "")
        renamed[names.get(start, "") + name[len(start) :]] = tensor.contiguous()
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})


def _shard(folder: Path) -> None:
    """Split the weights in two files with an index, as large models come."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    index = {}
    for part, chosen in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-0000{part}-of-00002.safetensors"
        save_file({n: tensors[n] for n in chosen}, folder / file, metadata={"format": "pt"})
        index.update(dict.fromkeys(chosen, file))
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    _write(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": index})


def _pixels(
    folder: Path, kind: str, mean: list[float] = CLIP_MEAN, std: list[float] = CLIP_STD, **settings: Any
) -> Path:
    said = {"image_processor_type": kind, "image_mean": mean, "image_std": std, **settings}
    _write(folder / "preprocessor_config.json", said)
    return folder


def _square(edge: int) -> dict[str, int]:
    return {"height": edge, "width": edge}


def _write(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")
