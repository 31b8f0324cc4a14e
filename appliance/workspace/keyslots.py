"""keyring.json: slots that turn a passphrase into the RUN key (SECURITY §2).

A slot is Argon2id over the passphrase, which wraps the RUN key with AES-256-GCM. The workspace id, the slot's
name and the Argon2id settings are authenticated with it, so a slot moved to another workspace does not open.
The file's own SHA-256 tells damage from a wrong passphrase; it is no protection against an attacker.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from appliance.errors import ApplianceError, IntegrityError, Locked, UsageError
from appliance.workspace.durable import write_atomically
from appliance.workspace.keys import KEY_BYTES, SecretKey

FORMAT: Final = "gradaudit-keyring"
VERSION: Final = 1
OFFICER: Final = "officer"
MINIMUM_PASSPHRASE: Final = 8  # characters
MAXIMUM_FILE: Final = 1 << 20  # bytes


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


OFFICER_KDF: Final = Argon2Settings(memory_kib=262_144, passes=3, lanes=4)
_UNSAFE_FAST_KDF: Final = Argon2Settings(memory_kib=64, passes=1, lanes=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """One way to the RUN key; holds nothing secret by itself."""

    name: str
    kdf: Argon2Settings
    salt: bytes
    nonce: bytes
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Keyring:
    """The content of keyring.json.

    Attributes:
        workspace_id: 16 random bytes that every sealed object names.
        epoch: of the RUN key; objects remember which one sealed them.
        run_key_check: tells a right RUN key from a wrong one without opening anything.
    """

    workspace_id: bytes
    epoch: int
    run_key_check: bytes
    slots: tuple[Slot, ...]

    def unlock(self, passphrase: str, slot_name: str = OFFICER) -> SecretKey:
        """The RUN key, by passphrase.

        Raises:
            Locked: the passphrase opens no such slot.
        """
        for slot in self.slots:
            if slot.name == slot_name:
                run_key = _unwrap(slot, passphrase, self.workspace_id)
                if run_key is not None and self.accepts(run_key):
                    return run_key
        raise Locked(
            "the passphrase does not open this workspace", "Check the keyboard layout and try again."
        )

    def accepts(self, run_key: SecretKey) -> bool:
        """Whether this is the RUN key of this workspace."""
        return hmac.compare_digest(self.run_key_check, _check_value(run_key, self.workspace_id))

    @property
    def unsafe_fast_kdf(self) -> bool:
        """True when a slot costs an attacker less than the floor: only ever in tests."""
        return any(slot.kdf.memory_kib < OFFICER_KDF.memory_kib for slot in self.slots)


def new_keyring(passphrase: str, *, unsafe_fast_kdf: bool = False) -> tuple[Keyring, SecretKey]:
    """A keyring with one officer slot and a fresh RUN key.

    Args:
        passphrase: what the officer will type; at least 8 characters.
        unsafe_fast_kdf: spend microseconds instead of 256 MiB on the passphrase. For tests only.

    Raises:
        UsageError: the passphrase is too short.
    """
    if len(passphrase) < MINIMUM_PASSPHRASE:
        raise UsageError(
            f"the passphrase is shorter than {MINIMUM_PASSPHRASE} characters",
            "Four or five words are easy to keep.",
        )
    run_key = SecretKey.random()
    workspace_id = secrets.token_bytes(16)
    kdf = _UNSAFE_FAST_KDF if unsafe_fast_kdf else OFFICER_KDF
    slot = _wrap(run_key, OFFICER, passphrase, kdf, workspace_id)
    return Keyring(workspace_id, 1, _check_value(run_key, workspace_id), (slot,)), run_key


def write_keyring(path: Path, keyring: Keyring) -> None:
    """Write keyring.json durably, mode 0600."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "workspace_id": keyring.workspace_id.hex(),
        "epoch": keyring.epoch,
        "run_key_check": keyring.run_key_check.hex(),
        "slots": [_slot_document(slot) for slot in keyring.slots],
    }
    document["sha256"] = _digest(document)
    write_atomically(path, json.dumps(document, indent=2, sort_keys=True).encode("ascii") + b"\n")


