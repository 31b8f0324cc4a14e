"""Seeded draws of patients, spread evenly over strata: systematic sampling with a random start.

Every patient has the same chance, and every stratum gives its share, rounded up or down (W. G. Madow, On the
theory of systematic sampling II, Annals of Mathematical Statistics 1949). A draw depends on the seed, what it
is for, the patients' handles and their strata, and on nothing else.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

_FORMAT = "gradaudit-draw-1"


def drawn(strata: Mapping[str, str], wanted: int, *, seed: int, purpose: str) -> frozenset[str]:
    """`wanted` of the handles that `strata` maps to a stratum.

    Raises:
        ValueError: more are wanted than there are.
    """
    total = len(strata)
    if not 0 <= wanted <= total:
        raise ValueError("more are wanted than there are")
    line = sorted(strata, key=lambda one: (_lot(seed, purpose, strata[one]), _lot(seed, purpose, one)))
    start = int(_lot(seed, purpose, "start"), 16) % max(total, 1)
    return frozenset(
        one
        for place, one in enumerate(line)
        if (start + (place + 1) * wanted) // total > (start + place * wanted) // total
    )


def largest_match(strata: Mapping[str, str], pattern: Mapping[str, str]) -> int:
    """How many of `strata` can be drawn so that every stratum has the share it has in `pattern`."""
    there, shape = Counter(strata.values()), Counter(pattern.values())
    if not shape:
        return 0
    ratio = min(Fraction(there[stratum], count) for stratum, count in shape.items())
    return int(ratio * sum(shape.values()))


def matched(
    strata: Mapping[str, str], pattern: Mapping[str, str], wanted: int, *, seed: int, purpose: str
) -> frozenset[str]:
    """`wanted` of the handles in `strata`, their strata in the shares of `pattern`.

    Raises:
        ValueError: more are wanted than `largest_match` allows.
    """
    if wanted > largest_match(strata, pattern):
        raise ValueError("more are wanted than can be matched")
    found: set[str] = set()
    for stratum, quota in _quotas(Counter(pattern.values()), wanted, f"{seed} {purpose}").items():
        of_stratum = {one: stratum for one, own in strata.items() if own == stratum}
        found |= drawn(of_stratum, quota, seed=seed, purpose=f"{purpose} {stratum}")
    return frozenset(found)


def _quotas(shape: Mapping[str, int], wanted: int, lot: str) -> dict[str, int]:
    """Whole numbers that sum to `wanted`: exact shares, rounded up where the rest is largest."""
    total = sum(shape.values())
    exact = {stratum: Fraction(wanted * count, total) for stratum, count in shape.items()}
    quotas = {stratum: int(share) for stratum, share in exact.items()}
    order = sorted(exact, key=lambda one: (quotas[one] - exact[one], _lot(0, lot, one)))
    for stratum in order[: wanted - sum(quotas.values())]:
        quotas[stratum] += 1
    return quotas


def _lot(seed: int, purpose: str, handle: str) -> str:
    return hashlib.sha256(f"{_FORMAT}\0{seed}\0{purpose}\0{handle}".encode()).hexdigest()
