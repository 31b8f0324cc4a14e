"""BiomedCLIP's network in its vendor's own tensor names: a ViT trunk and a BERT text tower.

Small on purpose: it loads an open_clip state dict with `strict=True` and computes the same embeddings,
without open_clip, timm or torchvision. `attn.qkv` stays fused, so audited slices are the vendor's tensors.

Letters: B samples, T tokens, D width, E embedding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.bert.configuration_bert import BertConfig
from transformers.models.bert.modeling_bert import BertModel

from audit_core.adapters.layouts import BERT_EPS, TRUNK_EPS, OpenClipLayout, TextSizes, TrunkSizes


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        B, T, D = x_BTD.shape
        q, k, v = self.qkv(x_BTD).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(B, T, D))
        return out


class _Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class _Block(nn.Module):
    def __init__(self, sizes: TrunkSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=TRUNK_EPS)
        self.attn = _Attention(sizes.width, sizes.heads)
        self.norm2 = nn.LayerNorm(sizes.width, eps=TRUNK_EPS)
        self.mlp = _Mlp(sizes.width, sizes.mlp)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class _PatchEmbed(nn.Module):
    def __init__(self, sizes: TrunkSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, sizes.width, sizes.patch, stride=sizes.patch)

    def forward(self, pixels: Tensor) -> Tensor:
        out: Tensor = self.proj(pixels).flatten(2).transpose(1, 2)
        return out


class VisionTrunk(nn.Module):
    """ViT with a class token; the class token after the last norm is the image feature."""

    def __init__(self, sizes: TrunkSizes) -> None:
        super().__init__()
        tokens = (sizes.image // sizes.patch) ** 2 + 1
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, sizes.width))
        self.patch_embed = _PatchEmbed(sizes)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.blocks))
        self.norm = nn.LayerNorm(sizes.width, eps=TRUNK_EPS)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [B, 3, H, W] to features [B, D]."""
        patches = self.patch_embed(pixels)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)[:, 0]
        return out


class _Visual(nn.Module):
    def __init__(self, layout: OpenClipLayout) -> None:
        super().__init__()
        self.trunk = VisionTrunk(layout.trunk)
        self.head = nn.ModuleDict({"proj": nn.Linear(layout.trunk.width, layout.embed, bias=False)})

    def forward(self, pixels: Tensor) -> Tensor:
        out: Tensor = self.head["proj"](self.trunk(pixels))
        return out


class _Text(nn.Module):
    def __init__(self, sizes: TextSizes, embed: int) -> None:
        super().__init__()
        self.transformer: Any = BertModel(_bert_config(sizes), add_pooling_layer=False)
        if sizes.hidden is None:
            self.proj: nn.Module = nn.Linear(sizes.width, embed, bias=False)
        else:
            self.proj = nn.Sequential(
                nn.Linear(sizes.width, sizes.hidden, bias=False),
                nn.GELU(),
                nn.Linear(sizes.hidden, embed, bias=False),
            )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        out: Tensor = self.proj(hidden[:, 0])
        return out


class BiomedClip(nn.Module):
    """Two towers and a temperature; `forward` gives unit embeddings of images and texts.

    Args:
        layout: sizes, from `layouts.read_open_clip`.
    """

    def __init__(self, layout: OpenClipLayout) -> None:
        super().__init__()
        self.visual = _Visual(layout)
        self.text = _Text(layout.text, layout.embed)
        self.logit_scale = nn.Parameter(torch.tensor(2.6593))  # ln(1/0.07), where training starts

    def forward(self, pixels: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [B, 3, H, W], ids and mask [B, T] to unit embeddings [B, E] each."""
        image_BE = functional.normalize(self.visual(pixels), dim=-1)
        text_BE = functional.normalize(self.text(input_ids, attention_mask), dim=-1)
        return image_BE, text_BE


def _bert_config(sizes: TextSizes) -> BertConfig:
    return BertConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.width,
        num_hidden_layers=sizes.blocks,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.mlp,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
        layer_norm_eps=BERT_EPS,
        hidden_act="gelu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="sdpa",
    )
