"""What a safetensors file says of itself, read from its header alone and held to the file's size. Torch-free.

Format: u64 length of the header, little endian; json {name: {dtype, shape, data_offsets}}; the numbers. The
tensors must lie side by side, without holes or overlaps, from the first byte after the header to the last.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from audit_core.errors import ModelRefused

MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
"""Of one file; it is json, which parsed takes some thirty times as much memory."""
PIECE_BYTES: Final = 16 << 20
"""Most bytes that are handed on at once; what keeper and opener hold besides the tensor they belong to."""
WIDTHS: Final = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
}
"""Bytes of one number; kinds that are not here are refused."""
NAMES: Final = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "BOOL": "bool",
}
"""The same kinds under the names torch gives them; the rest are codes."""
CODES: Final = ("I8", "U8")
"""Kinds that hold codes of rounded numbers where the numbers of a matrix belong."""
QUANTISED_ENDINGS: Final = (".qweight", ".qzeros", ".SCB", ".absmax", ".weight_packed", ".weight_scale")

Shapes = Mapping[str, tuple[int, ...]]

WRONG_STATISTICS: Final = (
    "slice statistics would be wrong, because what is stored are codes of rounded numbers and not the matrix "
    "that was trained"
)
UNQUANTISED: Final = "ask the vendor for the unquantised weights"


@dataclass(frozen=True, slots=True)
class Header:
    """Tensors of one file.

    Attributes:
        shapes: name -> shape, in the order in which the numbers lie.
        kinds: name -> kind (`F32`, `BF16` …).
        sizes: name -> bytes.
        raw: the header as it stands in the file, with its length in front.
    """

    shapes: Mapping[str, tuple[int, ...]]
    kinds: Mapping[str, str]
    sizes: Mapping[str, int]
    raw: bytes = field(default=b"", repr=False)


def read_header(path: Path) -> Header:
    """The header of a safetensors file.

    Raises:
        ModelRefused: the file is not safetensors, is cut or padded, its tensors overlap or leave holes, or
            the numbers are quantised.
    """
    try:
        with path.open("rb") as file:
            return header_of(file)
    except OSError as error:
        raise ModelRefused(f"{path.name} cannot be read", "the copy may be incomplete") from error


def header_of(file: BinaryIO) -> Header:
    """The header of an open safetensors file, which then stands at its first number.

    Raises:
        ModelRefused: as `read_header`.
    """
    try:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if not 2 <= length <= MAX_HEADER_BYTES:
            raise ValueError("its header has no possible length")
        text = file.read(length)
        document = json.loads(text, object_pairs_hook=_without_doubles)
        return replace(_checked(document, os.fstat(file.fileno()).st_size - 8 - length), raw=start + text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        why = str(error) if type(error) is ValueError else "its header does not have the form"
        raise ModelRefused(
            f"{Path(file.name).name} is not a readable safetensors file: {why}"[:300],
            "the copy may be incomplete; compare its size",
        ) from error


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes in a safetensors file.

    Raises:
        ModelRefused: as `read_header`.
    """
    return dict(read_header(path).shapes)


def refuse_codes(name: str, kind: str) -> None:
    """Refuse a tensor that holds codes of rounded numbers.

    Raises:
        ModelRefused: naming the tensor.
    """
    if kind in CODES or kind not in WIDTHS or name.endswith(QUANTISED_ENDINGS):
        raise ModelRefused(f"{name} is quantised ({kind!s:.20}): {WRONG_STATISTICS}", UNQUANTISED)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header names a tensor twice")
    return found


def _checked(document: Mapping[str, Any], size: int) -> Header:
    shapes: dict[str, tuple[int, ...]] = {}
    kinds: dict[str, str] = {}
    places: list[tuple[int, int, str]] = []
    for name, entry in document.items():
        if name == "__metadata__":
            continue
        kind, shape, (start, end) = str(entry["dtype"]), entry["shape"], entry["data_offsets"]
        if not all(type(n) is int and n >= 0 for n in (*shape, start, end)):
            raise ValueError(f"{name!s:.80} has no possible size")
        refuse_codes(name, kind)
        if end - start != math.prod(shape) * WIDTHS[kind]:
            raise ValueError(f"{name!s:.80} is given another number of bytes than its shape takes")
        shapes[name], kinds[name] = tuple(shape), kind
        places.append((start, end, name))
    reached, order = 0, []
    for start, end, name in sorted(places):
        if start != reached:
            raise ValueError(f"{name!s:.80} {'overlaps another' if start < reached else 'follows a hole'}")
        reached = end
        order.append((name, end - start))
    if reached != size:
        raise ValueError(f"it should hold {reached} bytes of numbers and holds {size}")
    return Header({name: shapes[name] for name, _ in order}, kinds, dict(order))
