"""What a safetensors file says of itself, read from its header alone and held to the file's size. Torch-free.

Format: u64 length of the header, little endian; json {name: {dtype, shape, data_offsets}}; the numbers. The
tensors must lie side by side, without holes or overlaps, from the first byte after the header to the last.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from audit_core.errors import ModelRefused

MAX_HEADER_BYTES: Final = 16 * 1024 * 1024
"""Of one file; it is json, which parsed takes some thirty times as much memory."""
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
    """Tensors of one file: name -> shape, and name -> kind (`F32`, `BF16` …)."""

    shapes: Mapping[str, tuple[int, ...]]
    kinds: Mapping[str, str]


def read_header(path: Path) -> Header:
    """The header of a safetensors file.

    Raises:
        ModelRefused: the file is not safetensors, is cut or padded, its tensors overlap or leave holes, or
            the numbers are quantised.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= MAX_HEADER_BYTES:
                raise ValueError("its header has no possible length")
            document = json.loads(file.read(length), object_pairs_hook=_without_doubles)
        return _checked(document, path.stat().st_size - 8 - length)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        why = str(error) if type(error) is ValueError else "its header does not have the form"
        raise ModelRefused(
            f"{path.name} is not a readable safetensors file: {why}"[:300],
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
    reached = 0
    for start, end, name in sorted(places):
        if start != reached:
            raise ValueError(f"{name!s:.80} {'overlaps another' if start < reached else 'follows a hole'}")
        reached = end
    if reached != size:
        raise ValueError(f"it should hold {reached} bytes of numbers and holds {size}")
    return Header(shapes, kinds)
