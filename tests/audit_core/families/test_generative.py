"""Image-text-to-text networks of every kind: opened from their vendors' layout, encoded rightly, audited."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from audit_core.adapters.base import ModelAdapter, last_blocks
from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.image_text_to_text import IGNORED
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.collect import collect_signals
from audit_core.errors import BadSample, ModelRefused
from audit_core.gradients import audited_layers, capture
from audit_core.results import Role
from audit_core.samples import Settings
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.generative_models import GENERATIVE_MODELS

SIZES = [(20, 16), (8, 40), (50, 50), (33, 9), (16, 16), (9, 31)]
TILED = {"llava-next", "llava-onevision", "qwen2-vl", "qwen2.5-vl", "idefics3", "smolvlm"}
CLOSING = {
    "llava-siglip": "<|im_end|>",
    "llava-onevision": "<|im_end|>",
    "qwen2-vl": "<|im_end|>",
    "qwen2.5-vl": "<|im_end|>",
    "internvl": "<|im_end|>",
    "idefics3": "<end_of_utterance>",
    "smolvlm": "<end_of_utterance>",
    "gemma3": "<end_of_turn>",
}
_open: dict[str, Any] = {}


@pytest.fixture(params=list(GENERATIVE_MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("generative")


@pytest.fixture
def model(name: str, folders: Path) -> Any:
    """One network, written and opened once for the module."""
    folder = folders / name
    if not folder.exists():
        GENERATIVE_MODELS[name](folder)
        _open[name] = open_model(folder, GENERATIVE)
    return _open[name]


def _pairs(count: int) -> list[Any]:
    return [tiny.sample(n, size=SIZES[n % len(SIZES)]) for n in range(count)]


def _end(adapter: Any) -> list[int]:
    return [] if adapter.prompt.closing is None else [adapter.prompt.closing]


def test_it_is_audited(name: str, model: ModelAdapter) -> None:
    """A dozen pairs of several image sizes, half of them references: all scored, cosines finite."""
    pairs = [replace(p, role=Role.MEMBER if i < 6 else Role.TARGET) for i, p in enumerate(_pairs(12))]
    table, base = collect_signals(
        model,
        pairs,
        [p.pair_id for p in pairs[:6]],
        bank=(),
        base=None,
        settings=Settings(batch_size=4),
        progress=lambda _: None,
    )
    assert base is None
    assert not table.unscored
    assert table.cosines.shape[0] == 12
    alive = np.isfinite(table.cosines).mean()
    assert alive > 0.9, f"{name}: {alive:.3f} of the cosines are finite"
    assert {"vision_tower", "preprocessor", "processor", "prompt", "not_audited"} <= set(table.facts)
    assert "output over the vocabulary" in table.facts["not_audited"]
    assert "in no layer" not in table.facts["not_audited"]  # a kind of module nobody has words for


def test_towers_are_told_apart(name: str, model: ModelAdapter) -> None:
    """Vision and language have their blocks, the output over the vocabulary is none; towers have a last."""
    found = model.candidates()
    assert {c.block for c in found if c.tower == "language"} == {0, 1}
    assert {c.block for c in found if c.tower == "vision"} >= {0, 1}
    assert not any("lm_head" in c.name or "embed" in c.name for c in found)
    assert any(c.tower == "head" for c in found) or name == "gemma3"
    assert {c.tower for c in last_blocks(found, 1) if c.block >= 0} == {
        c.tower for c in found if c.block >= 0
    }


def test_captures_equal_a_loop_over_single_pairs(model: Any) -> None:
    """Every audited layer's gradient, taken from a batch of unequal images and texts, is autograd's own."""
    pairs = _pairs(3)
    batch = model.encode(pairs, 99)
    layers = [c.name for c in audited_layers(model, batch, "all")]
    got = capture(model, batch, layers)
    weights = [model.linear(layer).weight for layer in layers]
    for row, pair in enumerate(pairs):
        for weight in weights:
            weight.requires_grad_(True)
        loss = model.forward(model.encode([pair], 99)).losses_B[0]
        wanted = torch.autograd.grad(loss, weights)
        for weight in weights:
            weight.requires_grad_(False)
        for layer, gradient in zip(layers, wanted, strict=True):
            made = got.layers[layer].grads_BTO[row].T @ got.layers[layer].acts_BTI[row]
            scale = float(torch.linalg.vector_norm(gradient))
            assert float(torch.linalg.vector_norm(made - gradient)) <= 1e-4 * scale + 1e-7, layer


def test_the_supervised_count_is_the_reports_own(name: str, model: Any) -> None:
    """Whatever the image's size, also where the number of image tokens changes with it (METHOD §2)."""
    text = "no acute finding"
    counts, widths = set(), set()
    for size in SIZES:
        batch = model.encode([tiny.sample(1, text=text, size=size)], 99)
        labels = batch.tensors["labels"][0]
        kept = labels[labels != IGNORED].tolist()
        assert model.tokenizer.decode(kept, skip_special_tokens=True).strip() == text
        assert kept[len(kept) - len(_end(model)) :] == _end(model)
        assert not (labels == model.image_token_id).any()
        counts.add(model.forward(batch).supervised)
        widths.add(int((batch.tensors["input_ids"] == model.image_token_id).sum()))
    assert len(counts) == 1
    assert (len(widths) > 1) == (name in TILED or name == "internvl")


