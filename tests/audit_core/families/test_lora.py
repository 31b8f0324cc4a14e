"""PEFT adapters: loaded and not merged, audited as the effective matrix, switched off to give the base."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from audit_core.adapters import lora
from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.folder import inspect_adapter, inspect_folder
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.collect import collect_signals
from audit_core.errors import ModelRefused
from audit_core.samples import Settings
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.merged import PAIRS, assert_same_slices, losses, merged_copy
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS, write_lora

NAMES = ("biomedclip", "clip", "medsiglip", "siglip2", "blip-itm")
WRITERS: dict[str, Callable[..., Path]] = {
    "llava": tiny.write_llava,
    **{n: TWO_TOWER_MODELS[n] for n in NAMES},
}
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def _open(folder: Path, peft: Path | None = None, **opening: Any) -> ModelAdapter:
    family = inspect_folder(folder).family
    return open_model(folder, family, opening=Opening(peft=peft, **opening))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("models")
    return {name: write(base / name) for name, write in WRITERS.items()}


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize("name", WRITERS)
def test_the_effective_matrix_is_what_is_computed_and_audited(
    folders: dict[str, Path], tmp_path: Path, name: str, dora: bool
) -> None:
    """Weights, losses and slices equal those of the merged model, layer by layer, under plain names."""
    adapter = _open(folders[name], write_lora(tmp_path, folders[name], dora=dora))
    merged, plain = merged_copy(adapter), _open(folders[name])
    assert [c.name for c in adapter.candidates()] == [c.name for c in plain.candidates()]
    assert not any(p.requires_grad for p in adapter.model.parameters())
    for layer in adapter.adaptable():
        inputs = torch.randn(3, adapter.linear(layer).in_features)
        bias = adapter.linear(layer).bias
        made = torch.nn.functional.linear(inputs, adapter.weight(layer), bias)
        torch.testing.assert_close(adapter.projection(layer)(inputs), made, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(adapter.weight(layer), merged.weight(layer), rtol=1e-4, atol=1e-6)
        assert not torch.allclose(adapter.weight(layer), plain.weight(layer), atol=1e-3)
    torch.testing.assert_close(losses(adapter), losses(merged), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(losses(adapter), losses(plain), atol=1e-3)
    assert_same_slices(adapter, merged)


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize("name", ["llava", "clip"])
def test_slices_do_not_depend_on_the_gauge(
    folders: dict[str, Path], tmp_path: Path, name: str, dora: bool
) -> None:
    """B→BM⁻¹, A→MA is the same network: weights and slices of the audited matrices stay."""
    folder = write_lora(tmp_path / "a", folders[name], dora=dora)
    before = _open(folders[name], folder)
    tensors = load_file(folder / WEIGHTS)
    turn = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.5, -1.0], [0.3, 0.0, 1.5]])
    for key in [k for k in tensors if ".lora_A" in k]:
        other = key.replace(".lora_A", ".lora_B")
        tensors[key] = turn @ tensors[key]
        tensors[other] = tensors[other] @ torch.linalg.inv(turn)
    save_file(tensors, folder / WEIGHTS)
    after = _open(folders[name], folder)
    for layer in before.adaptable():
        torch.testing.assert_close(before.weight(layer), after.weight(layer), rtol=1e-4, atol=1e-5)
    assert_same_slices(before, after)


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize("name", ["llava", "medsiglip", "blip-itm"])
def test_the_base_is_the_same_network_with_the_adapter_off(
    folders: dict[str, Path], tmp_path: Path, name: str, dora: bool
) -> None:
    """Both views in turn give what each gives alone, bit by bit; their difference is the task vector."""
    adapter = _open(folders[name], write_lora(tmp_path, folders[name], dora=dora))
    plain = _open(folders[name])
    assert plain.without_peft() is None
    base = adapter.without_peft()
    assert base is not None
    assert base.without_peft() is None
    assert base.model is adapter.model
    assert base.encoding == adapter.encoding
    assert base.facts["peft"] == "switched off"
    first = losses(adapter)
    for _ in range(2):
        assert torch.equal(losses(base), losses(plain))
        assert torch.equal(losses(adapter), first)
    for layer in adapter.adaptable():
        assert torch.equal(base.weight(layer), plain.weight(layer))
        moved = adapter.weight(layer) - base.weight(layer)
        assert dora or torch.linalg.matrix_rank(moved) == min(3, *moved.shape)
    adapter.refuse_other_base(base)
    assert_same_slices(base, plain)


def test_an_audit_has_the_adapter_off_as_its_base(folders: dict[str, Path], tmp_path: Path) -> None:
    """Base scalars are those of the plain model, task slices exist where it was adapted and nowhere else."""
    targets = ["q_proj", "down_proj"]
    adapter = _open(folders["llava"], write_lora(tmp_path, folders["llava"], target_modules=targets))
    table, base = collect_signals(
        adapter,
        PAIRS,
        [p.pair_id for p in PAIRS[:3]],
        bank=[],
        base=adapter.without_peft(),
        settings=Settings(batch_size=2),
        progress=lambda step: None,
    )
    assert base is not None
    assert not table.unscored
    assert table.facts["peft"] == "LoRA of rank 3 on 7 layers, not merged"
    torch.testing.assert_close(
        torch.from_numpy(-base.scalars["neg_loss"]).float(), losses(_open(folders["llava"]))
    )
    adapted = np.array([m.name.endswith(tuple(targets)) for m in table.matrices])
    assert (table.task_cosines[:, adapted] != 0).all()
    assert (table.task_cosines[:, ~adapted] == 0).all()


@pytest.mark.parametrize("settings", [
    {"use_rslora": True},
    {"rank_pattern": {"fc1": 5}, "alpha_pattern": {"q_proj": 9}},
    {"target_modules": r".*vision_model.*(fc1|fc2)", "layers_to_transform": None},
    {"target_modules": r"^(?!text).*vision_model.*(fc1|fc2)", "exclude_modules": r".*\.1\..*"},
    {"target_modules": ["fc1"], "layers_to_transform": [1], "layers_pattern": "layers"},
    {"target_modules": "all-linear"},
])  # fmt: skip
def test_scaling_and_patterns_are_taken_as_peft_takes_them(
    folders: dict[str, Path], tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Rank-stabilised scaling, ranks and alphas by name, targets by pattern: equal to the merged copy."""
    adapter = _open(folders["clip"], write_lora(tmp_path, folders["clip"], **settings))
    merged = merged_copy(adapter)
    moved = 0
    for layer in adapter.adaptable():
        torch.testing.assert_close(adapter.weight(layer), merged.weight(layer), rtol=1e-5, atol=1e-6)
        moved += isinstance(adapter.projection(layer), LoraLayer)
    assert moved > 0


