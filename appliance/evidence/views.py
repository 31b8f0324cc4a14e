"""What screens and commands see of the log beyond its rows."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    audit_id: str
    entry: int
    written_utc: str
    by: str
