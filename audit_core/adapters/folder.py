"""What is in a model folder, found without running anything of it. Torch-free.

Everything that can be decided from names, sizes, json and the headers of safetensors files is decided here.
Code, links and remote references are refused, never worked around.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.adapters.families import OPEN_CLIP, UNSTATED, Known, architectures, known
from audit_core.adapters.layouts import (
    OPEN_CLIP_CONFIG,
    OPEN_CLIP_WEIGHTS,
    Shapes,
    read_open_clip,
    tensor_kinds,
    tensor_shapes,
)
from audit_core.errors import ModelRefused

CODE_KINDS = (
    ".py",
    ".pyc",
    ".pyo",
    ".pyd",
    ".so",
    ".dll",
    ".dylib",
    ".sh",
    ".exe",
    ".js",
    ".whl",
    ".zip",
    ".tar",
)
PICKLE_KINDS = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".joblib",
    ".npy",
    ".npz",
    ".h5",
    ".msgpack",
)
DATA_KINDS = (".json", ".safetensors", ".txt", ".md", ".model", ".jinja")
PLAIN_NAMES = ("LICENSE", "NOTICE", "README", ".gitattributes")
MAX_JSON_BYTES = 64 * 1024 * 1024
PREPROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What a model folder is, found without running anything in it.

    Attributes:
        family: one of `families.FAMILIES`.
        architecture: class name or layout, as in the table of known networks.
        model_type: the same row's.
        parameters: number of parameters in the weight files.
        files: every file with its size in bytes.
        digests: file name -> hex SHA-256; empty when not asked for.
        preprocessor: hex SHA-256 of the settings that turn an image into pixels.
        weights: names of the weight files.
        stored_bits: width of most of the stored numbers: 16 or 32.
    """

    family: str
    architecture: str
    model_type: str
    parameters: int
    files: Mapping[str, int]
    digests: Mapping[str, str]
    preprocessor: str
    weights: tuple[str, ...]
    stored_bits: int = 32


def inspect_folder(path: Path, *, digests: bool = True) -> FolderFacts:
    """Decide whether a folder is a checkpoint we can audit rightly, and which family it is.

    Args:
        path: the vendor's folder.
        digests: also hash every file (seconds per gigabyte).

    Raises:
        ModelRefused: with one line saying why, and a hint what to do.
    """
    path = path.absolute()
    files = _plain_files(path)
    documents = {name: _read_json(path / name) for name in files if name.endswith(".json")}
    for name, document in documents.items():
        _no_remote_code(name, document)
    if OPEN_CLIP_CONFIG in files:
        row = OPEN_CLIP
        weights = _open_clip_weights(files)
        shapes = _shapes(path, weights)
        read_open_clip(_mapping(documents, OPEN_CLIP_CONFIG), shapes)
        preprocess: Any = _mapping(documents, OPEN_CLIP_CONFIG)
    else:
        row = _known_network(_mapping(documents, "config.json"))
        preprocess = _image_settings(documents)
        weights = _hf_weights(files, documents)
        shapes = _shapes(path, weights)
    if "tokenizer.json" not in files:
        raise ModelRefused(
            "the model folder has no tokenizer.json",
            "ask the vendor for the tokenizer files of exactly this model",
        )
    return FolderFacts(
        family=row.family,
        architecture=row.architecture,
        model_type=row.model_type,
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        files=files,
        digests=digest_files(path, files) if digests else {},
        preprocessor=_digest_json(preprocess),
        weights=weights,
        stored_bits=_stored_bits(path, weights),
    )


