"""What the model is given and what is supervised: labels, truncation, prompts, pixels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.biomedclip import VisionTrunk
from audit_core.adapters.image_text_to_text import IGNORED
from audit_core.adapters.layouts import TrunkSizes
from audit_core.adapters.loading import open_model
from audit_core.errors import BadSample, ModelRefused
from tests.audit_core import engine_models as tiny

LLAVA, CLIP = "image-text-to-text", "contrastive"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}USER : {% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %} ASSISTANT :"
)
STRING_TEMPLATE = "{% for m in messages %}{{ 'USER : ' + m['content'] }}{% endfor %} ASSISTANT :"


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_model(tiny.write_llava(tmp_path_factory.mktemp("llava")), LLAVA)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_model(tiny.write_clip(tmp_path_factory.mktemp("clip")), CLIP)


def _labels(adapter: ModelAdapter, text: str, limit: int = 99) -> list[str]:
    batch = adapter.encode([replace(tiny.sample(1), text=text)], limit)
    kept = batch.tensors["labels"][0]
    return list(adapter.tokenizer.convert_ids_to_tokens(kept[kept != IGNORED].tolist()))  # type: ignore[attr-defined]


def test_exactly_the_report_and_the_end_token_are_supervised(llava: ModelAdapter) -> None:
    """Not the prompt, not the image placeholders: the report's tokens and the end."""
    assert _labels(llava, "no acute finding") == ["no", "acute", "finding", "</s>"]


def test_supervised_count_does_not_depend_on_the_image_size(tmp_path: Path) -> None:
    """4, 16 and 64 image tokens, the same supervised tokens (METHOD §2: mask after expansion)."""
    counts = []
    for edge in (8, 16, 32):
        adapter = open_model(tiny.write_llava(tmp_path / str(edge), image=edge), LLAVA)
        batch = adapter.encode([tiny.sample(1), tiny.sample(3)], 99)
        placeholders = (batch.tensors["input_ids"] == 4).sum(1)
        assert placeholders.tolist() == [(edge // 4) ** 2] * 2
        assert not (batch.tensors["labels"] == 4).any()
        counts.append(adapter.forward(batch).supervised)
    assert counts[0] == counts[1] == counts[2] == (5, 7)


def test_padding_is_on_the_right_and_unsupervised(llava: ModelAdapter) -> None:
    """Short and long reports in one batch: pads at the end, masked out, no label."""
    batch = llava.encode([tiny.sample(0, text="no"), tiny.sample(1, text="no acute finding")], 99)
    ids, mask, labels = (batch.tensors[k] for k in ("input_ids", "attention_mask", "labels"))
    assert mask[0].tolist() == sorted(mask[0].tolist(), reverse=True)
    assert (mask[0] == 0).sum() == 2
    assert (labels[0][mask[0] == 0] == IGNORED).all()
    assert (ids[0][mask[0] == 0] == llava.tokenizer.pad_token_id).all()  # type: ignore[attr-defined]


def test_a_long_report_is_cut_without_an_end_token(llava: ModelAdapter) -> None:
    """A cut report did not end, so no end token is supervised."""
    assert _labels(llava, "no acute finding left right lung", limit=4) == ["no", "acute", "finding", "left"]


def test_a_report_with_the_image_token_is_refused(llava: ModelAdapter) -> None:
    """A report cannot smuggle a second image into the prompt."""
    with pytest.raises(BadSample, match="image token"):
        llava.encode([tiny.sample(1, text="no <image> finding")], 99)


@pytest.mark.parametrize("template", [TEMPLATE, STRING_TEMPLATE])
def test_the_models_own_template_is_used(tmp_path: Path, template: str) -> None:
    """Templates for structured content and older ones for plain strings; one image each, one start token."""
    adapter: Any = open_model(tiny.write_llava(tmp_path, chat_template=template), LLAVA)
    assert adapter.prompt.text.endswith(" ASSISTANT :")
    ids = adapter.encode([tiny.sample(1)], 99).tensors["input_ids"][0]
    assert (ids == 4).sum() == 4
    assert (ids == 2).sum() == 1  # <s>
    assert _labels(adapter, "no acute finding") == ["no", "acute", "finding", "</s>"]


def test_a_template_beside_the_processor_is_used(tmp_path: Path) -> None:
    """Some vendors ship it as chat_template.json."""
    folder = tiny.write_llava(tmp_path)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    adapter: Any = open_model(folder, LLAVA)
    assert adapter.prompt.text.startswith("<s>USER : <image>")


def test_a_template_without_the_image_is_refused(tmp_path: Path) -> None:
    """A template that drops the image would audit a text model."""
    folder = tiny.write_llava(tmp_path, chat_template="USER : hello ASSISTANT :")
    with pytest.raises(ModelRefused, match="exactly one image"):
        open_model(folder, LLAVA)


def test_loss_is_the_mean_over_report_tokens(llava: ModelAdapter) -> None:
    """Equals the library's own loss with the same labels, pair by pair."""
    for pair in (tiny.sample(1), tiny.sample(4)):
        batch = llava.encode([pair], 99)
        wanted = llava.model(**batch.tensors).loss
        torch.testing.assert_close(llava.forward(batch).losses_B[0], wanted, rtol=1e-5, atol=1e-6)


def test_token_signals_equal_their_formulas(llava: ModelAdapter) -> None:
    """Min-K, Min-K%++, entropy and best log-probability, written out from the logits (METHOD §4)."""
    batch = llava.encode([tiny.sample(4)], 99)
    got = llava.forward(batch).scalars
    logp = torch.log_softmax(llava.model(**batch.tensors).logits[0, :-1].double(), dim=-1)
    labels = batch.tensors["labels"][0, 1:]
    logp, labels = logp[labels != IGNORED], labels[labels != IGNORED]
    own = logp[torch.arange(len(labels)), labels]
    mu = (logp.exp() * logp).sum(1)
    sigma = ((logp.exp() * logp**2).sum(1) - mu**2).sqrt()
    k = max(1, int(0.2 * len(labels)))
    assert got["neg_loss"][0].item() == pytest.approx(own.mean().item(), abs=1e-5)
    assert got["mink"][0].item() == pytest.approx(own.sort().values[:k].mean().item(), abs=1e-5)
    assert got["minkpp"][0].item() == pytest.approx(
        ((own - mu) / sigma).sort().values[:k].mean().item(), abs=1e-4
    )
    assert got["neg_entropy"][0].item() == pytest.approx(mu.mean().item(), abs=1e-5)
    assert got["max_logp"][0].item() == pytest.approx(logp.max(1).values.mean().item(), abs=1e-5)


def test_contrastive_loss_equals_its_formula(clip: ModelAdapter) -> None:
    """Own pair against the bank in both directions, written out (METHOD §4)."""
    pair, bank = tiny.sample(1), [tiny.sample(n) for n in range(40, 46)]
    anchors = clip.anchors(bank, 99, 4)
    batch = clip.encode([pair], 99)
    v, t = clip.model(*(batch.tensors[k] for k in ("pixels", "input_ids", "attention_mask")))
    scale = clip.model.logit_scale.exp()  # type: ignore[operator,union-attr]
    to_text = scale * torch.cat([(v * t).sum(1), (v @ anchors.text_ND.T)[0]])  # type: ignore[union-attr]
    to_image = scale * torch.cat([(v * t).sum(1), (t @ anchors.image_ND.T)[0]])  # type: ignore[union-attr]
    wanted = -0.5 * (torch.log_softmax(to_text, 0)[0] + torch.log_softmax(to_image, 0)[0])
    got = clip.forward(batch, anchors)
    torch.testing.assert_close(got.losses_B[0], wanted)
    standard = [(x[0] - x[1:].mean()) / x[1:].std(correction=0) for x in (to_text, to_image)]
    assert got.scalars["minkpp"][0].item() == pytest.approx(sum(standard).item() / 2, rel=1e-4)


def test_contrastive_text_is_cut_with_its_closing_token(clip: ModelAdapter) -> None:
    """[CLS] … [SEP] stay; everything is cut to the limit and to the model's context."""
    words = " ".join(tiny.WORDS[:-1] * 3)
    for limit, width in ((5, 5), (99, 16)):
        ids = clip.encode([tiny.sample(1, text=words)], limit).tensors["input_ids"][0]
        assert len(ids) == width
        assert (ids[0].item(), ids[-1].item()) == (2, 3)


@pytest.mark.parametrize("size", [(20, 16), (16, 33), (8, 8), (4, 5), (250, 200)])
def test_contrastive_pixels_equal_the_reference_processor(clip: ModelAdapter, size: tuple[int, int]) -> None:
    """Resize, crop and normalise agree with the library's PIL processor."""
    pair = tiny.sample(3, size=size)
    edge = {"height": 8, "width": 8}
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 8}, crop_size=edge, image_mean=list(tiny.MEAN), image_std=list(tiny.STD)
    )
    wanted = processor(Image.fromarray(pair.image), return_tensors="pt")["pixel_values"]
    got = clip.encode([pair], 99).tensors["pixels"]
    np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=0.02)  # half a grey level


