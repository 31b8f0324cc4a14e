"""Weights taken in: what a boxed process reads from a vendor's files, held to what it says, and sealed.

The process that reads holds no key and never audits; it sends bounded numbers under names. A safetensors file
comes whole, header first and numbers in their order, so that what was sealed is shown to be the file that was
registered. Pickles are converted. Plaintext of weights never touches the disk on this way
(docs/decisions/weights-in-the-vault.md).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from appliance.errors import ModelRejected, WorkerFailed
from appliance.workspace.vault import Arriving, Vault
from audit_core.adapters.headers import PIECE_BYTES

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
MEMORY_BYTES: Final = 2 << 30  # libraries and one piece; a pickle itself comes on top
SILENCE_S: Final = 600.0  # longest wait for one piece


@dataclass(frozen=True, slots=True)
class SealedTensor:
    """One tensor in the vault.

    Attributes:
        dtype: a key of `WIDTHS`.
        objects: vault objects of kind `weights` that hold its numbers, in order.
        digest: hex SHA-256 of its numbers; empty in records of earlier versions.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    objects: tuple[str, ...]
    digest: str = ""

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * WIDTHS[self.dtype]


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What a folder's weight files held.

    Attributes:
        wrappers: pickled file -> key under which its tensors were found; files without one are left out.
        arriving: sealed and not yet stored.
    """

    tensors: tuple[SealedTensor, ...]
    wrappers: Mapping[str, str]
    arriving: tuple[Arriving, ...]


def job(
    path: Path, weights: Sequence[str], expected: Mapping[str, frozenset[str]], pickled: bool
) -> dict[str, Any]:
    """What the reading process is told; `expected`: file -> tensors its index promises."""
    promised = {name: sorted(tensors) for name, tensors in expected.items()}
    told = {"path": str(path), "files": list(weights), "expected": promised}
    return {"type": "convert" if pickled else "read-weights", **told}


def memory_bytes(path: Path, weights: Sequence[str], pickled: bool) -> int:
    """Private memory the reading process may take: a mapped pickle counts, and one tensor's own copy."""
    if not pickled:
        return MEMORY_BYTES
    return MEMORY_BYTES + 3 * max((path / name).stat().st_size for name in weights)


class Receiver:
    """Takes what the reading process sends, holds it to what it said, and seals it.

    Args:
        vault: where the pieces go.
        most_bytes: bound on everything together.
        digests: safetensors file -> hex SHA-256 of the whole file, in reading order; empty for pickles.
    """

    def __init__(self, vault: Vault, most_bytes: int, digests: Mapping[str, str] | None = None) -> None:
        self._vault = vault
        self._left = most_bytes
        self._digests = dict(digests or {})
        self._file: tuple[str, Any] | None = None  # safetensors file being read, and the digest so far
        self._open: tuple[str, str, tuple[int, ...]] | None = None
        self._due = 0
        self._numbers = hashlib.sha256()
        self._objects: list[str] = []
        self._arriving: list[Arriving] = []
        self._tensors: dict[str, SealedTensor] = {}
        self._wrappers: dict[str, str] = {}

    def take(self, message: dict[str, Any], blob: bytes) -> None:
        """One event of the job.

        Raises:
            WorkerFailed: it does not fit what was said before.
            ModelRejected: a file is not the one that was looked at.
            ApplianceError: the disk is full.
        """
        kind = message.get("type")
        if kind == "tensor" and self._due == 0 and not blob:
            self._begin(message)
        elif kind == "piece" and 0 < len(blob) == min(self._due, PIECE_BYTES):
            self._seal(blob)
        elif kind == "file" and self._due == 0 and len(self._wrappers) < MAX_FILES:
            self._next(str(message.get("name"))[:MAX_NAME], str(message.get("wrapper", ""))[:40], blob)
        else:
            raise WorkerFailed("the reading process sent something that does not fit")
        if self._open is not None and self._due == 0:
            self._end()

    def whole(self) -> TakenIn:
        """Everything, once the job has been answered.

        Raises:
            WorkerFailed: a tensor or a file is not whole, or there is none.
            ModelRejected: a file is not the one that was looked at.
        """
        self._end_file()
        if self._due or not self._tensors or self._digests:
            raise WorkerFailed("the reading process stopped in the middle of the weights")
        named = {file: key for file, key in self._wrappers.items() if key}
        return TakenIn(tuple(self._tensors.values()), named, tuple(self._arriving))

    def _next(self, name: str, wrapper: str, header: bytes) -> None:
        """Another file begins; one that is to come whole comes in its turn, with its header."""
        self._end_file()
        if name in self._wrappers or bool(header) is not (name in self._digests):
            raise WorkerFailed("the reading process named a file that cannot be")
        self._wrappers[name] = wrapper
        if header:
            self._file = name, hashlib.sha256(header)

    def _end_file(self) -> None:
        if self._file is None:
            return
        name, digest = self._file
        self._file = None
        if digest.hexdigest() != self._digests.pop(name):
            raise ModelRejected(f"{name} changed while it was read", "register the model again")

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
            and (self._file is not None or not self._digests)
        )
        if not sound or len(self._tensors) >= MAX_TENSORS:
            raise WorkerFailed("the reading process named a tensor that cannot be")
        assert isinstance(name, str) and isinstance(dtype, str) and isinstance(shape, list)
        self._due = math.prod(shape) * WIDTHS[dtype]
        self._left -= self._due
        if self._left < 0:
            raise WorkerFailed("the reading process sent more than its files can hold")
        self._open, self._objects, self._numbers = (name, dtype, tuple(shape)), [], hashlib.sha256()

    def _seal(self, piece: bytes) -> None:
        if self._file is not None:
            self._file[1].update(piece)
        self._numbers.update(piece)
        self._arriving.append(self._vault.bring(KIND, piece))
        self._objects.append(self._arriving[-1].object_id)
        self._due -= len(piece)

    def _end(self) -> None:
        assert self._open is not None
        name, dtype, shape = self._open
        digest = self._numbers.hexdigest()
        self._tensors[name] = SealedTensor(name, dtype, shape, tuple(self._objects), digest)
        self._open, self._objects = None, []
