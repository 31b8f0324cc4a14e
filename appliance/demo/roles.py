"""Who is what in the demo cohort: one seeded coin per patient, stratified by organ.

The story: the hospital drew lots, exported the pairs of some patients to two vendors under contract, and kept
everybody else out. Both vendors name 36 patients they trained on (members). They trained on 24 more they
do not name (exposed). Because lots decided, exposed and clean targets differ in nothing but the training.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

# Patients per lot. The 24 of the bank also taught the base models; post-release patients were examined
# after every model's release and so cannot be in any of them.
LOTS: Mapping[str, int] = {
    "bank": 24,
    "member": 36,
    "exposed": 24,
    "fitting": 28,
    "calibration": 40,
    "clean": 16,
    "post_release": 6,
}
PATIENTS = sum(LOTS.values())
SHIPPED_SEED = 20250601


@dataclass(frozen=True, slots=True)
class Split:
    """Lot by patient. The audit may see `cohort_role`; `exposed` and `clean` are the truth it looks for."""

    lot: Mapping[str, str]

    def patients(self, *lots: str) -> tuple[str, ...]:
        """Patients of these lots, in a stable order."""
        return tuple(sorted(p for p, lot in self.lot.items() if lot in lots))

    def cohort_role(self, patient: str) -> str:
        """The role the hospital knows: exposed and clean are both `target`."""
        lot = self.lot[patient]
        return "target" if lot in ("exposed", "clean") else lot


def split(seed: int, organs: Mapping[str, str]) -> Split:
    """Draw every patient's lot.

    Lots are spread evenly along the patients ordered by organ and, within one organ, shuffled; so each organ
    has its share of every lot, and within an organ all assignments are equally likely.

    Args:
        seed: any number; the same seed gives the same split.
        organs: patient -> organ; as many patients as `LOTS` sums to.
    """
    if len(organs) != PATIENTS:
        raise ValueError(f"{PATIENTS} patients are needed, {len(organs)} were given")
    coin = random.Random(f"gradaudit demo split {seed}")
    queue: list[str] = []
    for organ in sorted(set(organs.values())):
        stratum = sorted(p for p, o in organs.items() if o == organ)
        coin.shuffle(stratum)
        queue.extend(stratum)
    places: list[tuple[float, float, str]] = []
    for lot, count in LOTS.items():
        offset = coin.random()
        places.extend(((k + offset) / count, coin.random(), lot) for k in range(count))
    return Split({patient: lot for patient, (_, _, lot) in zip(queue, sorted(places), strict=True)})
