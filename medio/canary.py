"""A canary: a made-up patient with a drawn radiograph and a report that nobody else can have.

Planted among studies that leave a site, it says later whether a model was trained on what left: the same key
gives the same canary, and no other key gives it. No line, number or pixel comes from a patient. The key
is secret until the design that planted it is revealed: whoever holds it can find the canary and take it out.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import random
import string
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date, timedelta

from medio.canary_objects import CanaryStudy, Person, image_object, report_object
from medio.canary_picture import drawn_chest
from medio.canary_text import written_report

__all__ = ["Canary", "CanaryStudy", "Manner", "Person", "canary", "form_of"]

_FAMILY = (
    *("Adler", "Bennett", "Calder", "Dawson", "Ellery", "Farrow", "Garner", "Hollis", "Ingram", "Jarvis"),
    *("Keller", "Lambert", "Marlow", "Norris", "Osborne", "Palmer", "Quincy", "Rowland", "Sutton", "Thorne"),
    *("Upton", "Vaughn", "Walden", "Yates", "Aldridge", "Becker", "Conrad", "Denham", "Everett", "Fowler"),
)
_GIVEN = (
    *("Alan", "Brenda", "Carl", "Diane", "Edward", "Frances", "George", "Helen", "Ivan", "Joan", "Karl"),
    *("Laura", "Martin", "Nora", "Oscar", "Paula", "Robert", "Susan", "Thomas", "Vera", "Walter", "Anna"),
)
_NUMBERS = 10_000_000  # a form must have room for, so that a number nobody has is found at once
_ALIKE = 5  # numbers of one length that make a form
_AGES = (23, 88)
_GAP_DAYS = (2, 19)  # between two copies


@dataclass(frozen=True, slots=True)
class Manner:
    """How the studies look among which the canaries will lie.

    Attributes:
        issuer: IssuerOfPatientID.
        patient_id, accession: how numbers look, for each place the characters seen there; see `form_of`.
        first, last: ISO dates between which studies were made.
    """

    issuer: str
    patient_id: tuple[str, ...]
    accession: tuple[str, ...]
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Canary:
    """One canary with the studies that carry it.

    Attributes:
        studies: one a copy; each holds the same picture and the same words under new identifiers.
        bits: binary logarithm of how many reports could have been written instead.
    """

    person: Person
    studies: tuple[CanaryStudy, ...]
    bits: float


def canary(key: bytes, copies: int, manner: Manner, taken: Set[str] = frozenset()) -> Canary:
    """Make the canary of a key.

    Args:
        key: 32 secret bytes of this canary alone.
        copies: how many studies carry it; at least one.
        manner: what the studies around it look like.
        taken: patient ids and accession numbers that exist; none of them is given to a canary.

    Raises:
        ValueError: no copy is asked for, or the last day comes before the first.
    """
    first, last = date.fromisoformat(manner.first), date.fromisoformat(manner.last)
    if copies < 1 or last < first:
        raise ValueError("a canary needs a copy, and days to lie on")
    picture = drawn_chest(_lot(key, "picture"))
    report = written_report(_lot(key, "report"))
    dice = random.Random(_lot(key, "person"))
    person = _person(dice, manner, taken)
    numbers: set[str] = set()
    studies = []
    day = first + timedelta(days=dice.randrange((last - first).days + 1))
    for copy in range(copies):
        number = _number(dice, manner.accession, taken | numbers)
        numbers.add(number)
        study = CanaryStudy(
            StudyInstanceUID=_uid(key, f"study {copy}"),
            AccessionNumber=number,
            StudyDate=f"{day:%Y%m%d}",
            StudyTime=f"{dice.randrange(7, 20):02}{dice.randrange(60):02}{dice.randrange(60):02}",
        )
        uids = [_uid(key, f"{what} {copy}") for what in ("image series", "image", "report series", "report")]
        image = image_object(person, study, uids[0], uids[1], picture)
        text = report_object(person, study, uids[2], uids[3], uids[:2], report.findings, report.impression)
        studies.append(study.with_files(image, text))
        day = max(first, day - timedelta(days=dice.randrange(*_GAP_DAYS)))
    return Canary(person, tuple(studies), report.bits)


def _person(dice: random.Random, manner: Manner, taken: Set[str]) -> Person:
    born = date.fromisoformat(manner.last) - timedelta(days=dice.randrange(_AGES[0] * 365, _AGES[1] * 365))
    return Person(
        PatientName=f"{dice.choice(_FAMILY)}^{dice.choice(_GIVEN)}",
        PatientID=_number(dice, manner.patient_id, taken),
        IssuerOfPatientID=manner.issuer,
        PatientBirthDate=f"{born:%Y%m%d}",
        PatientSex=dice.choice("FM"),
    )


def form_of(numbers: Sequence[str]) -> tuple[str, ...]:
    """For each place of a number of the usual length, the characters seen there; nothing where few agree.

    Places are drawn apart, so no number comes back that the form was taken from, but by chance.
    """
    length, times = Counter(map(len, numbers)).most_common(1)[0] if numbers else (0, 0)
    if times < _ALIKE:
        return ()
    usual = [number for number in numbers if len(number) == length]
    return tuple("".join(sorted({number[place] for number in usual})) for place in range(length))


def _number(dice: random.Random, form: Sequence[str], taken: Set[str]) -> str:
    """A number of this form that nobody has; a form of few numbers gets further digits."""
    places = list(form)
    while math.prod(map(len, places)) < _NUMBERS:
        places.append(string.digits)
    while True:
        number = "".join(map(dice.choice, places))
        if number not in taken:
            return number


def _lot(key: bytes, purpose: str) -> int:
    return int.from_bytes(hmac.digest(key, purpose.encode(), hashlib.sha256))


def _uid(key: bytes, purpose: str) -> str:
    """A UUID as a UID (PS3.5 B.2)."""
    return f"2.25.{_lot(key, purpose) >> 128}"
