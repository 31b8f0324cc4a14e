from __future__ import annotations

import base64
import textwrap

import pytest

from medio.errors import MedioError
from medio.records import Report
from medio.reports import hl7_message
from medio.reports.hl7_message import looks_like_hl7
from medio.reports.hl7v2 import read_hl7
from tests.medio.documents import pdf
from tests.medio.objects import oru

OBR = "OBR|1|PL1|ACC1^RIS|71020^CHEST XRAY^L|||20240101101500|||||||||||||||20240102120000||RAD|F"


def obx(value: str, identifier: str = "GDT", sub: str = "", kind: str = "TX", status: str = "F") -> str:
    """One result segment."""
    return f"OBX|1|{kind}|{identifier}|{sub}|{value}||||||{status}"


def read(data: bytes) -> Report:
    """The only report of a file."""
    (found,), _ = read_hl7(data)
    return found


def refused(data: bytes) -> str:
    """The reason code with which a file is refused."""
    with pytest.raises(MedioError) as caught:
        read_hl7(data)
    return caught.value.reason


def test_identity_comes_from_its_fields() -> None:
    """PID-3, OBR-3, OBR-7, OBR-22, OBR-25 and ZDS-1 are read."""
    found = read(oru(OBR, obx("Clear."), "ZDS|1.2.840.99^RIS^Application^DICOM"))
    assert (found.PatientID, found.IssuerOfPatientID) == ("PAT1", "SITE")
    assert (found.AccessionNumber, found.StudyInstanceUID) == ("ACC1", "1.2.840.99")
    assert (found.StudyDate, found.issued, found.status) == ("20240101", "20240102120000", "final")


def test_results_of_several_patients_stay_apart() -> None:
    """One message may bring the results of one patient after another; nobody gets another one's words."""
    first, second = "PID|||PAT1||A^B", "PID|||PAT2||C^D"
    bare = "OBR|1|||X^CHEST^L|||20240101|||||||||||||||20240101|||F"
    header = "MSH|^~\\&|RIS|H|PACS|H|20240102030405||ORU^R01|1|P|2.5.1"
    message = "\r".join(
        (header, first, OBR, obx("Clear."), second, bare, obx("A nodule."), "PID|||PAT3||E^F")
    )
    reports, skipped = read_hl7(message.encode())
    found = [(one.PatientID, one.AccessionNumber, one.text) for one in reports]
    assert found == [("PAT1", "ACC1", "Clear."), ("PAT2", "", "A nodule.")]
    assert skipped == ("hl7-no-obr",)
    assert not any({"A^B", "PAT1"} & set(one.identity) for one in reports[1:])
    assert len({one.content_digest for one in reports}) == 2


def test_the_accession_number_prefers_obr_18_that_is_one() -> None:
    """OBR-18 is a free field: a word in it is no accession number, the others stay as candidates."""
    fields = OBR.split("|")
    for value, accession, others in (("A77", "A77", ("ACC1",)), ("CHEST", "ACC1", ())):
        fields[18] = value
        found = read(oru("|".join(fields), obx("Clear.")))
        assert (found.AccessionNumber, found.other_accessions) == (accession, others)


def test_questions_and_answers_become_lines() -> None:
    """OBX-3 names the question, OBX-5 the answer; a value with its own label keeps it alone."""
    text = read(
        oru(
            OBR,
            obx("no", "1^Is there effusion?^L", "1"),
            obx("260385009^Negative^SCT", "2^Nodules^L", "2", "CWE"),
            obx("12", "3^Diameter^L", "3", "NM").replace("|12||", "|12|mm|"),
            obx("Q: Which side? A: left", "QA^Question and answer^L", "4"),
        )
    ).text
    assert text.split("\n") == [
        "Is there effusion?: no",
        "Nodules: Negative",
        "Diameter: 12 mm",
        "Q: Which side? A: left",
    ]