def test_contrastive_crop_rounds_as_open_clip_does(clip: ModelAdapter) -> None:
    """An odd margin of 3 is cut 2 left and 1 right (half to even), where other libraries cut 1 and 2."""
    pair = tiny.sample(3, size=(8, 11))
    got = clip.encode([pair], 99).tensors["pixels"][0]
    wanted = (pair.image[:, 2:10] / 255.0 - np.array(tiny.MEAN)) / np.array(tiny.STD)
    np.testing.assert_allclose(got.permute(1, 2, 0).numpy(), wanted, atol=1e-5)


def test_vision_trunk_equals_torch_attention() -> None:
    """The trunk's fused attention equals torch's own multi-head attention with the same tensors."""
    torch.manual_seed(0)
    sizes = TrunkSizes(image=8, patch=4, width=12, blocks=1, heads=3, mlp=20)
    trunk = VisionTrunk(sizes).eval()
    block: Any = trunk.blocks[0]
    nn.init.normal_(trunk.cls_token)
    nn.init.normal_(trunk.pos_embed)
    oracle = nn.MultiheadAttention(12, 3, batch_first=True).eval()
    with torch.no_grad():
        oracle.in_proj_weight.copy_(block.attn.qkv.weight)
        oracle.in_proj_bias.copy_(block.attn.qkv.bias)
        oracle.out_proj.weight.copy_(block.attn.proj.weight)
        oracle.out_proj.bias.copy_(block.attn.proj.bias)
        pixels = torch.randn(2, 3, 8, 8)
        patches = torch.nn.functional.conv2d(
            pixels, trunk.patch_embed.proj.weight, trunk.patch_embed.proj.bias, stride=4
        )
        x = torch.cat([trunk.cls_token.expand(2, 1, 12), patches.flatten(2).mT], 1) + trunk.pos_embed
        y = block.norm1(x)
        x = x + oracle(y, y, y)[0]
        x = x + block.mlp.fc2(torch.nn.functional.gelu(block.mlp.fc1(block.norm2(x))))
        torch.testing.assert_close(trunk(pixels), trunk.norm(x)[:, 0])