def test_an_adapter_stays_float32_on_a_network_in_half_precision(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """bfloat16 forward; the effective matrix and the task vector keep what bfloat16 would round away."""
    folder = write_lora(tmp_path, folders["llava"])
    adapter = _open(folders["llava"], folder, precision="bfloat16")
    full = _open(folders["llava"], folder)
    base = adapter.without_peft()
    assert base is not None
    assert adapter.dtype == torch.bfloat16
    for layer in adapter.adaptable():
        step = adapter.weight(layer) - base.weight(layer)
        exact = full.weight(layer) - full.linear(layer).weight
        torch.testing.assert_close(step, exact, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(losses(adapter), losses(full), rtol=0.1, atol=0.1)


def test_adapters_from_before_names_changed_are_put_in_the_same_places(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """transformers 4.52 renamed the parts of a LLaVA; an adapter trained before is the same adapter."""
    folder = write_lora(tmp_path, folders["llava"], target_modules=["q_proj", "linear_1", "fc2"])
    today = _open(folders["llava"], folder)
    older = {
        "model.language_model.": "language_model.model.",
        "model.multi_modal_projector.": "multi_modal_projector.",
        "model.vision_tower.": "vision_tower.vision_model.",
    }

    def rename(tensors: dict[str, torch.Tensor]) -> None:
        for key in list(tensors):
            new, old = next(pair for pair in older.items() if pair[0] in key)
            tensors[key.replace(new, old, 1)] = tensors.pop(key)

    before = _open(folders["llava"], _tensors(folder, rename))
    for layer in today.adaptable():
        assert torch.equal(before.weight(layer), today.weight(layer))


def _changed(folder: Path, **said: Any) -> Path:
    document = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**document, **said}))
    return folder


