"""Which files of a folder are its weights, and that they are one whole set. Torch-free."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from audit_core.adapters.contents import pickles
from audit_core.adapters.headers import Header, read_header
from audit_core.errors import ModelRefused

SAFE_INDEX: Final = "model.safetensors.index.json"
PICKLED_INDEX: Final = "pytorch_model.bin.index.json"
MAX_TENSORS: Final = 200_000
_SHARD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_INCOMPLETE: Final = "the copy may be incomplete"


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The weights of a folder.

    Attributes:
        names: files, in the order of names.
        pickled: they are pickles: nothing is known of them until they have been converted.
        shapes: tensor name -> shape; empty for pickles.
        kinds: tensor name -> kind (`F32`, `BF16` …); empty for pickles.
        expected: file -> tensors its index promises; empty without an index.
    """

    names: tuple[str, ...]
    pickled: bool
    shapes: Mapping[str, tuple[int, ...]]
    kinds: Mapping[str, str]
    expected: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """How many numbers the files hold; 0 for pickles."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def stored_bits(self) -> int:
        """16 where most numbers are stored as BF16 or F16, else 32."""
        narrow = sum(math.prod(self.shapes[n]) for n, kind in self.kinds.items() if kind in ("BF16", "F16"))
        return 16 if 2 * narrow > self.parameters else 32


def weight_files(
    path: Path, files: Mapping[str, int], documents: Mapping[str, Any], whole: tuple[str, ...]
) -> WeightFiles:
    """Find the one set of weights in a folder.

    Args:
        path: the folder.
        files: its files.
        documents: its json files, parsed.
        whole: names an unsharded safetensors file may have in this layout.

    Raises:
        ModelRefused: none, more than one, a missing shard, or an index that does not fit its shards.
    """
    safe = tuple(name for name in sorted(files) if name.endswith(".safetensors"))
    pickled = pickles(files)
    if safe and pickled:
        raise ModelRefused(
            f"{pickled[0]} can carry code when it is read, and {safe[0]} is there too",
            "remove it and keep the safetensors",
        )
    index_name = PICKLED_INDEX if pickled else SAFE_INDEX
    other = SAFE_INDEX if pickled else PICKLED_INDEX
    if other in files:
        raise ModelRefused(f"{other} is the index of weights that are not there", f"remove it; {_INCOMPLETE}")
    expected = _shards(documents, index_name, files) if index_name in files else {}
    names = tuple(sorted(expected)) or _one_file(pickled or safe, () if pickled else whole)
    spare = sorted(set(safe + pickled) - set(names))
    if spare:
        raise ModelRefused(
            f"{names[0]} and {spare[0]} are both there: two sets of weights", "keep the one that is in use"
        )
    if pickled:
        return WeightFiles(names, True, {}, {}, expected)
    headers = _headers(path, names)
    _check_index(headers, expected)
    return WeightFiles(
        names,
        False,
        {tensor: shape for header in headers.values() for tensor, shape in header.shapes.items()},
        {tensor: kind for header in headers.values() for tensor, kind in header.kinds.items()},
        expected,
    )


def check_promised(file: str, found: frozenset[str], promised: frozenset[str]) -> None:
    """Hold one shard to the index.

    Raises:
        ModelRefused: naming the first tensor that only one of them knows.
    """
    for tensor in sorted(promised - found):
        raise ModelRefused(f"{tensor!s:.100} is not in {file}, where the index puts it", _INCOMPLETE)
    for tensor in sorted(found - promised):
        raise ModelRefused(f"{tensor!s:.100} is in {file}, where the index does not put it", _INCOMPLETE)


def _one_file(found: tuple[str, ...], whole: tuple[str, ...]) -> tuple[str, ...]:
    named = tuple(name for name in found if name in whole or not whole)
    if not named:
        raise ModelRefused(
            f"the model folder has no weights ({whole[0] if whole else 'pytorch_model.bin'})",
            "ask the vendor for the weights as safetensors",
        )
    if len(named) > 1:
        raise ModelRefused(
            f"{named[0]} and {named[1]} are both there, without an index",
            "keep the set that is in use, with its index",
        )
    return named


def _shards(
    documents: Mapping[str, Any], index_name: str, files: Mapping[str, int]
) -> dict[str, frozenset[str]]:
    index = documents[index_name]
    mapped = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(mapped, dict) or not mapped:
        raise ModelRefused(f"{index_name} names no tensors", _INCOMPLETE)
    shards: dict[str, set[str]] = {}
    for tensor, file in mapped.items():
        if not isinstance(file, str) or not _SHARD.fullmatch(file):
            raise ModelRefused(
                f"{index_name} names a file outside the folder: {ascii(file)!s:.80}",
                "an index may only name weight files beside it",
            )
        shards.setdefault(file, set()).add(tensor)
    kind = ".safetensors" if index_name == SAFE_INDEX else ".bin"
    for file in sorted(shards):
        if not file.endswith(kind):
            raise ModelRefused(f"{index_name} names {file}, which is not {kind}", _INCOMPLETE)
        if file not in files:
            raise ModelRefused(f"weight file {file} is missing", _INCOMPLETE)
    return {file: frozenset(tensors) for file, tensors in shards.items()}


def _headers(path: Path, names: tuple[str, ...]) -> dict[str, Header]:
    found: dict[str, Header] = {}
    left = MAX_TENSORS
    for name in names:
        found[name] = read_header(path / name)
        left -= len(found[name].shapes)
        if left < 0:
            raise ModelRefused(
                f"the weights are more than {MAX_TENSORS} tensors", "give the folder of one model"
            )
    return found


def _check_index(headers: Mapping[str, Header], expected: Mapping[str, frozenset[str]]) -> None:
    for file, promised in expected.items():
        check_promised(file, frozenset(headers[file].shapes), promised)
