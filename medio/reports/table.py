"""A table of reports (CSV, TSV) -> Reports, one a row. The header says what the columns are.

Column names are DICOM keywords or what exports commonly call them; case, blanks and underscores do not count.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator

from medio.dicom import date_of, valid_uid
from medio.errors import EmptyReport, NotReadable
from medio.records import Report, ReportSource
from medio.reports.narrative import Item, decoded, lines, narrative, says_something, stamp_of

MAX_TABLE_BYTES = 64 << 20
MAX_ROWS = 200_000
MAX_COLUMNS = 1_000
_NAMES = {
    "PatientID": ("patientid", "patient", "mrn", "patientnumber", "patientmrn", "medicalrecordnumber", "pid"),
    "IssuerOfPatientID": ("issuerofpatientid", "issuer", "assigningauthority"),
    "StudyInstanceUID": ("studyinstanceuid", "studyuid", "suid", "studyinstance"),
    "AccessionNumber": ("accessionnumber", "accession", "accessionno", "accno", "acc", "accessionid"),
    "PlacerOrderNumber": ("placerordernumber", "placer", "placernumber"),
    "FillerOrderNumber": ("fillerordernumber", "filler", "fillernumber"),
    "StudyDate": ("studydate", "examdate", "date", "studydatetime", "examdatetime", "proceduredate"),
    "Modality": ("modality",),
    "issued": ("issued", "reportdate", "reportdatetime", "resultdate", "signed", "signeddate", "verified"),
    "status": ("status", "reportstatus", "resultstatus"),
}
_WHOLE = (
    "report",
    "text",
    "reporttext",
    "fullreport",
    "fulltext",
    "narrative",
    "reportbody",
    "radiologyreport",
)
_SECTIONS = (
    *("indication", "clinicalhistory", "history", "clinicalinformation", "examination", "technique"),
    *("comparison", "findings", "finding", "impression", "impressions", "conclusion", "recommendation"),
)
_NUMBERS = ("PatientID", "AccessionNumber", "PlacerOrderNumber", "FillerOrderNumber")
_NAMED = ("patientname", "name", "lastname", "firstname", "birthdate", "patientbirthdate", "dob", "address")
_STATUS = {
    "final": ("final", "f", "signed", "verified", "complete", "completed"),
    "preliminary": ("preliminary", "prelim", "p", "draft", "unsigned"),
    "corrected": ("corrected", "c", "amended", "addendum", "appended", "revised"),
}


def read_table(data: bytes) -> tuple[tuple[Report, ...], tuple[str, ...]]:
    """Read every row that has words.

    Returns:
        The reports, and the reason code of each row that gave none.

    Raises:
        NotReadable: no table, no column with report text, or beyond the limits.
        EmptyReport: the columns are there, and no row has words in them.
    """
    if len(data) > MAX_TABLE_BYTES:
        raise NotReadable("too-large", f"a table of more than {MAX_TABLE_BYTES} bytes")
    text = decoded(data)
    if "\0" in text:
        raise NotReadable("not-text", "bytes that are no text")
    rows = _rows(text)
    columns = _columns(next(rows, []))
    if not any(name in (*_WHOLE, *_SECTIONS) for name in columns):
        raise NotReadable(
            "table-no-text-column",
            "no column with the text of reports; name one `report`, or `findings` and `impression`",
        )
    reports, skipped = [], []
    for row in rows:
        if len(row) != len(columns):
            skipped.append("table-row-length")
            continue
        report = _report(dict(zip(columns, row, strict=True)))
        if report is None:
            skipped.append("empty-report")
        else:
            reports.append(report)
    if not reports:
        raise EmptyReport("empty-report", "a table without the words of a report")
    return tuple(reports), tuple(skipped)


def _rows(text: str) -> Iterator[list[str]]:
    """Rows that hold anything; the delimiter is the one that the header line has most of."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t|", key=header.count)
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)):
            if number > MAX_ROWS or len(row) > MAX_COLUMNS:
                raise NotReadable("too-large", f"more than {MAX_ROWS} rows or {MAX_COLUMNS} columns")
            if any(cell.strip() for cell in row):
                yield row
    except csv.Error as error:
        raise NotReadable("table-damaged", "a table whose quotes or cells cannot be told apart") from error


def _columns(header: list[str]) -> list[str]:
    """Plain names; a name that comes twice counts the first time only."""
    names: list[str] = []
    for number, cell in enumerate(header):
        name = re.sub(r"[^a-z0-9]", "", cell.lower())
        names.append(name if name and name not in names else f"column {number}")
    return names


def _report(row: dict[str, str]) -> Report | None:
    text = _text(row)
    if not says_something(text):
        return None
    found = {
        keyword: next((row[name].strip() for name in names if row.get(name, "").strip()), "")
        for keyword, names in _NAMES.items()
    }
    stated = found["status"].lower()
    return Report(
        content_digest=hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest(),
        source=ReportSource.TABLE,
        PatientID=found["PatientID"],
        IssuerOfPatientID=found["IssuerOfPatientID"],
        StudyInstanceUID=valid_uid(found["StudyInstanceUID"]),
        AccessionNumber=found["AccessionNumber"],
        StudyDate=date_of(stamp_of(found["StudyDate"])),
        text=text,
        status=next((word for word, codes in _STATUS.items() if stated in codes), "unknown"),
        issued=stamp_of(found["issued"]),
        PlacerOrderNumber=found["PlacerOrderNumber"],
        FillerOrderNumber=found["FillerOrderNumber"],
        identity=tuple(
            value
            for value in (
                *(row.get(name, "").strip() for name in _NAMED),
                *(found[name] for name in _NUMBERS),
            )
            if value
        ),
        Modality=found["Modality"].upper(),
    )


def _text(row: dict[str, str]) -> str:
    """The column of whole reports; else the sections in the table's order, under their names."""
    whole = next((row[name] for name in _WHOLE if row.get(name, "").strip()), "")
    if whole:
        return narrative([whole])
    return narrative(lines([Item(name.capitalize(), row[name]) for name in row if name in _SECTIONS]))
