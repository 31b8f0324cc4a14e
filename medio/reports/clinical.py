"""CDA R2 file -> Report. Header fields as in DICOM PS3.20 and the C-CDA Diagnostic Imaging Report."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from medio.dicom import date_of, valid_uid
from medio.errors import EmptyReport, NotAReport
from medio.identity import MAX_CHARACTERS, MAX_VALUES
from medio.records import Report, ReportSource
from medio.reports.attachment import clinical_text
from medio.reports.cda import parse_cda
from medio.reports.fhir_kind import names_imaging
from medio.reports.narrative import decoded, narrative, says_something

_STUDY = "113014"  # DCM "DICOM Study"
_SUCCESSORS = ("RPLC", "APND")  # replaces or appends to an earlier document
_ROLES = ("patientRole", "assignedAuthor", "assignedEntity", "associatedEntity", "intendedRecipient")


def read_cda(data: bytes) -> Report:
    """Read an imaging report that came as a CDA document.

    Raises:
        NotReadable, NotSupported: as `document_text`.
        NotAReport: a letter, a summary or another document.
        EmptyReport: no words in it.
    """
    document = parse_cda(decoded(data))
    code = document.find("code")
    stated = f"{_of(code, 'displayName')} {document.findtext('title', '')}"
    if not names_imaging([_of(code, "code")], stated):
        raise NotAReport("other-not-report", "a clinical document of another kind than imaging")
    text = narrative([clinical_text(document)])
    if not says_something(text):
        raise EmptyReport("empty-report", "a document without words")
    patient = document.find("recordTarget/patientRole/id")
    orders = [_of(one, "extension") for one in document.findall("inFulfillmentOf/order/id")]
    accession = _only(
        _of(one, "extension") for one in document.findall("inFulfillmentOf/order/accessionNumber")
    )
    return Report(
        content_digest=hashlib.sha256(data).hexdigest(),
        source=ReportSource.CDA,
        PatientID=_of(patient, "extension"),
        IssuerOfPatientID=_of(patient, "assigningAuthorityName") or _of(patient, "root"),
        StudyInstanceUID=_only(_studies(document)),
        AccessionNumber=accession,
        StudyDate=date_of(_started(document)),
        text=text,
        status="corrected" if _succeeds(document) else "unknown",
        issued=_of(document.find("effectiveTime"), "value")[:14].partition("+")[0].partition("-")[0],
        other_accessions=tuple(dict.fromkeys(one for one in orders if one)),
        PlacerOrderNumber=_only(orders),
        identity=tuple(dict.fromkeys((*_identity(document), *filter(None, (accession, *orders))))),
    )


def _studies(document: Element) -> Iterator[str]:
    """The service that is documented, and acts coded as a study in the catalogue of objects."""
    for event in document.findall("documentationOf/serviceEvent/id"):
        if not _of(event, "extension"):
            yield valid_uid(_of(event, "root"))
    for act in document.iter("act"):
        if _of(act.find("code"), "code") == _STUDY:
            yield valid_uid(_of(act.find("id"), "root"))


def _started(document: Element) -> str:
    time = document.find("documentationOf/serviceEvent/effectiveTime")
    low = time.find("low") if time is not None else None
    return _of(low, "value") or _of(time, "value")


def _succeeds(document: Element) -> bool:
    return any(one.get("typeCode") in _SUCCESSORS for one in document.findall("relatedDocument"))


def _identity(document: Element) -> tuple[str, ...]:
    """Ids, names (`FAMILY^GIVEN`), birth dates, addresses and numbers of everybody in the header."""
    found = (value for role in document.iter() if role.tag in _ROLES for value in _values(role))
    return tuple(dict.fromkeys(value for value in found if 0 < len(value) <= MAX_CHARACTERS))[:MAX_VALUES]


def _values(role: Element) -> Iterator[str]:
    yield from (_of(one, "extension") for one in role.findall("id"))
    for element in role.iter():
        if element.tag == "name":
            parts = [*element.findall("family"), *element.findall("given")]
            yield "^".join(_words(part) for part in parts) if parts else _words(element)
        elif element.tag == "birthTime":
            yield _of(element, "value")[:8]
        elif element.tag == "telecom":
            yield _of(element, "value").partition(":")[2]
        elif element.tag in ("streetAddressLine", "city", "postalCode"):
            yield _words(element)


def _words(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _of(element: Element | None, attribute: str) -> str:
    return "" if element is None else element.get(attribute, "").strip()


def _only(values: Iterable[str]) -> str:
    found = set(values) - {""}
    return found.pop() if len(found) == 1 else ""