def read_keyring(path: Path) -> Keyring:
    """Read keyring.json.

    Raises:
        Locked: there is none, so there is no workspace.
        IntegrityError: the file is damaged.
        UsageError: a later version of the appliance wrote it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAXIMUM_FILE)
    except (FileNotFoundError, NotADirectoryError):
        raise Locked(f"there is no workspace at {path.parent}", "Create one with `gradaudit init`.") from None
    except OSError as error:
        raise Locked(f"cannot read {path}: {error.strerror}", "A workspace belongs to one account.") from None
    try:
        return _parse(json.loads(data), path)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise IntegrityError(
            f"{path} is damaged", "Restore it from a backup: without it nothing opens."
        ) from None


def _parse(document: Any, path: Path) -> Keyring:
    if document["format"] != FORMAT:
        raise ValueError("not a keyring")
    if document["version"] != VERSION:
        raise UsageError(f"{path} has version {document['version']!r}, this software reads {VERSION}")
    expected = document.pop("sha256")
    if expected != _digest(document):
        raise ValueError("digest differs")
    keyring = Keyring(
        workspace_id=bytes.fromhex(document["workspace_id"]),
        epoch=int(document["epoch"]),
        run_key_check=bytes.fromhex(document["run_key_check"]),
        slots=tuple(_parse_slot(slot) for slot in document["slots"]),
    )
    sizes_fit = len(keyring.workspace_id) == 16 and 1 <= keyring.epoch < 1 << 32
    if not sizes_fit or not all(slot.kdf.within_limits() for slot in keyring.slots):
        raise ValueError("out of range")
    return keyring


def _parse_slot(document: Mapping[str, Any]) -> Slot:
    kdf = document["kdf"]
    if kdf["name"] != "argon2id":
        raise ValueError("unknown kdf")
    if len(document["salt"]) != 32 or len(document["nonce"]) != 24:
        raise ValueError("salt or nonce of another size")
    return Slot(
        name=str(document["name"]),
        kdf=Argon2Settings(int(kdf["memory_kib"]), int(kdf["passes"]), int(kdf["lanes"])),
        salt=bytes.fromhex(document["salt"]),
        nonce=bytes.fromhex(document["nonce"]),
        wrapped=bytes.fromhex(document["wrapped"]),
    )


def _kdf_document(kdf: Argon2Settings) -> dict[str, str | int]:
    return {"name": "argon2id", "memory_kib": kdf.memory_kib, "passes": kdf.passes, "lanes": kdf.lanes}


def _slot_document(slot: Slot) -> dict[str, Any]:
    return {
        "name": slot.name,
        "kdf": _kdf_document(slot.kdf),
        "salt": slot.salt.hex(),
        "nonce": slot.nonce.hex(),
        "wrapped": slot.wrapped.hex(),
    }


def _canonical(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(document)).hexdigest()


def _check_value(run_key: SecretKey, workspace_id: bytes) -> bytes:
    return run_key.derive("gradaudit run key v1: check", workspace_id).raw


def _associated(name: str, kdf: Argon2Settings, workspace_id: bytes) -> bytes:
    """What a slot means, authenticated beside what it holds."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "workspace_id": workspace_id.hex(),
        "slot": name,
        "kdf": _kdf_document(kdf),
    }
    return _canonical(document)


def _wrapping_key(passphrase: str, kdf: Argon2Settings, salt: bytes) -> SecretKey:
    # NFC: the same words typed on two systems are the same bytes.
    typed = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
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


def _wrap(run_key: SecretKey, name: str, passphrase: str, kdf: Argon2Settings, workspace_id: bytes) -> Slot:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    cipher = AESGCM(_wrapping_key(passphrase, kdf, salt).raw)
    wrapped = cipher.encrypt(nonce, run_key.raw, _associated(name, kdf, workspace_id))
    return Slot(name, kdf, salt, nonce, wrapped)


def _unwrap(slot: Slot, passphrase: str, workspace_id: bytes) -> SecretKey | None:
    cipher = AESGCM(_wrapping_key(passphrase, slot.kdf, slot.salt).raw)
    try:
        return SecretKey(
            cipher.decrypt(slot.nonce, slot.wrapped, _associated(slot.name, slot.kdf, workspace_id))
        )
    except (InvalidTag, ValueError):
        return None
