"""A vendor's pattern for layer names, matched in bounded time. Torch-free.

Python's own matcher tries every way through a pattern, so one line of json could keep it busy for years. Here
the positions that can be reached are followed together, and steps are counted. The pattern is read by
Python's own parser; what a pattern of layer names has no need of is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Final

from audit_core.errors import ModelRefused

_parser: Any = import_module("re._parser")
op: Any = import_module("re._constants")

MAX_STEPS: Final = 50_000_000
MAX_PATTERN: Final = 4_000
_HINT: Final = "ask the vendor for the names of the layers, as a list"
_CATEGORIES: Final[dict[Any, Callable[[str], bool]]] = {
    op.CATEGORY_DIGIT: lambda sign: sign.isdecimal(),
    op.CATEGORY_NOT_DIGIT: lambda sign: not sign.isdecimal(),
    op.CATEGORY_WORD: lambda sign: _is_word(sign),
    op.CATEGORY_NOT_WORD: lambda sign: not _is_word(sign),
    op.CATEGORY_SPACE: lambda sign: sign.isspace(),
    op.CATEGORY_NOT_SPACE: lambda sign: not sign.isspace(),
}
_SIGNS: Final = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)
_REPEATS: Final = (op.MAX_REPEAT, op.MIN_REPEAT)
_LOOKS: Final = (op.ASSERT, op.ASSERT_NOT)
_PLACES: Final = (op.AT_BEGINNING, op.AT_BEGINNING_STRING, op.AT_END, op.AT_END_STRING, op.AT_BOUNDARY)


class Pattern:
    """A regular expression, matched against whole names as `re.fullmatch` does.

    Raises:
        ModelRefused: it is none, or needs more than names of layers do.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._left = MAX_STEPS
        try:
            if not 0 < len(text) <= MAX_PATTERN:
                raise ValueError
            self._tree = _parser.parse(text)
            if self._tree.state.flags != re.UNICODE:
                raise ValueError
            _check(self._tree)
        except (re.error, ValueError, OverflowError, RecursionError) as wrong:
            raise ModelRefused(
                f"the pattern {ascii(text)!s:.80} for layer names is not known", _HINT
            ) from wrong

    def among(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names it fits, in their order.

        Raises:
            ModelRefused: it would take too long.
        """
        return tuple(name for name in names if len(name) in self._ends(self._tree, name, {0}))

    def _ends(self, tree: Any, name: str, at: set[int]) -> set[int]:
        """Where the pattern can end that starts at one of these positions."""
        self._left -= 10 + len(tree) * (10 + len(at))  # about what it costs
        if self._left < 0:
            raise ModelRefused(f"the pattern {ascii(self.text)!s:.80} for layer names takes too long", _HINT)
        for kind, what in tree:
            at = self._after(kind, what, name, at)
        return at

    def _after(self, kind: Any, what: Any, name: str, at: set[int]) -> set[int]:
        if kind in _SIGNS:
            return {i + 1 for i in at if i < len(name) and _fits(kind, what, name[i])}
        if kind is op.BRANCH:
            return set().union(*(self._ends(one, name, at) for one in what[1]))
        if kind is op.SUBPATTERN:
            return self._ends(what[3], name, at)
        if kind in _LOOKS:
            return {i for i in at if bool(self._ends(what[1], name, {i})) == (kind is op.ASSERT)}
        if kind is op.AT:
            return {i for i in at if _is_at(what, name, i)}
        least, most, tree = what
        for _ in range(min(least, len(name) + 1)):  # afterwards nothing changes any more
            at = self._ends(tree, name, at)
        fresh, rounds = at, most - least
        while fresh and rounds > 0:
            fresh, rounds = self._ends(tree, name, fresh) - at, rounds - 1
            at = at | fresh
        return at


def _check(tree: Any) -> None:
    for kind, what in tree:
        if kind is op.BRANCH:
            inner = what[1]
        elif kind is op.SUBPATTERN and not what[1] and not what[2]:
            inner = [what[3]]
        elif kind in _REPEATS:
            inner = [what[2]]
        elif kind in _LOOKS and what[0] == 1:
            inner = [what[1]]
        elif kind in _SIGNS or (kind is op.AT and what in _PLACES):
            inner = []
        else:
            raise ValueError
        for one in inner:
            _check(one)


def _fits(kind: Any, what: Any, sign: str) -> bool:
    if kind is op.ANY:
        return sign != "\n"
    if kind is not op.IN:
        return bool((ord(sign) == what) == (kind is op.LITERAL))
    found = any(_is_one(one, value, sign) for one, value in what)
    return found != (what[0][0] is op.NEGATE)


def _is_one(kind: Any, value: Any, sign: str) -> bool:
    if kind is op.RANGE:
        return bool(value[0] <= ord(sign) <= value[1])
    if kind is op.CATEGORY:
        return _CATEGORIES[value](sign)
    return bool(kind is op.LITERAL and ord(sign) == value)


def _is_at(what: Any, name: str, i: int) -> bool:
    if what is op.AT_BOUNDARY:
        return _is_word(name[i - 1 : i]) != _is_word(name[i : i + 1])
    return i == 0 if what in _PLACES[:2] else i == len(name)


def _is_word(sign: str) -> bool:
    return sign == "_" or sign.isalnum()
