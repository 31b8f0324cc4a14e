from __future__ import annotations

import pytest

from medio.errors import MedioError
from medio.reports.plain import read_plain

HEADER = (
    b"PatientID: P1\nAccessionNumber: A1\nStudyInstanceUID: 1.2.3\nStudyDate: 2024.01.02\nStatus: Final\n"
)


def test_the_header_says_whose_report_it_is() -> None:
    """Leading keyword lines are identity and never part of the text."""
    found = read_plain(HEADER + "\nFindings: größer.\n\nNormal.\n".encode())
    assert (found.PatientID, found.AccessionNumber, found.StudyInstanceUID) == ("P1", "A1", "1.2.3")
    assert (found.StudyDate, found.status, found.text) == ("20240102", "final", "Findings: größer.\nNormal.")


def test_text_without_header_is_kept_whole() -> None:
    """Such a report can be read, and pairs with nothing."""
    found = read_plain("\ufeffImpression: Größe.".encode("utf-8"))
    assert (found.text, found.PatientID) == ("Impression: Größe.", "")
    assert read_plain("Größe".encode("cp1252")).text == "Größe"


def test_orders_dates_and_byte_order_marks() -> None:
    """Order numbers are handles, dates may have dashes, and an editor may have saved UTF-16."""
    text = "PlacerOrderNumber: PL1\nFillerOrderNumber: FL1\nStudyDate: 2024-01-02\n\nGröße normal."
    found = read_plain(text.encode("utf-16"))
    assert (found.PlacerOrderNumber, found.FillerOrderNumber) == ("PL1", "FL1")
    assert (found.StudyDate, found.text, found.identity) == ("20240102", "Größe normal.", ("PL1", "FL1"))


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\n ??? \n", "empty-report"), (HEADER, "empty-report"), (b"a\0b", "not-text")]
)
def test_what_is_no_report_is_refused(data: bytes, reason: str) -> None:
    """Files without words and binary files are set aside."""
    with pytest.raises(MedioError) as caught:
        read_plain(data)
    assert caught.value.reason == reason
