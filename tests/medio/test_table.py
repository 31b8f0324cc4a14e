from __future__ import annotations

import pytest

from medio.errors import MedioError
from medio.records import Report, ReportSource
from medio.reports import table
from medio.reports.table import read_table


def read(text: str) -> Report:
    """The only report of a table."""
    (found,), _ = read_table(text.encode())
    return found


def refused(data: bytes) -> str:
    """The reason code with which a table is refused."""
    with pytest.raises(MedioError) as caught:
        read_table(data)
    return caught.value.reason


def test_a_row_is_a_report() -> None:
    """All handles from columns with DICOM's names, quoted text with lines and delimiters in it."""
    found = read(
        "PatientID,IssuerOfPatientID,StudyInstanceUID,AccessionNumber,StudyDate,Modality,Status,Report,issued,"
        "PlacerOrderNumber,FillerOrderNumber,PatientName\r\n"
        'P1,SITE,1.2.840.9,A1,2024-01-02,ct,Final,"Clear, both lungs.\r\nNo ""nodule"".",'
        "2024-01-02T12:30:00,PL1,F1,Doe^Jane\r\n"
    )
    assert found.text == 'Clear, both lungs.\nNo "nodule".'
    assert (found.PatientID, found.IssuerOfPatientID, found.AccessionNumber) == ("P1", "SITE", "A1")
    assert (found.StudyInstanceUID, found.StudyDate, found.Modality) == ("1.2.840.9", "20240102", "CT")
    assert (found.PlacerOrderNumber, found.FillerOrderNumber) == ("PL1", "F1")
    assert (found.status, found.issued, found.identity) == (
        "final",
        "20240102123000",
        ("Doe^Jane", "P1", "A1", "PL1", "F1"),
    )
    assert found.source is ReportSource.TABLE


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "header", [("MRN", "Accession Number", "Report Text"), ("patient_id", "accession_no", "TEXT")]
)
def test_common_spellings_and_delimiters(delimiter: str, header: tuple[str, ...]) -> None:
    """Case, blanks and underscores in names do not count; the header's delimiter is the table's."""
    found = read("\n".join(delimiter.join(row) for row in (header, ("P1", "A1", "Clear."))))
    assert (found.PatientID, found.AccessionNumber, found.text) == ("P1", "A1", "Clear.")


def test_sections_are_joined_under_their_names() -> None:
    """Findings and impression in the table's order; an empty cell leaves its name out."""
    rows = "accession,Findings,Impression,Comparison\nA1,Lungs clear.,No acute finding.,\n"
    assert read(rows).text == "Findings: Lungs clear.\nImpression: No acute finding."


def test_rows_without_words_are_counted() -> None:
    """An empty cell, and a row of another length than the header; the digest is that of the row."""
    data = b"id,report\n1,Clear.\n2,\n3,One,more\n\n4,Clear.\n1,Clear.\n"
    reports, skipped = read_table(data)
    assert len(reports) == 3
    assert skipped == ("empty-report", "table-row-length")
    assert len({report.content_digest for report in reports}) == 2


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "cp1252"])
def test_character_sets(charset: str) -> None:
    """With a byte order mark, and as spreadsheets save without one."""
    (found,), _ = read_table("id;report\n1;Größe normal.\n".encode(charset))
    assert found.text == "Größe normal."


@pytest.mark.parametrize(
    ("sent", "day", "issued"),
    [
        ("2024-01-02", "20240102", "20240102"),
        ("2024/1/2 08:05", "20240102", "202401020805"),
        ("20240102", "20240102", "20240102"),
        ("20240102080910", "20240102", "20240102080910"),
        ("03/04/2024", "", ""),
        ("", "", ""),
    ],
)
def test_days_are_read_year_first(sent: str, day: str, issued: str) -> None:
    """A day that could be two days is no handle."""
    found = read(f"date,issued,report\n{sent},{sent},Clear.\n")
    assert (found.StudyDate, found.issued) == (day, issued)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"patient,age\nP1,50\n", "table-no-text-column"),
        (b"", "table-no-text-column"),
        (b"id,report\n1,\n2,...\n", "empty-report"),
        (b"id,report\n1,a\0b\n", "not-text"),
        (b'id,report\n1,"' + b"a" * 200_000 + b'"\n', "table-damaged"),
        (b"report" + b"," * 1_001, "too-large"),
    ],
)
def test_what_is_no_table_of_reports(data: bytes, reason: str) -> None:
    """Tables without text, without words, damaged or too wide have reasons of their own."""
    assert refused(data) == reason


def test_limits_of_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and bytes are bounded."""
    monkeypatch.setattr(table, "MAX_ROWS", 2)
    assert refused(b"report\na\nb\nc\n") == "too-large"
    monkeypatch.setattr(table, "MAX_TABLE_BYTES", 2)
    assert refused(b"report\na\n") == "too-large"
