"""One person under several patient ids, as far as reports say so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def linked(groups: Iterable[Sequence[str]]) -> dict[str, str]:
    """Every id named together with another -> the smallest id that it is linked with, by any number of steps.

    Args:
        groups: ids that one sender gives one patient, such as `PatientID` and `OtherPatientIDs` of a report.
    """
    above: dict[str, str] = {}

    def root(one: str) -> str:
        while above.setdefault(one, one) != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    for group in groups:
        ids = [one for one in group if one]
        for other in ids[1:]:
            first, second = sorted((root(ids[0]), root(other)))
            above[second] = first
    return {one: root(one) for one in list(above)}
