"""Which files a model folder may hold: weights, settings, vocabulary, papers. Torch-free.

Code and links are refused, never worked around. A pickle can carry code, so it is only let in as weights that
will be converted once, at registration.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from audit_core.errors import ModelRefused

CODE_KINDS: Final = (
    ".py",
    ".pyc",
    ".pyo",
    ".pyd",
    ".ipynb",
    ".so",
    ".dll",
    ".dylib",
    ".sh",
    ".bat",
    ".exe",
    ".js",
    ".whl",
    ".zip",
    ".tar",
    ".gz",
)
PICKLED_WEIGHTS: Final = (".bin", ".pt", ".pth")
OTHER_PICKLES: Final = (
    ".ckpt",
    ".pkl",
    ".pickle",
    ".joblib",
    ".npy",
    ".npz",
    ".h5",
    ".msgpack",
    ".onnx",
    ".gguf",
    ".ot",
)
NO_WEIGHTS: Final = ("training_args", "optimizer", "scheduler", "rng_state", "scaler")
"""Stems of pickles that trainers leave beside the weights."""
DATA_KINDS: Final = (".json", ".safetensors", ".txt", ".md", ".model", ".jinja", ".png", ".jpg", ".jpeg")
PLAIN_NAMES: Final = ("LICENSE", "NOTICE", "README", ".gitattributes")
MAX_FILES: Final = 10_000
VOCABULARIES: Final = ("tokenizer.json", "vocab.json", "added_tokens.json")
"""A vocabulary may hold any word, and is not looked into: whoever opens the model reads it, in the box."""
MAX_JSON_BYTES: Final = 16 * 1024 * 1024
"""Of all other json files together: parsed, they take some thirty times as much memory."""


def plain_files(path: Path) -> dict[str, int]:
    """Every file below a folder with its size in bytes, by name relative to it.

    Raises:
        ModelRefused: no folder; or a link, code, or a kind of file no model needs lies in it.
    """
    if not path.is_dir():
        raise ModelRefused(
            f"{path.name or path} is not a folder", "give the folder that holds config and weights"
        )
    files: dict[str, int] = {}
    for entry in sorted(path.rglob("*")):
        name = entry.relative_to(path).as_posix()
        if not name.isprintable():
            raise ModelRefused(f"the file name {ascii(name)!s:.80} is not readable", "rename or remove it")
        status = entry.lstat()
        mode = status.st_mode
        if stat.S_ISLNK(mode):
            raise ModelRefused(f"{name} is a link", "copy the files themselves into the folder")
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise ModelRefused(f"{name} is not a plain file", "keep only weights, config and tokenizer files")
        if (
            status.st_nlink > 1
        ):  # whoever may write here could put a file of the site's under the worker's eyes
            raise ModelRefused(
                f"{name} is the same file as one elsewhere", "copy the files themselves into the folder"
            )
        _check_kind(name)
        files[name] = status.st_size
        if len(files) > MAX_FILES:
            raise ModelRefused(f"more than {MAX_FILES} files", "give the folder of one model")
    return files


def pickles(files: Mapping[str, int]) -> tuple[str, ...]:
    """Names of the files that would have to be converted."""
    return tuple(name for name in sorted(files) if Path(name).suffix.lower() in PICKLED_WEIGHTS)


def digest_files(path: Path, files: Mapping[str, int]) -> dict[str, str]:
    """Hex SHA-256 of every named file in a folder, in the order of names."""
    found: dict[str, str] = {}
    for name in sorted(files):
        with (path / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def read_documents(path: Path, files: Mapping[str, int]) -> dict[str, Any]:
    """Every json file of a folder but vocabularies, parsed.

    Raises:
        ModelRefused: one is not json, or they are too large for configuration files.
    """
    found: dict[str, Any] = {}
    left = MAX_JSON_BYTES
    for name in files:
        if name.endswith(".json") and name not in VOCABULARIES:
            found[name] = _read_json(path / name, name, left)
            left -= files[name]
    return found


def _check_kind(name: str) -> None:
    suffix, stem = Path(name).suffix.lower(), Path(name).stem
    if suffix in CODE_KINDS:
        raise ModelRefused(
            f"{name} is code", "model folders with code are never loaded; ask the vendor for plain weights"
        )
    if suffix in OTHER_PICKLES or (suffix in PICKLED_WEIGHTS and stem.startswith(NO_WEIGHTS)):
        raise ModelRefused(
            f"{name} can carry code when it is read, or is not needed",
            "remove it; weights may be safetensors, .bin, .pt or .pth",
        )
    known = (*DATA_KINDS, *PICKLED_WEIGHTS)
    if suffix not in known and Path(name).name not in PLAIN_NAMES:
        raise ModelRefused(
            f"{name} is not a kind of file a model needs", "keep weights, config and tokenizer files only"
        )


def _read_json(path: Path, name: str, most_bytes: int) -> Any:
    try:
        with path.open("rb") as file:
            text = file.read(most_bytes + 1)
        if len(text) > most_bytes:
            raise ModelRefused(f"{name} is too large for a configuration file", "keep configuration only")
        return json.loads(text.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"{name} is not readable json", "the copy may be incomplete") from error
