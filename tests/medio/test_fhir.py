from __future__ import annotations

import json
import time
from typing import Any

import pytest

from medio.errors import MedioError
from medio.records import FileContent, Outcome, Report, Study
from medio.reports.fhir import read_fhir
from tests.medio.documents import (
    LABORATORY,
    as_json,
    attachment,
    bundle,
    diagnostic_report,
    pdf,
    resource,
)

UID = "urn:oid:1.2.840.99"


def typed(code: str, value: str) -> dict[str, Any]:
    """An Identifier of a type of HL7 table 0203."""
    return {"type": {"coding": [{"code": code}]}, "value": value}


def read(*resources: dict[str, Any]) -> Report:
    """The only report of a file with these resources in a bundle."""
    (found,) = content(bundle(*resources)).reports
    return found


def content(*resources: dict[str, Any]) -> FileContent:
    """What a file with these resources, one a line, holds."""
    return read_fhir(as_json(*resources))


def refused(data: bytes) -> str:
    """The reason code with which a file is set aside."""
    with pytest.raises(MedioError) as caught:
        read_fhir(data)
    return caught.value.reason


def observation(name: str, number: int = 1, **value: Any) -> dict[str, Any]:
    """An Observation with one value."""
    return resource("Observation", id=f"o{number}", status="final", code={"text": name}, **value)


PATIENT = resource(
    "Patient",
    id="p1",
    identifier=[
        {"type": {"coding": [{"code": "SS"}]}, "value": "999-89-5110"},
        {"value": "X9", "system": "http://other"},
        {**typed("MR", "PAT1"), "system": "urn:oid:1.2.3", "assigner": {"display": "SITE"}},
    ],
    name=[{"family": "Doe", "given": ["Jane", "Q"], "text": "Jane Q Doe"}],
    birthDate="1970-12-31",
    address=[{"line": ["1 Long Street"], "city": "Springfield"}],
    telecom=[{"value": "555-1234"}],
)
STUDY = resource(
    "ImagingStudy",
    id="s1",
    status="available",
    subject={"reference": "Patient/p1"},
    started="2024-01-02T09:00:00Z",
    identifier=[{"system": "urn:dicom:uid", "value": UID}, typed("ACSN", "ACC1")],
    series=[{"uid": "1.2.840.99.1", "modality": {"code": "CT"}}],
)


def test_a_conclusion_alone_is_the_text() -> None:
    """The simplest report, with its status and its times."""
    found = content(diagnostic_report(conclusion="No acute finding."))
    (one,) = found.reports
    assert (found.outcome, found.warnings) == (Outcome.REPORT, ())
    assert (one.text, one.status, one.issued) == ("No acute finding.", "final", "20240102123000")
    assert (one.StudyDate, one.PatientID) == ("20240102", "")


def test_results_become_lines_before_the_conclusion() -> None:
    """Observations in order, members and components among them; withdrawn ones are left out."""
    finding = observation("Findings", 1, valueString="The heart is normal.", note=[{"text": "Seen twice."}])
    measured = observation(
        "Aorta",
        2,
        valueQuantity={"value": 31.50, "unit": "mm", "comparator": "<"},
        component=[
            {
                "code": {"text": "Side"},
                "valueCodeableConcept": {"coding": [{"code": "1", "display": "left"}]},
            },
            {"code": {"text": "Calcified"}, "valueBoolean": False},
        ],
        hasMember=[{"reference": "Observation/o1"}, {"reference": "Observation/o3"}],
    )
    wrong = observation("Findings", 3, valueString="Wrong patient.") | {"status": "entered-in-error"}
    report = diagnostic_report(
        conclusion="No acute finding.",
        result=[{"reference": f"http://server/fhir/Observation/o{n}/_history/2"} for n in (1, 2)],
    )
    assert read(report, finding, measured, wrong).text.split("\n") == [
        "Findings: The heart is normal.",
        "Seen twice.",
        "Aorta: <31.5 mm",
        "Side: left",
        "Calcified: no",
        "No acute finding.",
    ]


def test_numbers_keep_the_digits_that_were_sent() -> None:
    """1.0 is not 1, and a number beyond a float is not infinity."""
    report = diagnostic_report(contained=[observation("Size")], result=[{"reference": "#o1"}])
    data = json.dumps(report).replace(
        '{"text": "Size"}', '{"text": "Size"}, "valueQuantity": {"value": 1.0e999}'
    )
    assert read_fhir(data.encode()).reports[0].text == "Size: 1.0e999"


