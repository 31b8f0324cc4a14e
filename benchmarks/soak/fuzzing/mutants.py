"""Mutants by number: the same seed files, seed and number give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from fuzzing import archive_mutators, dicom_mutators, text_mutators
from fuzzing.seeds import Seed

LARGEST = 8 << 20
_MUTATORS = {
    "dicom": dicom_mutators.MUTATORS,
    "reports": text_mutators.MUTATORS,
    "archives": archive_mutators.MUTATORS,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One damaged file and how it came about."""

    index: int
    origin: str
    steps: tuple[str, ...]
    data: bytes
    ending: str


def mutant(
    kind: str, files: Sequence[Seed], seed: int, index: int, keep: Sequence[int] | None = None
) -> Mutant:
    """The mutant with this number.

    Args:
        keep: which of its steps to take, for making a finding smaller; all when None.
    """
    rng = Random(f"{kind}:{seed}:{index}")
    origin, other = rng.choice(files), rng.choice(files)
    chosen = [rng.choice(_MUTATORS[kind]) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    data, steps = origin.data, []
    for number, mutate in enumerate(chosen):
        own = Random(rng.getrandbits(64))  # a step left out changes no other
        if data and (keep is None or number in keep):
            data = mutate(own, data, other.data)[:LARGEST]
            steps.append(mutate.__name__)
    return Mutant(index, origin.name, tuple(steps), data, origin.ending)
