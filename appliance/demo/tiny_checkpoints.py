"""Fresh, untrained checkpoints of toy size in layouts that vendors ship: HF LLaVA, BiomedCLIP (open_clip)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llava.configuration_llava import LlavaConfig
from transformers.models.llava.modeling_llava import LlavaForConditionalGeneration

from audit_core.adapters.biomedclip import BiomedClip
from audit_core.adapters.layouts import OpenClipLayout, TextSizes, TrunkSizes

VOCABULARY = 2000
PIXELS = 64
PATCH = 16
POSITIONS = 160
MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, as BiomedCLIP uses them
STD = (0.26862954, 0.26130258, 0.27577711)
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
OPEN_CLIP_WEIGHTS = "open_clip_pytorch_model.safetensors"


def fresh_llava(folder: Path, corpus: Iterable[str], seed: int, width: int = 128) -> None:
    """Write an untrained LLaVA: CLIP vision (3 layers of 64), projector, Llama (4 layers of `width`)."""
    tokens = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    core = _byte_level_bpe(corpus, [*tokens.values(), "<image>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, extra_special_tokens=["<image>"], **tokens)
    tokenizer.chat_template = CHAT_TEMPLATE
    vision = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=PIXELS,
        patch_size=PATCH,
        projection_dim=64,
    )
    text = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=5 * width // 2,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=POSITIONS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    torch.manual_seed(seed)
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    edge = {"height": PIXELS, "width": PIXELS}
    CLIPImageProcessorPil(size=edge, crop_size=edge, do_center_crop=False).save_pretrained(folder)


def fresh_biomedclip(folder: Path, corpus: Iterable[str], seed: int) -> None:
    """Write an untrained BiomedCLIP: ViT trunk (3 blocks of 64), BERT (2 layers of 128)."""
    folder.mkdir(parents=True, exist_ok=True)
    core = _byte_level_bpe(corpus, ["[PAD]", "[CLS]", "[SEP]", "[UNK]"])
    ends = [(token, core.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    core.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"}
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(folder)
    trunk = TrunkSizes(image=PIXELS, patch=PATCH, width=64, blocks=3, heads=4, mlp=192)
    text = TextSizes(
        vocabulary=VOCABULARY, positions=POSITIONS, types=2, width=128, blocks=2, heads=4, mlp=320, hidden=96,
        context=POSITIONS,
    )  # fmt: skip
    torch.manual_seed(seed)
    model = BiomedClip(OpenClipLayout(64, trunk, text, MEAN, STD))
    with torch.no_grad():
        for table in (model.visual.trunk.cls_token, model.visual.trunk.pos_embed):
            table.normal_(std=0.02)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / OPEN_CLIP_WEIGHTS)
    config = {
        "model_cfg": {
            "embed_dim": 64,
            "vision_cfg": {
                "timm_model_name": "vit_toy_patch16_64",
                "timm_model_pretrained": False,
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": PIXELS,
                "heads": trunk.heads,
            },
            "text_cfg": {
                "hf_model_name": "toy-bert",
                "hf_proj_type": "mlp",
                "hf_pooler_type": "cls_last_hidden_state_pooler",
                "context_length": text.context,
                "heads": text.heads,
            },
        },
        "preprocess_cfg": {"mean": list(MEAN), "std": list(STD)},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _byte_level_bpe(corpus: Iterable[str], special: list[str]) -> Tokenizer:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=special,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return core
