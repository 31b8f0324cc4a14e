"""One random key for each patient, so that deleting it erases what is sealed under it (SECURITY §2).

A subject is the handle of a patient identity (issuer and Patient ID), 32 hex digits; its key is wrapped by
the vault key and lies in the catalogue. Where a sender gives no Patient ID, the object itself is the subject.
"""

from __future__ import annotations

import secrets
import threading
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.errors import IntegrityError
from appliance.workspace.keys import RunKeys, SecretKey

SUBJECT_DIGITS: Final = 32


class SubjectStore(Protocol):
    """Where wrapped keys lie: the catalogue."""

    def subject_key(self, subject: str) -> str | None:
        """The wrapped key, hex, or None."""

    def add_subject_keys(self, wrapped: dict[str, str]) -> None:
        """Store wrapped keys of new subjects; they are on disk on return."""


class SubjectKeys:
    """Keys by subject; several threads may ask at once.

    Args:
        store: the catalogue.
        keys: of the workspace.
        workspace_id: 16 bytes.
    """

    def __init__(self, store: SubjectStore, keys: RunKeys, workspace_id: bytes) -> None:
        self._store = store
        self._keys = keys
        self._workspace_id = workspace_id
        self._mutex = threading.Lock()
        self._known: dict[str, SecretKey] = {}
        self._fresh: dict[str, SecretKey] = {}  # not stored yet

    def handle(self, issuer: str, patient_id: str, otherwise: str) -> str:
        """The subject of a patient identity.

        Args:
            issuer: IssuerOfPatientID, may be empty.
            patient_id: PatientID, may be empty.
            otherwise: digest of the file, for a sender that gives no PatientID.
        """
        parts = ("patient", issuer, patient_id) if patient_id else ("file", otherwise)
        return self._keys.names.handle("subject", *parts)[:SUBJECT_DIGITS]

    def existing(self, subject: str) -> SecretKey | None:
        """The key of a subject, or None when it never had one or was erased.

        Raises:
            IntegrityError: the wrapped key is damaged.
        """
        with self._mutex:
            return self._look_up(subject)

    def for_sealing(self, subject: str) -> SecretKey:
        """The key of a subject; a new one waits for `settle`. Raises as `existing`."""
        with self._mutex:
            key = self._look_up(subject)
            if key is None:
                key = self._fresh[subject] = SecretKey.random()
            return key

    def settle(self) -> None:
        """Store new keys; call it before anything sealed under them gets its name."""
        with self._mutex:
            if self._fresh:
                self._store.add_subject_keys(
                    {subject: self._wrapped(subject, key) for subject, key in self._fresh.items()}
                )
                self._known |= self._fresh
                self._fresh = {}

    def forget(self, subject: str) -> None:
        """Drop a key from memory, because the catalogue has deleted it."""
        with self._mutex:
            self._known.pop(subject, None)
            self._fresh.pop(subject, None)

    def _look_up(self, subject: str) -> SecretKey | None:
        held = self._known.get(subject) or self._fresh.get(subject)
        if held is not None:
            return held
        wrapped = self._store.subject_key(subject)
        if wrapped is None:
            return None
        self._known[subject] = key = self._unwrapped(subject, bytes.fromhex(wrapped))
        return key

    def _wrapped(self, subject: str, key: SecretKey) -> str:
        nonce = secrets.token_bytes(12)
        return (nonce + self._cipher().encrypt(nonce, key.raw, self._about(subject))).hex()

    def _unwrapped(self, subject: str, wrapped: bytes) -> SecretKey:
        try:
            return SecretKey(self._cipher().decrypt(wrapped[:12], wrapped[12:], self._about(subject)))
        except (InvalidTag, ValueError):
            raise IntegrityError(
                "the key of a patient in the catalogue is damaged", "Restore the workspace from a backup."
            ) from None

    def _cipher(self) -> AESGCM:
        return AESGCM(self._keys.vault.derive("gradaudit subject keys v1").raw)

    def _about(self, subject: str) -> bytes:
        return self._workspace_id + subject.encode("ascii")
