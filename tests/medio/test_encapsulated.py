from __future__ import annotations

import pytest
from pydicom.dataset import Dataset, FileDataset

from medio.ingest import read_content
from medio.records import Outcome, ReportSource
from tests.medio.documents import cda, pdf
from tests.medio.objects import dataset, part10

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def encapsulated(document: bytes, kind: str = "application/pdf", **attributes: object) -> FileDataset:
    """An Encapsulated Document object, padded to an even length as DICOM asks."""
    ds = dataset(ENCAPSULATED_PDF, **attributes)
    ds.Modality, ds.MIMETypeOfEncapsulatedDocument = "DOC", kind
    ds.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    ds.EncapsulatedDocumentLength = len(document)
    return ds


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (pdf("Clear."), "application/pdf"),
        (pdf("Clear.") + b"\n", "application/pdf"),
        (cda(("", "Clear.")), "text/XML"),
        (b"Clear.", "text/plain"),
    ],
)
def test_an_encapsulated_document_is_a_document_with_a_report(document: bytes, kind: str) -> None:
    """The words come from the document, the handles from the header."""
    found = read_content(
        part10(encapsulated(document, kind, VerificationFlag="VERIFIED", ContentDate="20240103"))
    )
    (report,) = found.reports
    assert (found.outcome, found.reason, report.text) == (Outcome.DOCUMENT, "", "Clear.")
    assert (report.source, report.status, report.issued) == (ReportSource.ENCAPSULATED, "final", "20240103")
    assert (report.PatientID, report.StudyInstanceUID, report.AccessionNumber) == ("PAT1", "1.2.3", "ACC1")


@pytest.mark.parametrize(
    ("document", "kind", "reason"),
    [
        (pdf(""), "application/pdf", "no-text-layer"),
        (b"no PDF", "application/pdf", "pdf-damaged"),
        (b"solid", "model/stl", "document-not-report"),
        (b"", "text/plain", "empty-report"),
    ],
)
def test_a_document_without_words_stays_a_document(document: bytes, kind: str, reason: str) -> None:
    """The DICOM object is valid whatever is inside; the reason says why there is no report."""
    found = read_content(part10(encapsulated(document, kind)))
    assert (found.outcome, found.reason, found.reports) == (Outcome.DOCUMENT, reason, ())


def test_the_request_may_name_what_the_header_does_not() -> None:
    """Accession and order numbers of the Referenced Request Sequence; two requests name nothing."""
    asked, other = Dataset(), Dataset()
    asked.AccessionNumber, asked.PlacerOrderNumberImagingServiceRequest = "ACC7", "PL7"
    other.AccessionNumber = "ACC8"
    ds = encapsulated(pdf("Clear."), AccessionNumber="", ReferencedRequestSequence=[asked])
    report = read_content(part10(ds)).reports[0]
    assert (report.AccessionNumber, report.PlacerOrderNumber) == ("ACC7", "PL7")
    ds.ReferencedRequestSequence.append(other)
    assert read_content(part10(ds)).reports[0].AccessionNumber == ""
