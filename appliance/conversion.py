"""Pickled weights, converted once into the vault, and streamed from there to whoever opens the model.

The process that reads the pickle holds no key and never audits; it sends bounded numbers under names.
Plaintext of weights never touches the disk on this way (docs/decisions/converted-weights.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.errors import WorkerFailed
from appliance.workspace.vault import Arriving, Vault

KIND: Final = "weights"  # of object in the vault
WIDTHS: Final = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "bool": 1,
}  # bytes of a number
MAX_TENSORS: Final = 1_000_000
MAX_NAME: Final = 300
MAX_DIMENSIONS: Final = 16
MAX_FILES: Final = 10_000
MEMORY_BYTES: Final = 2 << 30  # libraries and one piece; the file itself comes on top
SILENCE_S: Final = 600.0  # longest wait for one piece


@dataclass(frozen=True, slots=True)
class ConvertedTensor:
    """One tensor in the vault.

    Attributes:
        dtype: a key of `WIDTHS`.
        objects: vault objects of kind `weights` that hold its numbers, in order.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Converted:
    """What a folder's pickles held.

    Attributes:
        wrappers: file -> key under which its tensors were found; files without one are left out.
    """

    tensors: tuple[ConvertedTensor, ...]
    wrappers: Mapping[str, str]


def job(path: Path, weights: Sequence[str], expected: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """What the converting process is told; `expected`: file -> tensors its index promises."""
    promised = {name: sorted(tensors) for name, tensors in expected.items()}
    return {"type": "convert", "path": str(path), "files": list(weights), "expected": promised}


def memory_bytes(path: Path, weights: Sequence[str]) -> int:
    """Private memory the converting process may take: a mapped file counts, and one tensor's own copy."""
    return MEMORY_BYTES + 3 * max((path / name).stat().st_size for name in weights)


class Receiver:
    """Takes what the converting process sends, holds it to what it said, and seals it.

    Args:
        vault: where the pieces go.
        most_bytes: bound on everything together.
    """

    def __init__(self, vault: Vault, most_bytes: int) -> None:
        self._vault = vault
        self._left = most_bytes
        self._open: tuple[str, str, tuple[int, ...]] | None = None
        self._due = 0
        self._objects: list[str] = []
        self._arriving: list[Arriving] = []
        self._tensors: dict[str, ConvertedTensor] = {}
        self._wrappers: dict[str, str] = {}

    def take(self, message: dict[str, Any], blob: bytes) -> None:
        """One event of the job.

        Raises:
            WorkerFailed: it does not fit what was said before.
            ApplianceError: the disk is full.
        """
        kind = message.get("type")
        if kind == "tensor" and self._due == 0:
            self._begin(message)
        elif kind == "piece" and 0 < len(blob) <= self._due:
            self._arriving.append(self._vault.bring(KIND, blob))
            self._objects.append(self._arriving[-1].object_id)
            self._due -= len(blob)
        elif kind == "file" and self._due == 0 and len(self._wrappers) < MAX_FILES:
            self._wrappers[str(message.get("name"))[:MAX_NAME]] = str(message.get("wrapper"))[:40]
        else:
            raise WorkerFailed("the converting process sent something that does not fit")
        if self._open is not None and self._due == 0:
            self._end()

    def whole(self) -> Converted:
        """Everything, once the job has been answered.

        Raises:
            WorkerFailed: a tensor is not whole, or there is none.
            ApplianceError: the disk is full.
        """
        if self._due or not self._tensors:
            raise WorkerFailed("the converting process stopped in the middle of a tensor")
        self._vault.settle(self._arriving)
        return Converted(
            tuple(self._tensors.values()), {file: key for file, key in self._wrappers.items() if key}
        )

    def _begin(self, message: Mapping[str, Any]) -> None:
        name, dtype, shape = message.get("name"), message.get("dtype"), message.get("shape")
        sound = (
            isinstance(name, str)
            and 0 < len(name) <= MAX_NAME
            and name not in self._tensors
            and dtype in WIDTHS
            and isinstance(shape, list)
            and len(shape) <= MAX_DIMENSIONS
            and all(type(n) is int and n >= 0 for n in shape)
        )
        if not sound or len(self._tensors) >= MAX_TENSORS:
            raise WorkerFailed("the converting process named a tensor that cannot be")
        assert isinstance(name, str) and isinstance(dtype, str) and isinstance(shape, list)
        self._due = math.prod(shape) * WIDTHS[dtype]
        self._left -= self._due
        if self._left < 0:
            raise WorkerFailed("the converting process sent more than its files can hold")
        self._open, self._objects = (name, dtype, tuple(shape)), []

    def _end(self) -> None:
        assert self._open is not None
        name, dtype, shape = self._open
        self._tensors[name] = ConvertedTensor(name, dtype, shape, tuple(self._objects))
        self._open, self._objects = None, []


def frames(
    vault: Vault, tensors: Sequence[ConvertedTensor], *, base: bool = False
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Frames that bring converted weights to a worker, unsealed one piece at a time.

    Raises:
        IntegrityError: a piece is missing, damaged or another one.
    """
    for tensor in tensors:
        about = {"type": "tensor", "name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape)}
        yield {**about, "base": base, "pieces": len(tensor.objects)}, b""
        for object_id in tensor.objects:
            yield {"type": "piece"}, vault.get(KIND, object_id)
