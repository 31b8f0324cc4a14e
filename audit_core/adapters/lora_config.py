"""What an adapter_config.json may say. Torch-free.

Of the many things PEFT can do to a network, those are let in whose effect on a matrix is known: LoRA and DoRA
on linear layers. Every other key must be as if it were not there. The base model's name is never followed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from audit_core.adapters.patterns import Pattern
from audit_core.errors import ModelRefused

FILE: Final = "adapter_config.json"
MAX_RANK: Final = 16_384
MAX_NAMES: Final = 10_000
MAX_NAMED: Final = 1_000  # ranks and alphas by name; peft searches them layer by layer
KEPT: Final = (
    "r",
    "lora_alpha",
    "target_modules",
    "exclude_modules",
    "use_rslora",
    "use_dora",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "layers_pattern",
)
"""Keys that decide which matrix is computed; handed to peft as they are."""

WITHOUT_EFFECT: Final = (
    "peft_type",
    "task_type",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "corda_config",
    "eva_config",
    "inference_mode",
    "init_lora_weights",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
)
"""Keys that say how the adapter was trained or by what; some are held to a value below."""

PLAIN_STARTS: Final = (True, False, None, "gaussian", "eva", "true", "True")
LIBRARIES: Final = ("transformers.", "open_clip.")
QUANTISED: Final = re.compile(r"bnb|gptq|awq|gguf|nf4|fp4|fp8|hqq|[-_.]int[48]|[48][-_]?bits?", re.IGNORECASE)

_NAME: Final = re.compile(r"\^?(?:[\w-]|\\?\.){1,400}\$?")
"""Names that peft makes a pattern of, without anything that could take long to match."""
_REASONS: Final = {
    "modules_to_save": "whole layers were replaced beside the adapter, their base is not known",
    "trainable_token_indices": "embeddings were trained, they are no audited matrix",
    "target_parameters": "it changes parameters that are no linear layer",
    "layer_replication": "it changes the order of the network's layers",
    "megatron_config": "it is made for another kind of linear layer",
    "loftq_config": "it belongs to a quantised base, slice statistics would be of another network",
    "use_qalora": "it belongs to a quantised base, slice statistics would be of another network",
    "lora_bias": "biases were trained, switching it off would not give the base",
    "fan_in_fan_out": "it is made for another kind of linear layer",
}
_WHOLE: Final = "ask the vendor for the whole model, adapter merged, and give its base with --base"


def check_adapter_config(config: Mapping[str, Any]) -> None:
    """Refuse an adapter whose effect on the network's matrices is not known.

    Args:
        config: the parsed adapter_config.json.

    Raises:
        ModelRefused: naming the key, with the reason.
    """
    if config.get("peft_type") != "LORA":
        raise ModelRefused(f"{FILE} states {config.get('peft_type')!s:.40}, known is LORA", _WHOLE)
    for key, value in config.items():
        if key not in (*KEPT, *WITHOUT_EFFECT) and value not in (None, False, "", [], {}):
            raise ModelRefused(f"{FILE} sets {key!s:.60}: {_REASONS.get(key, 'it is not known')}", _WHOLE)
    if config.get("bias", "none") != "none":
        raise ModelRefused(f"{FILE} sets bias: switching the adapter off would not give the base", _WHOLE)
    start = config.get("init_lora_weights", True)
    if not isinstance(start, (bool, str, type(None))) or start not in PLAIN_STARTS:
        raise ModelRefused(
            f"{FILE} sets init_lora_weights {start!s:.40}: the base's own weights were changed for it", _WHOLE
        )
    _check_origin(config)
    _check_sizes(config)


def _check_origin(config: Mapping[str, Any]) -> None:
    base = str(config.get("base_model_name_or_path") or "")
    if QUANTISED.search(base.replace("\\", "/").rsplit("/", 1)[-1]):
        raise ModelRefused(
            f"the adapter was trained on a quantised base ({ascii(base)!s:.80})",
            "its matrices exist on that base only, and slice statistics of a quantised base would be wrong",
        )
    origin = config.get("auto_mapping")
    library = origin.get("parent_library") if isinstance(origin, dict) else origin
    if library is not None and not str(library).startswith(LIBRARIES):
        raise ModelRefused(f"{FILE} names code of a library that is not known (auto_mapping)", _WHOLE)


def _check_sizes(config: Mapping[str, Any]) -> None:
    ranks, alphas = config.get("rank_pattern") or {}, config.get("alpha_pattern") or {}
    targets, excluded = config.get("target_modules"), config.get("exclude_modules") or []
    layers, holders = config.get("layers_to_transform"), config.get("layers_pattern") or []
    fine = {
        "r": _ranks([config.get("r")]),
        "lora_alpha": _alphas([config.get("lora_alpha")]),
        "rank_pattern": isinstance(ranks, dict) and _named(list(ranks)) and _ranks(ranks.values()),
        "alpha_pattern": isinstance(alphas, dict) and _named(list(alphas)) and _alphas(alphas.values()),
        "target_modules": bool(targets) and _chosen(targets),
        "exclude_modules": _chosen(excluded),
        "layers_to_transform": layers is None
        or _words(layers, lambda number: type(number) is int and number >= 0),
        "layers_pattern": _named(holders),
        "use_rslora": isinstance(config.get("use_rslora", False), bool),
        "use_dora": isinstance(config.get("use_dora", False), bool),
    }
    for key, holds in fine.items():
        if not holds:
            raise ModelRefused(f"{FILE} holds no possible value for {key}", "compare it with the vendor's")


def _ranks(values: Any) -> bool:
    return all(type(value) is int and 0 < value <= MAX_RANK for value in values)


def _alphas(values: Any) -> bool:
    return all(type(value) in (int, float) and math.isfinite(value) and value > 0 for value in values)


def _chosen(value: Any) -> bool:
    """A pattern for whole names, or a list of endings of names."""
    if isinstance(value, str):
        Pattern(value)
        return True
    return isinstance(value, list) and _words(value, lambda word: isinstance(word, str) and bool(word))


def _named(value: Any) -> bool:
    fits = _words(value, lambda word: isinstance(word, str) and _NAME.fullmatch(word) is not None)
    return fits and (isinstance(value, str) or len(value) <= MAX_NAMED)


def _words(value: Any, fits: Callable[[Any], bool]) -> bool:
    words = value if isinstance(value, list) else [value]
    return len(words) <= MAX_NAMES and all(fits(word) for word in words)
