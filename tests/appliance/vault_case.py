"""A vault without a workspace around it."""

from __future__ import annotations

from pathlib import Path

from appliance.workspace.keys import KeptKeys, RunKeys, SecretKey
from appliance.workspace.subjects import SubjectKeys
from appliance.workspace.vault import Vault

WORKSPACE_ID = b"w" * 16


class KeysInMemory:
    """Wrapped keys of subjects, where no catalogue is needed."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def subject_key(self, subject: str) -> str | None:
        return self.rows.get(subject)

    def add_subject_keys(self, wrapped: dict[str, str]) -> None:
        self.rows = wrapped | self.rows


def keys_from(letter: bytes) -> RunKeys:
    """The same keys for the same letter."""
    root = SecretKey(letter * 32)
    kept = KeptKeys(*(root.derive(name) for name in ("vault", "pseudonym", "names", "assignments")))
    return RunKeys(root.derive("catalogue"), kept)


def vault_in(directory: Path, letter: bytes = b"k", store: KeysInMemory | None = None) -> Vault:
    keys = keys_from(letter)
    return Vault(directory, keys, WORKSPACE_ID, SubjectKeys(store or KeysInMemory(), keys, WORKSPACE_ID))
