"""A 256-bit secret as words on paper, with a check word at the end of each line (docs/spec/keyring.md).

The lines are read back by a person, perhaps years later and under stress: a line with a mistake is
named by its number, and the words themselves are never repeated in an error.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

from appliance.errors import UsageError

SECRET_BYTES: Final = 32
LINES: Final = 4
WORDS_A_LINE: Final = 5  # four of the secret and one that checks them
_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aiou"
_LETTERS: Final = ((_CONSONANTS, 12), (_VOWELS, 10), (_CONSONANTS, 6), (_VOWELS, 4), (_CONSONANTS, 0))
_PER_LINE: Final = SECRET_BYTES // LINES


def new_words() -> str:
    """Four lines of five words for a fresh random secret."""
    return words_of(secrets.token_bytes(SECRET_BYTES))


def words_of(secret: bytes) -> str:
    """The words of a secret of 32 bytes, as four lines."""
    if len(secret) != SECRET_BYTES:
        raise ValueError("a secret on paper has 32 bytes")
    lines = []
    for number in range(LINES):
        part = secret[number * _PER_LINE : (number + 1) * _PER_LINE]
        whole = part + _check(number, part)
        lines.append(" ".join(_word(whole[at : at + 2]) for at in range(0, len(whole), 2)))
    return "\n".join(lines)


def secret_of(words: str) -> bytes:
    """The secret that the words stand for; spaces, line breaks and capitals do not matter.

    Raises:
        UsageError: too few or too many words, or a mistake, with its line.
    """
    typed = re.findall(r"[^\s,;.]+", words.lower())
    if len(typed) != LINES * WORDS_A_LINE:
        raise UsageError(
            f"{len(typed)} words were typed, the paper has {LINES * WORDS_A_LINE}",
            f"Type all {LINES} lines of {WORDS_A_LINE} words.",
        )
    secret = b""
    for number in range(LINES):
        line = typed[number * WORDS_A_LINE : (number + 1) * WORDS_A_LINE]
        whole = b"".join(_bits(word, number, place) for place, word in enumerate(line))
        part, check = whole[:_PER_LINE], whole[_PER_LINE:]
        if check != _check(number, part):
            raise UsageError(
                f"a word in line {number + 1} is mistyped, or lines were exchanged",
                "Compare that line with the paper letter by letter.",
            )
        secret += part
    return secret


def opens_with(words: str) -> str:
    """The form in which the words open a slot: the secret in hex. Raises as `secret_of`."""
    return secret_of(words).hex()


def _check(number: int, part: bytes) -> bytes:
    return hashlib.sha256(b"gradaudit paper key v1" + bytes([number]) + part).digest()[:2]


def _word(two: bytes) -> str:
    """Consonants and vowels in turn, 16 bits a word, as the words that name a log key."""
    bits = int.from_bytes(two, "big")
    return "".join(letters[bits >> shift & (len(letters) - 1)] for letters, shift in _LETTERS)


def _bits(word: str, number: int, place: int) -> bytes:
    if len(word) != len(_LETTERS) or any(
        a not in known for a, (known, _) in zip(word, _LETTERS, strict=True)
    ):
        raise UsageError(
            f"word {place + 1} in line {number + 1} is mistyped: no such word is on the paper",
            "Words have five letters: consonants and vowels in turn.",
        )
    bits = sum(known.index(a) << shift for a, (known, shift) in zip(word, _LETTERS, strict=True))
    return bits.to_bytes(2, "big")