def test_the_turn_is_closed_as_the_template_closes_it(name: str, model: Any) -> None:
    """Not by the tokenizer's own end where the template ends a turn with another token."""
    ids = model.encode([tiny.sample(1)], 99).tensors["labels"][0]
    assert model.tokenizer.convert_ids_to_tokens(int(ids[-1])) == CLOSING.get(name, "</s>")


def test_ids_are_the_processors_own(name: str, model: Any) -> None:
    """Prompt, expanded image and report, given to the family's processor in one piece, make the same ids."""
    pair = tiny.sample(2, text="left lung is clear", size=(20, 16))
    ids = model.encode([pair], 99).tensors["input_ids"][0].tolist()
    image = [Image.fromarray(pair.image)]
    if name == "paligemma":
        whole = model.processor(images=image, text=[model.prompt.text], suffix=[pair.text])
    else:
        text = model.prompt.text + model.prompt.between + pair.text
        starts = not (model.tokenizer.bos_token and text.startswith(model.tokenizer.bos_token))
        whole = model.processor(images=image, text=[text], add_special_tokens=starts)
    wanted = list(whole["input_ids"][0])
    assert ids == (wanted if name == "paligemma" else wanted + _end(model))


def test_no_position_sees_what_it_must_say(model: Any) -> None:
    """Another last word changes no earlier answer: no layer looks ahead in the report."""
    given = []
    for text in ("no acute opacity", "no acute poisony"):
        batch = model.encode([tiny.sample(1, text=text, size=(20, 16))], 99)
        logits, _ = model._logits(batch)
        given.append(logits[0])
    length = len(model.tokenizer(" no acute", add_special_tokens=False)["input_ids"])
    torch.testing.assert_close(given[0][:length], given[1][:length])


def test_a_batch_is_its_pairs(model: Any) -> None:
    """Padding, other images and other texts in the batch change no pair's loss."""
    pairs = _pairs(4)
    together = model.forward(model.encode(pairs, 99)).losses_B
    alone = torch.cat([model.forward(model.encode([pair], 99)).losses_B for pair in pairs])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_loss_is_the_librarys(name: str, model: Any) -> None:
    """Equal to the network's own loss for the same labels."""
    batch = model.encode([tiny.sample(1, size=(20, 16))], 99)
    wanted = model.model(**batch.tensors).loss
    torch.testing.assert_close(model.forward(batch).losses_B[0], wanted, rtol=1e-4, atol=1e-5)


def test_pads_are_right_and_unsupervised(model: Any) -> None:
    """Short and long reports in one batch."""
    batch = model.encode([tiny.sample(0, text="no"), tiny.sample(1, text="no acute finding")], 99)
    mask, labels = batch.tensors["attention_mask"][0], batch.tensors["labels"][0]
    assert mask.tolist() == sorted(mask.tolist(), reverse=True)
    assert (mask == 0).any()
    assert (labels[mask == 0] == IGNORED).all()
    assert not (batch.tensors["input_ids"][0][mask == 0] == model.image_token_id).any()


