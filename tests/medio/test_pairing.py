from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from medio.pairing import PairableImage, Pairing, pair
from medio.records import Instance, PairRule, Report
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
        ({}, {"PatientID": ""}, "report-without-patient", "report-without-patient"),
        ({"PatientID": ""}, {}, "no-patient-id", "no-image"),
        ({}, {"StudyInstanceUID": "", "AccessionNumber": ""}, "no-report", "no-handle"),
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


def test_a_report_filed_as_a_study_of_its_own() -> None:
    """The accession number joins it, unless its study has images, or two such studies claim the number."""
    own = report("r1", StudyInstanceUID="9.1")
    assert [one.rule for one in paired([instance()], [own]).pairs] == [PairRule.ACCESSION]
    elsewhere = instance("i2", StudyInstanceUID="9.1", AccessionNumber="ACC2", SOPInstanceUID="9.1.1")
    found = paired([instance(), elsewhere], [own])
    assert [(one.image_digest, one.rule) for one in found.pairs] == [("i2", PairRule.STUDY)]
    other = report("r2", StudyInstanceUID="9.2", text="Other.", issued="20240105")
    assert reasons(paired([instance()], [own, other])) == (["ambiguous-report"], ["ambiguous-report"] * 2)
    without = report("r3", StudyInstanceUID="", text="No study is named.")
    assert [one.report_digest for one in paired([instance()], [own, without]).pairs] == ["r3"]
