"""Contrastive and matching models: opened from their vendors' layouts, audited, against slow oracles."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from audit_core.adapters.base import Anchors, Encoded, ModelAdapter
from audit_core.adapters.folder import inspect_folder
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.collect import collect_signals
from audit_core.errors import BadSample, ModelRefused
from audit_core.gradients import audited_layers, capture
from audit_core.samples import Settings
from audit_core.signals import LIKELIHOOD_SCALARS
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS

PAIRS = [tiny.sample(n, size=(14 + 3 * n, 16)) for n in range(5)]
BANK = [tiny.sample(n) for n in range(50, 58)]
SIGLIPS = ("medsiglip", "siglip2")
CLIPS = ("pubmedclip", "clip")
BLIP = "blip-itm"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("models")
    return {name: write(base / name) for name, write in TWO_TOWER_MODELS.items()}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, ModelAdapter]:
    return {name: _open(folder) for name, folder in folders.items()}


def _open(folder: Path, opening: Opening | None = None) -> ModelAdapter:
    return open_model(folder, inspect_folder(folder).family, opening=opening)


def _anchors(adapter: ModelAdapter) -> Anchors | None:
    return adapter.anchors(BANK, 99, 4)


@pytest.mark.parametrize("name", TWO_TOWER_MODELS)
def test_captured_gradients_equal_an_autograd_loop(models: dict[str, ModelAdapter], name: str) -> None:
    """A padded batch gives, layer by layer, what single unpadded pairs give by plain autograd."""
    adapter = models[name]
    anchors = _anchors(adapter)
    batch = adapter.encode(PAIRS, 99)
    names = [c.name for c in audited_layers(adapter, adapter.encode(PAIRS[:2], 99), "all", anchors)]
    got = capture(adapter, batch, names, anchors)
    assert got.finite_B.all()
    weights = [adapter.linear(n).weight.requires_grad_(True) for n in names]
    for row, pair in enumerate(PAIRS):
        loss = adapter.forward(adapter.encode([pair], 99), anchors).losses_B.sum()
        for layer, wanted in zip(names, torch.autograd.grad(loss, weights), strict=True):
            made = got.layers[layer].grads_BTO[row].T @ got.layers[layer].acts_BTI[row]
            cosine = torch.nn.functional.cosine_similarity(made.flatten(), wanted.flatten(), dim=0)
            assert cosine > 1 - 1e-4, layer
            torch.testing.assert_close(made.norm(), wanted.norm(), rtol=1e-3, atol=1e-6)
    adapter.model.requires_grad_(False)


@pytest.mark.parametrize("name", TWO_TOWER_MODELS)
def test_every_model_is_audited_end_to_end(models: dict[str, ModelAdapter], name: str) -> None:
    """References give cosines, every pair its scalars; facts say what was audited and against what."""
    adapter = models[name]
    pairs = [tiny.sample(n, size=(14 + n, 16)) for n in range(12)]
    table, base = collect_signals(
        adapter,
        pairs,
        [p.pair_id for p in pairs[:6]],
        bank=BANK,
        base=None,
        settings=Settings(batch_size=4, minimum_bank=4),
        progress=lambda step: None,
    )
    assert base is None
    assert not table.unscored
    wanted = {*LIKELIHOOD_SCALARS, "neg_log_grad_norm"} | ({"cosine"} if adapter.uses_bank else set())
    assert set(table.scalars) == wanted
    assert all(np.isfinite(values).all() for values in table.scalars.values())
    assert np.isfinite(table.norms).all()
    assert table.cosines.shape == (12, sum(m.rows + m.cols for m in table.matrices))
    assert np.isfinite(table.cosines).mean() > 0.9
    assert {"vision_tower", "preprocessor", "loss", "not_audited"} <= set(table.facts)
    assert "tables of words and positions" in table.facts["not_audited"]
    assert ("attention pool" in table.facts["not_audited"]) == (name in SIGLIPS)
    assert adapter.uses_bank == ("bank_digest" in table.facts)


@pytest.mark.parametrize("name", TWO_TOWER_MODELS)
def test_a_pair_does_not_feel_its_neighbours(models: dict[str, ModelAdapter], name: str) -> None:
    """Loss and scalars of a pair are the same alone and in a batch with longer texts."""
    adapter = models[name]
    anchors = _anchors(adapter)
    together = adapter.forward(adapter.encode(PAIRS, 99), anchors)
    for row, pair in enumerate(PAIRS):
        alone = adapter.forward(adapter.encode([pair], 99), anchors)
        torch.testing.assert_close(alone.losses_B[0], together.losses_B[row], rtol=1e-4, atol=1e-5)
        for key, values in alone.scalars.items():
            torch.testing.assert_close(values[0], together.scalars[key][row], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [*CLIPS, *SIGLIPS])
def test_embeddings_are_the_librarys_own(
    models: dict[str, ModelAdapter], folders: dict[str, Path], name: str
) -> None:
    """Ids, padding and pooling as the model's documentation has it; pixels by its own processor."""
    adapter, folder = models[name], folders[name]
    texts = [p.text for p in PAIRS]
    tokens: Any
    if name in SIGLIPS:
        tokens = PreTrainedTokenizerFast.from_pretrained(folder)
        lowered = [text.lower() for text in texts]
        said = tokens(lowered, padding="max_length", max_length=64, return_tensors="pt")
        said = {"input_ids": said["input_ids"]}
    else:
        said = CLIPTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    seen = adapter.towers.processor.processor(  # type: ignore[attr-defined]
        [Image.fromarray(p.image) for p in PAIRS], return_tensors="pt"
    )
    model: Any = adapter.model
    with torch.no_grad():
        text_BE = model.get_text_features(**said).pooler_output
        image_BE = model.get_image_features(**seen).pooler_output
    bank = adapter.anchors(PAIRS, 99, 2)
    assert bank is not None
    normal = torch.nn.functional.normalize
    torch.testing.assert_close(bank.text_ND, normal(text_BE, dim=-1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(bank.image_ND, normal(image_BE, dim=-1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CLIPS)
def test_clip_reports_are_closed_by_their_own_token_only(models: dict[str, ModelAdapter], name: str) -> None:
    """A cut text keeps its closing token, where the tower pools; a report that spells it is not scored."""
    adapter = models[name]
    ids = adapter.encode([tiny.sample(0, text="opacity " * 40)], 999).tensors["input_ids"][0]
    assert len(ids) == 77
    short = adapter.encode([tiny.sample(0, text="opacity")], 4).tensors["input_ids"][0]
    assert len(short) == 4
    assert ids[-1] == short[-1] == ids.max()
    with pytest.raises(BadSample, match="closing token"):
        adapter.encode([tiny.sample(0, text="clear <|endoftext|> lung")], 99)


@pytest.mark.parametrize("name", SIGLIPS)
def test_siglip_texts_fill_all_positions_without_a_mask(models: dict[str, ModelAdapter], name: str) -> None:
    """What the model was trained with: 64 positions, padding attended to, cut texts closed."""
    adapter = models[name]
    for text in ("opacity", "opacity " * 30):
        tensors = adapter.encode([tiny.sample(0, text=text)], 99).tensors
        assert tensors["input_ids"].shape == (1, 64)
        assert "attention_mask" not in tensors


@pytest.mark.parametrize(
    ("name", "same"), [("medsiglip", "no opacity 2 cm"), ("siglip2", "no, opacity: 2 cm!")]
)
def test_siglip_texts_are_spelled_as_in_training(
    models: dict[str, ModelAdapter], name: str, same: str
) -> None:
    """Lower case for both, no punctuation for the first; what stays is told apart."""
    adapter = models[name]
    one, other, third = (
        adapter.encode([tiny.sample(0, text=text)], 99).tensors["input_ids"]
        for text in ("No, OPACITY: 2 cm!", same, "no opacity 3 cm")
    )
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


@pytest.mark.parametrize("name", SIGLIPS)
def test_the_sigmoid_loss_is_a_decision_per_anchor(models: dict[str, ModelAdapter], name: str) -> None:
    """One by one in float64: own pair matches, no anchor does, the patient's own anchors are left out."""
    adapter = models[name]
    bank = [*BANK[:-1], tiny.sample(57, patient=PAIRS[0].patient)]
    anchors = adapter.anchors(bank, 99, 4)
    own = adapter.anchors(PAIRS, 99, 4)
    assert anchors is not None
    assert own is not None
    outcome = adapter.forward(adapter.encode(PAIRS, 99), anchors)
    scale, bias = (x.double().item() for x in adapter.towers.temperature(adapter.model))  # type: ignore[attr-defined]
    v, t = own.image_ND.double(), own.text_ND.double()
    for row, pair in enumerate(PAIRS):
        free = [k for k, anchor in enumerate(bank) if anchor.patient != pair.patient]
        assert len(free) == (7 if row == 0 else 8)
        loss = _softplus(-(scale * (v[row] @ t[row]).item() + bias))
        for k in free:
            for z in (v[row] @ anchors.text_ND[k].double(), t[row] @ anchors.image_ND[k].double()):
                loss += 0.5 * len(bank) / len(free) * _softplus(scale * z.item() + bias)
        assert outcome.losses_B[row].item() == pytest.approx(loss, rel=1e-4)
        assert outcome.scalars["neg_loss"][row].item() == pytest.approx(-loss, rel=1e-4)


def _softplus(z: float) -> float:
    return math.log1p(math.exp(-abs(z))) + max(z, 0.0)


@pytest.mark.parametrize("name", [*SIGLIPS, BLIP])
def test_the_training_loss_is_the_librarys_own(models: dict[str, ModelAdapter], name: str) -> None:
    """The spike-in trains with what the family was trained with."""
    adapter = models[name]
    batch = adapter.encode(PAIRS, 99)
    model: Any = adapter.model
    ours = adapter.training_loss(batch)
    if name != BLIP:
        torch.testing.assert_close(ours, model(**batch.tensors, return_loss=True).loss, rtol=1e-4, atol=1e-5)
        return
    own = model(**batch.tensors).itm_score
    rolled = {k: v.roll(1, 0) if k != "pixel_values" else v for k, v in batch.tensors.items()}
    others = model(**rolled).itm_score
    both = torch.cat([own.log_softmax(1)[:, 1], others.log_softmax(1)[:, 0]])
    torch.testing.assert_close(ours, -both.mean(), rtol=1e-4, atol=1e-5)


def test_matching_is_the_librarys_own_and_its_projections_are_left_out(
    models: dict[str, ModelAdapter],
) -> None:
    """The head's answer; layers of the contrastive part have no gradient and are not audited."""
    adapter = models[BLIP]
    batch = adapter.encode(PAIRS, 99)
    outcome = adapter.forward(batch)
    model: Any = adapter.model
    logits = model(**batch.tensors).itm_score
    torch.testing.assert_close(outcome.losses_B, -logits.log_softmax(1)[:, 1])
    torch.testing.assert_close(outcome.scalars["minkpp"], logits[:, 1] - logits[:, 0])
    audited = [c.name for c in audited_layers(adapter, batch, "all")]
    assert {"vision_proj", "text_proj"} == {c.name for c in adapter.candidates()} - set(audited)
    assert "itm_head" in audited
    assert any("crossattention" in layer for layer in audited)


@pytest.mark.parametrize("name", TWO_TOWER_MODELS)
def test_the_last_blocks_are_found_in_each_tower(models: dict[str, ModelAdapter], name: str) -> None:
    """ "last3" counts blocks per tower; pooling and projections are heads and always there."""
    adapter = models[name]
    probe = adapter.encode(PAIRS[:2], 99)
    kept = audited_layers(adapter, probe, "last3", _anchors(adapter))
    blocks = {t: {c.block for c in adapter.candidates() if c.tower == t} for t in ("vision", "text")}
    for tower, every in blocks.items():
        assert {c.block for c in kept if c.tower == tower} == set(sorted(every)[-3:])
    assert any(c.tower == "head" for c in kept)
    assert not any("out_proj" in c.name and "head" in c.name for c in adapter.candidates())


@pytest.mark.parametrize("name", [*CLIPS, "medsiglip", BLIP, "biomedclip"])
def test_tensors_may_stand_in_for_the_weight_files(folders: dict[str, Path], name: str) -> None:
    """Converted weights open the same network as the folder's own file."""
    file = next(folders[name].glob("*.safetensors"))
    stood_in = _open(folders[name], Opening(tensors=load_file(file)))
    plain = _open(folders[name])
    for key, tensor in plain.model.state_dict().items():
        assert torch.equal(stood_in.model.state_dict()[key], tensor)


@pytest.mark.parametrize("name", TWO_TOWER_MODELS)
def test_missing_and_unexpected_tensors_are_named(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """Random weights are never audited, in any family."""
    folder = TWO_TOWER_MODELS[name](tmp_path)
    file = next(folder.glob("*.safetensors"))
    tensors = load_file(file)
    dropped = next(key for key in tensors if key.endswith(("fc2.bias", "output.dense.bias")))
    tensors["stray.weight"] = tensors.pop(dropped)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(ModelRefused, match=r"missing: .*bias; 1 unexpected: stray\.weight"):
        _open(folder)


def _edited(folder: Path, file: str, **changes: Any) -> Path:
    document = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**document, **changes}))
    return folder


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    """Pixels of another size, a tokenizer that knows more or closes otherwise, another processor."""
    write = TWO_TOWER_MODELS
    folder = write["medsiglip"](tmp_path / "a")
    with pytest.raises(ModelRefused, match="12×12 images"):
        _open(_edited(folder, "preprocessor_config.json", size={"height": 12, "width": 12}))
    with pytest.raises(ModelRefused, match="ViTImageProcessor is not known"):
        folder = write["clip"](tmp_path / "b")
        _open(_edited(folder, "preprocessor_config.json", image_processor_type="ViTImageProcessor"))
    folder = write["clip"](tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    _edited(folder, "config.json", text_config={**config["text_config"], "eos_token_id": 5})
    with pytest.raises(ModelRefused, match="pools at"):
        _open(folder)
    folder = write["clip"](tmp_path / "d")
    words = json.loads((folder / "tokenizer.json").read_text())
    words["model"]["vocab"]["more</w>"] = 900
    (folder / "tokenizer.json").write_text(json.dumps(words))
    with pytest.raises(ModelRefused, match="token 900"):
        _open(folder)


@pytest.mark.parametrize("name", TWO_TOWER_MODELS)
def test_an_empty_report_is_a_bad_sample(models: dict[str, ModelAdapter], name: str) -> None:
    """Nothing to say is said, naming the pair."""
    with pytest.raises(BadSample, match="pair000"):
        models[name].encode([tiny.sample(0, text=" \n ")], 99)


def test_a_batch_keeps_its_order(models: dict[str, ModelAdapter]) -> None:
    """Ids and patients follow the samples."""
    batch: Encoded = models["clip"].encode(PAIRS, 99)
    assert batch.pair_ids == tuple(p.pair_id for p in PAIRS)
    assert batch.patients == tuple(p.patient for p in PAIRS)
