"""What is in a model folder, found without running anything of it. Torch-free.

Everything that can be decided from names, sizes, json and the headers of safetensors files is decided here:
files in `contents`, json in `configs`, weights in `weights` and `headers`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from audit_core.adapters.configs import CONFIG, check_documents, image_settings, mapping, network
from audit_core.adapters.contents import digest_files, pickles, plain_files, read_documents
from audit_core.adapters.families import GENERATIVE, OPEN_CLIP, Known
from audit_core.adapters.layouts import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, read_open_clip
from audit_core.adapters.lora_config import check_adapter_config
from audit_core.adapters.weights import WeightFiles, weight_files
from audit_core.errors import ModelRefused

WHOLE: Final = ("model.safetensors",)
ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"
TOKENIZERS: Final = ("tokenizer.json", "tokenizer.model")


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What a model folder is, found without running anything in it.

    Attributes:
        family: one of `families.FAMILIES`.
        architecture: class name or layout, as in the table of known networks.
        model_type: the same row's.
        title: what an officer reads of the same row.
        parameters: numbers in the weight files; 0 while they are pickles.
        files: every file with its size in bytes.
        digests: file name -> hex SHA-256; empty when not asked for.
        preprocessor: hex SHA-256 of the settings that turn an image into pixels.
        weights: names of the weight files.
        pickled: the weights are pickles, to be converted once before anything is loaded.
        expected: pickled shard -> tensors its index promises; empty without an index.
        stored_bits: width of most of the stored numbers: 16 or 32.
    """

    family: str
    architecture: str
    model_type: str
    title: str
    parameters: int
    files: Mapping[str, int]
    digests: Mapping[str, str]
    preprocessor: str
    weights: tuple[str, ...]
    pickled: bool = False
    expected: Mapping[str, frozenset[str]] = field(default_factory=dict)
    stored_bits: int = 32


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What a PEFT folder is, found without running anything in it.

    Attributes:
        kind: `peft_type` as adapter_config.json states it, held to what is audited (`lora_config`).
        parameters: numbers in its weight file.
        weights: names of the weight files.
        files: every file with its size in bytes.
        digests: file name -> hex SHA-256; empty when not asked for.
    """

    kind: str
    parameters: int
    weights: tuple[str, ...]
    files: Mapping[str, int]
    digests: Mapping[str, str]


def inspect_folder(path: Path, *, digests: bool = True, weights: WeightFiles | None = None) -> FolderFacts:
    """Decide whether a folder is a checkpoint we can audit rightly, and which family it is.

    Args:
        path: the vendor's folder, or what was kept of it.
        digests: also hash every file (seconds per gigabyte).
        weights: what stands in for the weight files of the folder, which are then not looked at.

    Raises:
        ModelRefused: with one line saying why, and a hint what to do.
    """
    path = path.absolute()
    files = plain_files(path)
    documents = read_documents(path, files)
    check_documents(documents)
    if ADAPTER_CONFIG in files:
        raise _is_adapter(CONFIG in files)
    row, weights, preprocessor = _parts(path, files, documents, weights)
    _check_tokenizer(row, files)
    return FolderFacts(
        family=row.family,
        architecture=row.architecture,
        model_type=row.model_type,
        title=row.title,
        parameters=weights.parameters,
        files=files,
        digests=digest_files(path, files) if digests else {},
        preprocessor=_digest_json(preprocessor),
        weights=weights.names,
        pickled=weights.pickled,
        expected=weights.expected,
        stored_bits=weights.stored_bits,
    )


def is_adapter(path: Path) -> bool:
    """Whether a folder holds a PEFT adapter and no model."""
    return (path / ADAPTER_CONFIG).is_file() and not (path / CONFIG).exists()


def inspect_adapter(path: Path, *, digests: bool = True, weights: WeightFiles | None = None) -> AdapterFacts:
    """Decide whether a folder is a PEFT adapter that may be opened; `weights` as in `inspect_folder`.

    Raises:
        ModelRefused: code, links, pickles, missing parts, or a damaged weight file.
    """
    path = path.absolute()
    files = plain_files(path)
    documents = read_documents(path, files)
    check_documents(documents)
    if CONFIG in files:
        raise ModelRefused(
            f"the adapter folder {path.name} holds a whole model ({CONFIG})",
            "give the folder with adapter_config.json and adapter_model.safetensors",
        )
    config = mapping(documents, ADAPTER_CONFIG)
    check_adapter_config(config)
    for name in pickles(files):
        raise ModelRefused(
            f"{name} can carry code when it is read", "ask the vendor for the adapter as safetensors"
        )
    weights = weights or weight_files(path, files, documents, (ADAPTER_WEIGHTS,))
    return AdapterFacts(
        kind=str(config.get("peft_type")),
        parameters=weights.parameters,
        weights=weights.names,
        files=files,
        digests=digest_files(path, files) if digests else {},
    )


def _parts(
    path: Path, files: Mapping[str, int], documents: Mapping[str, Any], weights: WeightFiles | None
) -> tuple[Known, WeightFiles, Any]:
    """Which network it is, its weights, and the settings that turn an image into pixels."""
    if OPEN_CLIP_CONFIG not in files:
        row = network(mapping(documents, CONFIG))
        settings = image_settings(documents, row)
        return row, weights or weight_files(path, files, documents, WHOLE), settings
    config = mapping(documents, OPEN_CLIP_CONFIG)
    weights = weights or weight_files(path, files, documents, OPEN_CLIP_WEIGHTS)
    if not weights.pickled:
        read_open_clip(config, weights.shapes)
    return OPEN_CLIP, weights, config


def _check_tokenizer(row: Known, files: Mapping[str, int]) -> None:
    needed = TOKENIZERS if row.family == GENERATIVE else TOKENIZERS[:1]
    if row.model_type == "clip":
        needed = ("tokenizer.json", "merges.txt")  # early CLIPs ship their byte pairs and vocab.json
    if not any(name in files for name in needed):
        raise ModelRefused(
            f"the model folder has no {' or '.join(needed)}",
            "ask the vendor for the tokenizer files of exactly this model",
        )


def _is_adapter(with_model: bool) -> ModelRefused:
    if with_model:
        return ModelRefused(
            f"{CONFIG} and {ADAPTER_CONFIG} are both there: a model and an adapter in one folder",
            "keep the adapter in a folder of its own and give it with --adapter",
        )
    return ModelRefused(
        "the folder holds an adapter and not the model it belongs on",
        "give that model's folder with --base, or as PATH with this one as --adapter",
    )


def _digest_json(document: Any) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
