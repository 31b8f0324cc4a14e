"""Report text for a preview: header values of the study hidden, and what looks like a contact or a date.

The result is masked, not de-identified: a misspelt name, a relative, a place that no header mentions stay.
Text is taken apart into words once, and words are looked up; nothing here can take more than linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

MASKED: Final = "masked, not de-identified"
_NAME, _ID, _DATE, _CONTACT = "‹name›", "‹id›", "‹date›", "‹contact›"
_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")  # letters and digits; an accent may stand apart
_DECIMAL = re.compile(r"[.,()=+]")  # `12.345` is a measurement, not the id 12345
_GAP = re.compile(r"[\s,.\-_/:;#'’^=+()]{0,3}")  # what may stand between the parts of one value
_CONTACTS = (
    re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),  # e-mail
    re.compile(r"(?:https?://|www\.)[^\s<>\"']{1,400}"),
    re.compile(r"\b\d{3}-\d{2}-\d{4}\b"),  # social security number, US
    re.compile(
        r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\w)"
    ),  # phone, North America
    re.compile(r"(?<![\w.])\+\d{1,3}(?:[ .()/-]{0,2}\d{1,6}){2,8}(?!\w)"),  # phone with country code
    re.compile(r"\b(?:tel|phone|fax|ext|pager|mobile)\b\.?:? {0,2}\+?\d[\d .()/-]{4,24}", re.IGNORECASE),
)
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_FOREIGN_MONTHS = (  # German, French, Spanish, Italian, Dutch, where they differ from English and one another
    *(
        "januari?",
        "jänner",
        "februari?",
        "märz?",
        "maerz",
        "mai",
        "juni",
        "juli",
        "augustus",
        "okt(?:ober)?",
        "dez(?:ember)?",
    ),
    *("janvier", "février", "mars", "avril", "juin", "juillet", "août", "septembre", "octobre", "novembre"),
    *("décembre", "enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre"),
    *("octubre", "noviembre", "diciembre", "gennaio", "febbraio", "aprile", "maggio", "giugno", "luglio"),
    *("settembre", "ottobre", "dicembre", "maart", "mei"),
)
_MONTH = "|".join((*_FOREIGN_MONTHS, *(month[:3] + f"(?:{month[3:]})?" for month in _MONTHS)))
_DATES = (  # full dates; day and month in either order
    re.compile(r"(?<![\d.])\d{4}([-/.])\d{1,2}\1\d{1,2}(?!\d)"),
    re.compile(r"(?<![\d.])\d{1,2}([-/.])\d{1,2}\1(?:\d{4}|\d{2})(?![\d.]\d|\d)"),
    re.compile(
        rf"\b\d{{1,2}}(?:st|nd|rd|th|er|\.)?[ -]{{0,2}}(?:of |de )?"
        rf"(?:{_MONTH})\.?,?[ -]{{0,2}}(?:de )?\d{{4}}\b",
        re.I,
    ),
    re.compile(rf"\b(?:{_MONTH})\.? {{0,2}}\d{{1,2}}(?:st|nd|rd|th)?,? {{0,2}}\d{{4}}\b", re.I),
    re.compile(r"\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{4,6})?\b"),
)
_TITLES = frozenset(
    {"dr", "mr", "mrs", "ms", "miss", "prof", "professor", "sir", "drs", "frau", "herr", "mme"}
)
_EXAMINATIONS = frozenset({"MR", "MS"})  # magnetic resonance, multi-slice: no titles
_PARTICLES = frozenset(
    {"the", "and", "for", "von", "van", "der", "den", "del", "dos", "las", "los", "phd", "frcr"}
)
_COMMON = frozenset(  # words of institutions and addresses that would hide findings
    (
        *("hospital", "clinic", "clinical", "medical", "medicine", "center", "centre", "general"),
        *("university", "universitat", "department", "radiology", "imaging", "health", "healthcare"),
        *("institute", "saint", "memorial", "regional", "community", "children", "childrens", "women"),
        *("womens", "chest", "heart", "cancer", "eye", "brain", "spine", "breast", "orthopedic"),
        *("orthopaedic", "emergency", "surgery", "north", "south", "east", "west", "street", "road"),
        *("avenue", "lane", "city", "county", "state", "national", "international", "unit", "ward", "room"),
        *("floor", "care", "system", "services"),
    )
)
_SHORTEST_NAME = 3
_SHORTEST_ID = 4
_LONGEST_RUN = 6  # words that one value may be spread over
_DATE_VALUE = re.compile(r"(?:18|19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{2,6}(?:\.\d+)?)?")


@dataclass(frozen=True, slots=True)
class MaskedText:
    """Text with what was hidden.

    Attributes:
        text: marks such as ‹name› and ‹date› stand for what was there.
        from_header: how many places a value of the header hid.
        by_pattern: how many further places only looked like a date, a contact or a person.
    """

    text: str
    from_header: int
    by_pattern: int


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    text: str
    key: str


def mask(text: str, values: Iterable[str]) -> MaskedText:
    """Hide header values in a text.

    Names are hidden part by part (from three letters) in any order, with their initials and shorter parts
    beside them; ids with and without leading zeros and separators; dates in figures and words. What
    is a common word of institutions is hidden only with the whole value. Case and accents do not matter.

    Args:
        text: of a report.
        values: the study's `identity_values`.
    """
    known = _Known(values)
    words = [_Word(found.start(), found.end(), found[0], _key(found[0])) for found in _WORD.finditer(text)]
    header = [*known.places(text, words)]
    for _ in range(2):  # `‹name›, Li, W.`: the second initial stands beside the first
        header += _beside(words, header, known.short)
    patterns = [*_patterns(text), *_titled(text, words)]
    spans = [(*one, True) for one in header] + [(*one, False) for one in patterns]
    return _rewritten(text, sorted(spans))


class _Known:
    """Header values, prepared for looking up."""

    def __init__(self, values: Iterable[str]) -> None:
        self.names: set[str] = set()
        self.short: set[str] = set()  # initials and parts of one or two letters
        self.runs: dict[str, str] = {}  # what several words together may spell -> its mark
        self.unspaced: set[str] = set()  # parts of names in scripts without spaces
        for value in values:
            if _DATE_VALUE.fullmatch(value):
                self._add_date(value)
            elif any(sign.isdigit() for sign in value):
                self._add_id(value)
            else:
                self._add_name(value)

    def _add_date(self, value: str) -> None:
        year, month, day = value[:4], value[4:6], value[6:8]
        self.runs |= dict.fromkeys((year + month + day, day + month + year, month + day + year), _DATE)

    def _add_id(self, value: str) -> None:
        whole = _key("".join(_WORD.findall(value))).lstrip("0")
        if len(whole) >= _SHORTEST_ID:
            self.runs[whole] = _ID
        for word in _WORD.findall(value):  # the words of an address
            if len(word) > _SHORTEST_ID and _key(word) not in _COMMON and (word.isalpha() or word.isdigit()):
                self.runs.setdefault(_key(word).lstrip("0"), _ID)

    def _add_name(self, value: str) -> None:
        for group in value.split("="):
            parts = [_key(word) for word in _WORD.findall(group)]
            whole = "".join(parts)
            if len(whole) >= _SHORTEST_ID:
                self.runs |= {whole: _NAME, "".join(reversed(parts[:2])): _NAME}
            for part in parts:
                if not part.isascii() and not any(_is_spaced(sign) for sign in part):
                    self.unspaced |= {part} if len(part) > 1 else set()
                elif len(part) < _SHORTEST_NAME or part in _PARTICLES:
                    self.short.add(part)
                elif part not in _TITLES | _COMMON:
                    self.names |= {part, *_transcribed(group, part)}
                    self.short.add(part[0])

    def places(self, text: str, words: Sequence[_Word]) -> Iterator[tuple[int, int, str]]:
        """Where a value stands; longer runs of words first, so that an id is hidden whole."""
        at = 0
        while at < len(words):
            length, mark = self._run(text, words, at)
            if length:
                yield words[at].start, words[at + length - 1].end, mark
            elif words[at].key in self.names or words[at].key.removesuffix("s") in self.names:
                yield words[at].start, words[at].end, _NAME
            at += length or 1
        for part in self.unspaced:
            yield from ((found.start(), found.end(), _NAME) for found in re.finditer(re.escape(part), text))

    def _run(self, text: str, words: Sequence[_Word], at: int) -> tuple[int, str]:
        """How many words from here spell one value, the most first."""
        spelled, best, decimal = "", (0, ""), False
        for length in range(1, min(_LONGEST_RUN, len(words) - at) + 1):
            word = words[at + length - 1]
            if length > 1:
                before = words[at + length - 2].end
                if not _GAP.fullmatch(text, before, word.start):
                    break
                decimal = decimal or bool(_DECIMAL.search(text, before, word.start))
            spelled += word.key
            mark = self.runs.get(spelled.lstrip("0") or spelled, "")
            if mark and len(spelled) >= _SHORTEST_ID and not (decimal and mark == _ID):
                best = (length, mark)
        return best


def _key(word: str) -> str:
    """Without case and accents; `ß` is `ss`, and a dotless i is one."""
    plain = unicodedata.normalize("NFKD", word.upper())
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).casefold()


def _is_spaced(sign: str) -> bool:
    """Whether the script of this letter puts spaces between words."""
    return not unicodedata.name(sign, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI"))


def _transcribed(group: str, part: str) -> Iterator[str]:
    """`Mueller` for `Müller`."""
    for word in _WORD.findall(unicodedata.normalize("NFC", group)):
        if _key(word) == part:
            yield _key(
                word.casefold().translate({0xE4: "ae", 0xF6: "oe", 0xFC: "ue", 0xE5: "aa", 0xF8: "oe"})
            )


def _beside(
    words: Sequence[_Word], hidden: Sequence[tuple[int, int, str]], short: set[str]
) -> list[tuple[int, int, str]]:
    """Initials and short parts of the same names next to a hidden name: `J. ‹name›`, `‹name›, Li`."""
    names = {start for start, _, mark in hidden if mark == _NAME}
    ends = {end for _, end, mark in hidden if mark == _NAME}
    found = []
    for before, word in pairwise(words):
        for one, beside in ((before, word.start in names), (word, before.end in ends)):
            fits = one.key in short and (one.text[:1].isupper() or len(one.key) > 1)
            if fits and beside and word.start - before.end <= 2:
                found.append((one.start, one.end, _NAME))
    return found


def _titled(text: str, words: Sequence[_Word]) -> Iterator[tuple[int, int, str]]:
    """Up to two capitalised words after a title: a person that the header does not know."""
    for at, word in enumerate(words):
        if word.key not in _TITLES or not word.text[:1].isupper() or word.text in _EXAMINATIONS:
            continue
        end = word.end
        for follower in words[at + 1 : at + 3]:
            if (
                follower.start - end > 2
                or "\n" in text[end : follower.start]
                or not follower.text[:1].isupper()
            ):
                break
            yield follower.start, follower.end, _NAME
            end = follower.end


def _patterns(text: str) -> Iterator[tuple[int, int, str]]:
    for mark, patterns in ((_CONTACT, _CONTACTS), (_DATE, _DATES)):
        for pattern in patterns:
            yield from ((found.start(), found.end(), mark) for found in pattern.finditer(text))


def _rewritten(text: str, spans: Sequence[tuple[int, int, str, bool]]) -> MaskedText:
    """Marks in place of the spans; of overlapping ones the union, counted once, header values first."""
    parts: list[str] = []
    counts = {True: 0, False: 0}
    done = at = 0
    while at < len(spans):
        start, end, mark, known = spans[at]
        at += 1
        while at < len(spans) and spans[at][0] < end:
            end, known = max(end, spans[at][1]), known or spans[at][3]
            at += 1
        parts += (text[done:start], mark)
        counts[known] += 1
        done = end
    return MaskedText("".join((*parts, text[done:])), counts[True], counts[False])
