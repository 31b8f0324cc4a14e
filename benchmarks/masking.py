"""How much of a header's identity does the preview of a report hide, by way of writing it?

    python benchmarks/masking.py [--reports 20000] [--seed 0]

Reports are made from invented headers: every value is written in one of the ways that dictation, interfaces
and typists use. A value counts as hidden when none of its words of three letters, nor its figures, are left.
"""

from __future__ import annotations

import argparse
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from medio.masking import mask

_FAMILY = (
    *(
        "Canary",
        "Mueller-Lüdenscheid",
        "O'Brien",
        "van der Berg",
        "Nguyen",
        "Zoltán",
        "Smith",
        "García Lorca",
    ),
    *("Øst", "Ştefan", "Al-Hashimi", "Kowalczyk", "D'Angelo", "MacIntyre", "Lee", "Brontë"),
)
_GIVEN = (
    "Adelheid",
    "Jörg",
    "Siobhán",
    "Wei",
    "José María",
    "Ann-Kathrin",
    "Mohammed",
    "Zoë",
    "Tim",
    "Ngozi",
)
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_FINDINGS = (
    "No focal consolidation, pleural effusion or pneumothorax.",
    "A 12 mm nodule in the right upper lobe, previously 1.2 x 0.9 cm.",
    "Degenerative change at L4/5 and L5/S1. T2 hyperintense lesion in segment 7.",
    "Heart size is normal; mediastinal contours are unremarkable.",
)


@dataclass(frozen=True, slots=True)
class _Person:
    family: str
    given: str
    number: str
    born: str  # YYYYMMDD

    @property
    def values(self) -> tuple[str, ...]:
        return f"{self.family}^{self.given}", self.number, self.born


def _words(born: str) -> tuple[str, str, str]:
    return str(int(born[6:8])), _MONTHS[int(born[4:6]) - 1], born[:4]


def _american(born: str, after: str) -> str:
    day, month, year = _words(born)
    return f"{month} {day}{after} {year}"


def _short(born: str) -> str:
    day, month, year = _words(born)
    return f"{day}-{month[:3].upper()}-{year}"


NAMES: dict[str, Callable[[_Person], str]] = {
    "Given Family": lambda p: f"{p.given} {p.family}",
    "FAMILY, GIVEN": lambda p: f"{p.family.upper()}, {p.given.upper()}",
    "Family^Given": lambda p: f"{p.family}^{p.given}",
    "title and family name": lambda p: f"Mrs. {p.family}",
    "initial": lambda p: f"{p.given[0]}. {p.family}",
    "without accents": lambda p: f"{_plain(p.given)} {_plain(p.family)}",
    "accents apart": lambda p: _apart(f"{p.given} {p.family}"),
    "possessive": lambda p: f"{p.family}'s",
    "lower case": lambda p: f"{p.family} {p.given}".lower(),
    "run together": lambda p: f"{p.family}{p.given}".replace(" ", ""),
}
NUMBERS: dict[str, Callable[[_Person], str]] = {
    "as it is": lambda p: p.number,
    "without leading zeros": lambda p: p.number.lstrip("0"),
    "with more zeros": lambda p: "00" + p.number,
    "in groups": lambda p: f"{p.number[:3]}-{p.number[3:6]}-{p.number[6:]}",
    "spaced": lambda p: f"{p.number[:4]} {p.number[4:]}",
    "after a label": lambda p: f"MRN#{p.number}",
}
DATES: dict[str, Callable[[_Person], str]] = {
    "YYYYMMDD": lambda p: p.born,
    "ISO": lambda p: f"{p.born[:4]}-{p.born[4:6]}-{p.born[6:]}",
    "day first": lambda p: f"{p.born[6:]}.{p.born[4:6]}.{p.born[:4]}",
    "month first": lambda p: f"{p.born[4:6]}/{p.born[6:]}/{p.born[:4]}",
    "short year": lambda p: f"{int(p.born[4:6])}/{int(p.born[6:])}/{p.born[2:4]}",
    "day month year": lambda p: " ".join(_words(p.born)),
    "month day, year": lambda p: _american(p.born, ","),
    "abbreviated": lambda p: _short(p.born),
    "ordinal": lambda p: _american(p.born, "th,"),
}


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def _apart(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def measured(reports: int, seed: int) -> tuple[Counter[str], Counter[str], int]:
    """Values written and values hidden, by kind and way of writing; and findings that did not stay whole."""
    chance = random.Random(seed)
    written: Counter[str] = Counter()
    hidden: Counter[str] = Counter()
    harmed = 0
    for _ in range(reports):
        person = _Person(
            chance.choice(_FAMILY),
            chance.choice(_GIVEN),
            f"{chance.randrange(10**6, 10**8):09d}",
            f"{chance.randrange(1920, 2020)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}",
        )
        for kind, ways in (("name", NAMES), ("number", NUMBERS), ("date", DATES)):
            way = chance.choice(list(ways))
            value, finding = ways[way](person), chance.choice(_FINDINGS)
            masked = mask(f"History: {value} was seen. {finding}", person.values)
            key = f"{kind}: {way}"
            written[key] += 1
            hidden[key] += masked.text.startswith("History: ") and not _left(value, masked.text)
            harmed += finding not in masked.text
    return written, hidden, harmed


def _left(value: str, text: str) -> bool:
    """Whether a word of the value, or its figures, can still be read."""
    words = [word for word in re.findall(r"[^\W_]+", value) if len(word) >= 3 and word not in ("MRN", "Mrs")]
    return any(re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text) for word in words)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reports", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    written, hidden, harmed = measured(options.reports, options.seed)
    print("| written as | hidden | of |\n| --- | --- | --- |")
    for key in sorted(written):
        print(f"| {key} | {hidden[key] / written[key]:.4f} | {written[key]} |")
    total = sum(written.values())
    print(f"| all | {sum(hidden.values()) / total:.4f} | {total} |")
    print(f"\nfindings that lost a word: {harmed} of {total}")


if __name__ == "__main__":
    main()
