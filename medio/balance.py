"""How alike two groups of patients are, before anybody compares scores between them.

Standardised differences as in P. C. Austin, "Using the standardized difference to compare the prevalence of a
binary variable between two groups in observational research", Communications in Statistics 38 (2009)
1228–1234, who takes more than 0.1 for a meaningful imbalance. A patient with several pairs counts once, each
pair as a part.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LARGE = 0.1  # standardised difference from which a reader is warned (Austin 2009)
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Described:
    """One pair as balance looks at it.

    Attributes:
        labels: characteristic -> word, such as Modality -> CT; an empty word is one of its own.
        numbers: characteristic -> number, such as year -> 2024.5.
    """

    patient: str
    labels: Mapping[str, str]
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Difference:
    """One characteristic in two groups.

    Attributes:
        value: the word whose share is compared; empty for a number, where means are.
        left, right: shares from 0 to 1, or means.
        standardised: the difference in standard deviations; None where neither group varies and yet they
            differ: the characteristic alone tells the groups apart.
        beyond_chance: larger than groups of this size differ by chance (95 %, Hedges and Olkin 1985).
    """

    characteristic: str
    value: str
    left: float
    right: float
    standardised: float | None
    beyond_chance: bool

    @property
    def large(self) -> bool:
        """Whether a reader is to be warned."""
        return self.standardised is None or abs(self.standardised) > LARGE


def patients_by_value(pairs: Sequence[Described], characteristic: str) -> dict[str, int]:
    """Word -> patients with a pair of that word, most frequent first."""
    patients: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        patients[pair.labels[characteristic]].add(pair.patient)
    counts = {value: len(found) for value, found in patients.items()}
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def differences(left: Sequence[Described], right: Sequence[Described]) -> tuple[Difference, ...]:
    """Every characteristic of two groups, the largest difference first; of a label, one word."""
    if not left or not right:
        return ()
    found = [_of_label(name, left, right) for name in left[0].labels]
    for name in {name for pair in left for name in pair.numbers}:
        if any(name in pair.numbers for pair in right):
            found.append(_of_number(name, left, right))
    return tuple(sorted(found, key=lambda one: (-_size(one), one.characteristic)))


def _of_label(name: str, left: Sequence[Described], right: Sequence[Described]) -> Difference:
    ones, others = _shares(left, name), _shares(right, name)
    patients = len({pair.patient for pair in left}), len({pair.patient for pair in right})
    compared = []
    for value in sorted(ones.keys() | others.keys()):
        p, q = ones.get(value, 0.0), others.get(value, 0.0)
        spread = (p * (1 - p) + q * (1 - q)) / 2
        compared.append(_difference(name, value, p, q, spread, patients))
    return max(compared, key=_size)


def _of_number(name: str, left: Sequence[Described], right: Sequence[Described]) -> Difference:
    ones, others = _means(left, name), _means(right, name)
    spread = (_variance(ones) + _variance(others)) / 2
    means = sum(ones) / len(ones), sum(others) / len(others)
    return _difference(name, "", *means, spread, (len(ones), len(others)))


def _difference(
    name: str, value: str, left: float, right: float, spread: float, patients: tuple[int, int]
) -> Difference:
    apart = left - right
    if math.isclose(left, right, abs_tol=1e-12):
        return Difference(name, value, left, right, 0.0, False)
    if spread < 1e-12:
        return Difference(name, value, left, right, None, min(patients) > 1)
    standardised = apart / math.sqrt(spread)
    total, product = sum(patients), patients[0] * patients[1]
    error = math.sqrt(total / product + standardised**2 / (2 * total))
    return Difference(name, value, left, right, standardised, abs(standardised) > _Z * error)


def _size(one: Difference) -> float:
    return math.inf if one.standardised is None else abs(one.standardised)


def _shares(pairs: Sequence[Described], name: str) -> dict[str, float]:
    """Word -> mean over patients of the part of their pairs that has it."""
    total = Counter(pair.patient for pair in pairs)
    shares: dict[str, float] = defaultdict(float)
    for pair in pairs:
        shares[pair.labels[name]] += 1 / total[pair.patient]
    return {value: share / len(total) for value, share in shares.items()}


def _means(pairs: Sequence[Described], name: str) -> list[float]:
    """One mean per patient, of pairs that have the number."""
    values: dict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if name in pair.numbers:
            values[pair.patient].append(pair.numbers[name])
    return [sum(found) / len(found) for found in values.values()]


def _variance(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
