"""Items of a report -> the one text an audit uses. All readers go through here: formats give equal texts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from medio.errors import NotReadable

MAX_TEXT_BYTES = 4 << 20
_OWN_LABEL = re.compile(r"[^\s:][^:\n]{0,40}:(\s|$)")
_HEADING = re.compile(r"^[^:]{0,60}:(?=\s|$)")


def item(name: str, value: str) -> str:
    """One item as `name: value`; a value that already begins with a label of its own keeps it alone."""
    name, value = " ".join(name.split()).rstrip(":"), value.strip()
    if not name or not value or _OWN_LABEL.match(value):
        return value
    return f"{name}: {value}"


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
