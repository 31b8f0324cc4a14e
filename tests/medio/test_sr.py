from __future__ import annotations

import copy

import numpy as np
import pytest
from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentSequence,
    EnhancedSR,
    NumContentItem,
    PnameContentItem,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medio.dicom import read_dicom
from medio.errors import MedioError
from medio.records import Report, ReportSource
from medio.reports.sr import MAX_DEPTH, read_sr
from tests.medio.objects import code, content, image, part10, structured_report


def read(items: list[Dataset], **attributes: object) -> Report:
    """The report of an SR file with these nodes."""
    return read_sr(read_dicom(part10(structured_report(items, **attributes))))


def test_text_items_become_lines_with_their_names() -> None:
    """TEXT, CODE and NUM items are `name: value`; containers are walked in order."""
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12", [code("millimetre")]
    measured.MeasurementUnitsCodeSequence[0].CodeValue = "mm"
    section = content("CONTAINER", "Findings")
    section.ContentSequence = [
        content("TEXT", "Is there effusion?", TextValue="no"),
        content("CODE", "Side", ConceptCodeSequence=[code("Left")]),
        content("NUM", "Diameter", MeasuredValueSequence=[measured]),
    ]
    found = read([section, content("TEXT", "Impression", TextValue="Normal chest.")])
    assert found.text.split("\n") == [
        "Is there effusion?: no",
        "Side: Left",
        "Diameter: 12 mm",
        "Impression: Normal chest.",
    ]
    assert (found.source, found.StudyInstanceUID, found.PatientID) == (ReportSource.SR, "1.2.3", "PAT1")


def test_a_value_with_its_own_label_is_not_named_twice() -> None:
    """`Q: … A: …` and `IMPRESSION: …` stay exactly as they are."""
    items = [content("TEXT", "Question and answer", TextValue=f"Q: Is it {n}? A: yes") for n in (1, 2)]
    assert read(items).text == "Q: Is it 1? A: yes\nQ: Is it 2? A: yes"


def test_a_name_that_tells_nothing_apart_is_no_text() -> None:
    """Where all prose is called alike nobody dictated the name; of several, each begins its section."""
    findings = [content("TEXT", "Finding", TextValue=f"Sentence {n}.") for n in (1, 2)]
    assert read(findings).text == "Sentence 1.\nSentence 2."
    side = content("CODE", "Side", ConceptCodeSequence=[code("Left")])
    assert read([*findings, side]).text == "Sentence 1.\nSentence 2.\nSide: Left"
    ended = [*findings, content("TEXT", "Conclusion", TextValue="Clear.")]
    assert read(ended).text == "Finding: Sentence 1.\nSentence 2.\nConclusion: Clear."


def test_observers_and_subjects_stay_out_of_the_text() -> None:
    """Observation context names people; the audit's text has no header."""
    person = content("TEXT", "Observer", "HAS OBS CONTEXT", TextValue="Dr Jane Doe")
    named = content("PNAME", "Observer", PersonName="DOE^JANE")
    assert read([person, named, content("TEXT", "Finding", TextValue="Clear.")]).text == "Clear."


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"CompletionFlag": "COMPLETE"}, "final"),
        ({"CompletionFlag": "PARTIAL"}, "preliminary"),
        ({"CompletionFlag": "COMPLETE", "PreliminaryFlag": "PRELIMINARY"}, "preliminary"),
        ({"CompletionFlag": "COMPLETE", "PredecessorDocumentsSequence": [Dataset()]}, "corrected"),
        ({}, "unknown"),
    ],
)
def test_status_comes_from_the_flags(attributes: dict[str, object], status: str) -> None:
    """Completion, preliminary flag and predecessors decide."""
    found = read(
        [content("TEXT", "Finding", TextValue="Clear.")],
        ContentDate="20240102",
        ContentTime="030405.12",
        **attributes,
    )
    assert (found.status, found.issued) == (status, "20240102030405")


def test_a_report_without_words_is_set_aside() -> None:
    """Measurements alone, or punctuation, are no report text."""
    for items in ([], [content("TEXT", "Finding", TextValue="???")], [content("CODE", "Side")]):
        with pytest.raises(MedioError) as caught:
            read(items)
        assert caught.value.reason == "no-report-text"


def test_a_tree_too_deep_is_refused() -> None:
    """The walk ends at a fixed depth."""
    node = content("TEXT", "Finding", TextValue="Clear.")
    for _ in range(MAX_DEPTH + 1):
        outer = content("CONTAINER", "Section")
        outer.ContentSequence = [node]
        node = outer
    with pytest.raises(MedioError) as caught:
        read([node])
    assert caught.value.reason == "nesting"


def section(name: str, *items: Dataset) -> Dataset:
    """A titled container with these items."""
    found = content("CONTAINER", name)
    found.ContentSequence = list(items)
    return found