def digest_files(path: Path, files: Mapping[str, int]) -> dict[str, str]:
    """Hex SHA-256 of every named file in a folder, in the order of names."""
    found: dict[str, str] = {}
    for name in sorted(files):
        with (path / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


# ---- what is in the folder ------------------------------------------------------------------------------


def _plain_files(path: Path) -> dict[str, int]:
    if not path.is_dir():
        raise ModelRefused(
            f"{path.name or path} is not a folder", "give the folder that holds config and weights"
        )
    files: dict[str, int] = {}
    for entry in sorted(path.rglob("*")):
        name = entry.relative_to(path).as_posix()
        mode = entry.lstat().st_mode
        if stat.S_ISLNK(mode):
            raise ModelRefused(f"{name} is a link", "copy the files themselves into the folder")
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise ModelRefused(f"{name} is not a plain file", "keep only weights, config and tokenizer files")
        _check_kind(name)
        files[name] = entry.lstat().st_size
    return files


def _check_kind(name: str) -> None:
    suffix = Path(name).suffix.lower()
    if suffix in CODE_KINDS:
        raise ModelRefused(
            f"{name} is code", "model folders with code are never loaded; ask the vendor for plain weights"
        )
    if suffix in PICKLE_KINDS:
        raise ModelRefused(
            f"{name} can carry code when it is read", "ask the vendor for the weights as safetensors"
        )
    if suffix not in DATA_KINDS and Path(name).name not in PLAIN_NAMES:
        raise ModelRefused(
            f"{name} is not a kind of file a model needs", "keep weights, config and tokenizer files only"
        )


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelRefused(f"{path.name} is too large for a configuration file")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"{path.name} is not readable json", "the copy may be incomplete") from error


def _no_remote_code(name: str, document: Any) -> None:
    """Refuse any object in a json file that points the loader at code."""
    if name == "tokenizer.json" or not isinstance(document, dict):
        return  # a vocabulary may hold any word
    todo: list[Any] = [document]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            for key in ("auto_map", "trust_remote_code", "custom_pipelines"):
                if item.get(key):
                    raise ModelRefused(
                        f"{name} asks for code to be run ({key})", "such models are never loaded"
                    )
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)


def _mapping(documents: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    document = documents.get(name)
    if not isinstance(document, dict):
        raise ModelRefused(
            f"the model folder has no usable {name}", "give the folder that holds config and weights"
        )
    return document


def _known_network(config: Mapping[str, Any]) -> Known:
    """The table's row for a config.json, its inner configs checked against it."""
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
    if config.get("quantization_config"):
        raise ModelRefused("the weights are quantised", "ask the vendor for the unquantised weights")
    return row


def _image_settings(documents: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in PREPROCESSOR_FILES:
        document = documents.get(name)
        if isinstance(document, dict):
            inner = document.get("image_processor", document)
            if isinstance(inner, dict) and "image_mean" in inner:
                return inner
    raise ModelRefused(
        "the model folder has no image preprocessor (preprocessor_config.json)",
        "without it the pixels the model was trained on cannot be made again",
    )


def _hf_weights(files: Mapping[str, int], documents: Mapping[str, Any]) -> tuple[str, ...]:
    if "model.safetensors" in files:
        return ("model.safetensors",)
    index = documents.get("model.safetensors.index.json")
    if not isinstance(index, dict) or not isinstance(index.get("weight_map"), dict):
        raise ModelRefused(
            "the model folder has no model.safetensors", "ask the vendor for the weights as safetensors"
        )
    shards = tuple(sorted({str(name) for name in index["weight_map"].values()}))
    absent = [name for name in shards if name not in files]
    if absent or not shards:
        raise ModelRefused(
            f"weight file {absent[0] if absent else '?'} is missing", "the copy may be incomplete"
        )
    return shards


def _open_clip_weights(files: Mapping[str, int]) -> tuple[str, ...]:
    found = [name for name in OPEN_CLIP_WEIGHTS if name in files]
    if not found:
        raise ModelRefused(
            f"the model folder has no {OPEN_CLIP_WEIGHTS[0]}", "ask the vendor for the weights as safetensors"
        )
    if len(found) > 1:
        raise ModelRefused(f"{found[0]} and {found[1]} are both there", "keep the one that is in use")
    return (found[0],)


def _shapes(path: Path, weights: tuple[str, ...]) -> Shapes:
    found: dict[str, tuple[int, ...]] = {}
    for name in weights:
        found.update(tensor_shapes(path / name))
    return found


def _stored_bits(path: Path, weights: tuple[str, ...]) -> int:
    """16 where most numbers are stored as BF16 or F16."""
    narrow = sum(tensor_kinds(path / name).get(kind, 0) for name in weights for kind in ("BF16", "F16"))
    every = sum(sum(tensor_kinds(path / name).values()) for name in weights)
    return 16 if 2 * narrow > every else 32


def _digest_json(document: Any) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
