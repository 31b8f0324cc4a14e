from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import medio.pairing
from medio.pairing import REASONS, PairableImage, Pairing, pair
from medio.records import Instance, PairRule, Report, ReportSource, Study
from tests.medio.objects import instance, report


def paired(images: list[Instance], reports: list[Report]) -> Pairing:
    """Pair records, each image with its only frame."""
    return pair([PairableImage(one, "only frame") for one in images], reports)


def reasons(found: Pairing) -> tuple[list[str], list[str]]:
    """Reason codes of unpaired images and reports."""
    return [one.reason for one in found.unpaired_images], [one.reason for one in found.unpaired_reports]


def test_the_study_uid_pairs_before_the_accession_number() -> None:
    """The stronger handle decides, and the pair says which it was."""
    by_study, by_accession = (
        report("r1", AccessionNumber=""),
        report("r2", StudyInstanceUID="", text="Other."),
    )
    found = paired([instance()], [by_study, by_accession])
    assert [(one.report_digest, one.rule) for one in found.pairs] == [("r1", PairRule.STUDY)]
    found = paired([instance()], [by_accession])
    assert [(one.report_digest, one.rule) for one in found.pairs] == [("r2", PairRule.ACCESSION)]


def test_a_pair_carries_the_image_s_identity() -> None:
    """Handles and rule stand in the pair, ids are digests of content."""
    (found,) = paired([instance()], [report()]).pairs
    assert (found.PatientID, found.image_digest, found.report_digest) == ("PAT1", "i1", "r1")
    assert (found.frame_rule, found.AccessionNumber, found.note, len(found.pair_id)) == (
        "only frame",
        "ACC1",
        "",
        64,
    )


@pytest.mark.parametrize(
    ("image", "text", "why_image", "why_report"),
    [
        ({}, {"PatientID": "PAT2"}, "patient-contradiction", "patient-contradiction"),
        (
            {"IssuerOfPatientID": "A"},
            {"IssuerOfPatientID": "B"},
            "patient-contradiction",
            "patient-contradiction",
        ),
        (
            {"IssuerOfPatientID": "1.2.3"},
            {"IssuerOfPatientID": "1.2.4"},
            "patient-contradiction",
            "patient-contradiction",
        ),
        ({}, {"PatientID": ""}, "report-without-patient", "report-without-patient"),
        ({"PatientID": ""}, {}, "no-patient-id", "no-image"),
        ({}, {"StudyInstanceUID": "", "AccessionNumber": "", "StudyDate": ""}, "no-report", "no-handle"),
        ({}, {"StudyInstanceUID": "9.9"}, "handle-contradiction", "handle-contradiction"),
        ({"StudyInstanceUID": "", "AccessionNumber": ""}, {}, "no-handle", "no-image"),
        ({"StudyInstanceUID": "9.9", "AccessionNumber": "ACC9"}, {}, "no-report", "no-image"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, {}, "derived-object", "no-image"),
    ],
)
def test_what_does_not_fit_is_told_and_not_paired(
    image: dict[str, Any], text: dict[str, Any], why_image: str, why_report: str
) -> None:
    """Every image and report without a pair has a reason."""
    found = paired([instance(**image)], [report(**text)])
    assert (found.pairs, reasons(found)) == ((), ([why_image], [why_report]))


def test_another_id_of_the_same_patient_pairs() -> None:
    """A report may list several ids; the image's is one of them."""
    found = paired(
        [instance()], [report(PatientID="E9", IssuerOfPatientID="EPIC", OtherPatientIDs=("PAT1",))]
    )
    assert len(found.pairs) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("SITE", "site"), ("SITE", "1.2.3"), ("SITE", "http://site.example/mrn"), ("SITE", "")]
)
def test_issuers_that_cannot_be_compared_do_not_contradict(one: str, other: str) -> None:
    """DICOM, HL7 v2 and FHIR name the same authority in different ways."""
    assert len(paired([instance(IssuerOfPatientID=one)], [report(IssuerOfPatientID=other)]).pairs) == 1


def test_the_standing_version_wins_in_any_order() -> None:
    """Corrected before final before preliminary, then the latest; the others are told as superseded."""
    versions = [
        report("r1", status="preliminary", issued="20240105"),
        report("r2", status="corrected", issued="20240103"),
        report("r3", status="corrected", issued="20240104"),
        report("r4", status="final", issued="20240106"),
    ]
    for order in permutations(versions):
        found = paired([instance()], list(order))
        assert [one.report_digest for one in found.pairs] == ["r3"]
        assert [one.content_digest for one in found.superseded] == ["r1", "r2", "r4"]
        assert found.unpaired_reports == ()


