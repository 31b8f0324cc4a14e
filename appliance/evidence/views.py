"""What screens and commands see of the log beyond its rows."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.views import LogRow


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which entries are wanted: those whose words begin as said here; "" asks nothing.

    Attributes:
        act, outcome, actor: beginnings of the entry's words.
        object: beginning of a handle, a digest or a word; of a handle the first 16 digits count.
        text: beginning of any of the four.
        since, until: an ISO time in UTC or its beginning, both included: `2026-07` is all of July.
        below: only entries with a smaller number; None for all there are.
    """

    act: str = ""
    outcome: str = ""
    actor: str = ""
    object: str = ""
    text: str = ""
    since: str = ""
    until: str = ""
    below: int | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some of the entries that a filter lets through.

    Attributes:
        total: how many there are, exactly.
    """

    rows: tuple[LogRow, ...]
    total: int


@dataclass(frozen=True, slots=True)
class WitnessRow:
    """A witness that the site trusts, and what it has seen.

    Attributes:
        words: ten words of its key.
        entries: how many it has cosigned; 0 before its first answer.
        seen_utc: when, by its own clock; "" before its first answer.
    """

    name: str
    words: str
    entries: int
    seen_utc: str


@dataclass(frozen=True, slots=True)
class StateView:
    """One state of the log, to be written down elsewhere.

    Attributes:
        root: hex.
        key_words: ten words of the signing key.
        state_words: ten words for key, size and root together.
    """

    entries: int
    root: str
    key_words: str
    state_words: str


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """Somebody has looked through the log.

    Attributes:
        entry: number of the entry that says so.
        by: role, and which person among several.
        first, last: the window, as entry numbers.
        found: what was found, in the reviewer's words; from the sealed record.
    """

    entry: int
    reviewed_utc: str
    by: str
    first: int
    last: int
    found: str


@dataclass(frozen=True, slots=True)
class ExportedLog:
    """A file made from the log: entries first … last.

    Attributes:
        checked: FHIR's own model has accepted every line; it is not always installed.
    """

    file: str
    format: str
    first: int
    last: int
    checked: bool


@dataclass(frozen=True, slots=True)
class PackRow:
    """One evidence pack that was written, as the log says.

    Attributes:
        entry: number of the entry that says so.
        by: role, and which person among several.
        edition: full, or vendor: without anything about patients.
    """

    audit_id: str
    entry: int
    written_utc: str
    by: str
    edition: str = "full"


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A pack, an answer or a log that was found to be what was signed.

    Attributes:
        entries: of the log's state that it speaks of.
        root: of that state, hex.
        key_words: ten words of the key that signed it.
        said: what the verifier says of it, line by line.
        size: bytes; 0 of a log.
        withheld: what of a pack is withheld or left out, and provably was there, line by line.
        paper: whether a PDF of the verdict is in it.
    """

    intact: bool
    entries: int
    root: str
    key_words: str
    said: tuple[str, ...] = ()
    size: int = 0
    withheld: tuple[str, ...] = ()
    paper: bool = False