def test_sections_name_what_their_items_do_not() -> None:
    """Where every paragraph is called `Text`, the headings of the sections tell them apart."""
    said = [
        content("TEXT", "Text", TextValue=value) for value in ("Clear lungs.", "Normal heart.", "Normal.")
    ]
    tree = [section("Findings", *said[:2]), section("Impression", section("Summary", said[2]))]
    assert read(tree).text == "Findings: Clear lungs.\nNormal heart.\nSummary: Normal."
    assert read([section("Findings", *said)]).text == "Clear lungs.\nNormal heart.\nNormal."
    named = [
        section("Lungs", content("TEXT", "Finding", TextValue="Clear.")),
        section("End", content("TEXT", "Conclusion", TextValue="Normal.")),
    ]
    assert read(named).text == "Finding: Clear.\nConclusion: Normal."


def test_a_diagnostic_report_as_a_library_writes_it() -> None:
    """An Enhanced SR after TID 2000: language and observer stay out, sections and measurements are lines."""
    (ds, _) = library_report()
    found = read_sr(read_dicom(part10(ds)))
    assert found.text.split("\n") == [
        "Finding: Nodule in the left lung.",
        "Diameter: 12.5 mm",
        "Conclusion: Follow up.",
    ]
    assert (found.status, found.StudyInstanceUID, found.PatientID) == ("final", "1.2.3", "PAT1")


def test_a_report_filed_as_a_study_of_its_own_names_the_study_it_describes() -> None:
    """The evidence of the current procedure says which study was read; two studies leave the header's."""
    ds, evidence = library_report()
    ds.StudyInstanceUID = "1.2.999"
    assert read_sr(read_dicom(part10(ds))).StudyInstanceUID == "1.2.3"
    other = copy.deepcopy(evidence)
    other.StudyInstanceUID = "1.2.777"
    ds.CurrentRequestedProcedureEvidenceSequence.append(other)
    assert read_sr(read_dicom(part10(ds))).StudyInstanceUID == "1.2.999"


def test_numbers_of_the_request_are_handles() -> None:
    """Accession, placer and filler numbers of the one request a report answers."""
    asked = Dataset()
    asked.AccessionNumber, asked.StudyInstanceUID = "ACC7", "1.2.3"
    asked.PlacerOrderNumberImagingServiceRequest = "PL7"
    asked.FillerOrderNumberImagingServiceRequest = "FL7"
    found = read(
        [content("TEXT", "Finding", TextValue="Clear.")],
        AccessionNumber="",
        ReferencedRequestSequence=[asked],
    )
    assert (found.AccessionNumber, found.PlacerOrderNumber, found.FillerOrderNumber) == ("ACC7", "PL7", "FL7")


def library_report() -> tuple[Dataset, Dataset]:
    """An Enhanced SR by highdicom on one image, and its evidence item."""
    contains = RelationshipTypeValues.CONTAINS
    inferred = RelationshipTypeValues.INFERRED_FROM
    root = ContainerContentItem(codes.LN.RadiologyReport)
    findings = ContainerContentItem(codes.DCM.Findings, relationship_type=contains)
    finding = TextContentItem(codes.DCM.Finding, "Nodule in the left lung.", contains)
    finding.ContentSequence = ContentSequence(
        [NumContentItem(codes.SCT.Diameter, 12.5, codes.UCUM.Millimeter, relationship_type=inferred)]
    )
    findings.ContentSequence = ContentSequence([finding])
    conclusions = ContainerContentItem(codes.DCM.Conclusions, relationship_type=contains)
    conclusions.ContentSequence = ContentSequence(
        [TextContentItem(codes.DCM.Conclusion, "Follow up.", contains)]
    )
    context = [
        CodeContentItem(
            codes.DCM.LanguageOfContentItemAndDescendants,
            CodedConcept("en", "RFC5646", "English"),
            RelationshipTypeValues.HAS_CONCEPT_MOD,
        ),
        PnameContentItem(codes.DCM.PersonObserverName, "DOE^JANE", RelationshipTypeValues.HAS_OBS_CONTEXT),
    ]
    root.ContentSequence = ContentSequence([*context, findings, conclusions], is_root=False)
    ds = EnhancedSR(
        evidence=[
            image(
                np.zeros((8, 8), np.uint8),
                PatientName="DOE^JOHN",
                StudyTime="",
                PatientBirthDate="",
                PatientSex="",
                StudyID="1",
                ReferringPhysicianName="",
            )
        ],
        content=root,
        series_instance_uid="1.2.3.9",
        series_number=1,
        sop_instance_uid="1.2.3.9.1",
        instance_number=1,
        manufacturer="TEST",
        is_complete=True,
        is_final=True,
    )
    return ds, ds.CurrentRequestedProcedureEvidenceSequence[0]
