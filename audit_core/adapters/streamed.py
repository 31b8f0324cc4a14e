"""Weights that come one tensor after another, in pieces, from whoever keeps them.

The process that opens a model has no file of its weights: it knows what will come, asks for it in order, and
turns each tensor into the precision of the forward pass before it asks for the next. So at no moment is there
more than the network, one tensor and one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from audit_core.adapters.headers import NAMES as KINDS
from audit_core.adapters.headers import PIECE_BYTES, Shapes, header_of
from audit_core.errors import ModelRefused

DTYPES: Final = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "bool": torch.bool,
}
"""Kinds of number that may be in a checkpoint; codes of rounded numbers are none of them."""

NAMES: Final = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Announced:
    """A tensor that will come.

    Attributes:
        dtype: a key of `DTYPES`.
        shape: its sizes.
        pieces: how many it comes in; none where a size is 0.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    pieces: int


class Streamed:
    """The weights of one part of a model, to be taken once.

    Args:
        announced: what will come, in order.
        piece: number of a tensor, number of its piece -> bytes; waits for them.

    Raises:
        ModelRefused: a tensor of a kind that no checkpoint holds, or announced twice.
    """

    def __init__(self, announced: Sequence[Announced], piece: Callable[[int, int], bytes]) -> None:
        self.shapes: Shapes = {one.name: one.shape for one in announced}
        self.dtypes: Mapping[str, torch.dtype] = {one.name: _known(one.dtype) for one in announced}
        if len(self.shapes) != len(announced):
            raise ModelRefused("a sealed tensor is there twice", "register the model again")
        self._announced = announced
        self._piece = piece

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor with its name, one at a time.

        Raises:
            ModelRefused: a tensor is not whole, or larger than announced.
        """
        for number, one in enumerate(self._announced):
            whole = Assembly(one.shape, one.dtype)
            for piece in range(one.pieces):
                whole.add(self._piece(number, piece))
            yield one.name, whole.whole()


Weights = Mapping[str, Tensor] | Streamed
"""What stands in for a folder's weight files: tensors in memory, or tensors to come."""


def shapes_of(weights: Weights) -> Shapes:
    """Names and shapes; nothing is taken."""
    if isinstance(weights, Streamed):
        return weights.shapes
    return {name: tuple(tensor.shape) for name, tensor in weights.items()}


def dtypes_of(weights: Weights) -> Mapping[str, torch.dtype]:
    """Names and kinds of number; nothing is taken."""
    if isinstance(weights, Streamed):
        return weights.dtypes
    return {name: tensor.dtype for name, tensor in weights.items()}


def taken(pairs: Iterable[tuple[str, Tensor]], dtype: torch.dtype) -> dict[str, Tensor]:
    """Tensors by name, their real numbers in this precision."""
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in pairs}


def stored(path: Path, names: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of a folder's safetensors files, one at a time, read and not mapped.

    Numbers in a mapped file begin where the file has them, and sums over them are rounded otherwise than over
    the same numbers at a multiple of 64 bytes, where those of `Streamed` begin.

    Raises:
        ModelRefused: a file is not readable, or shorter than its header says.
    """
    for name in names:
        with (path / name).open("rb") as file:
            header = header_of(file)
            for tensor, shape in header.shapes.items():
                whole = Assembly(shape, KINDS[header.kinds[tensor]])
                for start in range(0, header.sizes[tensor], PIECE_BYTES):
                    whole.add(file.read(min(PIECE_BYTES, header.sizes[tensor] - start)))
                yield tensor, whole.whole()


def coming(weights: Weights) -> Iterable[tuple[str, Tensor]]:
    """Every tensor with its name, as it was stored.

    Raises:
        ModelRefused: as `Streamed.tensors`.
    """
    return weights.tensors() if isinstance(weights, Streamed) else weights.items()


def pieces(tensor: Tensor) -> Iterator[bytes]:
    """A tensor's numbers, row by row, in pieces of at most `PIECE_BYTES`; own copies, whatever it shares."""
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
    for start in range(0, flat.nbytes, PIECE_BYTES):
        yield flat[start : start + PIECE_BYTES].tobytes()


class Assembly:
    """A tensor put together again from its pieces.

    Args:
        shape: sizes of the tensor.
        dtype: a key of `DTYPES`.

    Raises:
        ModelRefused: not a kind of number that may be in a checkpoint.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self._tensor = torch.empty(shape, dtype=_known(dtype))
        self._bytes = self._tensor.reshape(-1).view(torch.uint8).numpy()
        self._filled = 0

    def add(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            ModelRefused: more than the tensor takes.
        """
        end = self._filled + len(piece)
        if end > self._bytes.nbytes:
            raise ModelRefused("a sealed tensor has more numbers than it should")
        self._bytes[self._filled : end] = memoryview(piece)
        self._filled = end

    def whole(self) -> Tensor:
        """The tensor.

        Raises:
            ModelRefused: a piece is missing.
        """
        if self._filled != self._bytes.nbytes:
            raise ModelRefused("a sealed tensor is not whole", "register the model again")
        return self._tensor


def _known(dtype: str) -> torch.dtype:
    if dtype not in DTYPES:
        raise ModelRefused(f"{dtype!s:.20} is not a kind of number a checkpoint holds")
    return DTYPES[dtype]