@pytest.mark.parametrize(("said", "reason"), [
    ({"peft_type": "IA3"}, "IA3"),
    ({"peft_type": "ADALORA"}, "ADALORA"),
    ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ({"bias": "all"}, "bias"),
    ({"lora_bias": True}, "lora_bias"),
    ({"trainable_token_indices": [1]}, "embeddings"),
    ({"target_parameters": ["experts.w"]}, "target_parameters"),
    ({"layer_replication": [[0, 1]]}, "layer_replication"),
    ({"megatron_config": {"a": 1}}, "megatron_config"),
    ({"loftq_config": {"loftq_bits": 4}}, "quantised base"),
    ({"use_qalora": True}, "quantised base"),
    ({"init_lora_weights": "pissa"}, "pissa"),
    ({"init_lora_weights": "loftq"}, "loftq"),
    ({"base_model_name_or_path": "unsloth/llava-1.5-7b-hf-bnb-4bit"}, "quantised base"),
    ({"base_model_name_or_path": "vendor/model-GPTQ"}, "quantised base"),
    ({"auto_mapping": {"base_model_class": "X", "parent_library": "transformers_modules.x"}}, "auto_mapping"),
    ({"something_new": {"on": True}}, "something_new"),
    ({"r": 0}, "value for r"),
    ({"lora_alpha": float("inf")}, "value for lora_alpha|no possible value"),
    ({"target_modules": []}, "target_modules"),
    ({"rank_pattern": {"q_proj": -1}}, "rank_pattern"),
    ({"target_modules": "(q)\\1_proj"}, "pattern .* for layer names is not known"),
    ({"exclude_modules": "(?i)q_proj"}, "pattern .* for layer names is not known"),
    ({"target_modules": ["q_proj"] * 10_001}, "target_modules"),
    ({"alpha_pattern": {".*.*.*.*.*.*.*.*.*q": 8}}, "alpha_pattern"),
    ({"rank_pattern": {"(a|b|ab)?(a|b|ab)?": 8}}, "rank_pattern"),
    ({"rank_pattern": {f"layers.{n}.q_proj": 2 for n in range(1_001)}}, "rank_pattern"),
    ({"layers_pattern": ["a.?b.?"]}, "layers_pattern"),
])  # fmt: skip
def test_what_an_adapter_may_not_say(
    folders: dict[str, Path], tmp_path: Path, said: dict[str, Any], reason: str
) -> None:
    """Refused from the json alone, before torch reads anything, naming the key or the reason."""
    folder = _changed(write_lora(tmp_path, folders["llava"], target_modules=["q_proj"]), **said)
    with pytest.raises(ModelRefused, match=reason):
        inspect_adapter(folder)


def test_the_named_base_is_never_followed(folders: dict[str, Path], tmp_path: Path) -> None:
    """Whatever its config says of a base, an adapter goes on the folder that was given."""
    folder = write_lora(tmp_path, folders["llava"], target_modules=["q_proj"])
    before = losses(_open(folders["llava"], folder))
    _changed(folder, base_model_name_or_path="/nowhere/at/all", revision="main", peft_version="9.9.9")
    assert torch.equal(losses(_open(folders["llava"], folder)), before)


def _tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)
    return folder


