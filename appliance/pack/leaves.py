"""The commitment to an audit: salted leaves, so that a pack can withhold some and still be proven whole.

Each committed document is taken apart into leaves, each under a salt of its own that follows from a seed kept
sealed with the audit. Who holds no salt learns nothing from a leaf's hash by guessing. docs/spec/pack.md says
the form; `verify_evidence` holds what checker and writer share.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.evidence import verify_evidence as checked


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """One committed member as leaves.

    Attributes:
        name: of the member.
        seed: of its salts.
        ways: where each leaf stands in the document, in order.
        values: what stands there.
        hashes: of the salted leaves.
    """

    name: str
    seed: bytes
    ways: tuple[tuple[str | int, ...], ...]
    values: tuple[Any, ...]
    hashes: tuple[bytes, ...]

    @classmethod
    def of(cls, salt_seed: bytes, name: str, data: bytes) -> Document:
        """The leaves of a member, its salts from the audit's seed."""
        seed = hmac.new(salt_seed, b"gradaudit salts of " + name.encode(), "sha256").digest()
        ways, values = zip(*checked.document_leaves(name, data), strict=True)
        hashes = tuple(
            checked.salted_leaf(checked.leaf_salt(seed, way), way, value)
            for way, value in zip(ways, values, strict=True)
        )
        return cls(name, seed, ways, values, hashes)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self.hashes)

    def root(self) -> dict[str, Any]:
        """What the log commits to of this member."""
        return {"leaves": self.size, "root": checked.subtree(self.hashes, 0, self.size).hex()}

    def disclosed(self, withheld: Collection[int]) -> dict[str, Any]:
        """The document with the leaves of these numbers under hashes, whole branches under one."""
        return {
            "format": "gradaudit-disclosed-1",
            "leaves": self.size,
            "member": self.name,
            "shown": [
                [number, checked.leaf_salt(self.seed, way), list(way), value]
                for number, (way, value) in enumerate(zip(self.ways, self.values, strict=True))
                if number not in withheld
            ],
            "withheld": self._branches(frozenset(withheld), 0, self.size),
        }

    def _branches(self, withheld: frozenset[int], first: int, end: int) -> list[list[Any]]:
        hidden = sum(number in withheld for number in range(first, end))
        if hidden == end - first:
            return [[first, end, checked.subtree(self.hashes, first, end).hex()]]
        if not hidden:
            return []
        middle = first + checked.half(end - first)
        return [*self._branches(withheld, first, middle), *self._branches(withheld, middle, end)]


def documents(salt_seed: bytes, members: Mapping[str, bytes]) -> dict[str, Document]:
    """The committed members as leaves; none without a seed: of audits older than leaves."""
    return {name: Document.of(salt_seed, name, data) for name, data in members.items() if salt_seed}


def commitment(members: Mapping[str, bytes], parted: Mapping[str, Document]) -> str:
    """What the log signs when an audit closes: over its leaves, or without them over the members' digests."""
    if not parted:
        return checked.commitment(dict(members))
    return checked.leaf_commitment({name: one.root() for name, one in parted.items()})
