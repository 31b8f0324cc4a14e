"""A text file -> Report. Leading `Keyword: value` lines (DICOM keywords) say whose; the rest is the report.

PatientID: 4711
AccessionNumber: A1
<blank line>
No acute finding.
"""

from __future__ import annotations

import hashlib

from medio.dicom import date_of, valid_uid
from medio.errors import EmptyReport, NotReadable
from medio.records import Report, ReportSource
from medio.reports.narrative import MAX_TEXT_BYTES, decoded, narrative, says_something, stamp_of

_KEYWORDS = (
    *("PatientID", "IssuerOfPatientID", "StudyInstanceUID", "AccessionNumber", "StudyDate", "Status"),
    *("PlacerOrderNumber", "FillerOrderNumber"),
)
_NUMBERS = ("PatientID", "AccessionNumber", "PlacerOrderNumber", "FillerOrderNumber")
_STATUS = ("preliminary", "final", "corrected")


def read_plain(data: bytes) -> Report:
    """Read a text file: UTF-8, UTF-16 with a byte order mark, or else Windows-1252.

    Raises:
        NotReadable: not text, or too much of it.
        EmptyReport: no words in it.
    """
    if len(data) > MAX_TEXT_BYTES:
        raise NotReadable("too-large", "more text than a report holds")
    whole = decoded(data)
    if "\0" in whole:
        raise NotReadable("not-text", "bytes that are no text")
    header, body = _split(whole)
    text = narrative(body)
    if not says_something(text):
        raise EmptyReport("empty-report", "no words in the text")
    status = header.get("Status", "").lower()
    return Report(
        content_digest=hashlib.sha256(data).hexdigest(),
        source=ReportSource.PLAIN,
        PatientID=header.get("PatientID", ""),
        IssuerOfPatientID=header.get("IssuerOfPatientID", ""),
        StudyInstanceUID=valid_uid(header.get("StudyInstanceUID", "")),
        AccessionNumber=header.get("AccessionNumber", ""),
        StudyDate=date_of(stamp_of(header.get("StudyDate", ""))),
        text=text,
        status=status if status in _STATUS else "unknown",
        PlacerOrderNumber=header.get("PlacerOrderNumber", ""),
        FillerOrderNumber=header.get("FillerOrderNumber", ""),
        identity=tuple(header[name] for name in _NUMBERS if header.get(name)),
    )


def _split(text: str) -> tuple[dict[str, str], list[str]]:
    header: dict[str, str] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines):
        keyword, colon, value = line.partition(":")
        if not colon or keyword.strip() not in _KEYWORDS:
            return header, lines[number:]
        header[keyword.strip()] = value.strip()
    return header, []