def test_contained_resources_are_found() -> None:
    """References inside a resource start with a hash."""
    report = diagnostic_report(
        contained=[observation("Text", valueString="Clear lungs.")], result=[{"reference": "#o1"}]
    )
    assert content(report).reports[0].text == "Clear lungs."


def test_the_attached_form_is_the_report() -> None:
    """Plain text before HTML before PDF; a conclusion that is not in it comes after; damage is told."""
    forms = [
        attachment(pdf("From the PDF."), "application/pdf"),
        attachment(b"<p>From <b>HTML</b>.</p>", "text/html"),
        attachment(b"Findings: clear.\r\nImpression:  No acute\nfinding.", "text/plain"),
    ]
    whole = content(diagnostic_report(presentedForm=forms, conclusion="no acute finding")).reports[0]
    assert whole.text == "Findings: clear.\nImpression:  No acute\nfinding."
    assert content(diagnostic_report(presentedForm=forms[:2])).reports[0].text == "From HTML."
    longer = content(diagnostic_report(presentedForm=forms[:1], conclusion="Call the ward.")).reports[0]
    assert longer.text == "From the PDF.\nCall the ward."
    damaged = [{"contentType": "text/plain", "data": "Q2xl..."}]
    found = content(diagnostic_report(presentedForm=damaged, conclusion="Clear."))
    assert (found.reports[0].text, found.warnings) == ("Clear.", ("attachment-damaged",))


def test_narrative_and_codes_are_the_last_resort() -> None:
    """A generated narrative is used only when nothing else says anything, codes only without that."""
    text = {"status": "generated", "div": "<div><p>Chest</p><p>Clear.</p></div>"}
    coded = [{"coding": [{"code": "1", "display": "Normal chest"}]}]
    assert content(diagnostic_report(text=text, conclusionCode=coded)).reports[0].text == "Chest\nClear."
    assert content(diagnostic_report(conclusionCode=coded)).reports[0].text == "Normal chest"
    assert content(diagnostic_report(text=text, conclusion="Fine.")).reports[0].text == "Fine."


def test_the_patient_and_everybody_else_named() -> None:
    """The hospital's number comes first, the social security number is none; all names go into identity."""
    staff = resource("Practitioner", id="d1", name=[{"family": "Seven", "given": ["Henry"]}])
    report = diagnostic_report(
        conclusion="Clear.", performer=[{"reference": "Practitioner/d1", "display": "Dr. H. Seven"}]
    )
    found = read(report, PATIENT, staff)
    assert (found.PatientID, found.IssuerOfPatientID, found.OtherPatientIDs) == ("PAT1", "SITE", ("X9",))
    named = {"PAT1", "999-89-5110", "Doe^Jane^Q", "Jane Q Doe", "19701231", "1 Long Street", "555-1234"}
    assert named | {"Seven^Henry", "Dr. H. Seven"} <= set(found.identity)


def test_a_patient_sent_apart_may_still_be_numbered() -> None:
    """A reference may carry the identifier; its id on a server is no patient number."""
    subject = {"reference": "Patient/p1", "identifier": {"value": "PAT1", "system": "urn:oid:1.2.3"}}
    found = content(diagnostic_report(conclusion="Clear.", subject=subject)).reports[0]
    assert (found.PatientID, found.IssuerOfPatientID) == ("PAT1", "1.2.3")


def test_handles_come_from_report_order_and_study() -> None:
    """Accession, placer and filler numbers by type; the study by its UID, here and when sent apart."""
    order = resource(
        "ServiceRequest",
        id="q1",
        identifier=[typed("PLAC", "P1"), typed("FILL", "F1")],
        requisition={"value": "R1"},
    )
    report = diagnostic_report(
        conclusion="Clear.",
        basedOn=[{"reference": "ServiceRequest/q1"}],
        imagingStudy=[{"reference": "ImagingStudy/s1"}],
    )
    found = read(report, order, STUDY, PATIENT)
    assert (found.StudyInstanceUID, found.AccessionNumber, found.Modality) == ("1.2.840.99", "ACC1", "CT")
    assert (found.PlacerOrderNumber, found.FillerOrderNumber) == ("P1", "F1")
    assert found.other_accessions == ("F1", "R1")
    alone = content(report).reports[0]
    assert (alone.StudyInstanceUID, alone.study_references) == ("", ("ImagingStudy/s1",))
    logical = {"identifier": {"system": "urn:dicom:uid", "value": UID}}
    assert read(diagnostic_report(conclusion="Clear.", study=[logical])).StudyInstanceUID == "1.2.840.99"


