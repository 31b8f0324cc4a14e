"""How a workspace is sealed at rest: formats, ciphers, and what it takes to open them; no key, no salt."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from appliance.workspace import grants
from appliance.workspace.ga1 import CHUNK, MAGIC, SUITE
from appliance.workspace.keyslots import FLOOR, kdf_document
from appliance.workspace.workspace import Workspace

_SUITES: Final = {1: {"cipher": "AES-256-GCM", "keys": "HKDF-SHA512"}}  # docs/spec/ga1.md
_CATALOGUE: Final = {"cipher": "AES-256-CBC", "format": "SQLCipher"}  # the one that SQLCipher 4 has
_KINDS: Final = (grants.RUN, grants.CATALOGUE, grants.EVIDENCE)
_GRANTS: Final = {"cipher": "AES-256-GCM", "keys": "HKDF-SHA256", "to": "X25519", "form": "HPKE (RFC 9180)"}


def encryption(workspace: Workspace) -> dict[str, Any]:
    """The encryption statement of an unlocked workspace, as keyring and catalogue say it.

    The catalogue's values are asked of the open connection, those of slots and grants read from the keyring.
    """
    keyring = workspace.keyring
    kinds = Counter(grant.key for grant in keyring.grants)
    return {
        "objects": {
            "format": MAGIC.rstrip(b"\0").decode(),
            "suite": SUITE,
            "chunk_bytes": CHUNK,
            **_SUITES[SUITE],
        },
        "catalogue": {**_CATALOGUE, **workspace.catalogue.ciphers()},
        "key_slots": [
            {"role": str(slot.user.role), "kdf": kdf_document(slot.kdf)}
            for slot in sorted(keyring.slots, key=lambda slot: (slot.user.role, slot.user.name))
        ],
        "kdf_floor": kdf_document(FLOOR),
        "slots_below_floor": sum(one.kdf is not None and one.kdf.below(FLOOR) for one in keyring.slots),
        "grants": {**_GRANTS, "kinds": {kind: kinds[kind] for kind in _KINDS}},
        "run_key_epoch": keyring.epoch,
        "log": {"encrypted": False, "signature": "Ed25519", "tree": "RFC 6962, SHA-256"},
    }
