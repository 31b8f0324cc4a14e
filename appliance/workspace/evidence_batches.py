"""What a run writes about patients and cannot read back: batches sealed to the evidence key (SECURITY §2).

    evidence/waiting/<name>.<kind>.sealed    until somebody who holds the evidence key opens the store
    evidence/damaged/<name>.<kind>.sealed    what could not be opened then

A batch has a random key, HPKE-sealed to the public evidence key, and its content as GA1 under that key and a
sub-key of the vault: nobody without the evidence key opens one, and nobody without the RUN key makes one that
opens. The format is written down in docs/spec/evidence-store.md; vectors in tests/vectors.
"""

from __future__ import annotations

import errno
import hashlib
import re
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag

from appliance.errors import CannotWrite, IntegrityError, NotNow
from appliance.workspace.durable import make_directory, sync_directory, write_atomically
from appliance.workspace.ga1 import Meaning, Unsealer, seal
from appliance.workspace.grants import open_sealed, public_of, seal_to
from appliance.workspace.keys import KEY_BYTES, RunKeys, SecretKey
from appliance.workspace.keyslots import canonical

if TYPE_CHECKING:
    from appliance.workspace.workspace import Workspace

EVIDENCE: Final = "evidence"  # folder of the workspace
WAITING: Final = "waiting"
DAMAGED: Final = "damaged"
FINDINGS: Final = "findings"
IDENTITIES: Final = "identities"
ERASURE: Final = "erasure"
REVEAL: Final = "reveal"
MAGIC: Final = b"GAE1"
ENCAPSULATED: Final = 32 + KEY_BYTES + 16  # HPKE: encapsulated key, sealed key, tag
_ABANDONED_S: Final = 3600.0
_PASSING: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR)  # says nothing about the file
_LABEL: Final = "gradaudit evidence batch v1"
_FILE: Final = re.compile(rf"([0-9a-f]{{64}})\.({FINDINGS}|{IDENTITIES}|{ERASURE}|{REVEAL})\.sealed")


@dataclass(frozen=True, slots=True)
class Waiting:
    """One batch on disk."""

    name: str
    kind: str
    path: Path

    def digest(self) -> str:
        """Hex SHA-256 of the file as it lies there; "" where it cannot be read."""
        try:
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError:
            return ""


