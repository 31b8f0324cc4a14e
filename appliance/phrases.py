"""Whether a sentence of a worker is one that our own code can say, or has words of somebody else's.

A model that took its process over could write anything where a sentence is expected: a patient's name, a
false verdict, a command for the terminal. So a sentence is accepted only when it is made, from its first
character to its last, of string literals of our own source, of numbers, and of names the appliance gave to
the worker. The literals are read from the installed source once, so no second list has to be kept
(docs/decisions/closed-answers.md).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

MOST_CHARACTERS: Final = 2_000  # of one sentence
GAP: Final = "(…)"  # stands for words that are not ours
_LEAST: Final = 2  # letters and digits of a literal that stands alone: single ones could spell out anything
_NAME: Final = re.compile(r"\w[\w./-]*\w")
_WORD: Final = re.compile(r"\w+")
_GAPS: Final = re.compile(rf"{re.escape(GAP)}(?:[^\w\s]*{re.escape(GAP)})+")
_ENDINGS: Final = ("s",)  # what our code puts behind a word
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,12})?(?:e[+-]?[0-9]{1,3})?", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}|[0-9a-f]{16}")
_SIGNS: Final = frozenset(" .,;:%()-–—'\"/+=×≤≥<>_|")


class Phrases:
    """The sentences that some packages of ours can say about the given names.

    Args:
        packages: import names; every module below them counts.
        given: names the worker was told: files, families, architectures.
    """

    def __init__(self, packages: tuple[str, ...], given: Iterable[str] = ()) -> None:
        self._literals = frozenset[str]().union(*(_literals(package) for package in packages))
        self._given = frozenset(name for name in given if name and name.isprintable())
        spaced = (name for name in self._given if not _NAME.fullmatch(name))
        self._index = _indexed({*filter(_sayable, self._literals), *spaced})

    def knows(self, name: str) -> bool:
        """Whether a name is one whole literal of our source, or was given."""
        return name in self._literals or name in self._given

    def can_say(self, text: str) -> bool:
        """Whether a sentence is ours from its first character to its last."""
        if len(text) > MOST_CHARACTERS:
            return False
        reached = {0}
        for position in range(len(text)):
            if position in reached:
                reached.update(position + length for length in self._steps(text, position))
        return len(text) in reached

    def ours_of(self, text: str) -> str:
        """A sentence with `GAP` for every word that is not ours; for refusals, which must say something."""
        text, said, position = text[:MOST_CHARACTERS], [], 0
        while position < len(text):
            length = max(self._steps(text, position), default=0)
            if length:
                said.append(text[position : position + length])
            else:
                length = _run(text, position)
                said.append(GAP)
            position += length
        whole = _GAPS.sub(GAP, "".join(said))
        return whole if not whole or any(sign.isalnum() for sign in whole) else GAP

    def _steps(self, text: str, position: int) -> Iterator[int]:
        """Lengths of what our code can have written at a position."""
        sign = text[position]
        after_word = position > 0 and text[position - 1].isalnum()
        if sign in _SIGNS:
            yield 1
        for literal in self._index.get(text[position : position + 2], ()):
            end = position + len(literal)
            whole = not (after_word and sign.isalnum()) and not _inside_word(text, end)
            if whole and text.startswith(literal, position):
                yield len(literal)
        if after_word:
            yield from (
                len(one) for one in _ENDINGS if text.startswith(one, position) and _ends(text, position)
            )
            return
        for kind in (_NAME, _WORD):
            name = kind.match(text, position)
            if name is not None and name.group() in self._given:
                yield name.end() - position
        for form in (_NUMBER, _DIGEST):
            found = form.match(text, position)
            if found is not None and not _inside_word(text, found.end()):
                yield found.end() - position


def _ends(text: str, position: int) -> bool:
    return text[position - 1].isalpha() and not text[position + 1 : position + 2].isalnum()


def _inside_word(text: str, end: int) -> bool:
    """Whether a cut here would go through a word; an ending of our own may follow one."""
    if end >= len(text) or not (text[end - 1].isalnum() and text[end].isalnum()):
        return False
    return not (text[end] in _ENDINGS and _ends(text, end))


def _run(text: str, position: int) -> int:
    """Length of the word, or of the one sign, at a position."""
    end = position + 1
    while text[position].isalnum() and end < len(text) and text[end].isalnum():
        end += 1
    return end - position


def _indexed(literals: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Literals by their first two characters."""
    found: dict[str, list[str]] = {}
    for literal in literals:
        found.setdefault(literal[:2], []).append(literal)
    return {start: tuple(sorted(those, key=len, reverse=True)) for start, those in found.items()}


@cache
def _literals(package: str) -> frozenset[str]:
    """Every string literal in the source of a package or module that is no docstring, in one line."""
    found: set[str] = set()
    for path in _sources(package):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
                found.add(node.value)
            elif isinstance(node, ast.keyword) and node.arg:  # `say(prompt=…)`: a fact's name
                found.add(node.arg)
    return frozenset(one for one in found if one.isprintable() and len(one) <= MOST_CHARACTERS)


def _sources(package: str) -> list[Path]:
    """Source files of a package, or the one of a module; nothing is imported."""
    top, *below = package.split(".")
    found = find_spec(top)
    if found is None or found.origin is None:
        return []
    place = Path(found.origin).parent.joinpath(*below)
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def _sayable(literal: str) -> bool:
    return sum(sign.isalnum() for sign in literal) >= _LEAST or (
        len(literal) > _LEAST and not literal[0].isalnum() and not literal[-1].isalnum()
    )
