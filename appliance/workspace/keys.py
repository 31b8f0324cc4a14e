"""Keys in memory: never in a repr, a pickle or a traceback that prints local variables."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final, NoReturn

from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32


class SecretKey:
    """32 secret bytes that show themselves only to whoever asks for `raw`."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise ValueError("a key has 32 bytes")
        self._raw = bytes(raw)

    @classmethod
    def random(cls) -> SecretKey:
        """A fresh key from the operating system."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @property
    def raw(self) -> bytes:
        """The 32 bytes themselves, for a cipher."""
        return self._raw

    def derive(self, label: str, salt: bytes = b"") -> SecretKey:
        """A sub-key for one purpose: HKDF-SHA512 with `label` as info."""
        info = label.encode("ascii")
        return SecretKey(HKDF(SHA512(), KEY_BYTES, salt or None, info).derive(self._raw))

    def handle(self, *parts: str) -> str:
        """A stable 64-digit hex name for `parts` that says nothing without this key (HMAC-SHA256).

        Each part goes in with its length, so ("ab", "c") and ("a", "bc") get different handles.
        """
        mac = hmac.new(self._raw, digestmod=hashlib.sha256)
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            mac.update(len(data).to_bytes(8, "big") + data)
        return mac.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretKey) and hmac.compare_digest(self._raw, other._raw)

    def __repr__(self) -> str:
        return "SecretKey(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not written anywhere by pickling")


@dataclass(frozen=True, slots=True)
class RunKeys:
    """What the RUN key opens, one sub-key per purpose (SECURITY §2).

    Attributes:
        vault: seals images, report texts and signals.
        catalogue: the SQLCipher key.
        pseudonym: patient identity to pseudonym.
        names: foreign file names to handles, for quarantine.
        findings: seals what concerns one pair or one patient.
    """

    vault: SecretKey
    catalogue: SecretKey
    pseudonym: SecretKey
    names: SecretKey
    findings: SecretKey

    @classmethod
    def derive(cls, run_key: SecretKey, workspace_id: bytes) -> RunKeys:
        """All sub-keys of one workspace; another workspace's id gives other keys."""

        def sub_key(purpose: str) -> SecretKey:
            return run_key.derive(f"gradaudit run key v1: {purpose}", workspace_id)

        return cls(
            vault=sub_key("vault"),
            catalogue=sub_key("catalogue"),
            pseudonym=sub_key("pseudonym"),
            names=sub_key("names"),
            findings=sub_key("findings"),
        )
