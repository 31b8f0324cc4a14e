"""What tiny checkpoints of image-text-to-text networks are made of: templates, tokenizers, towers, files."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from audit_core.adapters.loading import OFFLINE_SWITCHES

os.environ.update(OFFLINE_SWITCHES)

import torch
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


def chatml(image: str) -> str:
    """The ChatML template with the family's own text for the image."""
    return CHATML.replace("IMAGE", "{{ '" + image.replace("\n", "\\n") + "' }}")


def clip(**more: Any) -> Any:
    """A CLIP tower of three blocks."""
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


def siglip(**more: Any) -> Any:
    """A SigLIP tower of two blocks."""
    return tf.SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=EDGE,
        patch_size=PATCH,
        **more,
    )


def text_config(kind: Any, words: dict[str, int], wide: int = 2, **more: Any) -> Any:
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


def byte_words(
    folder: Path,
    special: tuple[str, ...],
    *,
    template: str | None = None,
    named: dict[str, str] | None = None,
    start: bool = False,
    end: str = "",
) -> dict[str, int]:
    """A byte-level tokenizer of 256 bytes and a space joined to nothing; returns its vocabulary."""
    names = [*BASE, *special, *(named or {}).values()]
    core = Tokenizer(models.BPE({w: i for i, w in enumerate([*names, *BYTES])}, []))
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
        tokenizer_object=core, pad_token=BASE[0], bos_token=START if start else None, eos_token=end, **given
    )
    tokenizer.chat_template = template
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    return {name: number for number, name in enumerate([*names, *BYTES])}


def save(model: Any, folder: Path, seed: int, names: dict[str, str] | None = None) -> None:
    """Save a seeded network as transformers does, which is under its vendor's names; or under those given."""
    tiny._spread(model, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for name, vector in model.named_parameters():
        if (
            vector.dim() == 1 and "norm" not in name.lower()
        ):  # biases, and what marks the end of a row of patches
            vector.data.normal_(std=0.05, generator=generator)
    model.save_pretrained(folder)
    if names is None:
        return
    renamed = {}
    for name, tensor in model.state_dict().items():
        start = next((start for start in names if name.startswith(start)), "")
        renamed[names.get(start, "") + name[len(start) :]] = tensor.contiguous()
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})


def shard(folder: Path) -> None:
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
    write_json(
        folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": index}
    )


def pixels(
    folder: Path, kind: str, mean: list[float] = CLIP_MEAN, std: list[float] = CLIP_STD, **settings: Any
) -> Path:
    """The image processor's file, in the form vendors ship it."""
    said = {"image_processor_type": kind, "image_mean": mean, "image_std": std, **settings}
    write_json(folder / "preprocessor_config.json", said)
    return folder


def square(edge: int) -> dict[str, int]:
    """Height and width."""
    return {"height": edge, "width": edge}


def write_json(path: Path, document: Any) -> None:
    """One json file."""
    path.write_text(json.dumps(document), encoding="utf-8")


def piece_words(folder: Path, template: str) -> dict[str, int]:
    """A `tokenizer.model` as SentencePiece writes Mistral's, no tokenizer.json; returns its vocabulary."""
    merged = ["no", "ac", "▁no", "▁ac", "ute", "ut", "▁acute", "in", "ing", "▁f", "▁fin", "▁finding", "▁is"]
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyzDINST[]./:"]
    texts = ["<unk>", START, END, *(f"<0x{n:02X}>" for n in range(256)), *merged, *letters]
    kinds = [2, 3, 3, *[6] * 256, *[1] * (len(merged) + len(letters))]
    body = b""
    for number, (text, kind) in enumerate(zip(texts, kinds, strict=True)):
        score = -float(max(0, number - 259))
        piece = _bytes(1, text.encode()) + b"\x15" + struct.pack("<f", score) + bytes([24, kind])
        body += _bytes(1, piece)
    body += _bytes(2, bytes([3 << 3, 2]) + _number(35 << 3) + b"\x01")  # byte pairs, falling back to bytes
    body += _bytes(3, _bytes(1, b"identity") + bytes([4 << 3, 0]))  # no space is taken away
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(body)
    named = {"bos_token": START, "eos_token": END, "unk_token": "<unk>", "pad_token": "<unk>"}
    settings = {**named, "add_bos_token": True, "legacy": True, "chat_template": template}
    write_json(folder / "tokenizer_config.json", settings)
    return {text: number for number, text in enumerate(texts)}


def _bytes(field: int, data: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(data)) + data


def _number(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])
