"""Is anything of the original's identity still in these bytes? The second look at an exported object.

It shares nothing with what removes identity: no tag table, no parser. Every spelling of every value is looked
for in the whole file: header, preamble, private and unknown elements, overlays, padding, comments inside
compressed frames. What it cannot see is said in `Scan`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_ENCODINGS = (
    *("utf-8", "latin-1", "utf-16-le", "utf-16-be", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7"),
    *("iso8859-8", "iso8859-9", "tis-620", "shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "gb18030"),
)
_SHORTEST_PART = 3  # letters of a name; shorter ones are in every file
_SHORTEST_VALUE = 4  # signs of a number, an id or a place
_BORDERED = 5  # signs: what is as short as this counts only as a word or number of its own
_IN_FRAMES = 6  # bytes: shorter ones happen by chance in compressed frames, unless text surrounds them
_IN_PLAIN_PIXELS = 8  # grey levels 32 to 126 look like letters
_TEXT_AROUND = 12  # printable bytes in a row are text
_NOT_A_NAME = frozenset({"the", "von", "van", "der", "den", "del", "dos", "mrs", "phd", "prof"})


_Needle = tuple[str, bytes, bool]


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where identity is left; never the value itself.

    Attributes:
        kind: value, part or uid.
        offset: byte in the file.
    """

    kind: str
    offset: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What is searched for. Names shorter than three letters and ids shorter than four signs are not: they
    stand in every file. Neither is text that is drawn, compressed or encrypted, or spelled in a way that is
    not in `spellings`.

    Attributes:
        values: header values of the original (`identity_values`), as decoded.
        uids: every UID of the original that is not DICOM's own.
    """

    values: tuple[str, ...]
    uids: tuple[str, ...] = ()
    _needles: tuple[_Needle, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_needles", tuple(self._encoded()))

    def hits(self, result: bytes, pixels: bytes = b"", compressed: bool = False) -> tuple[Hit, ...]:
        """Where identity is left, at most one hit for each spelling.

        Args:
            result: the whole file as it would be written.
            pixels: the value of its pixel data element, where chance makes short words.
            compressed: whether that value is compressed.
        """
        place = result.find(pixels) if len(pixels) > _TEXT_AROUND else -1
        if place < 0:
            pixels = b""
        head, tail = (result[:place], result[place + len(pixels) :]) if pixels else (result, b"")
        shortest = _IN_FRAMES if compressed else _IN_PLAIN_PIXELS
        found = []
        after = place + len(pixels)
        regions = ((head.lower(), 0, True), (pixels.lower(), place, False), (tail.lower(), after, True))
        for kind, needle, bordered in self._needles:
            for region, start, text in regions:
                at = _find(region, needle, bordered, shortest if not text else 0, compressed)
                if at >= 0:
                    found.append(Hit(kind, start + at))
                    break
        return tuple(found)

    def _encoded(self) -> Iterator[_Needle]:
        """Kind, bytes in lower case, and whether only a whole word counts."""
        seen: set[bytes] = set()
        for kind, text, bordered in self._texts():
            for encoding in _ENCODINGS if not text.isascii() else ("ascii", "utf-16-le", "utf-16-be"):
                try:
                    needle = text.encode(encoding).lower()
                except UnicodeEncodeError:
                    continue
                if needle not in seen:
                    seen.add(needle)
                    yield kind, needle, bordered

    def _texts(self) -> Iterator[tuple[str, str, bool]]:
        for uid in self.uids:
            yield "uid", uid, False
        for value in self.values:
            if len(set(value)) == 1:
                continue  # `0000` names nobody
            for text in spellings(value):
                yield "value", text, len(text) <= _BORDERED
            for part in name_parts(value) if _is_person(value) else ():
                for text in _forms(part):
                    yield "part", text, len(part) <= _BORDERED


def spellings(value: str) -> frozenset[str]:
    """Usual ways to write a header value: a date in words and figures, a name in any order, an id bare."""
    date = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d{6}.*)?", value)
    if date and 1 <= int(date[2]) <= 12 and 1 <= int(date[3]) <= 31:
        return frozenset(_dates(date[1], date[2], date[3]))
    if _is_person(value):
        return frozenset(form for text in _names(value) for form in _forms(text))
    bare = re.sub(r"[^0-9A-Za-z]", "", value)
    numbers = {bare, bare.lstrip("0")} if any(sign.isdigit() for sign in value) else set()
    texts = {value, " ".join(value.split()), *numbers}
    return frozenset(form for text in texts if len(text) >= _SHORTEST_VALUE for form in _forms(text))


def name_parts(value: str) -> tuple[str, ...]:
    """Words of a person name that stand for the person alone."""
    words = re.split(r"[\W_]+", value)
    return tuple(word for word in words if len(word) >= _SHORTEST_PART and word.casefold() not in _NOT_A_NAME)


def _is_person(value: str) -> bool:
    """A person name has component or group delimiters (PS3.5 §6.2.1), or is a few words of letters."""
    return "^" in value or "=" in value or (value.isalpha() and len(value) >= _SHORTEST_PART)


def _names(value: str) -> Iterator[str]:
    for group in value.split("="):
        words = [word for word in re.split(r"[\^\s]+", group) if word]
        yield group
        if len(words) > 1:
            first, second = words[0], words[1]
            for one, other in ((first, second), (second, first)):
                yield from (f"{one} {other}", f"{one}, {other}", f"{one}{other}", f"{one}_{other}")
                yield from (f"{one}-{other}", f"{one}.{other}", f"{one},{other}")


def _forms(text: str) -> Iterator[str]:
    """As it is, and as a system without accents or with all capitals writes it."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    forms = {text, text.upper(), text.lower(), plain, unicodedata.normalize("NFD", text)}
    yield from (form for form in forms if len(form) >= _SHORTEST_PART or not form.isascii())


