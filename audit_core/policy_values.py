"""What a value of a policy may be: the forms that its parser, its published schema and its page share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

LARGEST_INTEGER: Final = 2**63 - 1  # of TOML


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number; `below` is always left out, `least` where `above` says so."""

    least: float
    below: float
    above: bool = False

    def takes(self, value: Any) -> bool:
        """Whether a value is one."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return value < self.below and (value > self.least if self.above else value >= self.least)

    def __str__(self) -> str:
        least = f"above {self.least:g}" if self.above else f"of at least {self.least:g}"
        return f"a number {least} and below {self.below:g}"


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number between two bounds, both of them included."""

    least: int
    most: int = LARGEST_INTEGER

    def takes(self, value: Any) -> bool:
        """Whether a value is one."""
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and self.least <= value <= self.most

    def __str__(self) -> str:
        if self.most == LARGEST_INTEGER:
            return f"a whole number of at least {self.least}"
        return f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True, slots=True)
class Word:
    """One of some words; `told` stands for them where they are too many to list."""

    words: tuple[str, ...]
    told: str = ""

    def takes(self, value: Any) -> bool:
        """Whether a value is one."""
        return isinstance(value, str) and value in self.words

    def __str__(self) -> str:
        return self.told or "one of " + ", ".join(self.words)


@dataclass(frozen=True, slots=True)
class Words:
    """A list of some of these words; it may be empty."""

    words: tuple[str, ...]

    def takes(self, value: Any) -> bool:
        """Whether a value is one."""
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        return listed and all(isinstance(one, str) and one in self.words for one in value)

    def __str__(self) -> str:
        return "a list of any of " + "; ".join(self.words)


@dataclass(frozen=True, slots=True)
class Flag:
    """Yes or no."""

    def takes(self, value: Any) -> bool:
        """Whether a value is one."""
        return isinstance(value, bool)

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True)
class Text:
    """Words, and not only spaces."""

    def takes(self, value: Any) -> bool:
        """Whether a value is one."""
        return isinstance(value, str) and bool(value.strip())

    def __str__(self) -> str:
        return "a text"


Form = Number | Count | Word | Words | Flag | Text
