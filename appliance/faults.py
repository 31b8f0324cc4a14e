"""What may be said of an unexpected error: kind, place and an id; never its message or a value.

A traceback prints local variables, and those hold patients' data.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Final

_PACKAGES: Final = ("tui", "appliance", "audit_core", "medio")
_WORD: Final = re.compile(r"[A-Za-z_]\w{0,59}", re.ASCII)
_FILE: Final = re.compile(r"[\w./<>-]{1,120}", re.ASCII)


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
    places = [f"{short_place(frame.filename)}:{frame.lineno}" for frame in frames]
    name = type(error).__name__
    kind = name if _WORD.fullmatch(name) else "error"
    identity = hashlib.sha256("\n".join([kind, *places]).encode()).hexdigest()[:8].upper()
    ours = [place for place in places if place.split("/")[0] in _PACKAGES]
    return Fault(identity, f"{kind} in {(ours or places or ['unknown place'])[-1]}")


def short_place(filename: str) -> str:
    """A source file without the folders of this machine; "a file" where the name is no such name."""
    parts = Path(filename).parts
    start = next((place for place, part in enumerate(parts) if part in _PACKAGES), len(parts) - 1)
    place = "/".join(parts[start:])
    return place if _FILE.fullmatch(place) else "a file"