def test_repeated_identifiers_continue_an_item() -> None:
    """Many systems send one OBX per line under one name: the name is not put before each line."""
    for sub in ("1", "2"):
        lines = [obx("The heart is", "1^Findings^L", "1"), obx("not enlarged.", "1^Findings^L", sub)]
        assert read(oru(OBR, *lines)).text == "The heart is\nnot enlarged."
        ended = [*lines, obx("Normal.", "2^Impression^L")]
        assert read(oru(OBR, *ended)).text == "Findings: The heart is\nnot enlarged.\nImpression: Normal."
    asked = obx("no", "1^Is there effusion?^L")
    assert read(oru(OBR, asked)).text == "Is there effusion?: no"


def test_the_name_of_the_examination_is_no_question() -> None:
    """OBX-3 that repeats OBR-4 adds nothing to the text."""
    assert read(oru(OBR, obx("Clear.", "71020^CHEST XRAY^L"))).text == "Clear."


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two\.sp\three", "one\ntwo\nthree"),
        (r"\X436C656172\ and \H\bold\N\.", "Clear and bold."),
        ("one~two", "one\ntwo"),
        (r"Gr\XC3\\XB6\\XC39F\e", "Größe"),
        (r"\C2842\Clear\M242842\ lungs", "Clear lungs"),
        (r"C:\path stays", r"C:\path stays"),
        (r"\Zunknown\ stays", r"\Zunknown\ stays"),
        (r"5^6 & 7", "5^6 & 7"),
    ],
)
def test_escapes_are_undone(sent: str, meant: str) -> None:
    """Known sequences are replaced, everything else stays."""
    assert read(oru(OBR, obx(sent))).text == meant


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n"])
def test_segments_end_any_way(ending: str) -> None:
    """Carriage return, line feed or both give the same report and the same digest."""
    whole = oru(OBR, obx("Clear."))
    assert read(whole.replace(b"\r", ending.encode())) == read(whole)


def test_mllp_frames_and_batches_hold_several_messages() -> None:
    """Every report of a file comes out with a digest of its own; messages without report are counted."""
    first = oru(OBR, obx("Clear."))
    second = oru(OBR.replace("ACC1", "ACC2"), obx("Opaque."))
    order = first.replace(b"ORU^R01", b"ORM^O01")
    framed = b"".join(b"\x0b" + message + b"\x1c\r" for message in (first, order, second))
    batch = b"FHS|^~\\&|A\rBHS|^~\\&|A\r" + first + order + second + b"BTS|3\rFTS|1\r"
    for data in (framed, batch):
        reports, skipped = read_hl7(data)
        assert [report.AccessionNumber for report in reports] == ["ACC1", "ACC2"]
        assert len({report.content_digest for report in reports}) == 2
        assert skipped == ("order-not-report",)


def test_folded_lines_continue_the_value() -> None:
    """A line that starts no segment belongs to the one before."""
    assert read(oru(OBR, obx("The heart is\r\nnot enlarged."))).text == "The heart is\nnot enlarged."


def test_several_requests_give_several_reports() -> None:
    """Each accession number is a report; a further OBR of the same number is its addendum."""
    data = oru(
        OBR,
        obx("Chest."),
        OBR.replace("ACC1", "ACC2"),
        obx("Abdomen."),
        OBR,
        obx("Addendum to chest.", status="C"),
    )
    reports, _ = read_hl7(data)
    assert [(r.AccessionNumber, r.text, r.status) for r in reports] == [
        ("ACC1", "Chest.\nAddendum to chest.", "corrected"),
        ("ACC2", "Abdomen.", "final"),
    ]


@pytest.mark.parametrize(
    ("obr_25", "obx_11", "status"),
    [
        ("F", "F", "final"),
        ("Wet Read", "F", "preliminary"),
        ("", "P", "preliminary"),
        ("F", "C", "corrected"),
    ],
)
def test_status_comes_from_request_and_results(obr_25: str, obx_11: str, status: str) -> None:
    """OBR-25 rules, a corrected result overrules."""
    data = oru(OBR.rsplit("|", 1)[0] + f"|{obr_25}", obx("Clear.", status=obx_11))
    assert read(data).status == status


