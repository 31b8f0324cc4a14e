"""Canaries: made-up studies that ingest like any other, that nobody else can have, and that repeat."""

from __future__ import annotations

import hashlib
from itertools import combinations

import numpy as np
import pytest

from medio.canary import Canary, Manner, canary, form_of
from medio.canary_text import written_report
from medio.duplicates import image_hash, same_picture, same_text
from medio.ingest import read_content
from medio.records import Outcome

NUMBERS = [f"X24-{number:07}" for number in range(0, 9_999_999, 1_234_567)]
MANNER = Manner("SITE", (), form_of(NUMBERS), "2023-01-05", "2024-11-30")


def _made(number: int, copies: int = 1, **changes: object) -> Canary:
    key = hashlib.sha256(str(number).encode()).digest()
    return canary(key, copies, changes.get("manner", MANNER), changes.get("taken", frozenset()))  # type: ignore[arg-type]


def test_both_files_are_read_as_any_study_is() -> None:
    """The image gives a frame, the report its text, and both name the same study and patient."""
    (study,) = _made(1).studies
    image, report = read_content(study.image), read_content(study.report)
    assert (image.outcome, image.warnings, report.warnings) == (Outcome.IMAGE, (), ())
    assert image.frame is not None
    assert image.frame.pixels.std() > 20
    assert image.instance is not None
    (text,) = report.reports
    assert (text.status, text.StudyInstanceUID) == ("final", image.instance.StudyInstanceUID)
    assert text.AccessionNumber == image.instance.AccessionNumber == study.AccessionNumber
    assert text.PatientID == image.instance.PatientID


def test_the_same_key_gives_the_same_bytes_and_another_key_another_canary() -> None:
    """What a kill interrupted can be written again, byte for byte."""
    assert _made(2, 4) == _made(2, 4)
    assert _made(2).studies[0].image != _made(3).studies[0].image


def test_copies_hold_the_same_picture_and_words_under_new_identifiers() -> None:
    """No two files are equal, so nothing that compares files drops a copy; what they show is equal."""
    made = _made(4, 4)
    read = [(read_content(study.image), read_content(study.report)) for study in made.studies]
    frames = [image.frame.pixels for image, _ in read if image.frame is not None]
    assert len(frames) == 4
    assert all(np.array_equal(frames[0], frame) for frame in frames)
    assert len({report.reports[0].text for _, report in read}) == 1
    for handle in ("StudyInstanceUID", "AccessionNumber", "image", "report"):
        assert len({getattr(study, handle) for study in made.studies}) == 4
    assert {image.instance.PatientID for image, _ in read if image.instance} == {made.person.PatientID}


def test_a_report_says_what_no_other_says() -> None:
    """Two thousand reports differ, and each is one of more than 2**70."""
    reports = [written_report(number) for number in range(2000)]
    assert len({report.findings for report in reports}) == 2000
    assert min(report.bits for report in reports) > 70


def test_two_canaries_are_not_taken_for_near_duplicates() -> None:
    """A vendor's filter for near-duplicates, such as ours, keeps different canaries apart."""
    made = [read_content(_made(number).studies[0].image) for number in range(24)]
    hashes = [image_hash(one.frame.pixels) for one in made if one.frame is not None]
    assert [] == [1 for one, other in combinations(hashes, 2) if same_picture(one, other)]
    texts = [" ".join(written_report(number).findings) for number in range(60)]
    assert [] == [1 for one, other in combinations(texts, 2) if same_text(one, other)]


def test_numbers_look_like_the_sites_own_and_belong_to_nobody() -> None:
    """Each place is drawn from what stands there; a form with little room gets further digits."""
    narrow = Manner("", form_of(["P-7"] * 5), form_of(["7", "8"]), "2024-01-01", "2024-01-01")
    for number in range(12):
        made = _made(number, manner=narrow)
        assert made.person.PatientID.startswith("P-7")
        assert len(made.person.PatientID) == 10
        assert len(made.studies[0].AccessionNumber) == 7
        assert made.studies[0].StudyDate == "20240101"
        usual = _made(number).studies[0].AccessionNumber
        assert usual.startswith("X24-")
        assert usual not in NUMBERS


def test_no_number_that_exists_is_given_to_a_canary() -> None:
    """What is taken is drawn again, for the patient and for every copy."""
    first = _made(7, 4)
    numbers = frozenset({first.person.PatientID, *(study.AccessionNumber for study in first.studies)})
    again = _made(7, 4, taken=numbers)
    assert not numbers & {again.person.PatientID, *(study.AccessionNumber for study in again.studies)}


@pytest.mark.parametrize(("copies", "last"), [(0, "2024-11-30"), (1, "2022-12-31")])
def test_a_canary_without_copy_or_day_is_refused(copies: int, last: str) -> None:
    """Nothing is made of a request that has no meaning."""
    with pytest.raises(ValueError, match="canary"):
        _made(1, copies, manner=Manner("", (), (), "2023-01-05", last))
