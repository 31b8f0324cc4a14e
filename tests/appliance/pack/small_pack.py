"""A pack of a few kilobytes: a real log and commitment, pages of one line; each byte of it can be tried."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from appliance.evidence import verify_evidence as checked
from appliance.evidence.log import EvidenceLog
from appliance.pack import building
from appliance.pack.facts import Members, PackFacts

DEEP = b"[" * 100_000 + b"]" * 100_000  # deeper than any reader of JSON goes


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


def signed_again(log: EvidenceLog, members: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members of a forger who has the log's key: the manifest lists what there is, and is signed."""
    manifest = json.loads(members["manifest.json"])
    manifest["members"] = {
        name: checked.sha256(data).hex() for name, data in members.items() if name not in checked.SEALS
    }
    text = checked.canonical(manifest)
    return {**members, "manifest.json": text, "manifest.note": log.sign_manifest(text)}
