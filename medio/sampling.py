"""Seeded draws of patients, spread evenly over strata: systematic sampling with a random start.

Every patient has the same chance, and every stratum gives its share, rounded up or down (W. G. Madow, On the
theory of systematic sampling II, Annals of Mathematical Statistics 1949). A stratum has levels, the coarsest
first, and every level is even. A draw depends on the seed, what it is for, the patients' handles and their
strata, and on nothing else.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

Stratum = tuple[str, ...]  # such as ("CT CHEST", "2024")

_FORMAT = "gradaudit-draw-1"


def drawn(strata: Mapping[str, Stratum], wanted: int, *, seed: int, purpose: str) -> frozenset[str]:
    """`wanted` of the handles that `strata` maps to a stratum.

    Raises:
        ValueError: more are wanted than there are.
    """
    total = len(strata)
    if not 0 <= wanted <= total:
        raise ValueError("more are wanted than there are")
    line = sorted(strata, key=lambda one: _place(seed, purpose, one, strata[one]))
    start = int(_lot(seed, purpose, "start"), 16) % max(total, 1)
    return frozenset(
        one
        for place, one in enumerate(line)
        if (start + (place + 1) * wanted) // total > (start + place * wanted) // total
    )


def largest_match(strata: Mapping[str, Stratum], pattern: Mapping[str, Stratum]) -> int:
    """How many of `strata` can be drawn so that every coarsest level has the share it has in `pattern`."""
    there, shape = _kinds(strata), _kinds(pattern)
    if not shape:
        return 0
    ratio = min(Fraction(there[kind], count) for kind, count in shape.items())
    return int(ratio * sum(shape.values()))


def matched(
    strata: Mapping[str, Stratum], pattern: Mapping[str, Stratum], wanted: int, *, seed: int, purpose: str
) -> frozenset[str]:
    """`wanted` of the handles in `strata`, their coarsest levels in the shares of `pattern`.

    Below the coarsest level the draw is even, as ever.

    Raises:
        ValueError: more are wanted than `largest_match` allows.
    """
    if wanted > largest_match(strata, pattern):
        raise ValueError("more are wanted than can be matched")
    found: set[str] = set()
    for kind, quota in _quotas(_kinds(pattern), wanted, f"{seed} {purpose}").items():
        of_kind = {one: stratum for one, stratum in strata.items() if stratum[0] == kind}
        found |= drawn(of_kind, quota, seed=seed, purpose=f"{purpose} {kind}")
    return frozenset(found)


def _kinds(strata: Mapping[str, Stratum]) -> Counter[str]:
    return Counter(stratum[0] for stratum in strata.values())


def _place(seed: int, purpose: str, handle: str, stratum: Stratum) -> list[str]:
    """Where a handle stands in the line: levels keep together, all else is by lot."""
    levels = ["\0".join(stratum[: level + 1]) for level in range(len(stratum))]
    return [*(_lot(seed, purpose, level) for level in levels), _lot(seed, purpose, handle)]


def _quotas(shape: Mapping[str, int], wanted: int, lot: str) -> dict[str, int]:
    """Whole numbers that sum to `wanted`: exact shares, rounded up where the rest is largest."""
    total = sum(shape.values())
    exact = {kind: Fraction(wanted * count, total) for kind, count in shape.items()}
    quotas = {kind: int(share) for kind, share in exact.items()}
    order = sorted(exact, key=lambda one: (quotas[one] - exact[one], _lot(0, lot, one)))
    for kind in order[: wanted - sum(quotas.values())]:
        quotas[kind] += 1
    return quotas


def _lot(seed: int, purpose: str, handle: str) -> str:
    return hashlib.sha256(f"{_FORMAT}\0{seed}\0{purpose}\0{handle}".encode()).hexdigest()