def test_two_texts_of_equal_standing_are_ambiguous() -> None:
    """Nobody guesses which of two reports is meant; equal texts are no question."""
    found = paired([instance()], [report("r1"), report("r2")])
    assert reasons(found) == (["ambiguous-report"], ["ambiguous-report"] * 2)
    found = paired([instance()], [report("r1", text="Same."), report("r2", text="Same.")])
    assert len(found.pairs) == 1


def test_two_requests_in_one_study() -> None:
    """The image's accession number decides; without one the reports are ambiguous."""
    both = [report("r1", issued="20240101"), report("r2", AccessionNumber="ACC2", issued="20240102")]
    assert [one.report_digest for one in paired([instance()], both).pairs] == ["r1"]
    assert reasons(paired([instance(AccessionNumber="")], both))[0] == ["ambiguous-report"]


def test_several_images_share_a_report_and_say_so() -> None:
    """One pair per image, each noting how many there are."""
    found = paired([instance("i1"), instance("i2"), instance("i3")], [report()])
    assert sorted(one.note for one in found.pairs) == [f"image {n} of 3 with this report" for n in (1, 2, 3)]


def test_one_instance_uid_with_two_contents_is_a_contradiction() -> None:
    """One of them is not what it says it is."""
    found = paired([instance("i1", SOPInstanceUID="1.9"), instance("i2", SOPInstanceUID="1.9")], [report()])
    assert reasons(found)[0] == ["instance-contradiction"] * 2


def test_pairing_again_gives_the_same() -> None:
    """Order and repetition of the records do not matter."""
    images = [instance(f"i{n}", StudyInstanceUID=f"1.{n}", AccessionNumber="") for n in range(5)]
    reports = [report(f"r{n}", StudyInstanceUID=f"1.{n}") for n in range(3)]
    assert paired(images, reports) == paired(images[::-1] * 2, reports[::-1] * 2)


def test_a_document_filed_as_a_study_of_its_own() -> None:
    """The accession number joins it, unless its study has images, or two such studies claim the number.

    What a message says of the study it describes is another matter: a contradiction.
    """
    own = report("r1", StudyInstanceUID="9.1", source=ReportSource.SR)
    (found,) = paired([instance()], [own]).pairs
    assert (found.rule, found.note) == (PairRule.ACCESSION, "report filed as a study of its own")
    elsewhere = instance("i2", StudyInstanceUID="9.1", AccessionNumber="ACC2", SOPInstanceUID="9.1.1")
    only = paired([elsewhere], [own]).pairs
    assert [(one.image_digest, one.rule) for one in only] == [("i2", PairRule.STUDY)]
    other = replace(own, content_digest="r2", StudyInstanceUID="9.2", text="Other.", issued="20240105")
    assert reasons(paired([instance()], [own, other])) == (["ambiguous-report"], ["ambiguous-report"] * 2)
    without = report("r3", StudyInstanceUID="", text="No study is named.")
    assert [one.report_digest for one in paired([instance()], [own, without]).pairs] == ["r3"]


def test_handles_of_two_studies_are_a_contradiction() -> None:
    """A report that names one study by UID and another by accession number joins neither."""
    images = [instance(), instance("i2", StudyInstanceUID="1.2.9", AccessionNumber="ACC2")]
    found = paired(images, [report(AccessionNumber="ACC2")])
    assert reasons(found) == (["handle-contradiction", "no-report"], ["handle-contradiction"])
    filled = report(AccessionNumber="ACC2", FillerOrderNumber="ACC2")  # the filler's number is often the same
    assert reasons(paired(images, [filled])) == reasons(found)


def test_an_accession_number_nobody_knows_does_not_outweigh_the_study() -> None:
    """Senders derive the number from several fields; the pair says that they differ."""
    (found,) = paired([instance()], [report(AccessionNumber="RIS-7")]).pairs
    assert (found.rule, found.note) == (PairRule.STUDY, "accession numbers differ")


BARE = {"StudyInstanceUID": "", "AccessionNumber": ""}


@pytest.mark.parametrize(
    ("image", "text", "note"),
    [
        ({"PlacerOrderNumber": "P1"}, {"PlacerOrderNumber": "P1"}, ""),
        ({"FillerOrderNumber": "F1"}, {"FillerOrderNumber": "F1", "AccessionNumber": "F1"}, ""),
        (
            {"PlacerOrderNumber": "F1", "FillerOrderNumber": "P1"},
            {"PlacerOrderNumber": "P1", "FillerOrderNumber": "F1"},
            "order numbers in each other's place",
        ),
    ],
)
def test_order_numbers_pair(image: dict[str, Any], text: dict[str, Any], note: str) -> None:
    """Placer's or filler's number; a sender may put each in the other's place."""
    (found,) = paired([instance(**image)], [report(**BARE | text)]).pairs
    assert (found.rule, found.note) == (PairRule.ORDER, note)