def _drop(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[next(k for k in tensors if "layers.1.self_attn.q_proj.lora_B" in k)]


def _rename(tensors: dict[str, torch.Tensor]) -> None:
    for key in list(tensors):
        tensors[key.replace("language_model", "language_tower")] = tensors.pop(key)


def _resize(tensors: dict[str, torch.Tensor]) -> None:
    key = next(k for k in tensors if "lora_B" in k)
    tensors[key] = tensors[key][:-1].clone()


def _spoil(tensors: dict[str, torch.Tensor]) -> None:
    next(t for k, t in tensors.items() if "lora_A" in k)[0, 0] = torch.nan


def _empty(tensors: dict[str, torch.Tensor]) -> None:
    for key in tensors:
        if "lora_B" in key:
            tensors[key].zero_()


def _embed(tensors: dict[str, torch.Tensor]) -> None:
    tensors["base_model.model.model.language_model.embed_tokens.weight"] = torch.ones(32, 16)


@pytest.mark.parametrize(("change", "reason"), [
    (_drop, r"1 missing: .*layers\.1\.self_attn\.q_proj\.lora_B"),
    (_rename, r"missing: .*language_model.*unexpected: .*language_tower"),
    (_resize, "size mismatch"),
    (_spoil, "not finite"),
    (_empty, "changes nothing"),
    (_embed, r"no part of LoRA: .*embed_tokens"),
])  # fmt: skip
def test_an_adapter_that_does_not_fill_its_layers_is_refused(
    folders: dict[str, Path], tmp_path: Path, change: Any, reason: str
) -> None:
    """Never a random or zero matrix in silence: what is missing or left over is named."""
    folder = _tensors(write_lora(tmp_path, folders["llava"], target_modules=["q_proj"]), change)
    with pytest.raises(ModelRefused, match=reason):
        _open(folders["llava"], folder)


@pytest.mark.parametrize(("targets", "reason"), [
    (["q_proj", "c_attn"], "does not have: c_attn"),
    (["q_proj", "embed_tokens"], "no linear layer"),
    (["q_proj", "patch_embedding"], "no linear layer"),
    ("nothing_like_this", "does not fit the model"),
])  # fmt: skip
def test_targets_that_are_not_there_are_named(
    folders: dict[str, Path], tmp_path: Path, targets: Any, reason: str
) -> None:
    """Layers the model does not have, embeddings and convolutions are refused by name."""
    folder = write_lora(tmp_path, folders["llava"], target_modules=["q_proj"])
    with pytest.raises(ModelRefused, match=reason):
        _open(folders["llava"], _changed(folder, target_modules=targets))


def test_a_config_does_not_decide_how_much_memory_is_taken(folders: dict[str, Path], tmp_path: Path) -> None:
    """A rank the file does not have is refused before a matrix of it is made."""
    folder = write_lora(tmp_path, folders["llava"], target_modules=["q_proj"])
    for said in ({"r": 16_384}, {"rank_pattern": {"q_proj": 16_384}}):
        _changed(folder, **{"r": 3, "rank_pattern": {}, **said})
        with pytest.raises(ModelRefused, match="rank of 3 at most, its config says 16384"):
            _open(folders["llava"], folder)


def test_one_matrix_of_a_large_rank_does_not_pay_for_the_others(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Matrices the file lacks are never made: what is missing stays on the meta device and is named."""

    def keep_one(tensors: dict[str, torch.Tensor]) -> None:
        key = next(k for k in tensors if "layers.1.self_attn.q_proj.lora_A" in k)
        one = torch.ones(4_000, tensors[key].shape[1])
        tensors.clear()
        tensors[key] = one
        tensors[key.replace("lora_A", "lora_B")] = torch.ones(one.shape[1], 4_000)

    folder = write_lora(tmp_path, folders["llava"], target_modules=["q_proj"])
    _tensors(_changed(folder, r=4_000), keep_one)
    made: list[str] = []

    def see(model: torch.nn.Module, *given: Any, **more: Any) -> Any:
        made.extend(n for n, p in model.named_parameters() if ".lora_" in n and not p.is_meta)
        return fill(model, *given, **more)

    fill = lora.set_peft_model_state_dict
    monkeypatch.setattr(lora, "set_peft_model_state_dict", see)
    with pytest.raises(ModelRefused, match=r"missing: .*q_proj\.lora_A"):
        _open(folders["llava"], folder)
    assert made == []


def test_pickled_adapters_and_whole_models_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """An adapter is safetensors and nothing else, in a folder of its own."""
    folder = write_lora(tmp_path, folders["llava"], target_modules=["q_proj"])
    (folder / "adapter_model.bin").write_bytes(b"\x80")
    with pytest.raises(ModelRefused, match=r"adapter_model\.bin"):
        _open(folders["llava"], folder)
    with pytest.raises(ModelRefused):
        _open(folders["llava"], folders["llava"])


def test_adapted_layers_that_are_not_audited_are_said(folders: dict[str, Path], tmp_path: Path) -> None:
    """`lm_head` is no audited matrix; the reader is told that the adapter changes it too."""
    adapter = _open(
        folders["llava"], write_lora(tmp_path, folders["llava"], target_modules=["lm_head", "q_proj"])
    )
    assert adapter.facts["peft_not_audited"] == "1 adapted layers are not audited: lm_head"
