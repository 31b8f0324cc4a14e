"""What holds for pairing whatever arrives, and in whatever order."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from medio.pairing import PairableImage, Pairing, pair
from medio.records import Instance, PairRule, Report, ReportSource, Study
from tests.medio.objects import instance, report

PATIENTS, STUDIES, NUMBERS, ORDERS = ("", "A", "B"), ("", "1.1", "1.2"), ("", "N1", "N2"), ("", "O1", "O2")
DAYS = ("", "20240101", "20240102", "20240109")
SOURCES = (ReportSource.SR, ReportSource.HL7V2, ReportSource.FHIR)


@st.composite
def images(draw: st.DrawFn) -> list[Instance]:
    """A few images with few different handles, so that they meet in every way."""
    return [
        instance(
            f"i{n}",
            PatientID=draw(st.sampled_from(PATIENTS)),
            StudyInstanceUID=draw(st.sampled_from(STUDIES)),
            AccessionNumber=draw(st.sampled_from(NUMBERS)),
            PlacerOrderNumber=draw(st.sampled_from(ORDERS)),
            FillerOrderNumber=draw(st.sampled_from(ORDERS)),
            StudyDate=draw(st.sampled_from(DAYS)),
            SOPInstanceUID=f"9.{draw(st.integers(0, 9))}",
        )
        for n in range(draw(st.integers(0, 5)))
    ]


@st.composite
def reports(draw: st.DrawFn) -> list[Report]:
    """A few reports with the same few handles."""
    return [
        report(
            f"r{n}",
            PatientID=draw(st.sampled_from(PATIENTS)),
            StudyInstanceUID=draw(st.sampled_from(STUDIES)),
            AccessionNumber=draw(st.sampled_from(NUMBERS)),
            PlacerOrderNumber=draw(st.sampled_from(ORDERS)),
            FillerOrderNumber=draw(st.sampled_from(ORDERS)),
            StudyDate=draw(st.sampled_from(DAYS)),
            OtherPatientIDs=draw(st.sampled_from(((), (), ("A",), ("B",)))),
            source=draw(st.sampled_from(SOURCES)),
            status=draw(st.sampled_from(("preliminary", "final", "corrected"))),
            issued=draw(st.sampled_from(("", "20240102", "20240103"))),
            text=draw(st.sampled_from(("One text.", "Another text."))),
            study_references=draw(st.sampled_from(((), ("ImagingStudy/1",)))),
        )
        for n in range(draw(st.integers(0, 6)))
    ]


@st.composite
def studies(draw: st.DrawFn) -> list[Study]:
    """What another system says of a study."""
    return [
        Study(
            f"s{n}",
            "ImagingStudy/1",
            draw(st.sampled_from(STUDIES)),
            draw(st.sampled_from(NUMBERS)),
            draw(st.sampled_from(PATIENTS)),
            "",
            "",
            "",
        )
        for n in range(draw(st.integers(0, 2)))
    ]


def paired(some: Sequence[Instance], texts: Sequence[Report], known: Sequence[Study] = ()) -> Pairing:
    return pair([PairableImage(one, "only frame") for one in some], texts, known)


@given(images(), reports(), studies(), st.randoms())
@settings(deadline=None, max_examples=300)
def test_the_order_of_arrival_does_not_matter(
    some: list[Instance], texts: list[Report], known: list[Study], chance: random.Random
) -> None:
    """Any order, and everything twice, gives the same pairing."""
    found = paired(some, texts, known)
    for records in (some, texts, known):
        chance.shuffle(records)  # type: ignore[arg-type]
    assert paired(some * 2, texts * 2, known) == found


@given(images(), reports(), studies())
@settings(deadline=None, max_examples=300)
def test_everything_has_one_place(some: list[Instance], texts: list[Report], known: list[Study]) -> None:
    """Each image is in one pair or unpaired; each report pairs, is alone, or gave way to one that pairs."""
    found = paired(some, texts, known)
    placed = [one.image_digest for one in found.pairs] + [one.content_digest for one in found.unpaired_images]
    assert sorted(placed) == sorted(one.content_digest for one in some)
    used = {one.report_digest for one in found.pairs}
    others = [one.content_digest for one in found.unpaired_reports + found.superseded]
    assert sorted([*used, *others]) == sorted(one.content_digest for one in texts)
    assert {one.by for one in found.superseded} <= used


@given(images(), reports(), studies())
@settings(deadline=None, max_examples=300)
def test_a_pair_is_of_one_patient_and_contradicts_no_handle(
    some: list[Instance], texts: list[Report], known: list[Study]
) -> None:
    """Whatever the rule, the report knows the image's patient, and no study or number says otherwise."""
    by_image = {one.content_digest: one for one in some}
    by_report = {one.content_digest: one for one in texts}
    patients: dict[str, set[str]] = {}
    for one in paired(some, texts, known).pairs:
        image, text = by_image[one.image_digest], by_report[one.report_digest]
        ids = {text.PatientID, *text.OtherPatientIDs} - {""} or {study.PatientID for study in known}
        assert image.PatientID in ids
        patients.setdefault(one.report_digest, set()).add(image.PatientID)
        if image.StudyInstanceUID and text.StudyInstanceUID and not text.study_references:
            assert image.StudyInstanceUID == text.StudyInstanceUID or "of its own" in one.note
        if one.rule is PairRule.DATE and image.AccessionNumber and text.AccessionNumber:
            own_order = text.AccessionNumber in (text.PlacerOrderNumber, text.FillerOrderNumber)
            assert image.AccessionNumber == text.AccessionNumber or own_order
    assert all(len(found) == 1 for found in patients.values())


@given(images(), reports(), studies())
@settings(deadline=None, max_examples=100)
def test_another_patient_changes_nothing(
    some: list[Instance], texts: list[Report], known: list[Study]
) -> None:
    """An examination with its own handles leaves every pair, and every reason, as it was."""
    other = {"PatientID": "Z", "StudyInstanceUID": "7.7", "AccessionNumber": "Z7"}
    before = paired(some, texts, known)
    after = paired(
        [*some, instance("z", SOPInstanceUID="7.7.7", **other)], [*texts, report("z", **other)], known
    )
    assert {*after.pairs} - {*before.pairs} == {one for one in after.pairs if one.PatientID == "Z"}
    assert after.unpaired_images == before.unpaired_images
    assert (after.unpaired_reports, after.superseded) == (before.unpaired_reports, before.superseded)


def test_ten_thousand_images_take_seconds() -> None:
    """Images and reports of 2,500 patients, every kind of handle; each report in two versions."""
    handles = ("StudyInstanceUID", "AccessionNumber", "PlacerOrderNumber", "")
    some, texts = [], []
    for n in range(10_000):
        exam = n // 2
        known = {name: f"1.{exam}" if name == handles[exam % 4] else "" for name in handles if name}
        facts = {"PatientID": f"P{n // 4}", "StudyDate": f"2024010{1 + 4 * (exam % 2)}", **known}
        uid = known["StudyInstanceUID"] or f"2.{exam}"
        some.append(instance(f"i{n:05}", **facts | {"StudyInstanceUID": uid}))
        texts.append(report(f"r{n:05}", **facts, status=("preliminary", "final")[n % 2]))
    began = time.process_time()
    found = paired(some, texts)
    assert time.process_time() - began < 5
    assert len(found.pairs) == 7_500  # a quarter has patient and date alone: two texts, no telling
    assert {one.reason for one in found.unpaired_images} == {"ambiguous-date"}
