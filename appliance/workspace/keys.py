"""Keys in memory: never in a repr, a pickle or a traceback that prints local variables."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, fields
from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.errors import NotPermitted

KEY_BYTES: Final = 32
_KEPT: Final = "gradaudit run key v2: kept keys"


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

    @classmethod
    def of_bytes(cls, secret: bytes) -> SecretKey:
        """A key from random bytes of any length, such as words on paper: SHA-256."""
        return cls(hashlib.sha256(secret).digest())

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
class KeptKeys:
    """Random keys that stay the same when the RUN key changes; keyring.json holds them under it.

    Attributes:
        vault: seals what is of no one patient, and wraps the key of each patient.
        pseudonym: patient identity to pseudonym.
        names: foreign file names and patients to handles.
        assignments: seals who may leave by a design, and what was planted.
    """

    vault: SecretKey
    pseudonym: SecretKey
    names: SecretKey
    assignments: SecretKey

    @classmethod
    def random(cls) -> KeptKeys:
        """Fresh keys for a new workspace."""
        return cls(*(SecretKey.random() for _ in fields(cls)))

    def wrapped(self, run_key: SecretKey, workspace_id: bytes) -> bytes:
        """Nonce ‖ AES-256-GCM of the four keys in their order."""
        nonce = secrets.token_bytes(12)
        cipher = AESGCM(run_key.derive(_KEPT, workspace_id).raw)
        return nonce + cipher.encrypt(nonce, b"".join(getattr(self, f.name).raw for f in fields(self)), None)

    @classmethod
    def unwrapped(cls, wrapped: bytes, run_key: SecretKey, workspace_id: bytes) -> KeptKeys:
        """The keys that `wrapped` gave.

        Raises:
            InvalidTag: not this RUN key, or altered.
        """
        cipher = AESGCM(run_key.derive(_KEPT, workspace_id).raw)
        raw = cipher.decrypt(wrapped[:12], wrapped[12:], None)
        return cls(*(SecretKey(raw[at : at + KEY_BYTES]) for at in range(0, len(raw), KEY_BYTES)))


def catalogue_key(run_key: SecretKey, workspace_id: bytes) -> SecretKey:
    """The SQLCipher key of the catalogue; another RUN key or workspace gives another."""
    return run_key.derive("gradaudit run key v2: catalogue", workspace_id)


class RunKeys:
    """The keys an open workspace works with (SECURITY §2).

    An auditor's catalogue key comes alone: what the others would open is refused.

    Args:
        catalogue: the SQLCipher key.
        kept: the rest; None for an auditor.
    """

    __slots__ = ("_kept", "catalogue")

    def __init__(self, catalogue: SecretKey, kept: KeptKeys | None) -> None:
        self.catalogue = catalogue
        self._kept = kept

    @property
    def vault(self) -> SecretKey:
        """See `KeptKeys`.

        Raises:
            NotPermitted: this user's key does not open it; the other three likewise.
        """
        return self._of_a_run().vault

    @property
    def pseudonym(self) -> SecretKey:
        """See `KeptKeys`."""
        return self._of_a_run().pseudonym

    @property
    def names(self) -> SecretKey:
        """See `KeptKeys`."""
        return self._of_a_run().names

    @property
    def assignments(self) -> SecretKey:
        """See `KeptKeys`."""
        return self._of_a_run().assignments

    def _of_a_run(self) -> KeptKeys:
        if self._kept is None:
            raise NotPermitted(
                "an auditor's key does not open studies, reports or findings", "Ask an officer."
            )
        return self._kept

    def __repr__(self) -> str:
        return f"RunKeys({'catalogue only' if self._kept is None else 'hidden'})"
