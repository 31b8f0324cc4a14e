"""Items of a report -> the one text an audit uses. All readers go through here: formats give equal texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from medio.errors import NotReadable

MAX_TEXT_BYTES = 4 << 20
_OWN_LABEL = re.compile(r"[^\s:][^:\n]{0,40}:(\s|$)")
_STAMP = re.compile(r"(\d{4})([-./]?)(\d{1,2})\2(\d{1,2})(?:[T ]?(\d{2}):?(\d{2}):?(\d{2})?)?")
_HEADING = re.compile(r"^[^:]{0,60}:(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a report: its name (OBX-3, concept name), what it says, and whether that is prose.

    Codes and numbers are no prose: without their names they say nothing.
    """

    name: str
    value: str
    prose: bool = True


def lines(items: Sequence[Item]) -> Iterator[str]:
    """Items as `name: value`, without names that the sender's format asks for and nobody dictated.

    A name of prose is left out where all prose has the same one (`Text`, `Finding`, `Study observation`), and
    from the second item of a row on: a model is trained on what was said, and a word put before each sentence
    makes another text of it. A question stays with its answer. A value that begins with a label of its own
    keeps it alone.
    """
    names = [" ".join(one.name.split()).rstrip(":") for one in items]
    several = (
        len({n.lower() for n, one in zip(names, items, strict=True) if one.prose and one.value.strip()}) > 1
    )
    before = ""
    for name, one in zip(names, items, strict=True):
        value = one.value.strip()
        heading = one.prose and not name.endswith("?")
        shown = not heading or (several and name.lower() != before)
        before = name.lower() if heading else ""
        yield f"{name}: {value}" if shown and name and value and not _OWN_LABEL.match(value) else value


def decoded(data: bytes) -> str:
    """Bytes as text: by byte order mark, else UTF-8, else Windows-1252, which takes almost any byte."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def stamp_of(text: str) -> str:
    """`YYYYMMDDHHMMSS` or less, of a time written year first; `03/04/2024` could be two days and is none."""
    match = _STAMP.match(text)
    if match is None:
        return ""
    year, _, month, day, hour, minute, second = (part or "" for part in match.groups())
    return f"{year}{month:0>2}{day:0>2}{hour}{minute}{second}"


def narrative(items: Iterable[str]) -> str:
    """Items as lines without blank ones and without white space at the ends; wording is never changed.

    Raises:
        NotReadable: the text is longer than any report.
    """
    text = "\n".join(items).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if len(text) > MAX_TEXT_BYTES:
        raise NotReadable("too-large", "more text than a report holds")
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def says_something(text: str) -> bool:
    """Whether anything but headings and punctuation is left: `IMPRESSION: ???` says nothing."""
    return any(
        any(letter.isalnum() for letter in _HEADING.sub("", line, count=1)) for line in text.split("\n")
    )
