"""One user's slot: a passphrase, or a random secret, that opens the user's own private key (SECURITY §2).

Argon2id over a passphrase (or HKDF over a random secret) wraps an X25519 private key and the workspace's
anchor (`Identity`) with AES-256-GCM. The workspace id, the user's name, role and public key, and the Argon2id
settings are authenticated with it: a slot moved to another workspace, or given another role, does not open.
What a user may open is granted to the public key (`grants`), so a passphrase changes without anybody else,
and keys change without any passphrase.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from appliance.errors import ApplianceError, UsageError
from appliance.workspace.keys import KEY_BYTES, SecretKey
from appliance.workspace.roles import Role

MINIMUM_PASSPHRASE: Final = 8  # characters
_NAME: Final = re.compile(r"[a-z][a-z0-9._-]{0,31}")


@dataclass(frozen=True, slots=True)
class Argon2Settings:
    """Cost of one guess at the passphrase."""

    memory_kib: int
    passes: int
    lanes: int

    def within_limits(self) -> bool:
        """False for settings only a manipulated file would carry, such as a terabyte of memory."""
        return (
            8 * self.lanes <= self.memory_kib <= 4 << 20 and 1 <= self.passes <= 16 and 1 <= self.lanes <= 16
        )

    def below(self, floor: Argon2Settings) -> bool:
        """Whether a guess costs less than with `floor`; lanes change nothing about that."""
        return self.memory_kib < floor.memory_kib or self.passes < floor.passes


PASSPHRASE_KDF: Final = Argon2Settings(memory_kib=262_144, passes=3, lanes=4)
FLOOR: Final = PASSPHRASE_KDF  # what costs less is refused
UNSAFE_FAST_KDF: Final = Argon2Settings(memory_kib=64, passes=1, lanes=1)  # tests only
UNSAFE_ID: Final = b"UNSAFEKD"  # tests only: how the id of a workspace begins whose passphrases are cheap


@dataclass(frozen=True, slots=True)
class User:
    """Who a slot is for.

    Attributes:
        name: 1 to 32 of `a-z0-9._-`, as typed at unlock.
        role: what the keys granted to it open.
        public: X25519 public key, 32 bytes.
    """

    name: str
    role: Role
    public: bytes


@dataclass(frozen=True, slots=True)
class Slot:
    """A user's private key under a passphrase; `kdf` is None where the secret is random, not typed."""

    user: User
    kdf: Argon2Settings | None
    salt: bytes
    nonce: bytes
    wrapped: bytes

    def opened(self, secret: str, workspace_id: bytes) -> Identity | None:
        """The user, by passphrase or random secret; None when it is another."""
        cipher = AESGCM(_wrapping_key(secret, self.kdf, self.salt).raw)
        try:
            raw = cipher.decrypt(self.nonce, self.wrapped, _associated(self.user, self.kdf, workspace_id))
        except (InvalidTag, ValueError):
            return None
        return Identity(self.user, SecretKey(raw[:KEY_BYTES]), SecretKey(raw[KEY_BYTES:]))


@dataclass(frozen=True, slots=True)
class Identity:
    """A user who has proved it.

    Attributes:
        user: who.
        private: X25519 private key.
        anchor: 32 random bytes, the same for all users of a workspace and only in their slots: what is
            authenticated under it was written by a user, not by somebody who has the disk alone.
    """

    user: User
    private: SecretKey
    anchor: SecretKey


def new_slot(
    name: str,
    role: Role,
    secret: str,
    workspace_id: bytes,
    anchor: SecretKey,
    *,
    unsafe_fast_kdf: bool = False,
) -> tuple[Slot, Identity]:
    """A slot with a fresh key pair.

    Args:
        name: see `User`.
        role: of the user.
        secret: a passphrase of at least 8 characters; for a machine or on paper, a random one.
        workspace_id: 16 bytes.
        anchor: see `Identity`.
        unsafe_fast_kdf: spend microseconds instead of 256 MiB on a passphrase. For tests only.

    Raises:
        UsageError: the name or the passphrase is not usable.
    """
    if not usable_name(name):
        raise UsageError(
            "a user's name has up to 32 small letters, digits, dots, dashes", "For example a.meyer."
        )
    private = X25519PrivateKey.generate()
    identity = Identity(
        User(name, role, private.public_key().public_bytes_raw()),
        SecretKey(private.private_bytes_raw()),
        anchor,
    )
    return slot_of(identity, secret, workspace_id, unsafe_fast_kdf=unsafe_fast_kdf), identity


def slot_of(identity: Identity, secret: str, workspace_id: bytes, *, unsafe_fast_kdf: bool = False) -> Slot:
    """A slot for a known key pair: how a passphrase is changed. Arguments and errors as `new_slot`."""
    kdf = None
    if identity.user.role.types_a_passphrase:
        check_passphrase(secret)
        kdf = UNSAFE_FAST_KDF if unsafe_fast_kdf else PASSPHRASE_KDF
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    cipher = AESGCM(_wrapping_key(secret, kdf, salt).raw)
    held = identity.private.raw + identity.anchor.raw
    wrapped = cipher.encrypt(nonce, held, _associated(identity.user, kdf, workspace_id))
    return Slot(identity.user, kdf, salt, nonce, wrapped)


def usable_name(name: str) -> bool:
    """Whether a user can be called so: 1 to 32 of `a-z0-9._-`, a letter first."""
    return _NAME.fullmatch(name) is not None


def check_passphrase(passphrase: str) -> None:
    """Refuse a passphrase that is too short.

    Raises:
        UsageError: fewer than 8 characters.
    """
    if len(passphrase) < MINIMUM_PASSPHRASE:
        raise UsageError(
            f"the passphrase is shorter than {MINIMUM_PASSPHRASE} characters",
            "Four or five words are easy to keep.",
        )


def kdf_document(kdf: Argon2Settings | None) -> dict[str, str | int]:
    """How keyring.json writes the cost of a guess."""
    if kdf is None:
        return {"name": "none"}
    return {"name": "argon2id", "memory_kib": kdf.memory_kib, "passes": kdf.passes, "lanes": kdf.lanes}


def canonical(document: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys and no spaces."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def _associated(user: User, kdf: Argon2Settings | None, workspace_id: bytes) -> bytes:
    """What a slot means, authenticated beside what it holds."""
    return canonical(
        {
            "format": "gradaudit-slot",
            "version": 2,
            "workspace_id": workspace_id.hex(),
            "name": user.name,
            "role": str(user.role),
            "public": user.public.hex(),
            "kdf": kdf_document(kdf),
        }
    )


def _wrapping_key(secret: str, kdf: Argon2Settings | None, salt: bytes) -> SecretKey:
    # NFC: the same words typed on two systems are the same bytes.
    typed = unicodedata.normalize("NFC", secret).encode("utf-8", "surrogatepass")
    if kdf is None:
        return SecretKey.of_bytes(typed).derive("gradaudit slot of a random secret v2", salt)
    try:
        argon2 = Argon2id(
            salt=salt, length=KEY_BYTES, iterations=kdf.passes, lanes=kdf.lanes, memory_cost=kdf.memory_kib
        )
        return SecretKey(argon2.derive(typed))
    except MemoryError:
        need_mib = kdf.memory_kib // 1024
        raise ApplianceError(
            f"not enough memory to check the passphrase ({need_mib} MiB)",
            "Close other programs and try again.",
        ) from None
