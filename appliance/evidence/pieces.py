"""The pieces of a log's index: what each of its entries says, in columns (`index` tells the form)."""

from __future__ import annotations

import hashlib
import hmac
import json
import mmap
import re
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from appliance.evidence.views import LogFilter

if TYPE_CHECKING:
    import numpy as np

FORMS: Final[dict[str, Literal["B", "H", "I", "Q", "q"]]] = {
    "place": "Q",
    "utc": "q",
    "object": "Q",
    "actor": "I",
    "act": "H",
    "outcome": "B",
}
LEAF: Final = 32
_DIGITS: Final = re.compile("[0-9a-f]+")
WORDS: Final = {"act": "acts", "actor": "actors", "outcome": "outcomes"}


class Unfit(Exception):
    """A piece is not what was written."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a walk through the log stands after a piece.

    Attributes:
        size: entries before it.
        frontier: of the tree there.
        segment: number of the first entry of the open segment.
        place, history: byte of its journal and of its history of checkpoints.
        lines: of that history.
        year: of the segment.
        pruned: roots at which entries say that all before was removed.
    """

    size: int
    frontier: tuple[bytes, ...]
    segment: int
    place: int
    history: int
    lines: int
    year: str
    pruned: tuple[str, ...]


class Piece:
    """One file of columns."""

    def __init__(self, path: Path, key: bytes | None) -> None:
        """Open a file; without a key only what happens by accident is noticed.

        Raises:
            Unfit: this is no piece, or none that was made under the key.
        """
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            line, mac = self._data.readline(), self._data.readline().strip()
            if key is not None and not hmac.compare_digest(mac, mac_of(key, line)):
                raise Unfit(path.name)
            said = json.loads(line)
            self._start = self._data.tell()
            self.first, self.before = int(said["first"]), str(said["before"])
            self.end = _end_of(said["end"])
            self.words: dict[str, list[str]] = {name: said[name] for name in (*WORDS.values(), "things")}
            self._digests: dict[str, str] = said["columns"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unfit(path.name) from error
        self.digest = hashlib.sha256(line).hexdigest()
        self.path = path
        self._columns: dict[str, memoryview] = {}

    def column(self, name: str) -> memoryview:
        """One column, compared with its digest the first time.

        Raises:
            Unfit: it is another.
        """
        if name not in self._columns:
            count = self.end.size - self.first
            sizes = {"leaf": LEAF} | {one: array(form).itemsize for one, form in FORMS.items()}
            start = self._start
            for one, size in sizes.items():
                if one == name:
                    break
                start += size * count
            found = memoryview(self._data)[start : start + sizes[name] * count]
            if hashlib.sha256(found).hexdigest() != self._digests[name]:
                raise Unfit(self.path.name)
            self._columns[name] = found if name == "leaf" else found.cast(FORMS[name])
        return self._columns[name]

    def matching(self, wanted: LogFilter) -> np.ndarray[Any, Any]:
        """Numbers of its entries that `wanted` fits, ascending."""
        import numpy as np

        fits = np.ones(self.end.size - self.first, bool)
        for name in WORDS:
            if prefix := getattr(wanted, name):
                fits &= self._begins(name, prefix)
        if wanted.object:
            fits &= self._begins("object", wanted.object)
        if wanted.text:
            either = [self._begins(name, wanted.text) for name in (*WORDS, "object")]
            fits &= np.logical_or.reduce(either)
        if wanted.since or wanted.until:
            utc = np.asarray(self.column("utc"))
            fits &= (utc >= moment(wanted.since, "0")) & (utc <= moment(wanted.until, "9"))
        return np.flatnonzero(fits) + self.first

    def _begins(self, name: str, prefix: str) -> np.ndarray[Any, Any]:
        """Which entries have a word in this column that begins so."""
        import numpy as np

        column = np.asarray(self.column(name))
        if name != "object":
            fit = np.array([word.startswith(prefix) for word in self.words[WORDS[name]]], bool)
            return np.asarray(fit[column])
        fits, things = np.zeros(len(column), bool), self.words["things"]
        for code, word in enumerate(things):
            if word.startswith(prefix):
                fits |= column == code
        if (span := _handles(prefix)) is not None:  # the smallest numbers are places of words
            fits |= (column >= max(span[0], len(things))) & (column <= span[1])
        return fits


def moment(text: str, rest: str) -> int:
    """The digits of an ISO time or of its beginning, filled up with `rest`: they compare as times do."""
    digits = "".join(sign for sign in text if sign.isdigit())
    return int(digits.ljust(17, rest))


def _handles(prefix: str) -> tuple[int, int] | None:
    """The first and the last number of 64 bits whose digits begin so."""
    head = prefix[:16]
    if _DIGITS.fullmatch(head) is None:
        return None
    return int(head.ljust(16, "0"), 16), int(head.ljust(16, "f"), 16)


def mac_of(key: bytes, line: bytes) -> bytes:
    """What vouches for a line."""
    return hmac.digest(key, line, "sha256").hex().encode()


def _end_of(said: dict[str, Any]) -> End:
    frontier = tuple(bytes.fromhex(node) for node in said["frontier"])
    return End(**{**said, "frontier": frontier, "pruned": tuple(said["pruned"])})