class EvidenceBatches:
    """The write-only side of the evidence store; works with the RUN key alone.

    Args:
        directory: `evidence` of the workspace; made when first needed.
        keys: of the workspace.
        workspace_id: 16 bytes.
        public: X25519 evidence key, 32 bytes.
    """

    def __init__(self, directory: Path, keys: RunKeys, workspace_id: bytes, public: bytes) -> None:
        self._waiting = directory / WAITING
        self._damaged = directory / DAMAGED
        self._keys = keys
        self.workspace_id = workspace_id
        self._public = public

    @classmethod
    def of(cls, workspace: Workspace) -> EvidenceBatches:
        """The batches of an open workspace."""
        keyring = workspace.keyring
        return cls(workspace.root / EVIDENCE, workspace.keys, keyring.workspace_id, keyring.evidence)

    def __repr__(self) -> str:
        return f"EvidenceBatches({str(self._waiting)!r})"

    def name_of(self, kind: str, about: str) -> str:
        """Name of the batch of this kind about one audit or erasure: 64 hex digits that say nothing."""
        return self._keys.names.handle("evidence batch", kind, about)

    def put(self, kind: str, about: str, content: bytes) -> str:
        """Seal a batch; it is on disk when this returns, whole or not at all.

        One about the same thing takes the place of the first: a resumed audit seals its findings once.

        Args:
            kind: FINDINGS, IDENTITIES, ERASURE or REVEAL.
            about: id of the audit, erasure or reveal.
            content: UTF-8 JSON.

        Returns:
            Its name.

        Raises:
            CannotWrite: the disk is full or refuses.
        """
        name, key = self.name_of(kind, about), SecretKey.random()
        encapsulated = seal_to(self._public, key.raw, self._info(kind, name))
        pieces = seal(self._sealing(key), self._meaning(kind, name), content)
        try:
            if not self._waiting.is_dir():
                make_directory(self._waiting.parent)
                make_directory(self._waiting)
                sync_directory(self._waiting.parent.parent)
                sync_directory(self._waiting.parent)
            write_atomically(self._path(kind, name), b"".join((MAGIC, encapsulated, *pieces)))
        except OSError as error:
            raise CannotWrite(
                f"cannot write findings: {error.strerror}", "Free some space; nothing was changed."
            ) from None
        return name

    def discard(self, kind: str, about: str) -> None:
        """Remove a batch of what came to nothing, if it is there."""
        self._path(kind, self.name_of(kind, about)).unlink(missing_ok=True)

    def remove(self, batches: list[Waiting]) -> None:
        """Remove batches whose content is on disk elsewhere, and what writers that were killed left."""
        for one in batches:
            one.path.unlink(missing_ok=True)
        for left in self._waiting.glob(".*"):
            with suppress(FileNotFoundError):  # its writer has just renamed it
                if time.time() - left.stat().st_mtime > _ABANDONED_S:
                    left.unlink()
        if batches:
            sync_directory(self._waiting)
        for one in batches:  # a whole copy of it was brought back
            (self._damaged / one.path.name).unlink(missing_ok=True)

    def waiting(self) -> list[Waiting]:
        """Batches that nobody has opened yet, by name; leftovers of a killed writer are none."""
        if not self._waiting.is_dir():
            return []
        files = (path for path in sorted(self._waiting.iterdir()) if path.is_file() and not path.is_symlink())
        known = ((_FILE.fullmatch(path.name), path) for path in files)
        return [Waiting(found[1], found[2], path) for found, path in known if found is not None]

    def counting(self, settled: Collection[str]) -> list[Waiting]:
        """Batches that are to be merged: of an audit that may go on, and then seals anew, there is none.

        Args:
            settled: ids of audits that are done.
        """
        of_audits = (FINDINGS, IDENTITIES)
        names = {self.name_of(kind, audit) for kind in of_audits for audit in settled}
        return [one for one in self.waiting() if one.kind not in of_audits or one.name in names]

    def set_aside(self, batches: Sequence[Waiting]) -> None:
        """Move batches that cannot be taken in to where nobody tries again."""
        if not batches:
            return
        make_directory(self._damaged)
        for one in batches:
            with suppress(FileNotFoundError):
                one.path.replace(self._damaged / one.path.name)
        sync_directory(self._damaged)
        sync_directory(self._waiting)
        sync_directory(self._damaged.parent)

    def is_damaged(self, kind: str, name: str) -> bool:
        """Whether the batch of this name was set aside."""
        return (self._damaged / self._path(kind, name).name).exists()

    def damaged(self) -> int:
        """How many batches were set aside."""
        return sum(1 for _ in self._damaged.iterdir()) if self._damaged.is_dir() else 0

    def opened(self, batch: Waiting, private: SecretKey) -> bytes:
        """The content of a batch.

        Args:
            private: the evidence key.

        Raises:
            IntegrityError: damaged, another batch, of another workspace, or sealed to another evidence key.
            NotNow: this machine has no room to open a file.
        """
        shown = f"{EVIDENCE}/{WAITING}/{batch.path.name}"
        try:
            data = batch.path.read_bytes()
        except OSError as error:
            said = f"{shown} cannot be opened: {error.strerror}"
            if error.errno in _PASSING:
                raise NotNow(said, "Close other programs and try again.") from None
            raise IntegrityError(said, HINT) from None
        start = len(MAGIC) + ENCAPSULATED
        info = self._info(batch.kind, batch.name)
        try:
            if not data.startswith(MAGIC):
                raise ValueError("not a batch")
            key = SecretKey(open_sealed(private, data[len(MAGIC) : start], info))
        except (InvalidTag, ValueError):
            whose = "" if public_of(private) == self._public else " or sealed to an earlier evidence key"
            raise IntegrityError(f"{shown} is damaged, cut, forged{whose}", HINT) from None

        def read_at(offset: int, length: int) -> bytes:
            return data[start + offset : start + offset + length]

        meaning = self._meaning(batch.kind, batch.name)
        sealed = Unsealer(self._sealing(key), meaning, read_at, len(data) - start, shown)
        return sealed.read(0, sealed.size)

    def _path(self, kind: str, name: str) -> Path:
        return self._waiting / f"{name}.{kind}.sealed"

    def _sealing(self, key: SecretKey) -> SecretKey:
        """The GA1 key: the batch's own, and a sub-key of the vault that only holders of the RUN key have."""
        return key.derive(_LABEL, self._keys.vault.derive(_LABEL).raw)

    def _meaning(self, kind: str, name: str) -> Meaning:
        return Meaning(self.workspace_id, bytes.fromhex(name), kind)

    def _info(self, kind: str, name: str) -> bytes:
        return canonical(
            {
                "format": "gradaudit-evidence-batch",
                "version": 1,
                "workspace_id": self.workspace_id.hex(),
                "evidence": self._public.hex(),
                "kind": kind,
                "name": name,
            }
        )


HINT: Final = "Restore this file from a backup, or run the audit anew."
