"""Ways to damage a ZIP archive: its records' fields, members, names and end."""

from __future__ import annotations

from random import Random

from fuzzing.dicom_mutators import delete, flip_bits, insert, overwrite, truncate
from fuzzing.edits import LENGTHS

# record -> fields as (offset, size), APPNOTE.TXT 4.3.7, 4.3.12, 4.3.14 to 4.3.16
_FIELDS = {
    b"PK\x03\x04": ((6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\x01\x02": ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (38, 4), (42, 4)),
    b"PK\x05\x06": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"PK\x06\x06": ((4, 8), (24, 8), (32, 8), (40, 8), (48, 8)),
    b"PK\x06\x07": ((4, 4), (8, 8), (16, 4)),
}
_NAMES = (
    b"../../etc/x",
    b"/etc/passwd",
    b"a\\..\\b",
    b"\0",
    b".",
    b"",
    b"a/",
    b"\xff\xfe",
    b"!/",
    b"a!/b",
    b"C:\\x",
)


def field(rng: Random, data: bytes, other: bytes) -> bytes:
    """A number in a record that is not true."""
    found = [(at, mark) for mark in _FIELDS for at in _all(data, mark)]
    if not found:
        return overwrite(rng, data, other)
    at, mark = rng.choice(found)
    offset, size = rng.choice(_FIELDS[mark])
    number = rng.choice((*LENGTHS, rng.getrandbits(8 * size), rng.randrange(len(data)))) & (
        (1 << 8 * size) - 1
    )
    return data[: at + offset] + number.to_bytes(size, "little") + data[at + offset + size :]


def name(rng: Random, data: bytes, other: bytes) -> bytes:
    """Another name of the same length, in the directory, before the member or in both."""
    new = rng.choice(_NAMES)
    for at in _all(data, b"PK\x01\x02"):
        if rng.random() < 0.7:
            size = int.from_bytes(data[at + 28 : at + 30], "little")
            text = new.ljust(size, b"x")[:size]
            data = data[: at + 46] + text + data[at + 46 + size :]
    return data


def overlap(rng: Random, data: bytes, other: bytes) -> bytes:
    """Two members at one place."""
    found = _all(data, b"PK\x01\x02")
    if len(found) < 2:
        return field(rng, data, other)
    one, two = rng.sample(found, 2)
    return data[: one + 42] + data[two + 42 : two + 46] + data[one + 46 :]


def two_archives(rng: Random, data: bytes, other: bytes) -> bytes:
    """One behind another, or one inside the other's bytes."""
    at = rng.choice((0, len(data), rng.randrange(len(data))))
    return data[:at] + other + data[at:]


MUTATORS = (
    field,
    field,
    field,
    field,
    name,
    overlap,
    two_archives,
    flip_bits,
    overwrite,
    truncate,
    insert,
    delete,
)


def _all(data: bytes, mark: bytes) -> list[int]:
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found
