"""Putting a vendor's LoRA or DoRA adapter on an opened network: every tensor in its place, nothing merged."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from peft import LoraConfig
from peft.mapping import inject_adapter_in_model
from peft.utils.save_and_load import set_peft_model_state_dict
from torch import Tensor, nn

from audit_core.adapters.adapted import adapted_layers
from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.lora_config import FILE, KEPT, check_adapter_config
from audit_core.adapters.patterns import Pattern
from audit_core.adapters.streamed import Weights, coming, stored, taken
from audit_core.errors import ModelRefused

WEIGHTS: Final = "adapter_model.safetensors"
NAME: Final = "default"
PREFIX: Final = "base_model.model."
ALL_LINEAR: Final = "all-linear"  # peft's own word, no pattern
_TOGETHER: Final = "adapter and base must belong together"


def put_on(adapter: ModelAdapter, folder: Path, weights: Weights | None = None) -> None:
    """Put the PEFT adapter of a folder on an opened model, frozen, its dropout off.

    Its own matrices stay float32 whatever the network computes in. The base's name in its config is never
    followed.

    Args:
        adapter: the opened base; its network is changed.
        folder: with adapter_config.json and adapter_model.safetensors.
        weights: in place of its safetensors.

    Raises:
        ModelRefused: the adapter is of a kind that is not audited, does not fit the network, leaves one of
            its own matrices unfilled, or changes nothing.
    """
    config = json.loads((folder / FILE).read_text(encoding="utf-8"))
    check_adapter_config(config)
    tensors = taken(stored(folder, (WEIGHTS,)) if weights is None else coming(weights), torch.float32)
    model = adapter.model
    _check_ranks(config, tensors)
    _check_targets(model, config.get("target_modules"))
    _inject(model, config)
    layers = adapted_layers(model)
    for name, layer in layers:
        if not isinstance(layer.get_base_layer(), nn.Linear):
            raise ModelRefused(f"the adapter changes {name}, which is no linear layer", _TOGETHER)
    _fill(model, tensors)
    _check_effect(tensors)
    model.eval().requires_grad_(False)
    audited = {candidate.name for candidate in adapter.candidates()}
    kind = "DoRA" if config.get("use_dora") else "LoRA"
    facts = {"peft": f"{kind} of rank {config['r']} on {len(layers)} layers, not merged"}
    beside = sorted(name for name, _ in layers if name not in audited)
    if beside:
        facts["peft_not_audited"] = f"{len(beside)} adapted layers are not audited: {', '.join(beside[:3])}"
    adapter.say(**facts)


def _check_ranks(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Before any matrix is made: a config alone must not decide how much memory they take."""
    largest = max(
        (t.shape[0] for name, t in tensors.items() if ".lora_A" in name and t.dim() == 2), default=0
    )
    stated = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    if stated > largest:
        raise ModelRefused(
            f"the adapter's matrices have a rank of {largest} at most, its config says {stated}", _TOGETHER
        )


def _check_targets(model: nn.Module, targets: str | list[str] | None) -> None:
    if not isinstance(targets, list):
        return  # a pattern for whole names: peft refuses one that fits nowhere
    names = [name for name, _ in model.named_modules()]
    absent = [t for t in targets if not any(name == t or name.endswith(f".{t}") for name in names)]
    if absent:
        raise ModelRefused(f"the adapter changes layers the model does not have: {_some(absent)}", _TOGETHER)


def _inject(model: nn.Module, config: Mapping[str, Any]) -> None:
    kept = {key: config[key] for key in KEPT if config.get(key) is not None}
    names = [name for name, _ in model.named_modules()]
    for key in ("target_modules", "exclude_modules"):
        if isinstance(kept.get(key), str) and kept[key] not in ("", ALL_LINEAR):
            kept[key] = _spelled_out(key, kept[key], names)
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is wrong is refused below, by name
            peft = LoraConfig(**kept, inference_mode=True)
            inject_adapter_in_model(peft, model, NAME, low_cpu_mem_usage=True)  # until they are filled
    except (ValueError, KeyError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelRefused(f"the adapter does not fit the model: {reason}"[:300], _TOGETHER) from error


def _spelled_out(key: str, pattern: str, names: Sequence[str]) -> str:
    """A pattern of the fitting names alone: peft would match the vendor's in time without bound."""
    found = Pattern(pattern).among(names)
    if not found and key == "target_modules":
        raise ModelRefused(f"the adapter does not fit the model: {key} fits none of its layers", _TOGETHER)
    return "|".join(map(re.escape, found))


def _fill(model: Any, tensors: dict[str, Tensor]) -> None:
    """Every matrix of the adapter from its file: none left empty, none left over."""
    beside = [name for name in tensors if ".lora_" not in name]
    if beside:  # they would be loaded into the base itself, which is then no base any more
        raise ModelRefused(f"the adapter holds weights that are no part of LoRA: {_some(beside)}", _TOGETHER)
    bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise ModelRefused(f"the adapter holds numbers that are not finite: {_some(bad)}", _TOGETHER)
    named = _today(model, tensors)
    _set(model, {name: tensor.to("meta") for name, tensor in named.items()}, low_cpu_mem_usage=True)
    for _, layer in adapted_layers(model):  # they fit: only now are they given memory, in float32
        for holder in (layer.lora_A, layer.lora_B, layer.lora_magnitude_vector):
            holder.to_empty(device=layer.get_base_layer().weight.device).float()
    _set(model, named)
    del model.peft_config  # the network is used as it is; nothing may load a second adapter by it


def _set(model: Any, tensors: dict[str, Tensor], **how: bool) -> None:
    try:
        result = set_peft_model_state_dict(model, tensors, NAME, **how)
    except (RuntimeError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
        message = f"the adapter's matrices do not fit the model: {reason}"
        raise ModelRefused(message[:300], _TOGETHER) from error
    missing = [_plain(name) for name in result.missing_keys if ".lora_" in name]
    unexpected = [_plain(name) for name in result.unexpected_keys]
    parts = [
        f"{len(names)} {word}: {_some(names)}"
        for word, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    if parts:
        raise ModelRefused(f"the adapter's matrices do not fit the model ({'; '.join(parts)})", _TOGETHER)


def _today(model: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With the `model.` that transformers 4.52 put before all names; peft converts what else changed."""
    layers = {name for name, _ in adapted_layers(model)}
    named = {}
    for name, tensor in tensors.items():
        plain = name.removeprefix(PREFIX)
        layer = plain.partition(".lora_")[0]
        older = layer not in layers and f"model.{layer}" in layers
        named[f"{PREFIX}model.{plain}" if older else name] = tensor
    return named


def _check_effect(tensors: Mapping[str, Tensor]) -> None:
    """An adapter as it is before its first training step is not what a vendor runs."""
    magnitudes = any(".lora_magnitude_vector" in name for name in tensors)
    if not magnitudes and not any(bool(t.any()) for name, t in tensors.items() if ".lora_B" in name):
        raise ModelRefused("the adapter changes nothing: all its B matrices are zero", "compare its files")


def _plain(name: str) -> str:
    return name.removeprefix(PREFIX).replace(f".{NAME}", "")


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(f"{name!s:.120}" for name in ordered[:3]) + (" …" if len(ordered) > 3 else "")
