"""One file -> what it holds, or the reason why it is set aside. The ingest worker loops over it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from medio.dicom import DicomFile, ObjectKind, looks_like_dicom, read_dicom
from medio.errors import MedioError, NothingToUse, NotReadable, NotSupported
from medio.pixels import FRAME_UNREADABLE, TOO_MANY_FRAMES, pixel_statistics
from medio.records import FileContent, Outcome, PixelStatistics, Report
from medio.remarks import header_remarks
from medio.reports.cda import looks_like_cda
from medio.reports.clinical import read_cda
from medio.reports.encapsulated import holds_document, read_encapsulated
from medio.reports.fhir import read_fhir
from medio.reports.fhir_resources import looks_like_json
from medio.reports.hl7_message import looks_like_hl7
from medio.reports.hl7v2 import read_hl7
from medio.reports.pdf import looks_like_pdf, read_pdf
from medio.reports.plain import read_plain
from medio.reports.sr import read_sr
from medio.reports.table import read_table
from medio.sources import read_bytes, walk

__all__ = ["read_content", "read_file", "walk"]

_TEXT_ENDINGS = (".txt", ".text")
_TABLE_ENDINGS = (".csv", ".tsv")
_MARKUP = re.compile(rb"<[A-Za-z_!?/]")


def read_file(path: Path, *, statistics: bool = False) -> FileContent:
    """Read one file, or one member of an archive as `walk` names it.

    Raises:
        NotReadable, NotSupported: the file is set aside; `reason` is the code to count it under.
    """
    return read_content(read_bytes(path), path.suffix.lower(), statistics=statistics)


def read_content(data: bytes, ending: str = "", *, statistics: bool = False) -> FileContent:
    """Read the bytes of one file; content decides what it is, the ending only tells a table from a text.

    Args:
        statistics: also decode every frame of an image and describe the stored values; where another frame
            than the one shown cannot be decoded, a warning says so and there are none.

    Raises:
        NotReadable, NotSupported: as `read_file`.
    """
    if looks_like_dicom(data):
        file = read_dicom(data)
        try:
            return _image(file, statistics) if file.kind is ObjectKind.IMAGE else _document(file)
        except MedioError as unusable:
            unusable.instance = file.instance
            raise
    reader = _reader(data, ending)
    try:
        return reader(data)
    except NothingToUse as nothing:
        return FileContent(nothing.outcome, reason=nothing.reason)


def _reader(data: bytes, ending: str) -> Callable[[bytes], FileContent]:
    if looks_like_hl7(data):
        return _messages
    if looks_like_pdf(data):
        return _pdf
    if looks_like_json(data):
        return read_fhir
    if looks_like_cda(data[:8192].decode("utf-8-sig", errors="replace")):
        return _clinical
    if ending in _TABLE_ENDINGS:
        return _table
    if ending in _TEXT_ENDINGS:
        return _text
    raise _unread(data)


def _image(file: DicomFile, statistics: bool) -> FileContent:
    from medio.burned_in import SUSPECTED, is_measured, writing
    from medio.transforms import to_frame  # two seconds, and none of a report's business

    frame = to_frame(file.dataset)
    drawn = not is_measured(file.dataset) and writing(frame.pixels).suspected
    described, missing = _described(file) if statistics else (None, ())
    warnings = (*header_remarks(file), *frame.warnings, *((SUSPECTED,) if drawn else ()), *missing)
    return FileContent(
        Outcome.IMAGE, instance=file.instance, frame=frame, statistics=described, warnings=warnings
    )


def _described(file: DicomFile) -> tuple[PixelStatistics | None, tuple[str, ...]]:
    """All values of an image that can be shown; what is wrong with its other frames takes nothing from it."""
    try:
        return pixel_statistics(file.dataset), ()
    except MedioError as undescribed:
        too_many = undescribed.reason == TOO_MANY_FRAMES
        return None, (TOO_MANY_FRAMES if too_many else FRAME_UNREADABLE,)


def _document(file: DicomFile) -> FileContent:
    """A DICOM object without an image; a structured report or an encapsulated document gives its text."""
    if file.kind is ObjectKind.REPORT:
        read: Callable[[DicomFile], Report] = read_sr
        tolerated: type[MedioError] = NothingToUse
    elif holds_document(file):
        read, tolerated = read_encapsulated, MedioError  # the object is valid whatever is inside
    else:
        return FileContent(Outcome.DOCUMENT, reason=file.reason, instance=file.instance)
    try:
        reports = (read(file),)
    except tolerated as nothing:
        return FileContent(Outcome.DOCUMENT, reason=nothing.reason, instance=file.instance)
    return FileContent(Outcome.DOCUMENT, instance=file.instance, reports=reports)


def _messages(data: bytes) -> FileContent:
    reports, skipped = read_hl7(data)
    return FileContent(Outcome.REPORT, reports=reports, skipped=skipped)


def _table(data: bytes) -> FileContent:
    reports, skipped = read_table(data)
    return FileContent(Outcome.REPORT, reports=reports, skipped=skipped)


def _clinical(data: bytes) -> FileContent:
    return FileContent(Outcome.REPORT, reports=(read_cda(data),))


def _pdf(data: bytes) -> FileContent:
    return FileContent(Outcome.REPORT, reports=(read_pdf(data),))


def _text(data: bytes) -> FileContent:
    return FileContent(Outcome.REPORT, reports=(read_plain(data),))


def _unread(data: bytes) -> NotReadable | NotSupported:
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"{\\rtf"):
        return NotSupported("rtf", "documents in Rich Text Format are not read")
    if b"http://hl7.org/fhir" in data[:1024]:
        return NotSupported("fhir-xml", "FHIR in XML is not read; export it as JSON")
    if _MARKUP.match(start):
        return NotSupported("xml", "XML documents other than CDA are not read")
    return NotReadable("unknown-format", "neither DICOM nor HL7 v2, FHIR, PDF, a table or a text file")
