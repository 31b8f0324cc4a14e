"""Granting a key to a user, or to two users together: HPKE to their public keys (RFC 9180, base mode).

DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. For two users the inner ciphertext is sealed once more:
both private keys are needed to open, and only public ones to grant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from appliance.workspace.keys import SecretKey
from appliance.workspace.keyslots import Identity, User, canonical

RUN: Final = "run"
CATALOGUE: Final = "catalogue"
EVIDENCE: Final = "evidence"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class Grant:
    """A key sealed to the users `to`, who open it together.

    Attributes:
        key: RUN, CATALOGUE or EVIDENCE.
        to: names, in the order of sealing, innermost first.
        sealed: HPKE, once for each of them.
    """

    key: str
    to: tuple[str, ...]
    sealed: bytes


def granted(key: str, secret: SecretKey, to: Sequence[User], about: str, workspace_id: bytes) -> Grant:
    """Seal `secret` to all of `to` together.

    Args:
        key: which key it is.
        secret: the key.
        to: one or two users.
        about: what tells this key from an earlier one of the same name; authenticated.
        workspace_id: 16 bytes; authenticated.
    """
    names = tuple(user.name for user in to)
    info = _info(key, names, about, workspace_id)
    sealed = secret.raw
    for user in to:
        sealed = seal_to(user.public, sealed, info)
    return Grant(key, names, sealed)


def opened(grant: Grant, by: Sequence[Identity], about: str, workspace_id: bytes) -> SecretKey | None:
    """The key that was granted, or None when these users do not open it."""
    holders = {identity.user.name: identity for identity in by}
    if not set(grant.to) <= set(holders):
        return None
    info = _info(grant.key, grant.to, about, workspace_id)
    plain = grant.sealed
    try:
        for name in reversed(grant.to):
            plain = open_sealed(holders[name].private, plain, info)
        return SecretKey(plain)
    except (InvalidTag, ValueError):
        return None


def seal_to(public: bytes, content: bytes, info: bytes) -> bytes:
    """HPKE encapsulated key ‖ ciphertext; whoever holds only `public` can write and not read."""
    return _SUITE.encrypt(content, X25519PublicKey.from_public_bytes(public), info=info)


def open_sealed(private: SecretKey, sealed: bytes, info: bytes) -> bytes:
    """What `seal_to` sealed.

    Raises:
        InvalidTag: another key, other `info`, or altered.
    """
    return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private.raw), info=info)


def public_of(private: SecretKey) -> bytes:
    """The X25519 public key, 32 bytes, of a private one."""
    return X25519PrivateKey.from_private_bytes(private.raw).public_key().public_bytes_raw()


def _info(key: str, names: Sequence[str], about: str, workspace_id: bytes) -> bytes:
    return canonical(
        {
            "format": "gradaudit-grant",
            "version": 2,
            "workspace_id": workspace_id.hex(),
            "key": key,
            "to": list(names),
            "about": about,
        }
    )