def test_withdrawn_results_are_left_out() -> None:
    """Deleted and wrong results are no text of the report."""
    assert read(oru(OBR, obx("Clear."), obx("Wrong patient.", status="W"))).text == "Clear."


def test_the_study_uid_may_stand_in_a_result() -> None:
    """OBX-3 113014 names the study and is no text; two different studies are not guessed between."""
    named = obx("1.2.840.5", "113014^DICOM Study^DCM", kind="ST")
    assert read(oru(OBR, named, obx("Clear."))).StudyInstanceUID == "1.2.840.5"
    assert read(oru(OBR, named, obx("Clear."))).text == "Clear."
    other = obx("1.2.840.6", "113014^DICOM Study^DCM", kind="ST")
    assert read(oru(OBR, named, other, obx("Clear."))).StudyInstanceUID == ""


def test_all_ids_of_the_patient_are_kept() -> None:
    """The medical record number goes first, the others stay for matching."""
    data = oru(OBR, obx("Clear.")).replace(b"PAT1^^^SITE^MR", b"E9^^^EPIC^EPI~PAT1^^^SITE^MR")
    found = read(data)
    assert (found.PatientID, found.IssuerOfPatientID, found.OtherPatientIDs) == ("PAT1", "SITE", ("E9",))


@pytest.mark.parametrize(
    ("charset", "declared"),
    [
        ("utf-8", ""),
        ("utf-8", "UNICODE UTF-8"),
        ("iso8859-1", "8859/1"),
        ("iso8859-1", ""),
        ("gb18030", "GB 18030-2000"),
        ("iso8859-15", "8859/15"),
        ("utf-16", ""),
        ("utf-16", "UNICODE UTF-16"),
    ],
)
def test_character_sets(charset: str, declared: str) -> None:
    """MSH-18 is believed when it decodes; without it UTF-8, then Windows-1252."""
    word = "影像" if charset == "gb18030" else "Größe"
    head = f"MSH|^~\\&|RIS|H|PACS|H|20240102030405||ORU^R01|1|P|2.5.1||||||{declared}"
    data = oru(OBR, obx(word), head=head).decode().encode(charset)
    assert read(data).text == word


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (oru(OBR, obx("Clear.")).replace(b"ORU^R01", b"OMI^O23"), "order-not-report"),
        (oru(OBR, obx("Clear.")).replace(b"ORU^R01", b"ADT^A08"), "admin-not-report"),
        (oru(OBR.replace("|RAD|", "|LAB|"), obx("Clear.")), "lab-not-report"),
        (oru(OBR.replace("|RAD|", "||"), "OBX|1|NM|1^Sodium^L||140|mmol/l|135-145||||F"), "lab-not-report"),
        (oru(OBR), "empty-report"),
        (oru(OBR, obx("IMPRESSION: ???"), obx("FINDINGS:")), "empty-report"),
        (oru(OBR, obx("^A^PDF^Base64^JVBE", kind="ED")), "pdf-damaged"),
        (oru(OBR, obx("^TEXT^RTF^Base64^e1xydGYxIHh9", kind="ED")), "rtf"),
        (oru(OBR, obx("^TEXT^PLAIN^Base64^...", kind="ED")), "attachment-damaged"),
        (oru(OBR, obx("^TEXT^PLAIN^Hex^4x", kind="ED")), "attachment-damaged"),
        (oru(OBR, obx("file.pdf^SERVER^AP", kind="RP")), "text-elsewhere"),
        (oru(OBR, obx("Clear.", status="W")), "report-withdrawn"),
        (oru(OBR[:-1] + "X"), "report-withdrawn"),
        (oru(), "hl7-no-obr"),
        (b"OBR|1|A|B\rOBX|1|TX|||Clear.\r", "hl7-no-msh"),
    ],
)
def test_what_is_no_report_says_what_it_is(data: bytes, reason: str) -> None:
    """Orders, administration, laboratory and empty messages have reasons of their own."""
    assert refused(data) == reason


