"""A fault becomes one line with an id: a traceback prints local variables, and those hold patients' data."""

from __future__ import annotations

import hashlib
from pathlib import Path
from traceback import extract_tb
from typing import Final

_PACKAGES: Final = ("tui", "appliance", "audit_core", "medio")


def fault_line(error: BaseException) -> str:
    """One line that names a fault without any value: kind, place and an id that is equal for equal faults."""
    while (cause := error.__cause__) is not None or (cause := getattr(error, "error", None)) is not None:
        if not isinstance(cause, BaseException):
            break
        error = cause
    frames = extract_tb(error.__traceback__)
    places = [f"{_short(frame.filename)}:{frame.lineno}" for frame in frames]
    kind = type(error).__name__
    identity = hashlib.sha256("\n".join([kind, *places]).encode()).hexdigest()[:8].upper()
    ours = [place for place in places if place.split("/")[0] in _PACKAGES]
    where = (ours or places or ["unknown place"])[-1]
    return (
        f"Fault {identity}: the screens stopped ({kind} in {where}). The log and the workspace are untouched."
    )


def _short(filename: str) -> str:
    parts = Path(filename).parts
    for start, part in enumerate(parts):
        if part in _PACKAGES:
            return "/".join(parts[start:])
    return Path(filename).name
