"""The one door through which foreign text reaches a screen, a log line or a report.

Foreign is whatever a DICOM file, a report, a vendor's model folder or a peer wrote. A patient name may
hold `\\x1b]52;…` (writes the clipboard), `[@click=app.quit]` (runs an action), `[/x]` (crashes the markup
parser), a right-to-left override (hides what it says) or a megabyte of combining marks. None acts afterwards.
HTML pages escape their text once more: `safe()` does not touch `<` and `&`.
"""

from __future__ import annotations

import json
import re
import unicodedata

REPLACEMENT = "�"
_ELLIPSIS = "…"
_MARKS_IN_A_ROW = 3

# Whole sequences go, so that no `31m` is left over; an unterminated one only loses its introducer below.
# The bodies exclude every control character, which keeps the scan linear on hostile input.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x00-\x06\x07\x0e-\x1b\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC
    r"|\x1b[ -/]*[0-~]"  # two-byte and charset sequences
)
_BRACKETS = str.maketrans({"[": "(", "]": ")"})
_BLANKS = frozenset("\t\n\v\f\r\x85\u2028\u2029")


class Tainted(str):
    """Foreign text that has not passed `safe()`: printing, formatting or concatenating it is an error.

    Comparing, hashing, encoding and storing work, so it can be kept and digested exactly as it came.
    """

    __slots__ = ()

    def __str__(self) -> str:
        raise TypeError("foreign text must pass safe() before it is shown")

    def __format__(self, spec: str) -> str:
        return self.__str__()

    def __repr__(self) -> str:
        return f"Tainted({len(self)} characters)"

    def __add__(self, other: str) -> str:
        return self.__str__()

    def __radd__(self, other: str) -> str:
        return self.__str__()

    def raw(self) -> str:
        """The exact characters as a plain string, for digests and storage, never for a screen."""
        return self[:]


def printable(text: str) -> str:
    """Our own lines around text that passed `safe()`: the last look before a terminal, a pipe or a file.

    Line breaks stay, and so does everything a reader may see; what acts on a terminal is replaced by a sign.
    """
    return (
        text
        if text.isprintable()
        else "".join(sign if sign == "\n" or _is_inert(sign) else REPLACEMENT for sign in text)
    )


def escaped(document: str) -> str:
    """A JSON text in which every character that acts on a terminal is written as JSON's own escape.

    A program that reads it gets the same strings as before.
    """
    if document.isprintable():
        return document
    return "".join(sign if _is_inert(sign) else _as_json(sign) for sign in document)


def _is_inert(sign: str) -> bool:
    category = unicodedata.category(sign)
    return category[0] != "C" and category not in ("Zl", "Zp")


def _as_json(sign: str) -> str:
    return json.dumps(sign)[1:-1]


def safe(text: str, limit: int = 200) -> str:
    """One line of inert text.

    Args:
        text: foreign text, tainted or not.
        limit: most characters returned; longer text is cut and ends in an ellipsis.

    Returns:
        `text` without escape sequences, with blanks for line breaks and tabs, a replacement sign for every
        other character that controls, formats, or is not assigned, round brackets for square ones (the
        markup of the terminal toolkit), and at most three combining marks in a row.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit < 1:
        raise ValueError("limit must be at least 1")
    window = limit * 16 + 4096  # what a few sequences may hide; nobody pays for a megabyte
    shown = "".join(_visible(_SEQUENCES.sub("", text[:window]))).translate(_BRACKETS).strip()
    if len(shown) > limit or len(text) > window:
        return shown[: limit - 1] + _ELLIPSIS
    return shown


def _visible(text: str) -> list[str]:
    kept: list[str] = []
    marks = 0
    for sign in text:
        category = unicodedata.category(sign)
        marks = marks + 1 if category[0] == "M" else 0
        if sign in _BLANKS:
            kept.append(" ")
        elif category[0] == "C":  # Cc, Cf (bidi, zero width, tags), Cs, Co, Cn
            kept.append(REPLACEMENT)
        elif category[0] == "Z":
            kept.append(" ")
        elif marks <= _MARKS_IN_A_ROW:
            kept.append(sign)
    return kept
