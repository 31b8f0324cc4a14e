"""Who is left of a design when it is revealed, and whether what is left is still what the coins gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from appliance.designs.assignment import Arm, PlacedPatient
from appliance.designs.shelf import Design
from appliance.selection import PairRow

LOST_SHARE = 0.05  # of an arm; more, and the arms may no longer be alike
LOST_LEVEL = 0.05  # of Fisher's test that both arms lost alike


@dataclass(frozen=True, slots=True)
class Losses:
    """Patients of each arm that the audit cannot count any more, by why.

    Attributes:
        missing: none of their pairs is in the workspace.
        taken_out: named as withdrawn, or as having left although held back.
        elsewhere: held back here and released under another design.
        arms: patients of each arm at the draw.
    """

    arms: Mapping[Arm, int]
    missing: Mapping[Arm, int]
    taken_out: Mapping[Arm, int]
    elsewhere: Mapping[Arm, int] = field(default_factory=dict)

    @property
    def lost(self) -> dict[Arm, int]:
        """Patients lost, by arm."""
        why = (self.missing, self.taken_out, self.elsewhere)
        return {arm: sum(found.get(arm, 0) for found in why) for arm in Arm}

    @property
    def tolerable(self) -> bool:
        """Whether what is left is still what the coins gave: few lost, and both arms alike."""
        from scipy.stats import fisher_exact

        lost = self.lost
        if any(lost[arm] > LOST_SHARE * self.arms[arm] for arm in Arm):
            return False
        table = [[lost[arm], self.arms[arm] - lost[arm]] for arm in Arm]
        return bool(fisher_exact(table).pvalue >= LOST_LEVEL)

    def sentences(self) -> list[str]:
        """What to tell with the cohort."""
        told = [
            f"design: {found[arm]} of {self.arms[arm]} {arm} patients {why}"
            for why, found in (
                ("are no longer in the workspace", self.missing),
                ("were taken out", self.taken_out),
                ("were released under another design", self.elsewhere),
            )
            for arm in Arm
            if found.get(arm, 0)
        ]
        if not self.tolerable:
            told.append(
                "design: losses are so many or so unequal that the cohort counts as a random split"
                ", not as committed"
            )
        return told


def remaining(
    design: Design, rows: Sequence[PairRow], out: Sequence[PairRow]
) -> tuple[dict[str, tuple[PairRow, ...]], Losses]:
    """Role -> pairs of those who are left, and who is lost.

    Args:
        design: committed.
        rows: all pairs of the workspace, those that stand no more among them: an older version may have left.
        out: pairs of patients who must not be counted.
    """
    by_id = {row.pair_id: row for row in rows}
    persons_out = taken_out_of(design, out)
    roles: dict[str, list[PairRow]] = {"target": [], "control": []}
    everyone: dict[str, list[PlacedPatient]] = {}
    for one in design.assignment.patients:
        everyone.setdefault(one.person, []).append(one)
    arms, missing, taken_out, elsewhere = (dict.fromkeys(Arm, 0) for _ in range(4))
    for person, ids in everyone.items():
        arm = ids[0].arm
        arms[arm] += 1
        found = [by_id[pair] for one in ids for pair in one.pairs if pair in by_id]
        if person in persons_out:
            taken_out[arm] += 1
        elif person in design.elsewhere:
            elsewhere[arm] += 1
        elif not found:
            missing[arm] += 1
        else:
            roles["target" if arm is Arm.RELEASED else "control"] += found
    left = {role: tuple(found) for role, found in roles.items()}
    return left, Losses(arms, missing, taken_out, elsewhere)


def taken_out_of(design: Design, out: Sequence[PairRow]) -> frozenset[str]:
    """Persons of the design whom these pairs name."""
    unwanted = {row.patient for row in out}
    return frozenset(one.person for one in design.assignment.patients if one.patient in unwanted)
