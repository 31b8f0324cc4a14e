from __future__ import annotations

import pytest

from medio.ingest import read_content
from medio.records import Outcome, Report, ReportSource
from tests.medio.documents import cda

IMAGING = '<code code="18748-4"/><title>Chest X-ray</title><effectiveTime value="20240102123000+0100"/>'
PATIENT = (
    '<recordTarget><patientRole><id extension="PAT1" root="1.2.3" assigningAuthorityName="SITE"/>'
    "<addr><streetAddressLine>1 Long Street</streetAddressLine></addr><telecom value='tel:555-1234'/>"
    '<patient><name><given>Jane</given><family>Doe</family></name><birthTime value="19701231"/></patient>'
    "</patientRole></recordTarget>"
)
ORDER = '<inFulfillmentOf><order><id extension="{}"/>{}</order></inFulfillmentOf>'
SERVICE = (
    '<documentationOf><serviceEvent><id root="1.2.840.99"/>'
    '<effectiveTime><low value="20240101090000"/></effectiveTime></serviceEvent></documentationOf>'
)


def read(head: str) -> Report:
    """The only report of a CDA with this header."""
    (found,) = read_content(cda(("Findings", "Clear."), ("Impression", "Normal."), head=head)).reports
    return found


def test_a_clinical_document_is_a_report() -> None:
    """Words from the sections, handles from the header."""
    found = read(IMAGING + PATIENT + ORDER.format("PL1", '<accessionNumber extension="ACC1"/>') + SERVICE)
    assert (found.source, found.text) == (ReportSource.CDA, "Findings: Clear.\nImpression: Normal.")
    assert (found.PatientID, found.IssuerOfPatientID, found.AccessionNumber) == ("PAT1", "SITE", "ACC1")
    assert (found.StudyInstanceUID, found.StudyDate, found.issued) == (
        "1.2.840.99",
        "20240101",
        "20240102123000",
    )
    assert (found.PlacerOrderNumber, found.other_accessions, found.status) == ("PL1", ("PL1",), "unknown")
    assert set(found.identity) == {
        *("PAT1", "1 Long Street", "555-1234", "Doe^Jane", "19701231"),
        *("ACC1", "PL1"),
    }


def test_several_orders_or_studies_are_not_guessed_between() -> None:
    """Numbers of two orders stay candidates; two studies are none."""
    found = read(
        IMAGING + ORDER.format("A1", "") + ORDER.format("A2", "") + SERVICE + SERVICE.replace("99", "77")
    )
    assert (found.PlacerOrderNumber, found.other_accessions, found.StudyInstanceUID) == ("", ("A1", "A2"), "")


def test_the_study_may_stand_in_the_catalogue_of_objects() -> None:
    """An act coded 113014 names the study (PS3.20)."""
    act = '<component><act><id root="1.2.840.55"/><code code="113014"/></act></component>'
    assert read(IMAGING + act).StudyInstanceUID == "1.2.840.55"


def test_a_successor_is_a_correction() -> None:
    """A document that replaces another, or adds to it."""
    assert read(IMAGING + '<relatedDocument typeCode="RPLC"/>').status == "corrected"


@pytest.mark.parametrize(
    ("head", "words", "outcome", "reason"),
    [
        ("<title>Discharge letter</title>", "Went home.", Outcome.ORDER, "other-not-report"),
        (IMAGING, "???", Outcome.EMPTY_REPORT, "empty-report"),
    ],
)
def test_other_documents_say_what_they_are(head: str, words: str, outcome: Outcome, reason: str) -> None:
    """Letters are no imaging reports, and a report needs words."""
    found = read_content(cda(("Findings", words), head=head))
    assert (found.outcome, found.reason, found.reports) == (outcome, reason, ())
