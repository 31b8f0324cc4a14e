"""Whom an HL7 v2 message names: the patient's ids, and every value that tells who somebody is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise

from medio.identity import MAX_CHARACTERS, MAX_VALUES
from medio.reports.hl7_message import Message, Segment

_IDS = {
    "PID": (2, 3, 4, 18, 19, 20, 21),
    "PV1": (19, 50),
    "MRG": (1, 2, 3, 4),
    "ORC": (2, 3, 4),
    "OBR": (2, 3),
}
_NAMES = {"PID": (5, 6, 9), "NK1": (2,), "MRG": (7,)}  # XPN: family, given, middle …
_STAFF = {  # XCN: id, family, given …
    "PV1": (7, 8, 9, 17, 52),
    "ORC": (10, 11, 12, 19),
    "OBR": (10, 16, 28),
    "OBX": (16, 25),
    "TXA": (5, 9, 10, 11, 22),
}
_READERS = {"OBR": (32, 33, 34, 35)}  # NDL: a name with & inside its first component
_PLACES = {"PID": (11, 23), "NK1": (4,), "PV1": (3,), "ORC": (24,)}  # XAD: street, other, city, state, zip …
_PLAIN = {"PID": (7, 13, 14), "NK1": (5,), "ORC": (14, 21, 22, 23), "OBR": (17,), "MSH": (4, 6)}
_MAX_PARTS = 8


def one_a_patient(message: Message) -> tuple[Message, ...]:
    """The message, or one for each patient it is about: their results may follow one another (2.5.1 §7.3.1).

    Each has the header and its patient's segments; its text only tells it from any other.
    """
    segments = message.segments
    starts = [place for place, segment in enumerate(segments) if segment.name == "PID"]
    if len(starts) < 2:
        return (message,)
    digest = hashlib.sha256(message.text.encode()).hexdigest()
    return tuple(
        Message(f"{digest} PID {number}", (message.header, *segments[start:end]))
        for number, (start, end) in enumerate(pairwise((*starts, len(segments))))
    )


def patient_ids(message: Message) -> tuple[list[str], str]:
    """All ids of the patient, medical record number first, and its assigning authority (PID-3, else 2, 4)."""
    pid = next((segment for segment in message.segments if segment.name == "PID"), None)
    if pid is None:
        return [""], ""
    found = [
        (pid.component(number, 1, n), pid.component(number, 4, n), pid.component(number, 5, n))
        for number in (3, 2, 4)
        for n in range(pid.repetitions(number))
        if pid.component(number, 1, n)
    ]
    found.sort(key=lambda one: one[2] != "MR")  # stable: the sender's order otherwise
    if not found:
        return [""], ""
    return list(dict.fromkeys(one[0] for one in found)), found[0][1]


def identity(message: Message) -> tuple[str, ...]:
    """Ids, names (`FAMILY^GIVEN^MIDDLE`), dates of birth, places and numbers, each once, in order."""
    found = (value for segment in message.segments for value in _values(segment))
    return tuple(dict.fromkeys(value for value in found if 0 < len(value) <= MAX_CHARACTERS))[:MAX_VALUES]


def _values(segment: Segment) -> Iterator[str]:
    name = segment.name
    for field in (*_IDS.get(name, ()), *_PLAIN.get(name, ())):
        yield from (segment.component(field, 1, n) for n in range(segment.repetitions(field)))
    for field in _NAMES.get(name, ()):
        yield from (_joined(segment, field, 1, n) for n in range(segment.repetitions(field)))
    for field in _STAFF.get(name, ()):
        for n in range(segment.repetitions(field)):
            yield segment.component(field, 1, n)
            yield _joined(segment, field, 2, n)
    for field in _READERS.get(name, ()):
        for n in range(segment.repetitions(field)):
            yield from segment.subcomponents(field, n)
            yield _joined(segment, field, 2, n)
    for field in _PLACES.get(name, ()):
        for n in range(segment.repetitions(field)):
            yield from (segment.component(field, part, n) for part in range(1, _MAX_PARTS))


def _joined(segment: Segment, field: int, first: int, repetition: int) -> str:
    """A person's name as DICOM writes it: family, given and middle name with `^` between."""
    return "^".join(segment.component(field, first + n, repetition) for n in range(3)).strip("^")
