from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from medio.dicom import read_dicom
from medio.errors import MedioError
from medio.records import Report, ReportSource
from medio.reports.sr import MAX_DEPTH, read_sr
from tests.medio.objects import code, content, part10, structured_report


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