def test_two_studies_are_not_guessed_between() -> None:
    """A report of two studies keeps both references and claims neither."""
    other = STUDY | {"id": "s2", "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.77"}]}
    both = [{"reference": "ImagingStudy/s1"}, {"reference": "ImagingStudy/s2"}]
    found = read(diagnostic_report(conclusion="Clear.", imagingStudy=both), STUDY, other)
    assert found.StudyInstanceUID == ""
    assert found.study_references == ("ImagingStudy/s1", "ImagingStudy/s2")


def test_the_number_of_the_report_is_no_accession_number() -> None:
    """An identifier counts as one by its type, or by a system that is named so."""
    numbers = [
        {"system": "http://h/report", "value": "RPT-1"},
        {"system": "http://h/accession", "value": "A7"},
    ]
    found = content(diagnostic_report(conclusion="Clear.", identifier=numbers)).reports[0]
    assert (found.AccessionNumber, found.other_accessions) == ("A7", ())
    assert "A7" in found.identity and "RPT-1" not in found.identity
    worded = [{"type": {"text": "Accession Number"}, "value": "A8"}]
    assert (
        content(diagnostic_report(conclusion="Clear.", identifier=worded)).reports[0].AccessionNumber == "A8"
    )


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("registered", "preliminary"),
        ("partial", "preliminary"),
        ("preliminary", "preliminary"),
        ("modified", "preliminary"),
        ("final", "final"),
        ("amended", "corrected"),
        ("corrected", "corrected"),
        ("appended", "corrected"),
        ("unknown", "unknown"),
    ],
)
def test_status(sent: str, status: str) -> None:
    """FHIR's words as ours."""
    assert content(diagnostic_report(conclusion="Clear.", status=sent)).reports[0].status == status


def test_versions_of_a_report_are_reports_of_their_own() -> None:
    """A corrected version has another digest; the same resource in another bundle has the same."""
    first = diagnostic_report(conclusion="Clear.")
    second = first | {"status": "corrected", "conclusion": "Not clear.", "issued": "2024-01-03T08:00:00Z"}
    older, newer = content(first, second).reports
    assert (older.status, newer.status) == ("final", "corrected")
    assert older.issued < newer.issued
    assert older.content_digest != newer.content_digest
    assert read(first).content_digest == older.content_digest


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"category": [LABORATORY]}, "lab-not-report"),
        ({"category": [{"coding": [{"code": "34117-2"}]}], "code": {"text": "Visit"}}, "other-not-report"),
        ({"category": None, "code": {"text": "Pap smear"}}, "lab-not-report"),
        ({"category": None, "code": {}, "conclusion": "Cytology of the cervix."}, "lab-not-report"),
        ({"category": None, "code": {}, "specimen": [{"display": "x"}]}, "lab-not-report"),
        ({"status": "entered-in-error"}, "report-withdrawn"),
        ({"status": "cancelled"}, "report-withdrawn"),
    ],
)
def test_what_is_no_imaging_report(change: dict[str, Any], reason: str) -> None:
    """Laboratories, pathology, other documents and withdrawn reports are told apart."""
    found = content(diagnostic_report(**{"conclusion": "Clear."} | change))
    assert (found.outcome, found.reason) == (Outcome.ORDER, reason)


@pytest.mark.parametrize(
    "change",
    [
        {"category": None},
        {
            "category": None,
            "code": {},
            "conclusion": "Chest radiograph: a biopsy clip, no pneumothorax on CT.",
        },
        {"category": None, "code": {}, "conclusion": "Normal."},
        {"category": [LABORATORY], "imagingStudy": [{"reference": "ImagingStudy/s1"}]},
        {"category": [{"text": "Radiologie"}], "code": {}},
    ],
)
def test_what_is_an_imaging_report(change: dict[str, Any]) -> None:
    """By link, category, words, or because nothing says that it is another kind."""
    assert content(diagnostic_report(**{"conclusion": "Clear."} | change)).outcome is Outcome.REPORT


def test_numbers_without_words_are_a_laboratory() -> None:
    """As in HL7 v2: mostly numbers with units, and nothing says imaging."""
    report = diagnostic_report(category=None, code={}, result=[{"reference": "Observation/o1"}])
    sodium = observation("Na", valueQuantity={"value": 140, "unit": "mmol/l"})
    assert content(bundle(report, sodium)).reason == "lab-not-report"