def test_only_the_report_is_cut(model: Any) -> None:
    """To the policy's limit without the closing token, to the model's positions at the end."""
    whole = model.encode([tiny.sample(1, text="no acute finding")], 99).tensors
    cut = model.encode([tiny.sample(1, text="no acute finding")], 5).tensors
    assert model.forward(model.encode([tiny.sample(1, text="no acute finding")], 5)).supervised == (5,)
    length = cut["input_ids"].shape[1]
    assert cut["input_ids"][0].tolist() == whole["input_ids"][0][:length].tolist()
    assert cut["input_ids"][0, -1] not in _end(model)


def test_a_report_with_the_image_token_is_refused(model: Any) -> None:
    """No report puts a second image into the prompt."""
    with pytest.raises(BadSample, match="image token"):
        model.encode([tiny.sample(1, text=f"no {model.placeholder} finding")], 99)
    with pytest.raises(BadSample, match="image token"):
        model.encode([tiny.sample(1, text=f"no {model.image_token} finding")], 99)


def test_llava_is_one_network_in_all_layouts(tmp_path: Path) -> None:
    """The same weights under the names of three vendors give the same network, tensor by tensor."""
    opened = [open_model(GENERATIVE_MODELS[n](tmp_path / n), GENERATIVE) for n in ("llava", "llava-4.51")]
    for (_, ours), (_, theirs) in zip(*(m.model.named_parameters() for m in opened), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_original_llava_med_is_read_right(tmp_path: Path) -> None:
    """Every tensor of the vendor's file is where it belongs; features and the audited tower are said."""
    folder = GENERATIVE_MODELS["llava-med"](tmp_path)
    adapter: Any = open_model(folder, GENERATIVE)
    file = load_file(folder / "model.safetensors")
    network = adapter.model.state_dict()
    for theirs, ours in (
        ("model.layers.1.mlp.up_proj.weight", "model.language_model.layers.1.mlp.up_proj.weight"),
        ("model.mm_projector.2.weight", "model.multi_modal_projector.linear_2.weight"),
        ("model.vision_tower.vision_tower.vision_model.encoder.layers.2.mlp.fc1.weight",
         "model.vision_tower.encoder.layers.2.mlp.fc1.weight"),
        ("lm_head.weight", "lm_head.weight"),
        ("model.embed_tokens.weight", "model.language_model.embed_tokens.weight"),
    ):  # fmt: skip
        torch.testing.assert_close(network[ours], file[theirs])
    assert "openai/clip-vit-large-patch14-336" in adapter.facts["vision_tower"]
    assert adapter.model.config.vision_feature_layer == -2
    assert type(adapter.processor.image_processor).__name__ == "LlavaImageProcessorPil"
    assert adapter.prompt.text.startswith("<s>[INST] ")


def test_llava_med_without_its_vision_tower_is_refused(tmp_path: Path) -> None:
    """A tower from elsewhere may not be the one the model was trained with."""
    folder = GENERATIVE_MODELS["llava-med"](tmp_path)
    tiny.rename(folder, "model.safetensors", {"model.vision_tower.": ""})
    with pytest.raises(ModelRefused, match="no vision tower inside"):
        open_model(folder, GENERATIVE)


@pytest.mark.parametrize("name", ["llava", "llava-med", "qwen2-vl"])
def test_tensors_may_come_from_elsewhere(name: str, model: ModelAdapter, folders: Path) -> None:
    """Converted pickles fill the network as the folder's own files do."""
    tensors = load_file(folders / name / "model.safetensors")
    other = open_model(folders / name, GENERATIVE, opening=Opening(tensors=tensors))
    batch = model.encode(_pairs(2), 99)
    torch.testing.assert_close(model.forward(batch).losses_B, other.forward(batch).losses_B)


@pytest.mark.parametrize("change", [{"image_mean": [0.4, 0.5, 0.5]}, {"do_rescale": False}])
def test_another_preprocessor_is_another_encoding(tmp_path: Path, change: dict[str, Any]) -> None:
    """Every setting of the pixels is in the identity of batches and in what the reader is told."""
    folder = GENERATIVE_MODELS["llava"](tmp_path)
    before: Any = open_model(folder, GENERATIVE)
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    after: Any = open_model(folder, GENERATIVE)
    assert before.encoding != after.encoding
    assert before.facts["preprocessor"] != after.facts["preprocessor"]
    assert before.facts["prompt"] == after.facts["prompt"]
