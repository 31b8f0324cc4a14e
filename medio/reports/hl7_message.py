"""HL7 v2 bytes -> messages of segments: framing, character set, folded lines, escapes. No meaning here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import hl7

from medio.dicom import wall
from medio.errors import NotReadable
from medio.reports.narrative import MAX_TEXT_BYTES

_CHARSETS = {  # HL7 table 0211
    "ASCII": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "ISO IR6": "utf-8",
    "ISO IR14": "iso2022_jp",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
}
_BATCH = ("FHS", "BHS", "BTS", "FTS")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}(?=[^A-Za-z0-9\s]|$)")
_FRAMES = re.compile("[\x0b\x1c]")


def looks_like_hl7(data: bytes) -> bool:
    """Whether these bytes start as an HL7 v2 message, batch or MLLP frame, or as a piece of one."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    return re.match(rb"(MSH|FHS|BHS|PID|ORC|OBR|OBX)[|]|(MSH|FHS|BHS)[^A-Za-z0-9\s]", start) is not None


@dataclass(frozen=True)
class Segment:
    """One segment; fields and components numbered from 1 as HL7 does, repetitions from 0."""

    name: str
    _parsed: Any  # hl7.Segment
    _escape: Escape

    @property
    def value_type(self) -> str:
        """OBX-2."""
        return self.component(2)

    def raw(self, field: int) -> str:
        """The field as sent."""
        return str(self._parsed[field]) if field < len(self._parsed) else ""

    def text(self, field: int) -> str:
        """The field unescaped, its repetitions as lines: many senders put one line of text in each."""
        parts = self._parsed[field] if field < len(self._parsed) else []
        return "\n".join(self._escape.undo(str(part)) for part in parts)

    def repetitions(self, field: int) -> int:
        """How often the field is repeated; an empty field counts once."""
        return len(self._parsed[field]) if field < len(self._parsed) else 0

    def component(self, field: int, component: int = 1, repetition: int = 0) -> str:
        """First subcomponent of a component, unescaped and trimmed; empty when absent or null (`""`)."""
        try:
            part = self._parsed[field][repetition]
        except IndexError:
            return ""
        if isinstance(part, str):
            found = part if component == 1 else ""
        else:
            found = str(part[component - 1]) if component <= len(part) else ""
        found = self._escape.undo(found.split(self._escape.subcomponent)[0]).strip()
        return "" if found == '""' else found


@dataclass(frozen=True)
class Message:
    """One message; `text` is its segments joined by carriage returns, whatever ended them in the file."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    @cached_property
    def kind(self) -> str:
        """MSH-9.1, such as ORU."""
        return self.header.component(9).upper()


@dataclass(frozen=True)
class Escape:
    """Escape sequences of one message (HL7 2.5.1 §2.7); what is no known sequence stays as it is."""

    letters: str  # MSH-1 and MSH-2: field, component, repetition, escape, subcomponent
    charset: str

    @property
    def subcomponent(self) -> str:
        """The subcomponent separator."""
        return self.letters[4:5] or "&"

    def undo(self, text: str) -> str:
        """Replace the sequences in one value."""
        sign = self.letters[3:4]
        if not sign or sign not in text:
            return text
        quoted = re.escape(sign)
        return re.sub(f"{quoted}([^{quoted}\r\n]{{1,512}}){quoted}", self._one, text)

    def _one(self, match: re.Match[str]) -> str:
        code = match.group(1)
        plain = {"F": 0, "S": 1, "R": 2, "E": 3, "T": 4}.get(code)
        if plain is not None:
            return self.letters[plain : plain + 1] or match.group()
        if code in ("H", "N"):
            return ""
        if code.startswith((".br", ".sp", ".ce")):
            return "\n"
        if code.startswith((".fi", ".nf", ".in", ".ti", ".sk")):
            return " " if code.startswith((".sk", ".ti", ".in")) else ""
        if re.fullmatch(r"X([0-9A-Fa-f]{2})+", code):
            return bytes.fromhex(code[1:]).decode(self.charset, errors="replace")
        return match.group()


def messages(data: bytes) -> Iterator[Message]:
    """The messages of a file in order.

    Raises:
        NotReadable: no message header, or the grammar is broken.
    """
    if len(data) > MAX_TEXT_BYTES:
        raise NotReadable("too-large", "more than a file of messages holds")
    text, charset = _decoded(data)
    lines = [line for line in re.split(r"\r\n|\r|\n", _FRAMES.sub("\r", text)) if line.strip()]
    lines = [line for line in lines if line[:3] not in _BATCH]
    if not lines or not lines[0].startswith("MSH"):
        raise NotReadable("hl7-no-msh", "no message header")
    current: list[str] = []
    for line in lines:
        if line.startswith("MSH") and current:
            yield _message(current, charset)
            current = []
        current.append(line)
    yield _message(current, charset)


def _message(lines: list[str], charset: str) -> Message:
    """Parse one message. A line that starts no segment continues the one before: senders fold long text."""
    letters = lines[0][3:8]
    whole: list[str] = []
    for line in lines:
        if whole and not _SEGMENT.match(line):
            whole[-1] += f"{letters[3:4]}.br{letters[3:4]}" + line
        else:
            whole.append(line)
    text = "\r".join(whole)
    with wall("hl7-grammar"):
        escape = Escape(letters, charset)
        parsed = hl7.parse(text + "\r")
        segments = tuple(Segment(str(segment[0]), segment, escape) for segment in parsed)
    return Message(text, segments)


def _decoded(data: bytes) -> tuple[str, str]:
    """Text and the character set that gave it: as MSH-18 says, else UTF-8, else Windows-1252."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    declared = _declared(data)
    for charset in dict.fromkeys((declared, "utf-8")):
        try:
            return data.decode(charset), charset
        except UnicodeDecodeError:
            continue
    return data.decode("cp1252", errors="replace"), "cp1252"


def _declared(data: bytes) -> str:
    match = re.search(rb"MSH(.)([^\r\n]*)", data)
    if match is None:
        return "utf-8"
    fields = match.group(2).split(match.group(1))
    name = fields[16].split(b"~")[0].decode("ascii", "replace").strip().upper() if len(fields) > 16 else ""
    if re.fullmatch(r"8859/\d{1,2}", name):
        return f"iso8859_{int(name[5:])}" if int(name[5:]) in {*range(1, 12), 13, 14, 15, 16} else "utf-8"
    return _CHARSETS.get(name, "utf-8")