def test_measurements_beside_a_narrative_are_no_laboratory() -> None:
    """An imaging report may carry numbers with units."""
    data = oru(
        OBR.replace("|RAD|", "||"),
        obx("Liver enlarged."),
        obx("Spleen normal."),
        "OBX|3|NM|1^Liver span^L||17|cm|||||F",
    )
    assert read(data).text.split("\n")[-1] == "Liver span: 17 cm"


def test_order_numbers_come_from_the_request_or_the_order() -> None:
    """OBR-2 and OBR-3, else ORC-2 and ORC-3, as numbers of their own beside the accession number."""
    found = read(oru(OBR, obx("Clear.")))
    assert (found.PlacerOrderNumber, found.FillerOrderNumber) == ("PL1", "ACC1")
    ordered = read(oru("ORC|RE|P9^RIS|F9^RIS", OBR.replace("PL1|ACC1^RIS", "|"), obx("Clear.")))
    assert (ordered.PlacerOrderNumber, ordered.FillerOrderNumber) == ("P9", "F9")
    assert ordered.AccessionNumber == "F9"


@pytest.mark.parametrize(
    ("sent", "modality"), [("CT", "CT"), ("US", "US"), ("RAD", ""), ("PT", ""), ("", "")]
)
def test_the_section_is_a_modality_where_it_can_be_nothing_else(sent: str, modality: str) -> None:
    """OBR-24 is HL7 table 0074, which calls physical therapy PT."""
    assert read(oru(OBR.replace("|RAD|", f"|{sent}|"), obx("Clear."))).Modality == modality


def test_notes_continue_what_they_follow() -> None:
    """NTE after OBR and OBX is text of the report; after PID it is not."""
    data = oru(
        "NTE|1||A note on the patient.",
        OBR,
        "NTE|1||Portable.",
        obx("The heart is normal.", "1^Findings^L"),
        "NTE|1||Compared with 2020.~Limited.",
        obx("None.", "2^Impression^L"),
    )
    assert read(data).text.split("\n") == [
        "Portable.",
        "Findings: The heart is normal.",
        "Compared with 2020.",
        "Limited.",
        "Impression: None.",
    ]
    assert read(oru(OBR, "NTE|1||Only a note.")).text == "Only a note."


def coded(document: bytes) -> str:
    """Base64, as an embedded document is sent."""
    return base64.b64encode(document).decode()


@pytest.mark.parametrize(
    "value",
    [
        f"^Application^PDF^Base64^{coded(pdf('Clear.'))}",
        f"RIS^AP^PDF^BASE64^{coded(pdf('Clear.'))}",
        f"^multipart^HTML^Base64^{coded(b'<p>Clear.</p>')}",
        f"^TEXT^PLAIN^Hex^{b'Clear.'.hex()}",
        "^TEXT^PLAIN^A^Clear.",
        f"PDF^Base64^{coded(pdf('Clear.'))}",
        coded(pdf("Clear.")),
    ],
)
def test_embedded_documents_give_their_words(value: str) -> None:
    """OBX of type ED in the forms that senders use."""
    assert read(oru(OBR, obx(value, kind="ED"))).text == "Clear."


def test_an_embedded_document_may_be_folded() -> None:
    """Line ends inside Base64 are no part of it."""
    folded = "\r\n".join(textwrap.wrap(coded(pdf("Clear.")), 76))
    assert read(oru(OBR, obx(f"^AP^PDF^Base64^{folded}", kind="ED"))).text == "Clear."


