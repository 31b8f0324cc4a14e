"""Objects of a model that is being taken in: named here until the catalogue names them.

A model's objects reach their places in the vault before the trial, and the catalogue learns of them after it.
What is listed here and in no registered model was left behind by a kill or a refusal, and is removed.

    quarantine/<random>.json    object ids, one intake a file
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from appliance.errors import CannotWrite
from appliance.workspace.durable import make_directory, sync_directory, write_atomically
from appliance.workspace.vault import Arriving, Vault

FOLDER: Final = "quarantine"


@contextmanager
def held(
    root: Path, vault: Vault, arriving: Sequence[Arriving], named: Callable[[], Collection[str]]
) -> Iterator[None]:
    """Settle what was brought; what is new of it, and in no registered model at the end, goes again.

    Call it holding the writer lock, and write the catalogue's row inside.

    Args:
        root: of the workspace.
        vault: of the same.
        arriving: what was brought.
        named: objects of all registered models, asked for at the end.

    Raises:
        CannotWrite: the disk is full or refuses.
    """
    new = sorted({one.object_id for one in arriving if one.path is not None})
    listed = _listed(root, new)
    try:
        vault.settle(arriving)
        yield
    finally:
        _remove(vault, set(new) - set(named()))
        listed.unlink(missing_ok=True)


def sweep(root: Path, vault: Vault, named: Collection[str]) -> int:
    """Remove what intakes that were cut off have left; returns how many objects.

    Args:
        root: of the workspace; the caller holds its writer lock.
        vault: of the same.
        named: objects of all registered models.
    """
    found = 0
    for listed in sorted((root / FOLDER).iterdir()) if (root / FOLDER).is_dir() else ():
        if listed.suffix == ".json":  # else one that was never finished, before anything was settled
            found += _remove(vault, set(json.loads(listed.read_text(encoding="ascii"))) - set(named))
        listed.unlink(missing_ok=True)
    return found


def _listed(root: Path, objects: Sequence[str]) -> Path:
    try:
        make_directory(root / FOLDER)
        sync_directory(root)
        path = root / FOLDER / f"{secrets.token_hex(8)}.json"
        write_atomically(path, json.dumps(objects).encode("ascii"))
    except OSError as error:
        raise CannotWrite(f"cannot write to the workspace: {error.strerror}", "Free some space.") from None
    return path


def _remove(vault: Vault, objects: Collection[str]) -> int:
    return sum(vault.remove(one) for one in objects)
