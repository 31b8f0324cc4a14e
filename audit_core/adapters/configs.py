"""What the json files of a model folder may say. Torch-free.

A config chooses among networks we know; it never chooses which code computes, never points at code, and never
says that the stored numbers are codes of rounded ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from audit_core.adapters.families import UNSTATED, Known, architectures, known
from audit_core.adapters.headers import UNQUANTISED, WRONG_STATISTICS
from audit_core.errors import ModelRefused

CONFIG: Final = "config.json"
PREPROCESSOR_FILES: Final = ("preprocessor_config.json", "processor_config.json")
CODE_KEYS: Final = ("auto_map", "trust_remote_code", "custom_pipelines", "custom_generate")
SWITCH_PREFIXES: Final = (
    "_attn_implementation",
    "attn_implementation",
    "_experts_implementation",
    "experts_implementation",
)
SWITCH_KEYS: Final = (
    "kernel_config",
    "use_kernels",
    "distributed_config",
    "fusion_config",
    "transformers_weights",
    "use_pretrained_backbone",
    "per_layer_config",
    "device_map",
    "tp_plan",
)
INERT_SWITCHES: Final = ("_attn_implementation_autoset",)  # left by older versions, read by none
QUANTISED_KEYS: Final = (
    "quantization_config",
    "compression_config",
    "load_in_4bit",
    "load_in_8bit",
    "bits_and_bytes",
)
QUANTISED_FILES: Final = ("quantize_config.json", "quant_config.json", "quanto_qmap.json")
TYPES: Final = ("float32", "float16", "bfloat16", "torch.float32", "torch.float16", "torch.bfloat16", "auto")
SIZES: Final = (
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "max_position_embeddings",
    "patch_size",
    "projection_dim",
)
MAX_SIZE: Final = 10_000_000
DEPTHS: Final = ("num_hidden_layers", "depth")
MAX_LAYERS: Final = 1000
MAX_DEPTH: Final = 12
MAX_WORD: Final = 100_000


def check_documents(documents: Mapping[str, Any]) -> None:
    """Refuse what no json file of a model may say.

    Raises:
        ModelRefused: naming the file and the key.
    """
    for name in QUANTISED_FILES:
        if name in documents:
            raise ModelRefused(f"the weights are quantised ({name}): {WRONG_STATISTICS}", UNQUANTISED)
    for name, document in documents.items():
        for key, value in _entries(name, document):
            if value in (None, False, "", [], {}):
                continue
            _check_entry(name, key, value)


def network(config: Mapping[str, Any]) -> Known:
    """The table's row for a config.json, everything it says held to that row.

    Raises:
        ModelRefused: an architecture, a part or a size that is not known.
    """
    stated, kind = config.get("architectures"), config.get("model_type")
    name = stated[0] if isinstance(stated, list) and len(stated) == 1 else "not stated"
    row = known(kind, name)
    if row is None:
        raise ModelRefused(
            f"architecture {name!s:.60} ({kind!s:.60}) is not known",
            f"audited are {', '.join(architectures())}",
        )
    for part, types in row.parts.items():
        inner = config.get(part)
        stated_type = inner.get("model_type", UNSTATED) if isinstance(inner, dict) else UNSTATED
        if stated_type not in types:
            raise ModelRefused(
                f"{part} {stated_type or 'missing'!s:.60} is not known",
                f"known for {row.title}: {', '.join(filter(None, types))}",
            )
    for key, value in config.items():
        if key.endswith("_config") and key not in row.parts and value:
            raise ModelRefused(f"{key!s:.60} is not a part of {row.title}", f"known: {', '.join(row.parts)}")
    for where in (config, *(config[part] for part in row.parts if isinstance(config.get(part), dict))):
        _check_sizes(where)
    return row


def image_settings(documents: Mapping[str, Any], row: Known) -> Mapping[str, Any]:
    """Settings that turn an image into pixels.

    Raises:
        ModelRefused: the folder has none, and the network's config does not stand in for them.
    """
    for name in PREPROCESSOR_FILES:
        document = documents.get(name)
        if isinstance(document, dict):
            inner = document.get("image_processor", document)
            if isinstance(inner, dict) and "image_mean" in inner:
                return inner
    if row.pixels_from:
        config = documents[CONFIG]
        return {key: config.get(key) for key in row.pixels_from}
    raise ModelRefused(
        "the model folder has no image preprocessor (preprocessor_config.json)",
        "without it the pixels the model was trained on cannot be made again",
    )


def mapping(documents: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One json file that must be there and hold an object.

    Raises:
        ModelRefused: it does not.
    """
    document = documents.get(name)
    if not isinstance(document, dict):
        raise ModelRefused(
            f"the model folder has no usable {name}", "give the folder that holds config and weights"
        )
    return document


def _entries(name: str, document: Any) -> Iterator[tuple[str, Any]]:
    """Every key with its value, at any depth."""
    todo: list[tuple[Any, int]] = [(document, 0)]
    while todo:
        item, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise ModelRefused(
                f"{name} is nested too deep for a configuration", "compare it with the vendor's"
            )
        if isinstance(item, dict):
            yield from item.items()
            todo.extend((value, depth + 1) for value in item.values())
        elif isinstance(item, list):
            todo.extend((value, depth + 1) for value in item)


def _check_entry(name: str, key: str, value: Any) -> None:
    if key in CODE_KEYS:
        raise ModelRefused(f"{name} asks for code to be run ({key})", "such models are never loaded")
    if (key in SWITCH_KEYS or key.startswith(SWITCH_PREFIXES)) and not (
        key in INERT_SWITCHES and value is True
    ):
        raise ModelRefused(
            f"{name} chooses which code computes ({key!s:.60})",
            "a folder may not; remove the key, or ask the vendor for a plain config",
        )
    if key in QUANTISED_KEYS:
        raise ModelRefused(f"the weights are quantised ({name}: {key}): {WRONG_STATISTICS}", UNQUANTISED)
    if key in ("dtype", "torch_dtype") and isinstance(value, str) and value not in TYPES:
        raise ModelRefused(f"{name} states {key} {value!s:.40}: {WRONG_STATISTICS}", UNQUANTISED)
    if (isinstance(value, float) and not math.isfinite(value)) or (
        isinstance(value, str) and len(value) > MAX_WORD
    ):
        raise ModelRefused(f"{name} holds no possible value for {key!s:.60}", "compare it with the vendor's")


def _check_sizes(config: Mapping[str, Any]) -> None:
    for key in (*SIZES, *DEPTHS):
        value, most = config.get(key), MAX_LAYERS if key in DEPTHS else MAX_SIZE
        for size in value if isinstance(value, list) else [value]:
            if size is not None and (type(size) is not int or not 0 < size <= most):
                raise ModelRefused(
                    f"config.json holds no possible value for {key}: {size!s:.40}",
                    "compare it with the vendor's",
                )
