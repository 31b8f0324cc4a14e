"""Who is chosen for a role: by list, by query, all, or the rest; and why a selection cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.cohorts import HINTS, CohortRequest, _check_apart, _sized, select
from appliance.errors import UsageError
from appliance.selection import PairRow


def _pair(number: int, patient: str, **facts: Any) -> PairRow:
    values = {"modality": "CT", "study_date": f"2024010{number}", "body_part": "CHEST"} | facts
    return PairRow(
        pair_id=f"pair-{number}",
        patient=patient,
        accession=f"ACC{number}",
        study_uid=f"1.2.{number}",
        patient_id=f"MRN{number}",
        **values,
    )


PAIRS = (
    _pair(1, "P-a", institution="Saint Made-Up", places=(("pilot", "target"), ("second", "fitting"))),
    _pair(2, "P-b", modality="XR", body_part="", places=(("pilot", "calibration"),)),
    _pair(3, "P-c", study_date="20230630", manufacturer="Acme"),
    _pair(4, "P-a", study_date=""),
)


def _request(**changes: Any) -> CohortRequest:
    return replace(CohortRequest("c", {}, "random", "L1", 0.4, 0), **changes)


def _select(**selections: str) -> dict[str, list[str]]:
    found = select(_request(selections=selections), PAIRS)
    return {role: [pair.pair_id for pair in pairs] for role, pairs in found.items()}


def _refused(**changes: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        select(_request(**changes), PAIRS)
    assert caught.value.hint
    return caught.value


def test_a_headed_list_selects_by_its_keyword(tmp_path: Path) -> None:
    """The header says which handle the column holds; a spreadsheet may separate by semicolon."""
    file = tmp_path / "list.csv"
    for text in (
        "note,StudyInstanceUID\nfirst,1.2.1\nthird,1.2.3\n",
        "note;StudyInstanceUID\nfirst;1.2.1\nthird;1.2.3\n",
    ):
        file.write_text(text)
        assert _select(target=str(file)) == {"target": ["pair-1", "pair-3"]}


def test_a_bare_list_selects_by_accession_number(tmp_path: Path) -> None:
    """A text file of accession numbers is what a worklist export looks like."""
    file = tmp_path / "list.txt"
    file.write_text("ACC2\n\nACC4\n")
    assert _select(control=str(file)) == {"control": ["pair-2", "pair-4"]}


def test_one_file_may_give_every_role(tmp_path: Path) -> None:
    """A column `role` beside the handles; a further selection adds to it."""
    file = tmp_path / "roles.csv"
    file.write_text("AccessionNumber,Role\nACC1,target\nACC2,Control\nACC3,post-release\n")
    found = select(_request(roles_file=str(file), selections={"bank": "rest"}), (*PAIRS, _pair(5, "P-d")))
    assert {role: [pair.pair_id for pair in pairs] for role, pairs in found.items()} == {
        "target": ["pair-1"],
        "control": ["pair-2"],
        "post_release": ["pair-3"],
        "bank": ["pair-5"],
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AccessionNumber\nACC1\n", "no column `role`"),
        ("AccessionNumber,role\nACC1,friend\n", "role that does not exist"),
        ("AccessionNumber,role\nACC1,target\nACC1,control\n", "1 handles two roles"),
        ("AccessionNumber,role\nACC9,target\n", "1 of 1 entries"),
    ],
)
def test_a_file_of_roles_without_meaning_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """What is wrong is said in counts, never by naming a patient."""
    file = tmp_path / "roles.csv"
    file.write_text(text)
    refused = _refused(roles_file=str(file))
    assert said in str(refused) and "ACC" not in str(refused).replace("AccessionNumber", "")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("Modality=CT StudyDate>=20240101", [1]),
        ("StudyDate>=2024", [1, 2]),
        ("StudyDate<=2023", [3]),
        ("StudyDate<=2023-06", [3]),
        ("StudyDate=2024-01-02", [2]),
        ("StudyDate=2023-06-01..2024-01-01", [1, 3]),
        ("StudyDate=20230101-20240101", [1, 3]),
        ("StudyDate=-20231231,2024-01-02", [2, 3]),
        ("StudyDate!=2024", [3]),
        ("Modality=ct,xr BodyPartExamined=", [2]),
        ("Modality!=CT", [2]),
        ("InstitutionName='Saint Made-Up'", [1]),
        ("Manufacturer=ACME", [3]),
        ("PatientID=MRN1,MRN3", [1, 3]),
        ("Cohort=pilot", [1, 2]),
        ("Cohort!=pilot", [3, 4]),
        ("Role=control", [1, 2]),
        ("Role=control Cohort=pilot", [2]),
        ("Role!=target", [2, 3, 4]),
        ("all", [1, 2, 3, 4]),
    ],
)
def test_queries(query: str, numbers: list[int]) -> None:
    """Conditions are joined by and, values by or; a pair without a date meets no condition on it."""
    assert _select(target=query) == {"target": [f"pair-{number}" for number in numbers]}


def test_the_rest_may_be_narrowed_by_a_query() -> None:
    """Patients of another role are taken out first, so two queries over time need not overlap."""
    assert _select(target="StudyDate>=2024", control="rest StudyDate<=2023") == {
        "target": ["pair-1", "pair-2"],
        "control": ["pair-3"],
    }
    assert "control matches no pair: 1 patients in all" in str(
        _refused(selections={"target": "StudyDate>=2024", "control": "rest Modality=MR"})
    )


def test_at_least_and_at_most_compare_with_one_date() -> None:
    """A range has two ends, and which is meant would be a guess."""
    for text in ("StudyDate>=2023..2024", "StudyDate<=20230101-20230331", "StudyDate>=2023,2024"):
        assert "compares with one date" in str(_refused(selections={"target": text}))


def test_a_list_without_entries_is_empty(tmp_path: Path) -> None:
    """A header alone names nobody."""
    file = tmp_path / "list.csv"
    file.write_text("PatientID\n\n")
    assert "is empty" in str(_refused(selections={"target": str(file)}))


def test_the_rest_leaves_out_whole_patients() -> None:
    """A second study of a patient with a role is not in the rest."""
    assert _select(member="StudyDate=20240101", control="rest") == {
        "member": ["pair-1"],
        "control": ["pair-2", "pair-3"],
    }


def test_an_entry_that_matches_nothing_is_counted_not_dropped(tmp_path: Path) -> None:
    """A typo in a list must not silently shrink a cohort, and the message names no patient."""
    file = tmp_path / "list.csv"
    file.write_text("PatientID\nMRN1\nMRN9\n")
    refused = _refused(selections={"member": str(file)})
    assert "1 of 2" in str(refused) and "MRN9" not in str(refused) + refused.hint


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("Modality", "neither a file"),
        ("nowhere.csv", "neither a file"),
        ("Colour=red", "no key Colour"),
        ("Modality>=CT", "compares dates only"),
        ("StudyDate>=2024,2025", "one date"),
        ("StudyDate=yesterday", "cannot be read"),
        ("Modality='CT", "not closed"),
        ("Modality=CT StudyDate>=2025", "3 patients in all, Modality leaves 2, StudyDate leaves 0"),
    ],
)
def test_a_selection_without_meaning_is_refused(query: str, said: str) -> None:
    """Neither a file nor a query, or a query that matches nobody: then each condition says what it left."""
    assert said in str(_refused(selections={"target": query}))


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A spreadsheet handed over as a list is a mistake of the command, not a fault of the program."""
    file = tmp_path / "list.xlsx"
    file.write_bytes(b"PK\x03\x04\xe0\xff\x00binary")
    assert "the list for target cannot be read" in str(_refused(selections={"target": str(file)}))


