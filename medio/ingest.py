"""One file -> what it holds, or the reason why it is set aside. The ingest worker loops over it."""

from __future__ import annotations

import re
from pathlib import Path

from medio.dicom import DicomFile, ObjectKind, looks_like_dicom, read_dicom
from medio.errors import NothingToUse, NotReadable, NotSupported
from medio.pixels import pixel_statistics
from medio.records import FileContent, Outcome
from medio.reports.hl7_message import looks_like_hl7
from medio.reports.hl7v2 import read_hl7
from medio.reports.plain import read_plain
from medio.reports.sr import read_sr
from medio.sources import read_bytes, walk
from medio.transforms import to_frame

__all__ = ["read_content", "read_file", "walk"]

_TEXT_ENDINGS = (".txt", ".text")


def read_file(path: Path, *, statistics: bool = False) -> FileContent:
    """Read one file, or one member of an archive as `walk` names it.

    Raises:
        NotReadable, NotSupported: the file is set aside; `reason` is the code to count it under.
    """
    return read_content(read_bytes(path), path.suffix.lower(), statistics=statistics)


def read_content(data: bytes, ending: str = "", *, statistics: bool = False) -> FileContent:
    """Read the bytes of one file; content decides what it is, the ending only whether free text is a report.

    Args:
        statistics: also decode every frame of an image and describe the stored values.

    Raises:
        NotReadable, NotSupported: as `read_file`.
    """
    if data[128:132] != b"DICM" and looks_like_hl7(data):
        return _message(data)
    if looks_like_dicom(data):
        file = read_dicom(data)
        return _image(file, statistics) if file.kind is ObjectKind.IMAGE else _document(file)
    if ending in _TEXT_ENDINGS:
        return _text(data)
    raise _unread(data)


def _image(file: DicomFile, statistics: bool) -> FileContent:
    described = pixel_statistics(file.dataset) if statistics else None
    frame = to_frame(file.dataset)
    return FileContent(Outcome.IMAGE, instance=file.instance, frame=frame, statistics=described)


def _document(file: DicomFile) -> FileContent:
    """A DICOM object without an image; a structured report gives its text."""
    if file.kind is not ObjectKind.REPORT:
        return FileContent(Outcome.DOCUMENT, reason=file.reason, instance=file.instance)
    try:
        reports = (read_sr(file),)
    except NothingToUse as nothing:
        return FileContent(Outcome.DOCUMENT, reason=nothing.reason, instance=file.instance)
    return FileContent(Outcome.DOCUMENT, instance=file.instance, reports=reports)


def _message(data: bytes) -> FileContent:
    try:
        reports, skipped = read_hl7(data)
    except NothingToUse as nothing:
        return FileContent(nothing.outcome, reason=nothing.reason)
    return FileContent(Outcome.REPORT, reports=reports, skipped=skipped)


def _text(data: bytes) -> FileContent:
    try:
        return FileContent(Outcome.REPORT, reports=(read_plain(data),))
    except NothingToUse as nothing:
        return FileContent(nothing.outcome, reason=nothing.reason)


def _unread(data: bytes) -> NotReadable | NotSupported:
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"%PDF-"):
        return NotSupported("pdf", "PDF documents are not read")
    if re.match(rb"[{\[]\s*[\"{]", start):
        return NotSupported("json", "JSON documents, FHIR among them, are not read")
    if start.startswith(b"<"):
        return NotSupported("xml", "XML documents are not read")
    return NotReadable("unknown-format", "neither DICOM, HL7 v2 nor a text file")
