"""Proofs over a Merkle tree: that an entry is in it, that an older tree is its beginning (RFC 6962 §2.1).

The tree is given as `subtree(lo, hi)`, the root over leaves lo … hi-1. How a verifier follows the paths is in
`verify_evidence`.
"""

from __future__ import annotations

from collections.abc import Callable

Subtree = Callable[[int, int], bytes]


def split(size: int) -> int:
    """The largest power of two below `size` (at least 2): how many leaves the left half of a tree has."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_path(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Hashes from leaf `index` up to the root of a tree of `size` leaves, the lowest first."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in this tree")
    path: list[bytes] = []
    lo, hi = 0, size
    while hi - lo > 1:
        middle = lo + split(hi - lo)
        if index < middle:
            path.append(subtree(middle, hi))
            hi = middle
        else:
            path.append(subtree(lo, middle))
            lo = middle
    return path[::-1]


def consistency_path(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Hashes that show that the tree of `old` leaves is the beginning of the one of `new` leaves."""
    if not 0 < old <= new:
        raise ValueError("a tree is only consistent with larger ones")
    path: list[bytes] = []
    lo, hi = 0, new
    while old != hi:
        middle = lo + split(hi - lo)
        if old <= middle:
            path.append(subtree(middle, hi))
            hi = middle
        else:
            path.append(subtree(lo, middle))
            lo = middle
    if lo:  # the old root itself is known to whoever checks, a part of it is not
        path.append(subtree(lo, hi))
    return path[::-1]
