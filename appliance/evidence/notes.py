"""The log's own keys, and the notes it signs with them. Checking lives in `verify_evidence`.

`log/signing.key` (0600) is text: a version line, the Ed25519 seed, the key of the entry HMACs, and a digest
of the lines before, so that a damaged key file is told from a wrong one. It is under no passphrase: refused
unlocks are signed entries too (SECURITY §3).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.errors import IntegrityError
from appliance.evidence.verify_evidence import (
    Checkpoint,
    Key,
    answer_text,
    compose_note,
    manifest_text,
    retention_text,
    statement_text,
    ten_words,
)

KEY_FILE = "signing.key"
_VERSION = b"gradaudit log key 1\n"
_KEY_FILE = re.compile(
    re.escape(_VERSION)
    + rb"(?P<seed>[A-Za-z0-9+/]{43}=)\n(?P<entry>[A-Za-z0-9+/]{43}=)\n(?P<check>[0-9a-f]{64})\n"
)


@dataclass(frozen=True, slots=True, repr=False)
class LogKeys:
    """The signing seed and the key of the identifiers, 32 bytes each."""

    seed: bytes
    entry_key: bytes

    @classmethod
    def generate(cls) -> LogKeys:
        """Fresh random keys."""
        return cls(secrets.token_bytes(32), secrets.token_bytes(32))

    @classmethod
    def load(cls, path: Path) -> LogKeys:
        """Read the key file.

        Raises:
            IntegrityError: it is missing, damaged, or open to other users.
        """
        try:
            data = path.read_bytes()
            mode = path.stat().st_mode & 0o777
        except OSError as missing:
            raise IntegrityError("the log's signing key cannot be read", f"look at {path}") from missing
        found = _KEY_FILE.fullmatch(data)
        if found is None or hashlib.sha256(data[:-65]).hexdigest().encode() != found["check"]:
            raise IntegrityError("the log's signing key file is damaged", "restore it from a backup")
        if mode & 0o077:
            raise IntegrityError("the log's signing key can be read by other users", f"chmod 600 {path}")
        return cls(binascii.a2b_base64(found["seed"]), binascii.a2b_base64(found["entry"]))

    def save(self, path: Path) -> None:
        """Write the key file, readable by its owner alone; it must not exist yet."""
        body = _VERSION + base64.b64encode(self.seed) + b"\n" + base64.b64encode(self.entry_key) + b"\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(body + hashlib.sha256(body).hexdigest().encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def signer(self) -> NoteSigner:
        """What signs notes under this key."""
        return NoteSigner(self.seed)

    def identifier(self, text: str) -> str:
        """Keyed HMAC of an identifier, 128 bits in hex: stable in this log, meaningless outside."""
        return hmac.new(self.entry_key, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:32]


class NoteSigner:
    """Signs checkpoints, manifests, retention certificates, statements: texts that begin differently each.

    Ed25519 is deterministic: same text, same bytes.
    """

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key = Key(f"gradaudit/log-{hashlib.sha256(public).hexdigest()[:16]}", public)
        self.words = ten_words(public)

    def checkpoint(self, checkpoint: Checkpoint) -> bytes:
        """The signed note of a checkpoint: origin, size, root."""
        return self._sign(checkpoint.text(self.key))

    def manifest(self, manifest: bytes) -> bytes:
        """The signed note over a pack's manifest."""
        return self._sign(manifest_text(manifest))

    def answer(self, manifest: bytes) -> bytes:
        """The signed note over the manifest of an answer to an auditor."""
        return self._sign(answer_text(manifest))

    def retention(self, certificate: bytes) -> bytes:
        """The signed note over a retention certificate."""
        return self._sign(retention_text(certificate))

    def statement(self, payload_type: str, payload: bytes) -> bytes:
        """The signature of a DSSE envelope: over type and payload, each with its length."""
        return self._private.sign(statement_text(payload_type, payload))

    def _sign(self, text: bytes) -> bytes:
        return compose_note(text, self.key, self._private.sign(text))
