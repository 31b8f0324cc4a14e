"""Versions of a vendor model: NAME is what a site calls it, NAME@2, NAME@3 … are what it became.

A request that says NAME means the newest version; NAME@1 is the first, which is stored as NAME.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from appliance import shown
from appliance.registry import ModelRecord
from appliance.workspace.rows import StoredModel

_SPOKEN: Final = re.compile(r"(?P<line>[^@]+)(?:@(?P<version>[1-9][0-9]{0,8}))?")


def stored_name(line: str, version: int) -> str:
    """Under which name a version is stored."""
    return line if version == 1 else f"{line}@{version}"


def said(stored: Iterable[StoredModel]) -> dict[str, str]:
    """Stored name -> the name that, typed, means this version: NAME@1 for a first one with another after."""
    lines = by_line(stored).items()
    return {
        row.name: f"{line}@1" if row.name == line and len(rows) > 1 else row.name
        for line, rows in lines
        for row in rows
    }


def by_line(stored: Iterable[StoredModel]) -> dict[str, tuple[StoredModel, ...]]:
    """Every line by name, with its versions, the first one first."""
    lines: dict[str, list[StoredModel]] = {}
    for row in stored:
        lines.setdefault(line_of(row), []).append(row)
    return {line: tuple(sorted(rows, key=version_of)) for line, rows in sorted(lines.items())}


def line_of(row: StoredModel) -> str:
    """The line that a stored model belongs to, without reading its whole document."""
    return str(row.document.get("of_line") or row.name)


def version_of(row: StoredModel) -> int:
    """Its number in the line."""
    return int(row.document.get("version", 1))


def newest(stored: Iterable[StoredModel]) -> tuple[StoredModel, ...]:
    """The newest version of every line, by line."""
    return tuple(rows[-1] for rows in by_line(stored).values())


def spoken(stored: Iterable[StoredModel], name: str) -> StoredModel | None:
    """The model that a request means: NAME is the newest version of the line; None where there is none."""
    found = _SPOKEN.fullmatch(name)
    rows = by_line(stored).get(found["line"], ()) if found else ()
    if not found or not rows:
        return None
    version = int(found["version"] or version_of(rows[-1]))
    return next((row for row in rows if version_of(row) == version), None)


def standing(stored: Iterable[StoredModel], row: StoredModel) -> ModelRecord:
    """A model's record, which knows whether a later version of its line is registered."""
    last = by_line(stored)[line_of(row)][-1]
    return replace(shown.model_record(row), superseded=version_of(last) > version_of(row))


def earlier(rows: Sequence[StoredModel], name: str) -> tuple[StoredModel, ...]:
    """The versions of a line before this one, the last one first."""
    before = itertools.takewhile(lambda row: row.name != name, rows)
    return tuple(before)[::-1]


def since(stored: Iterable[StoredModel], name: str, utc: str) -> set[str]:
    """Names of the version of a line that was the newest at this time, and of every later one.

    Args:
        stored: all models.
        name: of the line, or of one of its versions.
        utc: ISO.
    """
    rows = next((rows for rows in by_line(stored).values() if name in [row.name for row in rows]), ())
    then = max((version_of(row) for row in rows if row.registered_utc <= utc), default=1)
    return {row.name for row in rows if version_of(row) >= then} or {name}


def equal_to(records: Sequence[ModelRecord], record: ModelRecord) -> int:
    """The number of the first earlier version with the very same files; 0 where there is none."""
    earlier = (one for one in records if one.version < record.version)
    return next((one.version for one in earlier if one.digest == record.digest), 0)
