"""The steps of docs/officer.md: commands, keys, and what is seen after them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "officer.md"
_BLOCK = re.compile(r"^```(console|keys)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_KEYS = {
    "enter": "Enter",
    "escape": "Escape",
    "tab": "Tab",
    "down": "Down",
    "up": "Up",
    "right": "Right",
    "space": "Space",
    "shift+tab": "BTab",
    "pagedown": "PageDown",
    "end": "End",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the tutorial.

    Attributes:
        verb: `run` a command, `press` keys, `type` a text, `see` words.
        what: the command, the keys, the text, the words.
    """

    verb: str
    what: str


def steps(text: str) -> Iterator[Step]:
    """All steps in their order.

    Raises:
        ValueError: a line in a block is none.
    """
    for kind, lines in _BLOCK.findall(text):
        for line in lines.splitlines():
            verb, _, what = line.partition(" ")
            if kind == "console" and verb == "$":
                yield Step("run", what.strip())
            elif kind == "keys" and verb in ("press", "type", "see"):
                yield Step(verb, what.strip())
            else:
                raise ValueError(f"docs/officer.md: no step: {line!r}")


def tmux_keys(what: str) -> list[str]:
    """Keys as tmux names them: `enter`, `ctrl+l`, `f12`, signs as they are."""
    return [_tmux_key(key) for key in what.split()]


def _tmux_key(key: str) -> str:
    if key.startswith("ctrl+"):
        return f"C-{key.removeprefix('ctrl+')}"
    if re.fullmatch(r"f\d+", key):
        return key.upper()
    return _KEYS.get(key, key)
