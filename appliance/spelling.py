"""ASCII for terminals and pipes that take nothing else: which locale was given, and how a sign is spelt.

A locale without UTF-8 gets ASCII from every command; an encoding that lacks a sign gets it spelt, so that
nothing ends because of a letter.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.cells import cell_len

_INITIAL = Path("/proc/self/environ")
_HANDLER = "spelt"


def started_with() -> Mapping[str, str]:
    """The environment this process was given; Python puts a UTF-8 locale over a plain one (PEP 538)."""
    try:
        entries = _INITIAL.read_bytes().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return os.environ
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def takes_utf8(environ: Mapping[str, str]) -> bool:
    """Whether the locale is a UTF-8 one; none at all is the locale C (POSIX)."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or "C"
    return "utf" in locale.lower()


class _Spelling(dict[int, str]):
    """ASCII for any sign, with as many cells as it had; asked by `str.translate`."""

    def __missing__(self, code: int) -> str:
        sign = chr(code)
        if code >= 127:
            cells = cell_len(sign)
            base = unicodedata.normalize("NFKD", sign)[0]
            sign = base if base.isascii() and cells == 1 else "?" * cells
        self[code] = sign
        return sign


_ALIKE = (
    ("–—×≤≥·•●◆⊘▲εδ", "--x<>-*o@0!ed"),
    ("─━▔▁│┃┆▏▎▌▐", "---_|||||[]"),
    ("┌┐└┘╭╮╰╯├┤┬┴┼", "+" * 13),
    ("═║╔╗╚╝", "=#####"),
    ("█▉▊▋▍▂▃▄▅▆▇░▒▓", "###########.:#"),
    ("✓✔✗▸▶▼◀…↑↓←→", "++x>>v<.^v<>"),
)
SPELT: Final[dict[int, str]] = _Spelling(
    {ord(one): few for many, plain in _ALIKE for one, few in zip(many, plain, strict=True)}
)
SPELT[ord("🔎")] = "> "


def spell_out(environ: Mapping[str, str]) -> None:
    """Standard output and error spell what they cannot write; without UTF-8, whatever is not ASCII."""
    codecs.register_error(_HANDLER, _spelt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if takes_utf8(environ) else "ascii", errors=_HANDLER)


def _spelt(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return error.object[error.start : error.end].translate(SPELT), error.end