@pytest.mark.parametrize(
    ("change", "outcome", "reason"),
    [
        ({}, Outcome.EMPTY_REPORT, "empty-report"),
        ({"conclusion": "???"}, Outcome.EMPTY_REPORT, "empty-report"),
        ({"presentedForm": [attachment(pdf(""), "application/pdf")]}, Outcome.EMPTY_REPORT, "no-text-layer"),
        ({"presentedForm": [{"url": "http://server/1.pdf"}]}, Outcome.REPORT, "text-elsewhere"),
        ({"result": [{"reference": "Observation/9"}]}, Outcome.REPORT, "text-elsewhere"),
    ],
)
def test_reports_without_words(change: dict[str, Any], outcome: Outcome, reason: str) -> None:
    """No words, words in a picture, and words that were sent apart are three things."""
    found = content(diagnostic_report(**change))
    assert (found.outcome, found.reason, found.reports) == (outcome, reason, ())


def test_a_form_that_is_not_read_is_not_supported() -> None:
    """A report whose only words are in RTF needs something that is not here."""
    assert refused(as_json(diagnostic_report(presentedForm=[attachment(b"{\\rtf1 x}", "text/rtf")]))) == "rtf"


def test_a_document_of_sections() -> None:
    """A Composition gives its sections with titles; headings alone are no words."""
    sections = [
        {"title": "Findings", "text": {"div": "<div><p>Clear lungs.</p></div>"}},
        {"title": "Impression", "text": {"div": "<div>Impression</div>"}},
        {"title": "Lungs", "section": [{"title": "Left", "entry": [{"reference": "Observation/o1"}]}]},
    ]
    document = resource(
        "Composition",
        status="amended",
        type={"coding": [{"code": "18748-4"}]},
        date="2024-01-02",
        subject={"reference": "Patient/p1"},
        section=sections,
    )
    found = read(document, PATIENT, observation("Nodule", valueString="6 mm nodule."))
    assert found.text == "Findings: Clear lungs.\nLeft: 6 mm nodule."
    assert (found.status, found.issued, found.PatientID) == ("corrected", "20240102", "PAT1")
    assert content(document | {"section": sections[1:2]}).reason == "empty-report"
    assert content(document | {"section": sections[2:]}).reason == "text-elsewhere"
    assert content(document | {"type": {"text": "Discharge letter"}, "section": sections[:1]}).reason == (
        "other-not-report"
    )


def test_a_report_speaks_with_the_words_of_its_document() -> None:
    """A report that only carries handles gets the sections of its Composition, and they come only once."""
    sections = [{"title": "Findings", "text": {"div": "<div>Clear lungs.</div>"}}]
    document = resource("Composition", id="c1", type={"coding": [{"code": "18748-4"}]}, section=sections)
    entry = {"section": [{"entry": [{"reference": "DiagnosticReport/r1"}]}, *sections]}
    named = read(diagnostic_report(composition={"reference": "Composition/c1"}), document)
    naming = read(diagnostic_report(), document | entry)
    assert (named.text, naming.text) == ("Clear lungs.", "Clear lungs.")
    assert read(diagnostic_report(conclusion="A longer text than that."), document | entry).text == (
        "A longer text than that."
    )


def test_a_referenced_document_is_a_report() -> None:
    """DocumentReference with an attachment, of the only patient of its file."""
    document = resource(
        "DocumentReference",
        status="current",
        docStatus="preliminary",
        type={"coding": [{"code": "18748-4"}]},
        content=[{"attachment": attachment(pdf("Clear."), "application/pdf")}],
        context={"related": [{"reference": "ImagingStudy/s1"}]},
    )
    found = read(document, PATIENT, STUDY)
    assert (found.text, found.status, found.PatientID) == ("Clear.", "preliminary", "PAT1")
    assert found.StudyInstanceUID == "1.2.840.99"


def test_imaging_studies() -> None:
    """UID, accession number, patient, date and modality; STU3 has names of its own."""
    found = content(bundle(STUDY, PATIENT))
    (one,) = found.studies
    assert found.outcome is Outcome.STUDY
    assert one == Study(
        one.content_digest, "ImagingStudy/s1", "1.2.840.99", "ACC1", "PAT1", "SITE", "20240102", "CT"
    )
    older = resource(
        "ImagingStudy",
        id="s2",
        uid=UID,
        accession={"value": "ACC2"},
        patient={"identifier": {"value": "PAT1"}},
    )
    (two,) = content(older).studies
    assert (two.StudyInstanceUID, two.AccessionNumber, two.PatientID) == ("1.2.840.99", "ACC2", "PAT1")


