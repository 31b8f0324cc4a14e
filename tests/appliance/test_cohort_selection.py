"""Who is chosen for a role: by list, by query, all, or the rest."""

from pathlib import Path

import pytest

from appliance.cohorts import CohortRequest, PairRow, select
from appliance.errors import UsageError


def _pair(number: int, patient: str, **facts: str) -> PairRow:
    values = {"modality": "CT", "study_date": f"2024010{number}", "body_part": "CHEST"} | facts
    return PairRow(
        pair_id=f"pair-{number}",
        patient=patient,
        accession=f"ACC{number}",
        study_uid=f"1.2.{number}",
        patient_id=f"MRN{number}",
        **values,
    )


PAIRS = (_pair(1, "P-a"), _pair(2, "P-b", modality="XR"), _pair(3, "P-c"), _pair(4, "P-a"))


def _select(**selections: str) -> dict[str, list[str]]:
    request = CohortRequest("c", selections, "random", "L1", 0.4, 0)
    return {role: [pair.pair_id for pair in pairs] for role, pairs in select(request, PAIRS).items()}


def test_a_headed_list_selects_by_its_keyword(tmp_path: Path) -> None:
    """The header says which handle the column holds."""
    file = tmp_path / "list.csv"
    file.write_text("note,StudyInstanceUID\nfirst,1.2.1\nthird,1.2.3\n")
    assert _select(target=str(file)) == {"target": ["pair-1", "pair-3"]}


def test_a_bare_list_selects_by_accession_number(tmp_path: Path) -> None:
    """A text file of accession numbers is what a worklist export looks like."""
    file = tmp_path / "list.txt"
    file.write_text("ACC2\n\nACC4\n")
    assert _select(control=str(file)) == {"control": ["pair-2", "pair-4"]}


def test_a_query_compares_dates_and_words() -> None:
    """Conditions are joined by and."""
    assert _select(target="Modality=CT StudyDate>=20240103") == {"target": ["pair-3", "pair-4"]}


def test_the_rest_leaves_out_whole_patients() -> None:
    """A second study of a patient with a role is not in the rest."""
    assert _select(member="StudyDate<=20240101", control="rest") == {
        "member": ["pair-1"],
        "control": ["pair-2", "pair-3"],
    }


def test_an_entry_that_matches_nothing_is_counted_not_dropped(tmp_path: Path) -> None:
    """A typo in a list must not silently shrink a cohort, and the message names no patient."""
    file = tmp_path / "list.csv"
    file.write_text("PatientID\nMRN1\nMRN9\n")
    with pytest.raises(UsageError, match="1 of 2") as refused:
        _select(member=str(file))
    assert "MRN9" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize("text", ["Modality", "Colour=red", "nowhere.csv", "Modality=MR"])
def test_a_selection_without_meaning_is_refused(text: str) -> None:
    """Neither a file nor a query, or a query that matches nobody."""
    with pytest.raises(UsageError):
        _select(target=text)


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A spreadsheet handed over as a list is a mistake of the command, not a fault of the program."""
    file = tmp_path / "list.xlsx"
    file.write_bytes(b"PK\x03\x04\xe0\xff\x00binary")
    with pytest.raises(UsageError, match="the list for target cannot be read"):
        _select(target=str(file))
