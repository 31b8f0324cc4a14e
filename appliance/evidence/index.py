"""The log's index: what stands in which entry, in columns beside the log. Derived from it; the log is right.

    index/000000016384    a piece: entries 16384 … of one segment, complete steps only
    index/verified        up to which entry, and when, all of the log was re-derived

A piece is one line of canonical JSON, one line with its MAC under a key that the disk does not hold, then the
columns, whose digests stand in the first line together with the digest of the piece before. Its end is a
state of the tree, and that state has to lead to the signed checkpoint. So a piece that somebody changed is
noticed where it is used, and made anew. Columns hold nothing that the entries do not hold.

An entry's leaf hash is one of its columns: what is shown of an entry is read from the log and compared.
"""

from __future__ import annotations

import hmac
import json
import os
import re
from bisect import bisect_right
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from appliance.errors import UsageError
from appliance.evidence import making
from appliance.evidence.pieces import WORDS, Piece, Unfit, mac_of
from appliance.evidence.verify_evidence import Checkpoint, canonical
from appliance.evidence.views import LogFilter
from appliance.sanitise import safe
from appliance.views import LogRow

if TYPE_CHECKING:
    from appliance.evidence.journal import Journal

FOLDER: Final = "index"
_VERIFIED: Final = "verified"
_TIME: Final = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2}([ T][0-9]{2}(:[0-9]{2}(:[0-9]{2})?)?)?)?)?")


class Index:
    """The pieces of one log, oldest first and without a gap."""

    def __init__(self, log: Path) -> None:
        self._folder = log / FOLDER
        self._key: bytes | None = None
        self.pieces: list[Piece] = []

    @property
    def may_write(self) -> bool:
        """Whether there is a key to vouch with."""
        return self._key is not None

    @property
    def size(self) -> int:
        """Number of the first entry after the last piece; 0 without one."""
        return self.pieces[-1].end.size if self.pieces else 0

    def entrust(self, key: bytes) -> bool:
        """Use a key from now on; whether the pieces that are open were made under it."""
        self._key = key
        return all(self._opened(one.path) is not None for one in self.pieces)

    def load(self, origin: int) -> None:
        """Open the pieces from entry `origin` on, as far as they go."""
        self.pieces = []
        before, number = "", origin
        while (piece := self._opened(self._folder / f"{number:012d}")) is not None:
            if (piece.first, piece.before) != (number, before) or piece.end.size <= number:
                break
            self.pieces.append(piece)
            before, number = piece.digest, piece.end.size

    def _opened(self, path: Path) -> Piece | None:
        try:
            return Piece(path, self._key) if path.is_file() else None
        except Unfit:
            return None

    def forget(self) -> None:
        """Take every piece away; what was verified stays known."""
        self.pieces = []
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.name != _VERIFIED:
                    path.unlink()

    def holding(self, number: int) -> Piece:
        """The piece that an entry is in."""
        return self.pieces[bisect_right(self.pieces, number, key=lambda one: one.first) - 1]

    def extend(self, journal: Journal) -> None:
        """Make pieces of what is in none, where there is enough of it; a full disk makes none."""
        open_since, behind = journal.segments()[-1][0].first, max(self.size, journal.origin)
        enough = journal.size - behind >= making.PIECE or (self.pieces and behind < open_since)
        if self._key is None or not enough:
            return
        with suppress(OSError):
            for line, body in making.Making(journal, self.pieces[-1] if self.pieces else None).pieces():
                piece = json.loads(line)
                self._write(f"{piece['first']:012d}", line + mac_of(self._key, line) + b"\n" + body)
                self.pieces.append(Piece(self._folder / f"{piece['first']:012d}", self._key))

    def keep_verified(self, head: Checkpoint, utc: str) -> None:
        """Remember that everything up to a state was re-derived; a full disk forgets it."""
        if self._key is not None:
            said = {"entries": head.size, "root": head.root.hex(), "utc": utc, "v": 1}
            line = canonical(said) + b"\n"
            with suppress(OSError):
                self._write(_VERIFIED, line + mac_of(self._key, line))

    def verified(self) -> tuple[Checkpoint, str] | None:
        """The state up to which everything was re-derived last, and when; None if nobody vouches for it."""
        try:
            line, mac = (self._folder / _VERIFIED).read_bytes().splitlines(keepends=True)
            if self._key is not None and hmac.compare_digest(mac, mac_of(self._key, line)):
                said = json.loads(line)
                return Checkpoint(said["entries"], bytes.fromhex(said["root"])), said["utc"]
        except (OSError, ValueError):
            pass
        return None

    def _write(self, name: str, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        aside = self._folder / f"{name}.{os.getpid()}.tmp"
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            aside.replace(self._folder / name)
        finally:
            aside.unlink(missing_ok=True)


def asked(wanted: LogFilter) -> LogFilter:
    """The filter as it is used: times spelt as entries spell them.

    Raises:
        UsageError: a time is none.
    """
    for text in (wanted.since, wanted.until):
        if text and _TIME.fullmatch(text) is None:
            hint = "as 2026-07-31, 2026-07-31 14:05 or 2026-07"
            raise UsageError(f"not a time (UTC): {safe(text, 40)}", hint)
    said = {name: getattr(wanted, name).strip() for name in (*WORDS, "object", "text")}
    times = {name: getattr(wanted, name).replace(" ", "T") for name in ("since", "until")}
    return replace(wanted, **said, **times)


def fits(row: LogRow, wanted: LogFilter) -> bool:
    """The question that the columns answer, asked of one entry."""
    return (
        row.act.startswith(wanted.act)
        and row.actor.startswith(wanted.actor)
        and row.outcome.startswith(wanted.outcome)
        and row.object.startswith(wanted.object)
        and any(one.startswith(wanted.text) for one in (row.act, row.actor, row.outcome, row.object))
        and wanted.since <= row.claimed_utc
        and (not wanted.until or row.claimed_utc[: len(wanted.until)] <= wanted.until)
    )
