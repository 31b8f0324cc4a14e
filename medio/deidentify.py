"""Keyed pseudonyms: the only patient handle outside the vault."""

from __future__ import annotations

import hashlib
import hmac

MIN_KEY_BYTES = 32
_HEX_DIGITS = 24  # 96 bits: no collision among any site's patients


def pseudonym(key: bytes, issuer: str, patient_id: str) -> str:
    """HMAC-SHA256 of issuer and patient id, cut to 96 bits: stable inside a site, unlinkable without its key.

    The issuer's length is part of the message, so no two pairs of issuer and id share one.

    Raises:
        ValueError: the key is too short, or there is no patient id.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a pseudonym key has at least {MIN_KEY_BYTES} bytes")
    if not patient_id:
        raise ValueError("no patient id")
    message = f"{len(issuer)}:{issuer}|{patient_id}".encode()
    return "P-" + hmac.new(key, message, hashlib.sha256).hexdigest()[:_HEX_DIGITS]
