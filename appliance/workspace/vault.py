"""The vault: sealed objects addressed by a keyed digest of their content.

    objects/ab/<object id>.ga1      sealed, complete, on disk
    objects/incoming/<random>       sealed, on the way; left behind only by a crash, swept by the next writer

An object id says nothing about the content without the key, and the same content has the same id, so storing
twice costs nothing and a catalogue row can never point at other bytes than those it was written for.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.errors import CannotWrite, IntegrityError
from appliance.workspace.durable import make_directory, sync_directory, sync_filesystem, write_new
from appliance.workspace.ga1 import Meaning, Unsealer, seal
from appliance.workspace.keys import RunKeys, SecretKey

FINDINGS: Final = "findings"
ASSIGNMENT: Final = "assignment"  # of a design: who may leave, and what was planted
_ANSWERS: Final = (
    FINDINGS,
    ASSIGNMENT,
)  # these kinds have their own key: what they hold is about one patient
_OBJECT_ID: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Arriving:
    """A sealed object on its way.

    Attributes:
        path: where it waits for `settle`; None when the same content is stored already.
        size: bytes of its content.
    """

    object_id: str
    path: Path | None
    size: int


class Vault:
    """Sealed objects of one workspace."""

    def __init__(self, directory: Path, keys: RunKeys, workspace_id: bytes, epoch: int) -> None:
        self._directory = directory
        self._incoming = directory / "incoming"
        self._workspace_id = workspace_id
        self._epoch = epoch
        self._keys = keys

    def __repr__(self) -> str:
        return f"Vault({str(self._directory)!r})"

    def put(self, kind: str, content: bytes) -> str:
        """Seal `content` and return its object id; the same content of the same kind is stored once.

        The object is on disk when this returns.

        Args:
            kind: what it is, 1 to 16 of `a-z0-9-`; part of what is authenticated.
            content: plaintext of any length.

        Raises:
            CannotWrite: the disk is full or refuses.
        """
        arriving = self._sealed(kind, content, sync=True)
        if arriving.path is not None:
            try:
                sync_directory(self._name(arriving.object_id, arriving.path))
            except OSError as error:
                arriving.path.unlink(missing_ok=True)
                raise _cannot_write(error) from None
        return arriving.object_id

    def bring(self, kind: str, content: bytes) -> Arriving:
        """Seal `content`, to be stored by `settle` with many others; several threads may do so at once.

        Raises:
            CannotWrite: the disk is full or refuses.
        """
        return self._sealed(kind, content, sync=False)

    def settle(self, arrivals: Sequence[Arriving]) -> None:
        """Store what was brought, with two waits for the disk instead of three an object.

        All of it is on disk when this returns, so write catalogue rows that name it afterwards.

        Raises:
            CannotWrite: the disk is full or refuses; what already got its name is complete and harmless.
        """
        waiting = [(one.object_id, one.path) for one in arrivals if one.path is not None]
        try:
            if waiting:
                sync_filesystem(self._directory)  # bytes first: a name never leads to a hole
                while waiting:
                    self._name(*waiting[-1], sync=False)
                    waiting.pop()
                sync_filesystem(self._directory)
        except OSError as error:
            raise _cannot_write(error) from None
        finally:
            for _, path in waiting:
                path.unlink(missing_ok=True)

    def exists(self, object_id: str) -> bool:
        """Whether an object is stored; says nothing about its health."""
        return self._locate(object_id).is_file()

    def get(self, kind: str, object_id: str) -> bytes:
        """The whole plaintext.

        Raises:
            IntegrityError: missing, damaged, swapped, or of another kind; the file is named.
        """
        with self.open(kind, object_id) as sealed:
            return sealed.read(0, sealed.size)

    def read_range(self, kind: str, object_id: str, start: int, length: int) -> bytes:
        """Plaintext bytes [start, start + length), fewer at the end; only those chunks are opened.

        Raises:
            IntegrityError: as `get`, for the header, the end and this range.
        """
        with self.open(kind, object_id) as sealed:
            return sealed.read(start, length)

    @contextmanager
    def open(self, kind: str, object_id: str) -> Iterator[Unsealer]:
        """Many ranges of one object.

        Raises:
            IntegrityError: missing, cut, swapped, or of another kind; the file is named.
        """
        path = self._locate(object_id)
        name = str(path.relative_to(self._directory.parent))
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise IntegrityError(
                f"{name} cannot be opened: {error.strerror}", "Restore it from a backup."
            ) from None
        try:
            meaning, size = self._meaning(kind, object_id), os.fstat(descriptor).st_size

            def read_at(offset: int, length: int) -> bytes:
                return os.pread(descriptor, length, offset)

            yield Unsealer(self._sealing_key(kind), meaning, read_at, size, name)
        finally:
            os.close(descriptor)

    def sweep(self) -> int:
        """Remove what was brought and never settled; returns how many.

        Call it holding the writer lock, while nothing is being brought: what then lies there is a leftover.
        """
        leftovers = list(self._incoming.iterdir())
        for arriving in leftovers:
            arriving.unlink(missing_ok=True)
        return len(leftovers)

    def _locate(self, object_id: str) -> Path:
        if not _OBJECT_ID.fullmatch(object_id):
            raise ValueError("not an object id")
        return self._directory / object_id[:2] / f"{object_id}.ga1"

    def _sealed(self, kind: str, content: bytes, *, sync: bool) -> Arriving:
        object_id = self._object_id(kind, content)
        if self.exists(object_id):
            return Arriving(object_id, None, len(content))
        arriving = self._incoming / secrets.token_hex(16)
        pieces = seal(self._sealing_key(kind), self._meaning(kind, object_id), content)
        try:
            write_new(arriving, pieces, sync=sync)
        except OSError as error:
            arriving.unlink(missing_ok=True)
            raise _cannot_write(error) from None
        return Arriving(object_id, arriving, len(content))

    def _name(self, object_id: str, arriving: Path, *, sync: bool = True) -> Path:
        """Give an arrived file its name; returns the directory that now holds it."""
        home = self._directory / object_id[:2]
        if not home.is_dir():
            make_directory(home)
            if sync:
                sync_directory(self._directory)
        arriving.replace(home / f"{object_id}.ga1")
        return home

    def _sealing_key(self, kind: str) -> SecretKey:
        return self._keys.findings if kind in _ANSWERS else self._keys.vault

    def _object_id(self, kind: str, content: bytes) -> str:
        naming_key = self._sealing_key(kind).derive("gradaudit object id v1")
        mac = hmac.new(naming_key.raw, kind.encode("ascii") + b"\x00", hashlib.sha256)
        mac.update(content)
        return mac.hexdigest()

    def _meaning(self, kind: str, object_id: str) -> Meaning:
        return Meaning(self._workspace_id, bytes.fromhex(object_id), kind, self._epoch)


def create_objects(directory: Path) -> None:
    """Lay out an empty vault."""
    make_directory(directory)
    make_directory(directory / "incoming")


def _cannot_write(error: OSError) -> CannotWrite:
    return CannotWrite(
        f"cannot write to the vault: {error.strerror}", "Free some space; nothing was changed."
    )
