"""How alike the roles of a frozen cohort are, from what the catalogue knows of its pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from appliance.sanitise import safe
from appliance.selection import PairRow
from appliance.shown import ROLE_ORDER
from appliance.views import BalanceView, BreakdownView, DifferenceView, RoleView
from audit_core.shares import percent
from medio.balance import Described, Difference, differences, patients_by_value
from medio.records import Cohort, Role

_NOT_GIVEN = "not given"
_LABELS = ("Modality", "BodyPartExamined", "InstitutionName", "Manufacturer")


def balance(cohort: Cohort, rows: Mapping[str, PairRow]) -> BalanceView:
    """Counts and differences of a cohort's roles.

    Args:
        rows: pair id -> row, of every pair in the cohort.
    """
    members: dict[str, list[PairRow]] = {role: [] for role in ROLE_ORDER}
    for one in cohort.assignments:
        members[one.role].append(replace(rows[one.pair_id], patient=one.patient))
    roles = {role: pairs for role, pairs in members.items() if pairs}
    described = {role: [_described(pair) for pair in pairs] for role, pairs in roles.items()}
    compared = differences(described.get(Role.TARGET, []), described.get(Role.CALIBRATION, []))
    return BalanceView(
        roles=tuple(_role(role, pairs) for role, pairs in roles.items()),
        breakdowns=tuple(_breakdown(name, list(described.values())) for name in _LABELS),
        differences=tuple(_difference(one) for one in compared),
    )


def warnings(view: BalanceView) -> Iterator[str]:
    """One line for every characteristic in which targets and controls differ by more than chance."""
    for one in view.differences:
        if one.remark.startswith("differ"):
            what = f"{one.characteristic} {one.value}".strip()
            yield (
                f"targets and calibration controls {one.remark}: {what}, {_told(one, one.targets)} against "
                f"{_told(one, one.controls)}; a score may tell the groups apart by that alone"
            )


def _told(one: DifferenceView, value: float) -> str:
    return percent(value) if one.value else f"{value:.5g}"


def _role(role: str, pairs: Sequence[PairRow]) -> RoleView:
    dates = sorted(pair.study_date for pair in pairs if pair.study_date) or [""]
    return RoleView(role, len({pair.patient for pair in pairs}), len(pairs), dates[0], dates[-1])


def _described(pair: PairRow) -> Described:
    words = (pair.modality, pair.body_part.upper(), pair.institution, pair.manufacturer)
    numbers = {"image side": math.sqrt(pair.height * pair.width)}
    year = _year(pair.study_date)
    return Described(
        patient=pair.patient,
        labels=dict(zip(_LABELS, (safe(word, 40) or _NOT_GIVEN for word in words), strict=True)),
        numbers=numbers if year is None else numbers | {"study year": year},
    )


def _breakdown(name: str, roles: Sequence[Sequence[Described]]) -> BreakdownView:
    counts = [patients_by_value(pairs, name) for pairs in roles]
    values = sorted(
        {value for found in counts for value in found},
        key=lambda value: (-sum(found.get(value, 0) for found in counts), value),
    )
    return BreakdownView(
        name, tuple((value, tuple(found.get(value, 0) for found in counts)) for value in values)
    )


def _difference(one: Difference) -> DifferenceView:
    remark = ""
    if one.large:
        remark = "differ" if one.beyond_chance else "may differ by chance alone"
    if one.standardised is None and one.beyond_chance:
        remark = "differ entirely"
    return DifferenceView(one.characteristic, one.value, one.left, one.right, one.standardised, remark)


def _year(text: str) -> float | None:
    """The date as a year with its part, such as 2024.5."""
    try:
        day = date.fromisoformat(text[:8])
    except ValueError:
        return None
    return day.year + (day.timetuple().tm_yday - 1) / 366
