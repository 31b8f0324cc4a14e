"""The commitment: what it covers, what it hides, and that anyone can recompute it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from appliance.designs.assignment import (
    Arm,
    Assignment,
    Left,
    PlacedCanary,
    PlacedPatient,
    commitment,
)

CANARY = PlacedCanary("ca" * 16, 4, "P-c", "99", ("A1",), ("2.25.1",), "o1", 8, 8, "o2", "11" * 32, "22" * 32)
PATIENTS = (
    PlacedPatient("P-a", "P-a", Arm.RELEASED, ("p1", "p2")),
    PlacedPatient("P-b", "P-b", Arm.HELD_BACK, ("p3",)),
)
DRAWN = Assignment(
    "spring", "5e" * 32, "aa" * 32, "2026-01-01T00:00:00+00:00", "0.5", 4, PATIENTS, (CANARY,), Left(0, 0), ()
)


def test_anyone_can_recompute_it() -> None:
    """SHA-256 over a fixed line, the seed's bytes and the digest's bytes: as the documentation says."""
    line = b"gradaudit design commitment v1\0"
    by_hand = hashlib.sha256(line + bytes.fromhex(DRAWN.seed) + bytes.fromhex(DRAWN.digest)).hexdigest()
    assert DRAWN.commitment == by_hand == commitment(DRAWN.seed, DRAWN.digest)


def test_order_and_name_do_not_matter() -> None:
    """The same decisions in another order, under another name, at another time."""
    other = replace(DRAWN, name="autumn", drawn_utc="", asked="", patients=PATIENTS[::-1], left=Left(3, 3))
    assert other.commitment == DRAWN.commitment


@pytest.mark.parametrize(
    "change",
    [
        {"seed": "5f" * 32},
        {"hold_back": "0.4"},
        {"guesses": 6},
        {"patients": PATIENTS[:1]},
        {"patients": (PATIENTS[0], replace(PATIENTS[1], arm=Arm.RELEASED))},
        {"patients": (PATIENTS[0], replace(PATIENTS[1], pairs=("p4",)))},
        {"patients": (PATIENTS[0], replace(PATIENTS[1], person="P-a"))},
        {"canaries": ()},
        {"canaries": (replace(CANARY, copies=0),)},
        {"canaries": (replace(CANARY, image="33" * 32),)},
        {"canaries": (replace(CANARY, text="33" * 32),)},
        {"canaries": (replace(CANARY, studies=("2.25.2",)),)},
    ],
    ids=[
        *("seed", "share", "guesses", "patient", "arm", "pairs", "person"),
        *("canary", "copies", "image", "text", "study"),
    ],
)
def test_every_decision_is_covered(change: dict[str, object]) -> None:
    """Whatever could turn a verdict gives another commitment."""
    assert replace(DRAWN, **change).commitment != DRAWN.commitment  # type: ignore[arg-type]