@pytest.mark.parametrize(
    ("image", "text", "why"),
    [
        ({}, {"PatientID": "PAT2"}, "patient-contradiction"),
        ({}, {"AccessionNumber": "ACC7"}, "handle-contradiction"),
        ({}, {"StudyInstanceUID": "9.9"}, "handle-contradiction"),
        ({"FillerOrderNumber": "F1"}, {"FillerOrderNumber": "F2"}, "no-report"),
    ],
)
def test_an_order_number_does_not_overrule_a_stronger_handle(
    image: dict[str, Any], text: dict[str, Any], why: str
) -> None:
    """One order may have several accession numbers and fillings: each has its own report."""
    order = {"PlacerOrderNumber": "P1"}
    found = paired([instance(**order | image)], [report(**BARE | order | text)])
    assert (found.pairs, reasons(found)[0]) == ((), [why])


@pytest.mark.parametrize(("day", "note"), [("20240102", ""), ("20240103", "1 day apart")])
def test_patient_and_date_pair_what_stands_alone(day: str, note: str) -> None:
    """One examination, one report, no other handle: they belong together."""
    (found,) = paired([instance("i1"), instance("i2")], [report(StudyDate=day, **BARE)]).pairs[:1]
    assert found.rule is PairRule.DATE and found.note.endswith(note)


@pytest.mark.parametrize(
    ("images", "reports", "why"),
    [
        ([instance()], [report(**BARE, StudyDate="20240104")], "no-report"),
        ([instance()], [report(**BARE), report("r2", **BARE)], "ambiguous-date"),
        ([instance(), instance("i2", StudyInstanceUID="1.9")], [report(**BARE)], "ambiguous-date"),
        ([instance()], [report(**BARE, Modality="MR")], "modality-contradiction"),
        ([instance()], [report(**BARE | {"AccessionNumber": "ACC2"})], "no-report"),
        ([instance()], [report(**BARE, PatientID="PAT2")], "no-report"),
        ([instance(IssuerOfPatientID="A")], [report(**BARE, IssuerOfPatientID="B")], "patient-contradiction"),
        ([instance(StudyDate="2024")], [report(**BARE)], "no-report"),
    ],
)
def test_patient_and_date_never_guess(images: list[Instance], reports: list[Report], why: str) -> None:
    """Two examinations or reports in the window, or a handle that points elsewhere: nothing is joined."""
    found = paired(images, reports)
    assert (found.pairs, {one.reason for one in found.unpaired_images}) == ((), {why})


def test_a_study_with_a_report_takes_no_other_by_date() -> None:
    """An image without accession number beside one that has its report is left alone."""
    images = [instance(), instance("i2", AccessionNumber="")]
    by_number = report("r1", StudyInstanceUID="")
    found = paired(images, [by_number, report("r2", **BARE)])
    assert [(one.image_digest, one.report_digest) for one in found.pairs] == [("i1", "r1")]
    assert reasons(found) == (["no-report"], ["no-image"])


def test_the_window_is_an_argument() -> None:
    """A site whose clocks differ may allow more days, or none."""
    images, reports = [PairableImage(instance(), "only frame")], [report(**BARE, StudyDate="20240105")]
    assert len(pair(images, reports, window_days=3).pairs) == 1
    assert len(pair(images, reports, window_days=2).pairs) == 0


def study(**changes: Any) -> Study:
    """An ImagingStudy of the same study as `instance`."""
    facts = {
        "content_digest": "s1",
        "reference": "ImagingStudy/1",
        "StudyInstanceUID": "1.2.3",
        "AccessionNumber": "ACC1",
        "PatientID": "PAT1",
        "IssuerOfPatientID": "",
        "StudyDate": "20240102",
        "Modality": "CT",
    }
    return Study(**facts | changes)


REFERRING = report(**BARE, StudyDate="", study_references=("ImagingStudy/1",))


