"""DICOM Encapsulated Document (PS3.3 A.45) -> Report, where the document has words."""

from __future__ import annotations

from medio.dicom import DicomFile, text_of, wall
from medio.errors import NotReadable, NotSupported
from medio.records import Report, ReportSource
from medio.reports.attachment import MAX_DOCUMENT_BYTES, document_text
from medio.reports.narrative import narrative
from medio.reports.sr import issued_of, requests

_READ = ("application/pdf", "text/xml", "application/xml", "text/html", "text/plain", "")


def holds_document(file: DicomFile) -> bool:
    """Whether the object carries a document of another format."""
    return "EncapsulatedDocument" in file.dataset


def read_encapsulated(file: DicomFile) -> Report:
    """Read the text of an encapsulated PDF, CDA or text; the handles are those of the DICOM header.

    Raises:
        NotReadable, NotSupported, EmptyReport: no text comes of the document; the DICOM object stays valid.
    """
    dataset, instance = file.dataset, file.instance
    stated = text_of(dataset, "MIMETypeOfEncapsulatedDocument").lower()
    if stated not in _READ:
        raise NotSupported("document-not-report", "an encapsulated document without text")
    with wall("bad-elements"):
        data = bytes(dataset.EncapsulatedDocument or b"")
        length = int(dataset.get("EncapsulatedDocumentLength") or len(data))
        requested = requests(dataset)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise NotReadable("too-large", f"an encapsulated document of more than {MAX_DOCUMENT_BYTES} bytes")
    return Report(
        content_digest=instance.content_digest,
        source=ReportSource.ENCAPSULATED,
        PatientID=instance.PatientID,
        IssuerOfPatientID=instance.IssuerOfPatientID,
        StudyInstanceUID=instance.StudyInstanceUID,
        AccessionNumber=instance.AccessionNumber or requested.AccessionNumber,
        StudyDate=instance.StudyDate,
        text=narrative([document_text(data[:length], stated)]),
        status="final" if text_of(dataset, "VerificationFlag") == "VERIFIED" else "unknown",
        issued=issued_of(dataset),
        PlacerOrderNumber=instance.PlacerOrderNumber or requested.PlacerOrderNumber,
        FillerOrderNumber=instance.FillerOrderNumber or requested.FillerOrderNumber,
        identity=instance.identity,
    )
