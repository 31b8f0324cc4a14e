"""A view as facts, one a line, for screen readers: no columns, no boxes, no sign that is not read aloud."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from appliance.words import en
from appliance.words.table import tell

_BETWEEN = re.compile(r"(?<=[0-9]) ?– ?(?=[0-9])")


def facts(document: Mapping[str, Any]) -> Iterator[str]:
    """Every value of a view, named by where it stands: `Exposure, flagged: 21`.

    Args:
        document: what `--json` prints.
    """
    yield from _named((), document)


def aloud(text: str) -> str:
    """Text of one line without what a screen reader trips over: runs of blanks, boxes, blocks, signs."""
    text = _BETWEEN.sub(f" {en.TO} ", text)
    spoken = "".join(" " if "─" <= sign <= "▟" else en.ALOUD.get(sign, sign) for sign in text)
    return " ".join(spoken.split()).replace(" ,", ",")


def _named(path: tuple[str, ...], value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _named((*path, _name(str(name))), item)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        *above, name = path or ("",)
        for number, item in enumerate(value, start=1):
            which = tell("plain.one_of", name=name, number=number, total=len(value))
            yield from _named((*above, which), item)
    else:
        yield from (_line(path, said) for said in _said(value).split("\n"))


def _line(path: Sequence[str], said: str) -> str:
    name = ", ".join(path)
    return aloud(f"{name[:1].upper()}{name[1:]}: {said}")


def _name(field: str) -> str:
    """A field in words; one of the log's or a file's own is left as it is."""
    stem = field.removesuffix("_utc")
    said = stem.replace("_", " ")
    return f"{said} (UTC)" if stem != field else said


def _said(value: Any) -> str:
    """A value in words: nothing is said to be nothing, and a row of numbers is one fact."""
    if value is None or value in ("", [], {}):
        return tell("plain.none")
    if isinstance(value, bool):
        return tell("plain.yes") if value else tell("plain.no")
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        deep = any(isinstance(item, list) for item in value)
        return ("; " if deep else ", ").join(_said(item) for item in value)
    return str(value)
