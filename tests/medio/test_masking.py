"""Previews hide the study's own header values, and nothing that a reader needs."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medio.masking import MaskedText, mask

VALUES = (
    *("Müller^Jörg", "0012345", "19520229", "Li^Wei", "Canary General Hospital", "O'Brien^Siobhán"),
    *("Yamada^Tarou=山田^太郎", "20240102030405", "van der Berg^Anna"),
)
LETTERS = st.text(st.characters(categories=["Lu", "Ll", "Lo"]), min_size=3, max_size=12)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Seen with Jörg Müller.", "Seen with ‹name›."),
        ("MUELLER, JOERG came", "‹name›, ‹name› came"),
        ("J. Müller and muller's son", "‹name›. ‹name› and ‹name›'s son"),
        ("Mu\u0308ller", "‹name›"),
        ("Li, W. was", "Li, W. was"),
        ("Wei Li was", "‹name› was"),
        ("Berg, Anna van der", "‹name›, ‹name› ‹name› ‹name›"),
        ("am 8. März 2002, 3-DEZ-1990", "am ‹date›, ‹date›"),
        ("né le 1er août 1970, el 8 de marzo de 2002", "né le ‹date›, el ‹date›"),
        ("12 mm mai, 5 mars", "12 mm mai, 5 mars"),
        ("MRN 12345, 00012345, 0012-345", "MRN ‹id›, ‹id›, ‹id›"),
        ("29.02.1952 / Feb 29, 1952 / 2/29/52", "‹date› / ‹date› / ‹date›"),
        ("on 2024-01-02 and 02-JAN-2024", "on ‹date› and ‹date›"),
        ("Canary General Hospital", "‹name›"),
        ("the general hospital", "the general hospital"),
        ("O’Brien", "‹name›’‹name›"),
        ("山田太郎様", "‹name›‹name›様"),
        ("by Dr. Unknown Reader, signed", "by Dr. ‹name› ‹name›, signed"),
        ("call 555-010-0199 or a.b@c.example", "call ‹contact› or ‹contact›"),
    ],
)
def test_what_is_hidden(text: str, expected: str) -> None:
    """Header values in the ways people write them, and what looks like a date, a contact or a person."""
    assert mask(text, VALUES).text == expected


@pytest.mark.parametrize(
    "text",
    [
        "A 12 mm nodule, previously 1.2 x 0.9 cm.",
        "L4/5 and L5/S1; T2 signal 3/5, ratio 12.345.",
        "Grade 2-3 of 4, 10:15 h, 100 ml, 120/80 mmHg",
        "No weight, may will, march in place.",
        "MR BRAIN W/O, CT, MS CT",
    ],
)
def test_findings_stay(text: str) -> None:
    """Measurements, levels and grades are neither ids nor dates."""
    assert mask(text, VALUES) == MaskedText(text, 0, 0)


def test_header_and_pattern_are_counted_apart() -> None:
    """A reader learns how much the header knew and how much was a guess."""
    masked = mask("Müller, born 29.02.1952, seen 3 May 2019, tel 555-010-0199", VALUES)
    assert masked == MaskedText("‹name›, born ‹date›, seen ‹date›, ‹contact›", 2, 2)


def test_without_header_values_only_patterns_are_hidden() -> None:
    """A report that came without a header keeps its names: that is why it is not called de-identified."""
    assert mask("Müller on 2024-01-02", ()) == MaskedText("Müller on ‹date›", 0, 1)


@given(family=LETTERS, given_name=LETTERS, before=st.text(max_size=40), after=st.text(max_size=40))
def test_no_name_of_the_header_is_left(family: str, given_name: str, before: str, after: str) -> None:
    """Whatever stands around it, a name from the header between blanks is hidden, in capitals too."""
    for written in (f"{family} {given_name}", f"{family.upper()}, {given_name.upper()}"):
        masked = mask(f"{before} {written} {after}", (f"{family}^{given_name}",))
        assert masked.from_header >= 1
        assert f" {written} " not in masked.text


@given(
    number=st.from_regex(r"[1-9][0-9]{4,9}", fullmatch=True),
    zeros=st.integers(0, 4),
    text=st.text(max_size=60),
)
def test_no_number_of_the_header_is_left(number: str, zeros: int, text: str) -> None:
    """Leading zeros more or less do not matter."""
    masked = mask(f"{text} {'0' * zeros}{number} ", (f"00{number}",))
    assert f" {'0' * zeros}{number} " not in masked.text


@given(st.text(max_size=300), st.lists(st.text(max_size=30), max_size=8))
def test_any_text_and_any_values_are_taken(text: str, values: list[str]) -> None:
    """Nothing raises, and without a hit nothing changes."""
    masked = mask(text, values)
    assert (masked.text == text) == (masked.from_header + masked.by_pattern == 0)


@pytest.mark.parametrize(
    "piece", ["a ", "1-", "+1", "a@", "www.", "1.1.", "Müller ", "(", "0", "\u0301a", "tel 1", "1 jan "]
)
def test_time_is_linear(piece: str) -> None:
    """No text makes a pattern look back over all of it."""
    mask(piece * 100, VALUES)
    began = perf_counter()
    mask(piece * 20_000, VALUES)
    assert perf_counter() - began < 2.0  # 0.1 s on a quiet core; quadratic time would be minutes
