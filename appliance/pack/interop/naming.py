"""Names in the standards' documents: they follow from what a pack shows, never from a moment or a machine."""

from __future__ import annotations

from typing import Final
from uuid import NAMESPACE_URL, uuid5

from appliance.evidence import verify_evidence as checked
from appliance.evidence.entries import Entry
from appliance.pack.facts import Members, PackFacts, digest

OWN: Final = "urn:gradaudit"
"""How identifiers begin that mean something in this appliance only."""
_SPACE: Final = uuid5(NAMESPACE_URL, f"{OWN}:pack")
_MEMBERS: Final = (*checked.COMMITTED, checked.RECORDS)


def committed(so_far: Members) -> dict[str, str]:
    """Member -> hex SHA-256 of what the log committed to, as far as this pack shows it: whole or in part."""
    names = (name for member in _MEMBERS for name in (member, checked.disclosed(member)))
    return {name: digest(so_far[name]) for name in names if name in so_far}


def stable_uuid(facts: PackFacts, so_far: Members, *what: str) -> str:
    """A UUID (version 5) of one thing in one pack; a pack that shows other leaves has other UUIDs."""
    shown = [f"{name} {value}" for name, value in committed(so_far).items()]
    return str(uuid5(_SPACE, "\n".join([facts.edition, facts.closing.result_root, *shown, *what])))


def opening(facts: PackFacts) -> Entry:
    """The audit's own first entry: when it began, and who asked for it."""
    return next(entry for entry in facts.entries if entry.object == facts.closing.object)