def test_a_reference_to_a_study_pairs() -> None:
    """A FHIR report names its study by a resource that came in another file; also by accession number."""
    (found,) = pair([PairableImage(instance(AccessionNumber=""), "")], [REFERRING], [study()]).pairs
    assert (found.rule, found.note) == (PairRule.STUDY, "study named by an ImagingStudy")
    numbered = report(StudyInstanceUID="")
    (found,) = pair([PairableImage(instance(AccessionNumber=""), "")], [numbered], [study()]).pairs
    assert (found.rule, found.note) == (PairRule.STUDY, "study named by an ImagingStudy")


@pytest.mark.parametrize(
    ("text", "studies", "why"),
    [
        (REFERRING, [study(PatientID="PAT2")], "patient-contradiction"),
        (REFERRING, [study(), study(content_digest="s2", StudyInstanceUID="1.2.9")], "ambiguous-study"),
        (replace(REFERRING, StudyInstanceUID="1.2.8"), [study()], "handle-contradiction"),
        (REFERRING, [], "no-handle"),
    ],
)
def test_a_reference_that_leads_nowhere_sure_is_told(text: Report, studies: list[Study], why: str) -> None:
    """Another patient's study, two studies under one name, or a UID that says otherwise."""
    found = pair([PairableImage(instance(), "only frame")], [text], studies)
    assert (found.pairs, reasons(found)[1]) == ((), [why])


def test_the_same_words_by_another_route_are_a_copy() -> None:
    """One report as structured report, message and text is one; the others are told as its copies."""
    kinds = (ReportSource.PLAIN, ReportSource.HL7V2, ReportSource.SR)
    routes = [report(f"r{n}", text="Same words.", source=kind) for n, kind in enumerate(kinds)]
    found = paired([instance()], routes)
    assert [one.report_digest for one in found.pairs] == ["r2"]
    assert [(one.content_digest, one.reason, one.by) for one in found.superseded] == [
        ("r0", "copy", "r2"),
        ("r1", "copy", "r2"),
    ]


def test_a_correction_by_accession_number_reaches_the_study() -> None:
    """The first version named the study, the correction only the number: the last one stands."""
    first = report("r1", AccessionNumber="")
    corrected = report("r2", StudyInstanceUID="", status="corrected", issued="20240103")
    found = paired([instance()], [first, corrected])
    assert [(one.report_digest, one.rule) for one in found.pairs] == [("r2", PairRule.ACCESSION)]
    assert [(one.content_digest, one.by) for one in found.superseded] == [("r1", "r2")]
    elsewhere = instance("i2", StudyInstanceUID="1.9")  # the number covers two studies: no telling which
    assert [one.report_digest for one in paired([instance(), elsewhere], [first, corrected]).pairs] == [
        "r1",
        "r2",
    ]


def test_two_fillers_are_two_reports() -> None:
    """Two orders filled for one study have a report each; the image names neither."""
    both = [report("r1", FillerOrderNumber="F1"), report("r2", FillerOrderNumber="F2", issued="2025")]
    assert reasons(paired([instance()], both))[0] == ["ambiguous-report"]


def test_the_same_object_in_another_transfer_syntax_is_a_copy() -> None:
    """One object sent twice, compressed the second time: one pair, and the other file is told as its copy."""
    images = [PairableImage(instance(f"i{n}", SOPInstanceUID="1.9"), "only frame", "picture") for n in (1, 2)]
    found = pair(images, [report()])
    assert [one.image_digest for one in found.pairs] == ["i1"]
    assert [(one.content_digest, one.reason, one.by) for one in found.unpaired_images] == [
        ("i2", "copy", "i1")
    ]


def test_a_report_never_joins_two_patients() -> None:
    """A message that gives one patient two ids does not make one person of two image patients."""
    images = [instance(), instance("i2", PatientID="E9")]
    found = paired(images, [report(OtherPatientIDs=("E9",))])
    assert (found.pairs, reasons(found)) == ((), (["patient-contradiction"] * 2, ["patient-contradiction"]))
    half = [instance(IssuerOfPatientID="SITE"), instance("i2")]  # one modality leaves the issuer out
    assert len(paired(half, [report()]).pairs) == 2


def test_every_reason_is_documented() -> None:
    """The page lists each code with the words that the command line prints, and none that is gone."""
    page = (Path(__file__).parents[2] / "docs" / "pairing-and-cohorts.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", page, re.MULTILINE))
    assert rows.keys() == REASONS.keys()
    modules = ("claims", "pairing", "partners")
    source = "".join((Path(medio.pairing.__file__).parent / f"{name}.py").read_text() for name in modules)
    said = Counter(re.findall(r'"([a-z]+-[a-z-]+|copy|superseded)"', source))
    assert said.keys() == REASONS.keys()
    assert min(said.values()) > 1  # once in the table, and where it is given
