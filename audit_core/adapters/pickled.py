"""Pickled weights read once, as tensors and nothing else, and handed on piece by piece.

Runs in a boxed process of its own at registration, never where a model is audited. The unpickler knows
tensors and plain containers only: a global it does not know ends the reading, and nothing is run.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from audit_core.adapters.headers import UNQUANTISED, WRONG_STATISTICS
from audit_core.adapters.streamed import NAMES
from audit_core.errors import ModelRefused

WRAPPERS: Final = ("state_dict", "model", "module")
"""Keys under which trainers put the weights beside other things; one level is unwrapped."""

_GLOBAL: Final = re.compile(r"GLOBAL ([\w.]{1,80})")
_ZIP: Final = b"PK\x03\x04"
_PLAIN: Final = "ask the vendor for a plain state dict, best as safetensors"


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Every tensor of one pickled weight file, and under which key it was found (empty at the top).

    Zipped files are mapped, so their numbers are read when they are handed on.

    Raises:
        ModelRefused: code, anything but tensors, quantised or impossible tensors, damage.
    """
    with path.open("rb") as file:
        zipped = file.read(4) == _ZIP
    try:
        document = torch.load(str(path), map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise _refused(path.name, str(error)) from error
    except MemoryError as error:
        raise ModelRefused(f"{path.name} needs more memory than a file of its size", _PLAIN) from error
    except Exception as error:
        if "TorchScript" in str(error):
            raise ModelRefused(f"{path.name} is a TorchScript program, which is code", _PLAIN) from error
        raise ModelRefused(
            f"{path.name} cannot be read as weights ({type(error).__name__})", "the copy may be incomplete"
        ) from error
    found, wrapper = _unwrapped(path.name, document)
    _check(path.name, found, path.stat().st_size)
    return found, wrapper


def dtype_name(tensor: Tensor) -> str:
    """The kind of a tensor's numbers, a key of `streamed.DTYPES`."""
    return NAMES[tensor.dtype]


def _refused(file: str, said: str) -> ModelRefused:
    found = _GLOBAL.search(said)
    if found is None:
        return ModelRefused(f"{file} holds instructions that tensors do not need; nothing was run", _PLAIN)
    return ModelRefused(f"{file} asks for {found[1]}, which is no tensor; nothing was run", _PLAIN)


def _unwrapped(file: str, document: Any) -> tuple[dict[str, Tensor], str]:
    if not isinstance(document, Mapping):
        raise ModelRefused(f"{file} holds a {type(document).__name__} and no named tensors", _PLAIN)
    wrapper = next((key for key in WRAPPERS if isinstance(document.get(key), Mapping)), "")
    inner = document[wrapper] if wrapper else document
    for name, value in inner.items():
        if not isinstance(name, str) or not name.isprintable() or len(name) > 300:
            raise ModelRefused(f"{file} names a tensor {ascii(name)!s:.80}", _PLAIN)
        if not isinstance(value, Tensor):
            raise ModelRefused(f"{file} holds a {type(value).__name__} under {name!s:.80}, no tensor", _PLAIN)
    if not inner:
        raise ModelRefused(f"{file} holds no tensors", "the copy may be incomplete")
    return dict(inner), wrapper


def _check(file: str, tensors: Mapping[str, Tensor], size: int) -> None:
    total = 0
    for name, tensor in tensors.items():
        if tensor.is_quantized or tensor.dtype not in NAMES:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ModelRefused(
                f"{name!s:.80} in {file} is quantised ({kind}): {WRONG_STATISTICS}", UNQUANTISED
            )
        if tensor.layout is not torch.strided or tensor.device.type != "cpu":
            raise ModelRefused(f"{name!s:.80} in {file} is not stored number by number", _PLAIN)
        total += tensor.numel() * tensor.element_size()
    if total > 2 * size:  # tied tensors are stored once and count twice; more is a trick
        raise ModelRefused(f"{file} says it holds more numbers than its size allows", _PLAIN)
