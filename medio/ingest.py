"""One file -> an image with its frame, or reports, or the reason why not. The ingest worker loops over it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from medio.dicom import ObjectKind, looks_like_dicom, read_dicom
from medio.errors import NotReadable, NotSupported
from medio.records import Frame, Instance, Report
from medio.reports.hl7_message import looks_like_hl7
from medio.reports.hl7v2 import read_hl7
from medio.reports.plain import read_plain
from medio.reports.sr import read_sr
from medio.sources import read_bytes, walk
from medio.transforms import to_frame

__all__ = ["ImageFile", "ReportFile", "read_content", "read_file", "walk"]

_TEXT_ENDINGS = (".txt", ".text")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image instance and its display-ready frame."""

    instance: Instance
    frame: Frame


@dataclass(frozen=True, slots=True)
class ReportFile:
    """The reports of one file, and the reason codes of messages in it that gave none."""

    reports: tuple[Report, ...]
    skipped: tuple[str, ...] = ()


def read_file(path: Path) -> ImageFile | ReportFile:
    """Read one file, or one member of an archive as `walk` names it.

    Raises:
        MedioError: the file is set aside; `reason` is the code to count it under.
    """
    return read_content(read_bytes(path), path.suffix.lower())


def read_content(data: bytes, ending: str = "") -> ImageFile | ReportFile:
    """Read the bytes of one file; content decides what it is, the ending only whether free text is a report.

    Raises:
        MedioError: as `read_file`.
    """
    if data[128:132] != b"DICM" and looks_like_hl7(data):
        return ReportFile(*read_hl7(data))
    if looks_like_dicom(data):
        file = read_dicom(data)
        if file.kind is ObjectKind.REPORT:
            return ReportFile((read_sr(file),))
        return ImageFile(file.instance, to_frame(file.dataset))
    if ending in _TEXT_ENDINGS:
        return ReportFile((read_plain(data),))
    raise _unread(data)


def _unread(data: bytes) -> NotReadable | NotSupported:
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"%PDF-"):
        return NotSupported("pdf", "PDF documents are not read")
    if re.match(rb"[{\[]\s*[\"{]", start):
        return NotSupported("json", "JSON documents, FHIR among them, are not read")
    if start.startswith(b"<"):
        return NotSupported("xml", "XML documents are not read")
    return NotReadable("unknown-format", "neither DICOM, HL7 v2 nor a text file")