def test_bundles_lists_and_lines_hold_many() -> None:
    """A bundle in a bundle, a JSON list and NDJSON all give every report, and a code for every other."""
    reports = [diagnostic_report(id=f"r{n}", conclusion=f"Report {n}.") for n in range(3)]
    lab = diagnostic_report(id="l1", category=[LABORATORY], conclusion="High.")
    nested = bundle(bundle(*reports), lab, PATIENT, kind="transaction")
    for data in (as_json(nested), as_json(*reports, lab), json.dumps([*reports, lab]).encode()):
        found = read_fhir(data)
        assert [one.text for one in found.reports] == ["Report 0.", "Report 1.", "Report 2."]
        assert found.skipped == ("lab-not-report",)


def test_a_deviation_is_a_warning() -> None:
    """A resource that obeys no version's grammar and can be read is read."""
    found = content(diagnostic_report(conclusion="Clear.", nonsense=True))
    assert (found.reports[0].text, found.warnings) == ("Clear.", ("fhir-invalid",))


@pytest.mark.parametrize(
    "strange",
    [
        {"category": "RAD", "code": 5, "subject": ["x"], "result": "y", "presentedForm": 3},
        {"identifier": [None, 1, {"type": "ACSN", "value": ["a"]}], "issued": {}, "text": []},
        {"contained": {"id": "x"}, "imagingStudy": {"reference": 7}, "performer": "Dr"},
        {"contained": [{"resourceType": "x", "id": "y"}]},  # a KeyError in the library
    ],
)
def test_elements_of_the_wrong_type_are_tolerated(strange: dict[str, Any]) -> None:
    """What is not as FHIR says is not there."""
    found = content(diagnostic_report(**{"conclusion": "CT: clear."} | strange))
    assert found.reports[0].text == "CT: clear."


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ([resource("ServiceRequest", id="1")], "order-not-report"),
        ([PATIENT, resource("ServiceRequest", id="1")], "order-not-report"),
        ([observation("Na", valueString="x")], "resource-not-report"),
        ([PATIENT], "resource-not-report"),
        ([resource("Bundle", type="collection")], "resource-not-report"),
    ],
)
def test_other_resources_are_named(resources: list[dict[str, Any]], reason: str) -> None:
    """Orders and all other resources are valid, and no report."""
    found = content(*resources)
    assert (found.outcome, found.reason) == (Outcome.ORDER, reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"resourceType": "DiagnosticReport"', "json-damaged"),
        (b'{"resourceType": "Patient"} rest', "json-damaged"),
        (b'{"resourceType": "Patient", "x": NaN}', "json-damaged"),
        (b'{"resourceType": "Patient", "x": "\xff"}', "json-damaged"),
        (b'{"a":' * 100_000, "nesting"),
        (b'{"resourceType": "Patient", "x": ' + b"[" * 100_000, "nesting"),
        (b'{"resourceType": "NoSuchThing"}', "fhir-unknown-type"),
        (b'{"resourceType": "../x"}', "fhir-unknown-type"),
        (b'{"00080018": {"vr": "UI"}}', "dicom-json"),
        (b'{"name": "x"}', "json"),
        (b"{}", "json"),
    ],
)
def test_other_json_is_refused_by_name(data: bytes, reason: str) -> None:
    """Damage, depth, DICOM's JSON and other JSON have reasons of their own."""
    assert refused(data) == reason


def test_circles_and_crowds_end() -> None:
    """Observations that contain each other, deep sections and many entries cost no more than their size."""
    first = observation("A", 1, valueString="One.", hasMember=[{"reference": "Observation/o2"}])
    second = observation("B", 2, valueString="Two.", hasMember=[{"reference": "Observation/o1"}])
    assert read(diagnostic_report(result=[{"reference": "Observation/o1"}]), first, second).text == (
        "A: One.\nB: Two."
    )
    section: dict[str, Any] = {"title": "End", "text": {"div": "<div>Deep.</div>"}}
    for _ in range(200):
        section = {"section": [section]}
    document = resource("Composition", type={"coding": [{"code": "18748-4"}]}, section=[section])
    assert content(document).reason == "empty-report"
    many = bundle(*(observation("A", number, valueString="x") for number in range(20_000)))
    started = time.process_time()
    assert content(many).reason == "resource-not-report"
    assert time.process_time() - started < 5
