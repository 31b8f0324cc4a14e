"""A registered model, handed to a worker from the vault: small files into memory, weights piece by piece.

The worker knows from the start what will come and asks for the pieces in their order; each is unsealed when
it is asked for, and given once. So the parent never holds more than a piece, and no plaintext of weights
touches a disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from appliance.conversion import KIND
from appliance.errors import UsageError, WorkerFailed

if TYPE_CHECKING:
    from appliance.registry import ModelRecord
    from appliance.run_folder import RunFolder
    from appliance.workspace.vault import Vault
    from audit_core.samples import ModelSource

FILE_KIND: Final = "model-file"  # of object in the vault
WEIGHTS: Final = "weights"  # type of a frame that says what will come, and act of a question for a piece


class Served:
    """One model for one job.

    Args:
        vault: holds it.
        record: names its objects.

    Raises:
        UsageError: it was registered by a version that sealed nothing.
    """

    def __init__(self, vault: Vault, record: ModelRecord) -> None:
        if not record.sealed:
            raise UsageError(
                f"model {record.name} was registered by an earlier version, which did not seal it",
                "register it again under another name",
            )
        self._vault = vault
        self._record = record
        self._parts = {part.name: part for part in record.parts()}
        self._next = dict.fromkeys(self._parts, (0, 0))

    @contextmanager
    def placed(self, folder: RunFolder, vendor: ModelSource) -> Iterator[ModelSource]:
        """The source that the worker opens, its small files in memory until this ends.

        Args:
            folder: the worker's.
            vendor: the folders as they lie there now (`registry.checked`).

        Raises:
            IntegrityError: an object is missing, damaged or another one.
            ApplianceError: the memory is full.
        """
        places: dict[str, Path] = {}
        try:
            for name, part in self._parts.items():
                files = ((file, self._vault.get(FILE_KIND, one)) for file, one in part.files.items())
                places[name] = folder.filled(name, files)
            yield replace(
                vendor, sealed=True, path=places["model"], base=places.get("base"), peft=places.get("adapter")
            )
        finally:
            for place in places.values():
                folder.emptied(place)

    def frames(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """What will come: one frame a part."""
        for name, part in self._parts.items():
            tensors = [[one.name, one.dtype, list(one.shape), len(one.objects)] for one in part.tensors]
            yield {"type": WEIGHTS, "part": name, "tensors": tensors}, b""

    def answer(self, question: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """The next piece of a part.

        Raises:
            WorkerFailed: there is no such part, or all of it was given.
            IntegrityError: the object is missing, damaged or another one.
        """
        name = str(question.get("part"))
        if name not in self._parts:
            raise WorkerFailed("the worker asked for something that its job has not")
        tensors = self._parts[name].tensors
        tensor, piece = self._next[name]
        while tensor < len(tensors) and piece >= len(tensors[tensor].objects):
            tensor, piece = tensor + 1, 0
        if tensor >= len(tensors):
            raise WorkerFailed("the worker asked for more weights than there are")
        self._next[name] = tensor, piece + 1
        return {"found": True}, self._vault.get(KIND, tensors[tensor].objects[piece])
