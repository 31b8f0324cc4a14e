"""FHIR JSON -> Reports and Studies: DiagnosticReport, Composition, DocumentReference, ImagingStudy.

A resource alone, in a bundle of any type, in a list, or one a line. What is read from which element is in
docs/reports.md. Words and handles that were sent apart are not fetched: the record says where they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from medio.dicom import valid_uid
from medio.errors import EmptyReport, MedioError, NotAReport, NothingToUse, NotReadable, TextElsewhere
from medio.records import FileContent, Outcome, Report, ReportSource, Study
from medio.reports.fhir_kind import check_imaging
from medio.reports.fhir_people import identifier_type, identity, patient_ids, subject_of
from medio.reports.fhir_resources import (
    Resource,
    Resources,
    conforms,
    kind_of,
    known_type,
    load,
    objects,
    short_name,
    text_at,
)
from medio.reports.fhir_text import Words, composition_words, document_words, report_words
from medio.reports.narrative import stamp_of

_REPORTS = ("DiagnosticReport", "Composition", "DocumentReference")
_ORDERS = ("ServiceRequest", "ProcedureRequest", "ReferralRequest", "Task", "Appointment", "RequestGroup")
_STATUS = {
    "preliminary": ("preliminary", "partial", "registered", "modified"),
    "final": ("final",),
    "corrected": ("corrected", "amended", "appended"),
}
_WITHDRAWN = ("entered-in-error", "cancelled", "deprecated")
_UNCHECKED = 50  # resources of one file whose grammar is checked; a bulk file is of one maker


@dataclass(slots=True)
class _Found:
    reports: list[Report] = field(default_factory=list)
    studies: list[Study] = field(default_factory=list)
    refused: list[MedioError] = field(default_factory=list)
    warnings: set[str] = field(default_factory=set)


def read_fhir(data: bytes) -> FileContent:
    """Read every report and imaging study of a file.

    Raises:
        NotReadable: damaged JSON, or no FHIR.
        NotSupported: other JSON, or all words are in a format that is not read.
    """
    resources = load(data)
    found = _Found()
    documents = _documents(resources)
    spoken_for = set(map(id, documents.values()))  # their words come with the report that has the handles
    for number, resource in enumerate(resources.of(*_REPORTS, "ImagingStudy")):
        if number < _UNCHECKED and not conforms(resource):
            found.warnings.add("fhir-invalid")
        if id(resource) in spoken_for:
            continue
        try:
            if kind_of(resource) == "ImagingStudy":
                found.studies.append(_study(resource, resources))
            else:
                found.reports.append(_report(resource, resources, documents, found.warnings))
        except MedioError as error:
            found.refused.append(error)
    return _content(found, resources)


def _content(found: _Found, resources: Resources) -> FileContent:
    skipped, warnings = tuple(error.reason for error in found.refused), tuple(sorted(found.warnings))
    if found.reports:
        reports, studies = tuple(found.reports), tuple(found.studies)
        return FileContent(
            Outcome.REPORT, reports=reports, studies=studies, skipped=skipped, warnings=warnings
        )
    if found.studies:
        return FileContent(Outcome.STUDY, studies=tuple(found.studies), skipped=skipped, warnings=warnings)
    first = found.refused[0] if found.refused else _other(resources)
    if not isinstance(first, NothingToUse):
        raise first
    return FileContent(first.outcome, reason=first.reason, skipped=skipped[1:], warnings=warnings)


def _other(resources: Resources) -> MedioError:
    """Why a file without report and study gives nothing."""
    kinds = {kind_of(resource) for resource in resources.entries} - {"Bundle"}
    if kinds and not any(map(known_type, kinds)):
        return NotReadable("fhir-unknown-type", "a resource of a type that FHIR does not have")
    if kinds <= {*_ORDERS, "Patient", "Practitioner", "Organization"} and kinds & set(_ORDERS):
        return NotAReport("order-not-report", "an order")
    return NotAReport("resource-not-report", "a FHIR resource that is no report")


def _report(
    resource: Resource, resources: Resources, documents: dict[int, Resource], warnings: set[str]
) -> Report:
    status = text_at(resource, "docStatus") or text_at(resource, "status")
    if status in _WITHDRAWN:
        raise NotAReport("report-withdrawn", "a report that was withdrawn")
    words = _words(resource, resources, documents.get(id(resource)))
    check_imaging(resource, resources, words.text)
    if not words.text:
        raise _wordless(words)
    warnings.update(error.reason for error in words.refused)
    handles = _handles(resource, resources)
    ids, issuer = patient_ids(subject_of(resource, resources))
    return Report(
        content_digest=_digest(resource, words.text),
        source=ReportSource.FHIR,
        PatientID=ids[0],
        IssuerOfPatientID=issuer,
        StudyInstanceUID=handles.study,
        AccessionNumber=handles.accessions[0] if handles.accessions else "",
        StudyDate=handles.date or stamp_of(_when(resource))[:8],
        text=words.text,
        status=next((word for word, codes in _STATUS.items() if status in codes), "unknown"),
        issued=stamp_of(text_at(resource, "issued") or text_at(resource, "date") or _when(resource)),
        OtherPatientIDs=tuple(ids[1:]),
        other_accessions=tuple(dict.fromkeys([*handles.accessions[1:], *handles.fillers, *handles.weak])),
        PlacerOrderNumber=_only(handles.placers),
        FillerOrderNumber=_only(handles.fillers),
        study_references=tuple(dict.fromkeys(handles.references)),
        identity=(*identity(resource, resources), *handles.numbers()),
        Modality=_only(handles.modalities),
    )


def _words(resource: Resource, resources: Resources, document: Resource | None) -> Words:
    if kind_of(resource) == "Composition":
        return composition_words(resource, resources)
    if kind_of(resource) == "DocumentReference":
        return document_words(resource)
    own = report_words(resource, resources)
    if document is None:
        return own
    whole = composition_words(document, resources)
    return whole if len(whole.text) > len(own.text) else own


def _documents(resources: Resources) -> dict[int, Resource]:
    """The Composition each DiagnosticReport belongs to, by the identity of the report's object.

    A report names it (R5), or it names the report in an entry of a section.
    """
    found: dict[int, Resource] = {}
    for document in resources.of("Composition"):
        for section in objects(document.get("section")):
            for entry in objects(section.get("entry")):
                named = resources.resolve(document, entry)
                if named is not None and kind_of(named) == "DiagnosticReport":
                    found.setdefault(id(named), document)
    for report in resources.of("DiagnosticReport"):
        named = resources.resolve(report, report.get("composition"))
        if named is not None:
            found[id(report)] = named
    return found


def _wordless(words: Words) -> MedioError:
    if words.refused:
        return words.refused[0]
    if words.elsewhere:
        return TextElsewhere("text-elsewhere", "the words are in resources or documents sent apart")
    return EmptyReport("empty-report", "a report without words")


@dataclass(slots=True)
class _Handles:
    """What leads from a report to its study, strongest first."""

    study: str = ""
    date: str = ""
    accessions: list[str] = field(default_factory=list)
    weak: list[str] = field(default_factory=list)
    placers: list[str] = field(default_factory=list)
    fillers: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    modalities: list[str] = field(default_factory=list)

    def add(self, identifiers: Iterable[Resource], *, of_report: bool) -> None:
        """Sort identifiers by what they are; the number of the report itself is no accession number."""
        for identifier in identifiers:
            kind, value = identifier_type(identifier), text_at(identifier, "value")
            if not value or value.startswith("urn:"):
                continue
            named = f"{text_at(identifier, 'system')} {text_at(identifier, 'type', 'text')}".lower()
            if kind == "ACSN" or (not kind and "accession" in named):
                self.accessions.append(value)
            elif kind in ("PLAC", "FILL"):
                (self.placers if kind == "PLAC" else self.fillers).append(value)
            elif not kind and not of_report:
                self.weak.append(value)

    def numbers(self) -> tuple[str, ...]:
        """Every number found, each once."""
        return tuple(dict.fromkeys([*self.accessions, *self.placers, *self.fillers, *self.weak]))


def _handles(report: Resource, resources: Resources) -> _Handles:
    handles = _Handles()
    handles.add(objects(report.get("identifier")), of_report=True)
    for order in _named(report, resources, "basedOn", "order"):
        handles.add(objects(order.get("identifier")), of_report=False)
        handles.add(objects(order.get("requisition")), of_report=False)
    studies, dates = [], []
    for reference in _study_references(report):
        found = resources.resolve(report, reference)
        handles.references.append(short_name(text_at(reference, "reference")))
        if found is None or kind_of(found) != "ImagingStudy":
            found = reference  # an identifier beside the reference may say which study it is
        study = _study(found, resources)
        studies.append(study.StudyInstanceUID)
        dates.append(study.StudyDate)
        handles.modalities.append(study.Modality)
        handles.accessions += [study.AccessionNumber] if study.AccessionNumber else []
        handles.references += [study.reference] if found.get("id") else []
        for order in _named(found, resources, "basedOn"):
            handles.add(objects(order.get("identifier")), of_report=False)
    handles.study, handles.date = _only(studies), _only(dates)
    handles.references = [name for name in handles.references if name]
    handles.accessions = list(dict.fromkeys(handles.accessions))
    return handles


def _study_references(report: Resource) -> list[Resource]:
    """R4 `imagingStudy`, R5 `study`, what a document's context names, and entries of sections."""
    found = [*objects(report.get("imagingStudy")), *objects(report.get("study"))]
    context = objects(report.get("context"))
    related = [one for part in context for one in (*objects(part.get("related")), part)]
    entries = [entry for section in objects(report.get("section")) for entry in objects(section.get("entry"))]
    return found + [one for one in (*related, *entries) if "ImagingStudy/" in text_at(one, "reference")]


