"""HL7 v2 bytes -> messages of segments: framing, character set, folded lines, escapes. No meaning here.

A file may be one message, several, a batch, MLLP frames as they went over the wire, or the log of a listener
that writes the frame signs as words: `<SB>` message, each segment ended by `<R>`, `<EB>`, time lines between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import hl7

from medio.dicom import wall
from medio.errors import NotReadable

MAX_MESSAGES_BYTES = 64 << 20  # a batch, or one message with a scanned document in it
MAX_MESSAGE_BYTES = 24 << 20
MAX_MESSAGES = 100_000
MAX_MESSAGE_PARTS = 200_000  # segments, fields, components: 200 MB while they are parsed
MAX_PARTS = 700_000  # of one file, and one more in eight letters: six seconds of parsing a million
_CHARSETS = {  # HL7 table 0211
    "ASCII": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UNICODE UTF-16": "utf-16",
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
_LOG = re.compile(rb"\s*(?:[\t\x20-\xff]{0,256}[\r\n]+){0,8}?(?:<SB>|\x0b\s*(?:MSH|FHS|BHS))")
_FRAME = re.compile("\x0b([^\x0b\x1c]*)")
_HEADS = (b"\xff\xfeM\0S\0H\0", b"\xfe\xff\0M\0S\0H")  # UTF-16 with its byte order mark


def looks_like_hl7(data: bytes) -> bool:
    """Whether these bytes start as a message, batch, frame or listener's log, or as a piece of a message."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n\x0b")
    if re.match(rb"(MSH|FHS|BHS|PID|ORC|OBR|OBX)[|]|(MSH|FHS|BHS)[^A-Za-z0-9\s]", start):
        return True
    return data.startswith(_HEADS) or _LOG.match(data[:2048]) is not None


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

    def components(self, field: int) -> int:
        """How many components the first repetition has."""
        part = self._parsed[field][0] if field < len(self._parsed) and self._parsed[field] else ""
        return 1 if isinstance(part, str) else len(part)

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

    def subcomponents(self, field: int, repetition: int = 0) -> list[str]:
        """The parts of the first component, unescaped and trimmed."""
        try:
            part = self._parsed[field][repetition]
        except IndexError:
            return []
        first = part if isinstance(part, str) else str(part[0])
        return [self._escape.undo(one).strip() for one in first.split(self._escape.subcomponent)]


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
        text = re.sub(f"(?<={quoted}X)([0-9A-Fa-f]{{2,512}}){quoted}{quoted}X(?=[0-9A-Fa-f])", r"\1", text)
        return re.sub(f"{quoted}([^{quoted}\r\n]{{1,512}}){quoted}", self._one, text)

    def _one(self, match: re.Match[str]) -> str:
        code = match.group(1)
        plain = {"F": 0, "S": 1, "R": 2, "E": 3, "T": 4}.get(code)
        if plain is not None:
            return self.letters[plain : plain + 1] or match.group()
        if code in ("H", "N") or re.fullmatch(r"[CM]([0-9A-Fa-f]{2}){2,3}", code):
            return ""  # highlighting, or a change of character set that MSH-18 and the bytes already show
        if code.startswith((".br", ".sp", ".ce")):
            return "\n"
        if code.startswith((".fi", ".nf", ".in", ".ti", ".sk")):
            return " " if code.startswith((".sk", ".ti", ".in")) else ""
        if re.fullmatch(r"X([0-9A-Fa-f]{2})+", code):
            return bytes.fromhex(code[1:]).decode(self.charset, errors="replace")
        return match.group()


def split(data: bytes) -> tuple[tuple[str, ...], str]:
    """The text of each message in order, segments ended by carriage returns, and the character set.

    What stands outside the frames of a log is left out. A part that starts with no MSH is kept as it is, so
    that `parse` can say what is wrong with it.

    Raises:
        NotReadable: larger than any file of messages.
    """
    if len(data) > MAX_MESSAGES_BYTES:
        raise NotReadable("too-large", "more than a file of messages holds")
    text, charset = _decoded(data)
    if max(map(text.count, ("\x0b", "<SB>", "MSH"))) > MAX_MESSAGES:
        raise NotReadable("too-large", f"more than {MAX_MESSAGES} messages")
    if sum(map(text.count, "|^~&\r")) > MAX_PARTS + len(text) // 8:
        raise NotReadable("too-large", "more than a file of messages holds")
    found: list[list[str]] = []
    for part in _parts(text):
        fresh = True
        for line in re.split(r"\r\n|\r|\n", part):
            if not line.strip() or line[:3] in _BATCH:
                continue
            if fresh or line.startswith("MSH"):
                found.append([])
            found[-1].append(line)
            fresh = False
    return tuple("\r".join(lines) for lines in found), charset


def _parts(text: str) -> list[str]:
    """The contents of the frames; all of a text without frames."""
    if "<SB>" in text[:2048] and "\x0b" not in text:
        text = re.sub(r"<R>\s?", "\r", text.replace("<SB>", "\x0b").replace("<EB>", "\x1c"))
    before, framed, _ = text.partition("\x0b")
    if not framed:
        return [text.replace("\x1c", "\r")]
    unframed = [before] if before.lstrip().startswith(("MSH", *_BATCH)) else []
    return unframed + _FRAME.findall(text)


def parse(text: str, charset: str) -> Message:
    """Parse one message. A line that starts no segment continues the one before: senders fold long text.

    Raises:
        NotReadable: no message header, too large, or the grammar is broken.
    """
    if not text.startswith("MSH"):
        raise NotReadable("hl7-no-msh", "no message header")
    letters = text[3:8]
    if len(text) > MAX_MESSAGE_BYTES or sum(map(text.count, {*letters, "\r"})) > MAX_MESSAGE_PARTS:
        raise NotReadable("too-large", "more than a message holds")
    folded = f"{letters[3:4]}.br{letters[3:4]}"
    pieces = [("\r" if _SEGMENT.match(line) else folded) + line for line in text.split("\r")]
    text = "".join(pieces)[1:]
    with wall("hl7-grammar"):
        escape = Escape(letters, charset)
        parsed = hl7.parse(text + "\r")
        segments = tuple(Segment(str(segment[0]), segment, escape) for segment in parsed)
    return Message(text, segments)


def _decoded(data: bytes) -> tuple[str, str]:
    """Text and the character set that gave it: as MSH-18 says, else UTF-8, else Windows-1252."""
    if data.startswith(_HEADS):
        return data.decode("utf-16", errors="replace"), "utf-16"
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
