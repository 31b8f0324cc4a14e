"""keyring.json on disk: written whole, read strictly (docs/spec/keyring.md).

The file's own SHA-256 tells damage from a wrong passphrase; it is no protection against an attacker: that is
the keyring's seal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from appliance.errors import IntegrityError, Locked, UsageError
from appliance.workspace.durable import write_atomically
from appliance.workspace.grants import Grant
from appliance.workspace.keyring import Keyring, grant_document
from appliance.workspace.keyslots import Argon2Settings, Slot, User, canonical, kdf_document, usable_name
from appliance.workspace.roles import Role

FORMAT: Final = "gradaudit-keyring"
VERSION: Final = 2
MAXIMUM_FILE: Final = 4 << 20  # bytes; 64 users, all in pairs, take less than one MiB


def write_keyring(path: Path, keyring: Keyring) -> None:
    """Write keyring.json durably, mode 0600."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "workspace_id": keyring.workspace_id.hex(),
        "epoch": keyring.epoch,
        "quorum": keyring.quorum,
        "evidence": keyring.evidence.hex(),
        "check": keyring.check.hex(),
        "slots": [_slot_document(slot) for slot in keyring.slots],
        "grants": [grant_document(grant) for grant in keyring.grants],
        "seal": keyring.seal.hex(),
        "origin": keyring.origin.hex(),
        "witnesses": keyring.witness_seal.hex(),
    }
    document["sha256"] = _digest(document)
    write_atomically(path, json.dumps(document, indent=2, sort_keys=True).encode("ascii") + b"\n")


def read_keyring(path: Path) -> Keyring:
    """Read keyring.json.

    Raises:
        Locked: there is none, so there is no workspace.
        IntegrityError: the file is damaged, or a passphrase in it costs less than the floor.
        UsageError: another version of the appliance wrote it.
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
        raise UsageError(
            f"{path} has version {str(document['version'])[:20]!r}, this software reads {VERSION}",
            "Open the workspace with the release that wrote it; nothing was changed.",
        )
    expected = document.pop("sha256")
    if expected != _digest(document):
        raise ValueError("digest differs")
    keyring = Keyring(
        workspace_id=_bytes(document["workspace_id"], 16),
        epoch=int(document["epoch"]),
        quorum=int(document["quorum"]),
        evidence=_bytes(document["evidence"], 32),
        check=_bytes(document["check"], 32),
        slots=tuple(_parse_slot(slot) for slot in document["slots"]),
        grants=tuple(
            Grant(str(one["key"]), tuple(map(str, one["to"])), bytes.fromhex(one["sealed"]))
            for one in document["grants"]
        ),
        seal=_bytes(document["seal"], 32),
        origin=_bytes(document["origin"], 32),
        witness_seal=_bytes(document["witnesses"], 32),
    )
    names = [slot.user.name for slot in keyring.slots]
    if not 1 <= keyring.epoch < 1 << 32 or keyring.quorum not in (1, 2) or len(set(names)) != len(names):
        raise ValueError("out of range")
    if cheap := keyring.cheap_slots():
        raise IntegrityError(
            f"{path} was changed: the passphrase of {cheap[0].name} could be guessed cheaply",
            "Keep the file as evidence and restore keyring.json from a backup.",
        )
    return keyring


def _parse_slot(document: Mapping[str, Any]) -> Slot:
    if not usable_name(str(document["name"])):
        raise ValueError("a name that cannot be chosen")
    user = User(str(document["name"]), Role(document["role"]), _bytes(document["public"], 32))
    kdf = _parse_kdf(document["kdf"])
    if (kdf is None) == user.role.types_a_passphrase:
        raise ValueError("a kdf that does not belong to this role")
    return Slot(
        user,
        kdf,
        salt=_bytes(document["salt"], 16),
        nonce=_bytes(document["nonce"], 12),
        wrapped=_bytes(document["wrapped"], 80),
    )


def _parse_kdf(document: Mapping[str, Any]) -> Argon2Settings | None:
    if document["name"] == "none":
        return None
    if document["name"] != "argon2id":
        raise ValueError("unknown kdf")
    kdf = Argon2Settings(int(document["memory_kib"]), int(document["passes"]), int(document["lanes"]))
    if not kdf.within_limits():
        raise ValueError("out of range")
    return kdf


def _bytes(text: str, length: int) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != length:
        raise ValueError("of another size")
    return found


def _slot_document(slot: Slot) -> dict[str, Any]:
    return {
        "name": slot.user.name,
        "role": str(slot.user.role),
        "public": slot.user.public.hex(),
        "kdf": kdf_document(slot.kdf),
        "salt": slot.salt.hex(),
        "nonce": slot.nonce.hex(),
        "wrapped": slot.wrapped.hex(),
    }


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()