def _named(resource: Resource, resources: Resources, *names: str) -> Iterator[Resource]:
    """What a resource refers to under these names; the reference itself where that was sent apart."""
    for name in names:
        for reference in objects(resource.get(name)):
            found = resources.resolve(resource, reference)
            yield found if found is not None else {"identifier": reference.get("identifier")}


def _study(resource: Resource, resources: Resources) -> Study:
    """ImagingStudy -> Study; the UID is an identifier, in STU3 an element of its own."""
    identifiers = [*objects(resource.get("identifier")), *objects(resource.get("accession"))]
    stated = [text_at(resource, "uid"), *(text_at(one, "value") for one in identifiers)]
    uids = {valid_uid(one.removeprefix("urn:oid:")) for one in stated if one.startswith("urn:oid:")} - {""}
    uids |= {
        valid_uid(text_at(one, "value"))
        for one in identifiers
        if text_at(one, "system") == "urn:dicom:uid" and not text_at(one, "value").startswith("urn:")
    } - {""}
    handles = _Handles()
    handles.add(objects(resource.get("identifier")), of_report=False)
    accession = [*handles.accessions, text_at(resource, "accession", "value")]
    ids, issuer = patient_ids(subject_of(resource, resources))
    modalities = [
        code
        for part in (resource, *objects(resource.get("series")))
        for one in (*objects(part.get("modality")), *objects(part.get("modalityList")))
        for code in (text_at(one, "code"), text_at(one, "coding", "code"))
    ]
    return Study(
        content_digest=_digest(resource, ""),
        reference=f"ImagingStudy/{text_at(resource, 'id')}",
        StudyInstanceUID=_only(uids),
        AccessionNumber=_only(accession),
        PatientID=ids[0],
        IssuerOfPatientID=issuer,
        StudyDate=stamp_of(text_at(resource, "started"))[:8],
        Modality=_only(modalities),
    )


def _only(values: Iterable[str]) -> str:
    """The one value there is; empty when several disagree: no guess."""
    found = set(values) - {""}
    return found.pop() if len(found) == 1 else ""


def _when(resource: Resource) -> str:
    return (
        text_at(resource, "effectiveDateTime")
        or text_at(resource, "effectivePeriod", "start")
        or text_at(resource, "event", "period", "start")
        or text_at(resource, "context", "period", "start")
    )


def _digest(resource: Resource, text: str) -> str:
    canonical = json.dumps(resource, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{canonical}\n{text}".encode(errors="surrogatepass")).hexdigest()
