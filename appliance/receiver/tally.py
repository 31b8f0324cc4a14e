"""What happened at the receiver's door, counted by peer and reason: the site's own words, never a value sent.

The process that listens has no key of the log. It keeps counts in the spool, and whoever takes in what was
received writes what is new of them as entries. A flood is a number, not a million entries.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

from appliance.workspace.durable import write_new

REFUSED, RECEIVED, AGAIN, MESSAGE, ECHO = "refused", "received", "again", "message", "echo"
NOBODY: Final = "-"  # a peer that did not show who it is
_MOST_BYTES: Final = 1 << 20
_MOST: Final = (1 << 53) - 1  # what a number in JSON holds exactly
_WORD: Final = re.compile(r"[a-z0-9-]{1,40}")

Key = tuple[str, str, str]  # what, peer, reason


class Tally:
    """Counts that only grow.

    Args:
        path: the file; what it says already is gone on with.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn, self._writing = threading.Lock(), threading.Lock()
        self._counts = read(path)
        self._written = Counter(self._counts)

    def add(self, what: str, peer: str = NOBODY, reason: str = NOBODY) -> None:
        """One more."""
        with self._turn:
            self._counts[what, peer, reason] += 1

    def counts(self) -> Counter[Key]:
        """All of them."""
        with self._turn:
            return Counter(self._counts)

    def received(self, what: str, peer: str) -> None:
        """One more that is kept; the file says so before the sender hears of it."""
        self.add(what, peer)
        self.write()

    def write(self) -> None:
        """Replace the file where there is something new; a full disk keeps the counts in memory."""
        with self._writing:
            self._write(self.counts())

    def _write(self, counts: Counter[Key]) -> None:
        if counts == self._written:
            return
        beside = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        rows = sorted([*key, number] for key, number in counts.items())
        try:
            write_new(beside, [json.dumps({"version": 1, "counts": rows}).encode("ascii")], sync=False)
            beside.replace(self._path)
            self._written = counts
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def read(path: Path) -> Counter[Key]:
    """The counts of a file; none where there is none, or none that can be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            document = json.loads(file.read(_MOST_BYTES))
        counts: Counter[Key] = Counter()
        for what, peer, reason, number in document["counts"]:
            if type(number) is not int or not 0 <= number <= _MOST:
                raise ValueError("not a count")
            if all(map(_WORD.fullmatch, (what, peer, reason))):
                counts[what, peer, reason] = number
        return counts
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return Counter()
