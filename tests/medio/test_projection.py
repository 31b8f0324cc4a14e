"""What may leave the vault is on a list, and in its form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medio.projection import ALLOWED, TECHNICAL, modality, projected, year
from medio.records import Instance


def test_the_list_is_short() -> None:
    """About twenty attributes, none of which names a person, a place or an event."""
    assert len(ALLOWED) == 19
    assert set(TECHNICAL) < ALLOWED
    names = {"PatientID", "AccessionNumber", "StudyInstanceUID", "StudyDate", "InstitutionName", "identity"}
    assert names <= set(Instance.__dataclass_fields__)
    assert names.isdisjoint(ALLOWED)


def test_technical_facts_pass() -> None:
    """A usual header keeps all that the blind baseline looks at."""
    facts: dict[str, str | float] = {"Rows": 512.0, "KVP": 120.0, "Year": 2024.0}
    facts |= {"Manufacturer": "SIEMENS (1.5 T)", "ViewPosition": "AP", "Modality": "CT"}
    facts |= {"BodyPartExamined": "Chest"}
    assert projected(facts) == facts


@pytest.mark.parametrize(
    "keyword, value",
    [
        ("PatientName", "Canary^Ada"),
        ("Manufacturer", "Canary^Ada"),
        ("ViewPosition", "seen by Dr. Canary, A."),
        ("Modality", "CANARY"),
        ("SOPClassUID", "1.2.3.4"),
        ("Rows", float("nan")),
        ("KVP", 19520229e6),
        ("BodyPartExamined", ""),
    ],
)
def test_what_is_not_listed_or_not_of_its_form_stays(keyword: str, value: str | float) -> None:
    """A header may hold anything anywhere; only the expected goes out."""
    assert projected({keyword: value}) == {}


@pytest.mark.parametrize("value, term", [("CT", "CT"), ("CANARY", "other"), ("", "unknown"), ("ct", "other")])
def test_modalities_are_terms(value: str, term: str) -> None:
    """A pack counts by words of the standard."""
    assert modality(value) == term


@pytest.mark.parametrize(
    "date, expected", [("20240102", "2024"), ("CANA0102", ""), ("", ""), ("00000101", "")]
)
def test_of_a_date_the_year_remains(date: str, expected: str) -> None:
    """And only if it is one."""
    assert year(date) == expected


@given(st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=80), st.floats())))
def test_nothing_else_comes_out(facts: dict[str, str | float]) -> None:
    """Whatever goes in, keys are on the list."""
    assert set(projected(facts)) <= ALLOWED