def test_nobody_left_and_nothing_there_are_told() -> None:
    """An empty workspace, and a rest without anybody."""
    assert "the other roles take all 3" in str(_refused(selections={"target": "all", "control": "rest"}))
    with pytest.raises(UsageError, match="no pair to choose from"):
        select(_request(selections={"target": "all"}), ())


def test_an_overlap_says_how_many_remain() -> None:
    """The smaller of two selections is what shrinks."""
    several = tuple(_pair(n, f"P-{n}") for n in range(1, 9))
    with pytest.raises(UsageError) as caught:
        _check_apart({"target": several[:3], "member": several[1:]})
    assert "2 of 3 target patients are also member patients, 1 remain" in str(caught.value)
    assert caught.value.hint == HINTS["patient-in-two-roles"]


def _many(first: int, kinds: dict[str, int]) -> tuple[PairRow, ...]:
    names = [kind for kind, count in kinds.items() for _ in range(count)]
    return tuple(
        replace(_pair(0, f"P-{first + n}"), pair_id=f"{first + n:04}", modality=kind, study_date="20240101")
        for n, kind in enumerate(names)
    )


def test_a_size_draws_patients_evenly() -> None:
    """Whole patients, each kind by its share, the same for the same seed."""
    picked = {"target": _many(0, {"CT": 20, "MR": 10}), "control": _many(100, {"CT": 10})}
    request = _request(sizes={"target": 6})
    sized = _sized(request, picked)
    assert [sum(pair.modality == kind for pair in sized["target"]) for kind in ("CT", "MR")] == [4, 2]
    assert sized == _sized(request, picked) != _sized(replace(request, seed=1), picked)
    assert len(sized["control"]) == 10


def test_controls_are_matched_to_the_targets() -> None:
    """As many controls as keep the targets' shares; or so many as asked for."""
    picked = {"target": _many(0, {"CT": 4, "MR": 2}), "control": _many(100, {"CT": 30, "MR": 9, "US": 50})}
    for request, counts in (
        (_request(match_controls=True), [18, 9, 0]),
        (_request(match_controls=True, sizes={"control": 12}), [8, 4, 0]),
    ):
        found = _sized(request, picked)["control"]
        assert [sum(pair.modality == kind for pair in found) for kind in ("CT", "MR", "US")] == counts


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sizes": {"target": 7}}, "7 target patients are asked for and 6 match"),
        ({"sizes": {"bank": 3}}, "a size is given for bank, and no selection"),
        ({"match_controls": True}, "2 of 6 target patients have no control"),
    ],
)
def test_a_size_that_cannot_be_had_is_told(changes: dict[str, Any], said: str) -> None:
    """Which constraint leaves how many patients."""
    picked = {"target": _many(0, {"CT": 4, "MR": 2}), "control": _many(100, {"CT": 30})}
    with pytest.raises(UsageError, match=said) as caught:
        _sized(_request(**changes), picked)
    assert caught.value.hint
