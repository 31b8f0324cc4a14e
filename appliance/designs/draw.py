"""Coins of a design: each follows from the seed and from whom it is for; whoever has both can redraw it.

HMAC-SHA256 over a secret seed of 32 bytes: without the seed nothing about a coin is known, and no coin says
anything about another. Nobody picks: the seed comes from the operating system, the rest follows.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from fractions import Fraction

from appliance.errors import UsageError

SEED_BYTES = 32
DOSES = (1, 4, 16)  # copies of a planted canary, each as likely
_DOMAIN = b"gradaudit design coin v1\0"
_SHARE = re.compile(r"0\.\d{1,6}")
_SCALE = 1 << 256


def lot(seed: bytes, purpose: str, *names: str) -> bytes:
    """32 bytes for one purpose and one thing; each part goes in with its length."""
    mac = hmac.new(seed, _DOMAIN, hashlib.sha256)
    for part in (purpose, *names):
        data = part.encode()
        mac.update(len(data).to_bytes(8, "big") + data)
    return mac.digest()


def share_of(text: str) -> Fraction:
    """The share of patients to hold back, as written: "0.5".

    Raises:
        UsageError: not a decimal fraction strictly between 0 and 1.
    """
    if not _SHARE.fullmatch(text) or not Fraction(text):
        raise UsageError(
            "the share to hold back is a decimal between 0 and 1", "for example --hold-back 0.5: a fair coin"
        )
    return Fraction(text)


def stays(seed: bytes, person: str, share: Fraction) -> bool:
    """Whether the coin of this person says: held back."""
    thrown = int.from_bytes(lot(seed, "patient", person))
    return thrown * share.denominator < share.numerator * _SCALE


def canary_ids(seed: bytes, number: int) -> tuple[str, ...]:
    """Names of canaries, 32 hex digits each; they say nothing of what was planted."""
    return tuple(lot(seed, "canary", str(place)).hex()[:32] for place in range(number))


def copies(seed: bytes, canary: str) -> int:
    """0 by a fair coin, else one of `DOSES`.

    A coin each, not half of them exactly: the one-run bound asks that each canary was in by its own coin.
    """
    thrown = int.from_bytes(lot(seed, "copies", canary))
    return DOSES[(thrown >> 1) % len(DOSES)] if thrown & 1 else 0


def canary_key(seed: bytes, canary: str) -> bytes:
    """The key from which picture, report and person of a canary are made."""
    return lot(seed, "content", canary)


def guesses(canaries: Sequence[str]) -> int:
    """How many canaries will be guessed: a quarter above, a quarter below; fixed before any model is seen."""
    return 2 * (len(canaries) // 4)