def _dates(year: str, month: str, day: str) -> Iterator[str]:
    for sign in ("", "-", "/", "."):
        yield from (f"{year}{sign}{month}{sign}{day}", f"{day}{sign}{month}{sign}{year}")
        yield f"{month}{sign}{day}{sign}{year}"
        if sign:
            yield from (f"{day}{sign}{month}{sign}{year[2:]}", f"{month}{sign}{day}{sign}{year[2:]}")
    name, short = _MONTHS[int(month) - 1], _MONTHS[int(month) - 1][:3]
    for word in (name, short):
        for number in {day, day.lstrip("0")}:
            yield from (f"{number} {word} {year}", f"{number}. {word} {year}", f"{number}-{word}-{year}")
            yield from (f"{word} {number}, {year}", f"{word} {number} {year}", f"{number}{word}{year}")


def _find(region: bytes, needle: bytes, bordered: bool, shortest: int, compressed: bool) -> int:
    """Offset of the first hit that counts, else -1; `shortest` is 0 outside pixels."""
    if 0 < len(needle) < shortest and not compressed:
        return -1
    for at in _occurrences(region, needle):
        end = at + len(needle)
        if bordered and _goes_on(needle[:1], region[max(at - 1, 0) : at]) | _goes_on(
            needle[-1:], region[end : end + 1]
        ):
            continue
        if len(needle) < shortest and not _text_around(region, at, end):
            continue
        return at
    return -1


def _occurrences(region: bytes, needle: bytes) -> Iterable[int]:
    at = region.find(needle)
    while at >= 0:
        yield at
        at = region.find(needle, at + 1)


def _goes_on(edge: bytes, neighbour: bytes) -> bool:
    """Whether a word or a number is longer than the hit."""
    return neighbour.isalpha() if edge.isalpha() else neighbour.isdigit() or neighbour == b"."


def _text_around(region: bytes, start: int, end: int) -> bool:
    """Whether a hit stands in a run of printable bytes."""
    while start > 0 and end - start < _TEXT_AROUND and 32 <= region[start - 1] < 127:
        start -= 1
    while end < len(region) and end - start < _TEXT_AROUND and 32 <= region[end] < 127:
        end += 1
    return end - start >= _TEXT_AROUND
