"""How long a passphrase would stand against somebody who has the disk, said in words.

An estimate from length, variety and what is easily guessed. It has no dictionary, so it is generous to known
words, and asks for four of them. Argon2id makes every guess cost a second (docs/spec/keyring.md).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from appliance.config import MINIMUM_PASSPHRASE

FAIR, STRONG = 14, 24  # signs that count
_SHORTEST_NAME = 4  # a shorter one may be in a word by chance
_WORDS = 4


@dataclass(frozen=True, slots=True)
class Strength:
    """How good it is: a word, what would help, and whether it is taken at all."""

    word: str
    advice: str
    usable: bool


def strength(passphrase: str, names: Sequence[str] = ()) -> Strength:
    """Judge a passphrase that is about to be chosen.

    Args:
        passphrase: as typed.
        names: of the user and the site, which anybody would try first.
    """
    lacking = MINIMUM_PASSPHRASE - len(passphrase)
    if lacking > 0:
        more = "1 more sign" if lacking == 1 else f"{lacking} more signs"
        return Strength("too short", f"{more} at least", usable=False)
    counted, words = _counted(passphrase, names), re.findall(r"[^\W_]{3,}", passphrase)
    if counted < MINIMUM_PASSPHRASE:
        return Strength("weak", "repeated signs, rows of keys and names are tried first", usable=True)
    if counted >= STRONG or (counted >= FAIR and len(set(words)) >= _WORDS):
        return Strength("strong", "keep it in your head, or on paper in a safe", usable=True)
    if counted >= FAIR:
        return Strength("fair", "four random words would be strong", usable=True)
    return Strength("weak", "four random words are strong and easy to keep", usable=True)


def _counted(passphrase: str, names: Sequence[str]) -> int:
    """Signs that a guesser has to guess: names go, and so do repetitions and rows such as abc or 321."""
    left = passphrase.lower()
    for name in names:
        if len(name) >= _SHORTEST_NAME:
            left = left.replace(name.lower(), "")
    steps = [ord(after) - ord(before) for before, after in pairwise(left)]
    easy = sum(abs(step) <= 1 and step == (steps[at - 1] if at else step) for at, step in enumerate(steps))
    return min(len(left) - easy, 2 * len(set(left)) + 2)
