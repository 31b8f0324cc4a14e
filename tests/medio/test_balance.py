from __future__ import annotations

import math

import pytest

from medio.balance import LARGE, Described, differences, patients_by_value
from medio.persons import linked


def group(values: list[str], name: str = "P", **numbers: float) -> list[Described]:
    """One pair per patient, each with a word."""
    return [Described(f"{name}{n}", {"Modality": value}, numbers) for n, value in enumerate(values)]


def test_a_share_is_compared_in_standard_deviations() -> None:
    """Austin 2009, formula for a binary variable: 80 % against 40 %."""
    (found,) = differences(group(["CT"] * 80 + ["MR"] * 20), group(["CT"] * 40 + ["MR"] * 60))
    assert (found.value, found.left, found.right) == ("CT", pytest.approx(0.8), pytest.approx(0.4))
    assert found.standardised == pytest.approx(0.4 / math.sqrt((0.16 + 0.24) / 2))
    assert found.large and found.beyond_chance


def test_a_mean_is_compared_in_standard_deviations() -> None:
    """Two groups of three, one apart in the mean, of variance one."""
    left = [Described(f"a{n}", {}, {"year": 2020.0 + n}) for n in range(3)]
    right = [Described(f"b{n}", {}, {"year": 2021.0 + n}) for n in range(3)]
    (found,) = differences(left, right)
    assert found.standardised == pytest.approx(-1.0)
    assert not found.beyond_chance  # so few patients differ like this by chance


def test_a_patient_counts_once() -> None:
    """Nine pairs of one patient weigh as much as the one of another."""
    left = [Described("a", {"Modality": "CT"}, {}) for _ in range(9)] + group(["MR"])
    (found,) = differences(left, group(["CT", "MR"]))
    assert (found.left, found.standardised) == (pytest.approx(0.5), pytest.approx(0.0))
    assert patients_by_value(left, "Modality") == {"CT": 1, "MR": 1}


def test_groups_without_overlap_have_no_number() -> None:
    """Where all are CT here and none there, no spread is left to divide by: said, not invented."""
    (found,) = differences(group(["CT"] * 9), group(["MR"] * 9))
    assert found.standardised is None and found.large and found.beyond_chance


def test_what_one_group_never_has_is_not_compared() -> None:
    """No date on one side is no difference in dates; no group at all, no difference."""
    left, right = group(["CT"] * 3, year=2020.0), group(["CT"] * 3)
    assert [one.characteristic for one in differences(left, right)] == ["Modality"]
    assert differences(left, ()) == ()
    assert LARGE == 0.1


def test_ids_are_linked_by_any_number_of_steps() -> None:
    """A with B, B with C, and D with nobody."""
    assert linked([("A", "B"), ("C", "B"), ("D",), ("", "")]) == {"A": "A", "B": "A", "C": "A"}
