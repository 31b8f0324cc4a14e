"""A pack of a few kilobytes: a real log and commitment, pages of one line; each byte of it can be tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from appliance.evidence import verify_evidence as checked
from appliance.pack import building
from appliance.pack.facts import Members, PackFacts


def pages(facts: PackFacts, so_far: Members) -> Members:
    """What every pack has beside what the log committed to, one line each, and one page of a part's own."""
    named = ("README.txt", "verdict.html", "verdict.txt", "verify_evidence.py", "figures/one.svg")
    return {name: f"{name} of {facts.edition}\n".encode() for name in named}


@contextmanager
def small_parts() -> Iterator[None]:
    """Packs are built of these pages alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "PARTS", (pages,))
        yield


def problem_of(data: bytes) -> str:
    """What the verifier finds wrong with a pack; "" when nothing."""
    try:
        checked.check_pack(data)
    except checked.Broken as broken:
        return str(broken)
    return ""