def test_text_goes_before_a_picture_of_it() -> None:
    """The document is read only where the other results say nothing; damaged ones do not hide a good one."""
    document = obx(f"^AP^PDF^Base64^{coded(pdf('From the PDF.'))}", kind="ED")
    assert read(oru(OBR, document, obx("Clear."))).text == "Clear."
    damaged = obx("^AP^PDF^Base64^JVBE", kind="ED")
    assert read(oru(OBR, damaged, document)).text == "From the PDF."


def test_everybody_named_goes_into_identity() -> None:
    """Patient, staff, addresses and numbers, names as DICOM writes them."""
    obr = OBR.split("|") + [""] * 10
    obr[16], obr[32] = "D7^HUNT^APRIL^M", "D9&REESE&AMBER&J"
    data = oru("PV1|1|O|WARD^5||||D1^GREY^ANN", "|".join(obr), obx("Clear."))
    data = data.replace(
        b"DOE^JANE",
        b"DOE^JANE^Q^^^^L~SMITH^JANE|MAIDEN|19701231|F|||1 LONG ST^^TOWN^XX^12345||555-1234|||||V77||"
        b"999-89-5110",
    )
    named = set(read(data).identity)
    assert {"PAT1", "DOE^JANE^Q", "SMITH^JANE", "19701231", "1 LONG ST", "TOWN", "12345"} <= named
    assert {"555-1234", "V77", "999-89-5110", "HUNT^APRIL^M", "D7", "GREY^ANN", "REESE", "AMBER"} <= named
    assert "RAD" not in named and "" not in named


LOG = """2023-01-13 12:07:17|INFO|Server|
<SB>
{}
<EB><R>

2023-01-13 18:07:17|INFO|Server|
<SB>
{}
<EB>
"""


def test_a_log_of_a_listener_holds_messages() -> None:
    """Frame signs written as words; good messages are read, others counted, the lines between left out."""
    first = oru(OBR, obx("Clear.")).decode().replace("\r", "<R>\n")
    reports, skipped = read_hl7(LOG.format("Unparseable message", first).encode())
    assert [report.text for report in reports] == ["Clear."]
    assert skipped == ("hl7-no-msh",)
    assert refused(LOG.format("<R>", "").encode()) == "hl7-no-msh"


def test_a_capture_of_frames_is_read_without_what_is_between() -> None:
    """Words between the end of one frame and the start of the next belong to no message."""
    message = oru(OBR, obx("Clear."))
    capture = b"12:00 received\r\n\x0b" + message + b"\x1c\r\n12:01 received\r\n\x0b" + message + b"\x1c\r"
    reports, _ = read_hl7(capture)
    assert looks_like_hl7(capture)
    assert [report.text for report in reports] == ["Clear.", "Clear."]


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (oru(OBR), True),
        (b"\xef\xbb\xbf" + oru(OBR), True),
        ("MSH|^~\\&|".encode("utf-16"), True),
        (b"BHS|^~\\&|", True),
        (LOG.encode(), True),
        (b"Impression:\n\x0bclear", False),
        (b"MSHA is an agency.", False),
        (b"\x08\x00\x05\x00CS\x00\x00\x0bMSH", False),
    ],
)
def test_messages_are_told_from_other_files(data: bytes, is_one: bool) -> None:
    """By the first segment, or by the first frame after a few printable lines."""
    assert looks_like_hl7(data) is is_one


def test_limits_of_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, messages and parts are counted before anything is parsed."""
    many = b"\x0bMSH" * (hl7_message.MAX_MESSAGES + 1)
    assert refused(many) == "too-large"
    assert refused(oru(OBR + "|" * (2 * hl7_message.MAX_PARTS))) == "too-large"
    assert refused(oru(OBR + "&" * hl7_message.MAX_MESSAGE_PARTS)) == "too-large"
    monkeypatch.setattr(hl7_message, "MAX_MESSAGES_BYTES", 10)
    assert refused(oru(OBR)) == "too-large"
