"""Pipeline identity (METHOD §6): is the folder on disk still the model that was registered? Torch-free."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from audit_core.results import Consequence, ControlName, ControlOutcome, ControlStatus
from audit_core.samples import ModelSource


def identity_control(source: ModelSource) -> ControlOutcome:
    """Recompute every file digest of the model, its adapter and its base against the registered ones.

    A file that is missing, changed or new fails the control: each can change what the model computes.
    """
    wrong = differences(source)
    checked = sum(map(len, (source.digests, source.peft_digests, source.base_digests)))
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        sentence = f"The model is not the one that was registered: {'; '.join(wrong[:3])}{more}."
    else:
        sentence = f"All {checked} files have the digests they were registered with."
    return ControlOutcome(
        ControlName.IDENTITY.value,
        ControlStatus.FAILED if wrong else ControlStatus.PASSED,
        Consequence.VOID,
        sentence,
        {"files": float(checked), "different": float(len(wrong))},
    )


def differences(source: ModelSource) -> list[str]:
    """What is not as it was registered, one phrase a file; empty where everything is."""
    parts = (
        ("", source.path, source.digests),
        ("adapter: ", source.peft, source.peft_digests),
        ("base: ", source.base, source.base_digests),
    )
    wrong = []
    for prefix, folder, registered in parts:
        if folder is None:
            continue
        if not registered:
            wrong.append(f"{prefix}no digests were registered")
        wrong += [f"{prefix}{what}" for what in _differences(folder, registered)]
    return wrong


def _differences(folder: Path, registered: Mapping[str, str]) -> list[str]:
    present = {
        entry.relative_to(folder).as_posix(): entry
        for entry in sorted(folder.rglob("*"))
        if entry.is_symlink() or not entry.is_dir()
    }
    found = [f"{name} is missing" for name in sorted(set(registered) - set(present))]
    found += [f"{name} is new" for name in sorted(set(present) - set(registered))]
    for name in sorted(set(registered) & set(present)):
        entry = present[name]
        if entry.is_symlink() or not entry.is_file():
            found.append(f"{name} is no plain file")
        elif _sha256(entry) != registered[name]:
            found.append(f"{name} has changed")
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
