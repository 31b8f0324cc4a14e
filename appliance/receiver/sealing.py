"""Received bytes as one sealed file: anybody with the public key writes one, only the RUN key opens it.

The format is written down in docs/spec/received.md. The private key is a sub-key of the vault, so it stays
the same when the RUN key changes, and the process that listens never has it.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag

from appliance.errors import IntegrityError, Locked, UsageError
from appliance.workspace.durable import write_atomically
from appliance.workspace.ga1 import Meaning, Sealer, Unsealer
from appliance.workspace.grants import open_sealed, public_of, seal_to
from appliance.workspace.keys import KEY_BYTES, SecretKey
from appliance.workspace.keyslots import canonical

MAGIC: Final = b"GAR1"
KIND: Final = "received"
OBJECT_BYTES: Final = 32
ENCAPSULATED: Final = 32 + KEY_BYTES + 16  # HPKE: encapsulated key, sealed key, tag
PREFIX_BYTES: Final = len(MAGIC) + OBJECT_BYTES + ENCAPSULATED
_PRIVATE: Final = "gradaudit received v1: private key"
_NAMES: Final = "gradaudit received v1: names"
_FORMAT: Final = "gradaudit-received"
_MOST_BYTES: Final = 4096
_FOREIGN: Final = "Set the receiver up: `gradaudit receive setup`."


@dataclass(frozen=True, slots=True)
class Address:
    """Whom received bytes are sealed to; all that the process that listens knows of a workspace.

    Attributes:
        workspace_id: 16 bytes.
        public: X25519 public key, 32 bytes.
        names: turns what a file is about into its name; opens nothing.
    """

    workspace_id: bytes
    public: bytes
    names: SecretKey

    @classmethod
    def of_vault(cls, vault: SecretKey, workspace_id: bytes) -> Address:
        """That of an open workspace."""
        return cls(workspace_id, public_of(private_key(vault)), vault.derive(_NAMES))

    def write(self, path: Path) -> None:
        """Write it durably, mode 0600."""
        document = {
            "format": _FORMAT,
            "version": 1,
            "workspace_id": self.workspace_id.hex(),
            "public": self.public.hex(),
            "names": self.names.raw.hex(),
        }
        write_atomically(path, canonical(document) + b"\n")

    @classmethod
    def read(cls, path: Path) -> Address:
        """Read it.

        Raises:
            Locked: there is none.
            UsageError: it is not one.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # whoever receives may lay a pipe
        try:
            with os.fdopen(os.open(path, flags), "rb") as file:
                document = json.loads(file.read(_MOST_BYTES))
            if (document.pop("format"), document.pop("version")) != (_FORMAT, 1) or len(document) != 3:
                raise ValueError("another format")
            found = cls(
                bytes.fromhex(document["workspace_id"]),
                bytes.fromhex(document["public"]),
                SecretKey(bytes.fromhex(document["names"])),
            )
            if len(found.workspace_id) != 16 or len(found.public) != KEY_BYTES:
                raise ValueError("of another size")
        except OSError as error:
            raise Locked(f"there is no receiver here: {error.strerror}", _FOREIGN) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise UsageError(f"{path.name} is not the address of a receiver", _FOREIGN) from None
        return found


class Sealing:
    """One object on its way: pieces in, sealed bytes out, written by whoever asks."""

    def __init__(self, address: Address) -> None:
        object_id, key = secrets.token_bytes(OBJECT_BYTES), SecretKey.random()
        self._sealer = Sealer(key, _meaning(address.workspace_id, object_id))
        encapsulated = seal_to(
            address.public, key.raw, _info(address.workspace_id, address.public, object_id)
        )
        self.head = MAGIC + object_id + encapsulated + self._sealer.header
        self.add, self.end = self._sealer.add, self._sealer.end


def private_key(vault: SecretKey) -> SecretKey:
    """The private key of a workspace's receiver."""
    return vault.derive(_PRIVATE)


def unsealed(descriptor: int, vault: SecretKey, workspace_id: bytes, name: str) -> Unsealer:
    """Access to what was received.

    Args:
        descriptor: of the open file.
        vault: the kept key.
        workspace_id: of the workspace.
        name: what an error calls the file.

    Raises:
        IntegrityError: damaged, cut, or sealed to somebody else.
    """
    private = private_key(vault)
    head = os.pread(descriptor, PREFIX_BYTES, 0)
    size = os.fstat(descriptor).st_size
    object_id = head[len(MAGIC) : len(MAGIC) + OBJECT_BYTES]
    try:
        if len(head) != PREFIX_BYTES or not head.startswith(MAGIC):
            raise ValueError("not a received file")
        info = _info(workspace_id, public_of(private), object_id)
        key = SecretKey(open_sealed(private, head[len(MAGIC) + OBJECT_BYTES :], info))
    except (InvalidTag, ValueError):
        raise IntegrityError(f"{name} is damaged, cut, or was not sealed to this workspace") from None

    def read_at(offset: int, length: int) -> bytes:
        return os.pread(descriptor, length, PREFIX_BYTES + offset)

    return Unsealer(key, _meaning(workspace_id, object_id), read_at, size - PREFIX_BYTES, name)


def _meaning(workspace_id: bytes, object_id: bytes) -> Meaning:
    return Meaning(workspace_id, object_id, KIND)


def _info(workspace_id: bytes, public: bytes, object_id: bytes) -> bytes:
    return canonical(
        {
            "format": _FORMAT,
            "version": 1,
            "workspace_id": workspace_id.hex(),
            "public": public.hex(),
            "object": object_id.hex(),
        }
    )
