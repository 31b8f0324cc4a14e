"""What may be said of an unexpected error: kind, place and an id; never its message or a value.

A traceback prints local variables, and those hold patients' data.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Final

_PACKAGES: Final = ("tui", "appliance", "audit_core", "medio")


@dataclass(frozen=True, slots=True)
class Fault:
    """An unexpected error, fit to be shown, logged and quoted.

    Attributes:
        fault_id: equal for equal faults, so that two reports of one can be recognised.
        where: kind of the error, and the innermost place in our own code.
    """

    fault_id: str
    where: str


def fault_of(error: BaseException) -> Fault:
    """The fault that stands for an error, or for the error that it wraps."""
    while (cause := error.__cause__) is not None or (cause := getattr(error, "error", None)) is not None:
        if not isinstance(cause, BaseException):
            break
        error = cause
    frames = extract_tb(error.__traceback__)
    places = [f"{_short(frame.filename)}:{frame.lineno}" for frame in frames]
    kind = type(error).__name__
    identity = hashlib.sha256("\n".join([kind, *places]).encode()).hexdigest()[:8].upper()
    ours = [place for place in places if place.split("/")[0] in _PACKAGES]
    return Fault(identity, f"{kind} in {(ours or places or ['unknown place'])[-1]}")


def _short(filename: str) -> str:
    parts = Path(filename).parts
    for start, part in enumerate(parts):
        if part in _PACKAGES:
            return "/".join(parts[start:])
    return Path(filename).name
