"""Why a pair exists, what found no partner, what is there twice: over a workspace with real ingests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import ImplicitVRLittleEndian

from appliance.api import Appliance
from appliance.cohorts import CohortRequest
from appliance.errors import UsageError
from appliance.workspace.workspace import Workspace
from medio.pairing import REASONS
from tests.medio.objects import code, content, image, structured_report

MESSAGE = (
    "MSH|^~\\&|RIS|SITE|||{time}||ORU^R01|{patient}{status}|P|2.4\r"
    "PID|||{patient}||Made^Up\r"
    "OBR|1||{accession}|X^CHEST^L|||20240102|||||||||||||||{time}|||{status}\r"
    "OBX|1|TX|X^Findings^L||{text}||||||{status}\r"
)
WORDS = "No focal consolidation, pleural effusion or pneumothorax is seen in either lung today"


def picture(seed: int) -> NDArray[np.uint8]:
    """A coarse picture unlike any other seed's."""
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 12), dtype=np.uint8)
    return coarse.repeat(16, axis=0).repeat(16, axis=1)


def put(folder: Path, name: str, seed: int, **attributes: Any) -> None:
    """One image; its attributes are its name where they are not given."""
    facts = {
        "PatientID": name,
        "IssuerOfPatientID": "",
        "AccessionNumber": f"ACC-{name}",
        "StudyInstanceUID": f"1.2.{seed}",
        "SeriesInstanceUID": f"1.2.{seed}.{len(name)}",
        "SOPInstanceUID": f"1.2.{seed}.1.{len(name)}",
    }
    image(picture(seed), **facts | attributes).save_as(folder / f"{name}-{len(attributes)}.dcm")


def say(
    folder: Path, patient: str, text: str, status: str = "F", time: str = "202401021200", **more: str
) -> None:
    facts = {"patient": patient, "accession": f"ACC-{patient}", "text": text, "status": status, "time": time}
    (folder / f"{patient}-{status}.hl7").write_bytes(MESSAGE.format(**facts | more).encode())


def asked(targets: str, controls: str) -> CohortRequest:
    """A cohort of these."""
    return CohortRequest("c", {"target": targets, "control": controls}, "random", "L5", 0.4, 0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Appliance]:
    workspace = Workspace.create(tmp_path / "workspace", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as appliance:
        yield appliance


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def ingested(site: Appliance, folder: Path) -> None:
    site.ingest([folder], lambda step: None)


def test_a_pair_shows_its_history(site: Appliance, inbox: Path) -> None:
    """Preliminary, final, corrected, and the same words as structured report: one pair, all versions told."""
    put(inbox, "A", 1)
    say(inbox, "A", "A shadow on the left.", "P", "202401021200")
    say(inbox, "A", "A shadow on the left side.", "F", "202401021300")
    say(inbox, "A", WORDS, "C", "202401031200")
    ingested(site, inbox)
    (row,) = site.pairs()
    assert (row.rule, row.report_status) == ("AccessionNumber", "corrected")
    view = site.pair(row.pair_id[:8])
    assert [(one.status, one.state) for one in view.versions] == [
        ("preliminary", "superseded"),
        ("final", "superseded"),
        ("corrected", "stands"),
    ]
    assert dict(view.image)["AccessionNumber"] == dict(view.report)["AccessionNumber"] == "ACC-A"
    assert {one.reason for one in site.unpaired()} == {"superseded"}


def test_a_superseded_pair_can_still_be_shown(site: Appliance, inbox: Path) -> None:
    """A frozen cohort may hold it; it says that it stands no more."""
    put(inbox, "A", 1)
    say(inbox, "A", "First words.", "F")
    ingested(site, inbox)
    (before,) = site.pairs()
    say(inbox, "A", "Corrected words.", "C", "202401031200")
    ingested(site, inbox)
    old = site.pair(before.pair_id)
    assert (old.standing, [one.state for one in old.versions]) == (False, ["superseded"])


def test_the_same_object_in_another_transfer_syntax_is_one(site: Appliance, inbox: Path) -> None:
    """Sent twice, encoded differently: one pair, and the second file is its copy."""
    put(inbox, "A", 1)
    put(inbox, "A", 1, syntax=ImplicitVRLittleEndian)
    say(inbox, "A", WORDS)
    ingested(site, inbox)
    (row,) = site.pairs()
    (copy,) = site.pair(row.pair_id).copies
    (other,) = site.unpaired()
    assert (other.kind, other.reason, other.content_digest) == ("image", "copy", copy)


def test_the_same_report_by_another_route_is_one(site: Appliance, inbox: Path) -> None:
    """A structured report and a message with the same words at the same time: no ambiguity, a copy."""
    put(inbox, "A", 1)
    say(inbox, "A", WORDS, time="20240102120000")
    handles = {
        "PatientID": "A",
        "IssuerOfPatientID": "",
        "AccessionNumber": "ACC-A",
        "StudyInstanceUID": "1.2.1",
    }
    sr = structured_report([content("TEXT", "Findings", TextValue=WORDS.upper())], **handles)
    sr.ContentDate, sr.ContentTime, sr.CompletionFlag = "20240102", "120000", "COMPLETE"
    sr.VerificationFlag = "UNVERIFIED"
    sr.ConceptNameCodeSequence = [code("Radiology report")]
    sr.save_as(inbox / "sr.dcm")
    ingested(site, inbox)
    (row,) = site.pairs()
    assert row.rule == "StudyInstanceUID"
    assert {one.reason for one in site.unpaired()} <= {"copy", "superseded"}
    assert len(site.pair(row.pair_id).versions) == 2


def test_what_found_no_partner_says_why(site: Appliance, inbox: Path) -> None:
    """An image without report, a report without image, and one on another patient."""
    put(inbox, "A", 1)
    put(inbox, "B", 2)
    say(inbox, "B", WORDS, accession="ACC-A")
    say(inbox, "C", WORDS)
    ingested(site, inbox)
    assert site.pairs() == ()
    rows = {(one.kind, one.patient_id): one for one in site.unpaired()}
    assert {key: one.reason for key, one in rows.items()} == {
        ("image", "A"): "patient-contradiction",
        ("image", "B"): "no-report",
        ("report", "B"): "patient-contradiction",
        ("report", "C"): "no-image",
    }
    assert all(one.why == REASONS[one.reason] for one in rows.values())


def test_duplicates_are_listed_and_refused_across_roles(site: Appliance, inbox: Path) -> None:
    """The same picture as another patient's second capture: listed as one group, and no cohort holds both."""
    for number, name in enumerate("ABCD"):
        put(inbox, name, number + 1)
        say(inbox, name, f"The {name} report has words of its own: {name}, only {name}, and {name}.")
    smaller = np.ascontiguousarray(picture(1)[::2, ::2])
    facts = {
        "PatientID": "E",
        "AccessionNumber": "ACC-E",
        "StudyInstanceUID": "1.2.9",
        "IssuerOfPatientID": "",
    }
    image(smaller, **facts, SeriesInstanceUID="1.9", SOPInstanceUID="1.9.1").save_as(inbox / "e.dcm")
    say(inbox, "E", "Other words.")
    ingested(site, inbox)
    found = site.duplicates(lambda step: None)
    assert [
        (one.kind, one.patient_id, one.patients) for one in sorted(found, key=lambda one: one.patient_id)
    ] == [
        ("picture", "A", 2),
        ("picture", "E", 2),
    ]
    request = asked("PatientID=A", "PatientID=B,C,D,E")
    with pytest.raises(UsageError, match="1 control, 1 target") as refused:
        site.create_cohort(request)
    assert "pairs duplicates" in refused.value.hint
    within = CohortRequest(
        "c", {"target": "PatientID=B", "control": "PatientID=A,C,D,E"}, "random", "L5", 0.4, 0
    )
    assert "control: 2 × the picture of another patient of this role" in site.create_cohort(within).warnings
    assert site.cohort("c").warnings == site.create_cohort(within).warnings
    assert site.cohorts()[0].warnings == ("control: 2 × the picture of another patient of this role",)


def test_a_cohort_tells_when_its_pairs_stand_no_more(site: Appliance, inbox: Path) -> None:
    """A correction after freezing changes no cohort, and is said."""
    for number, name in enumerate("ABC"):
        put(inbox, name, number + 1)
        say(inbox, name, f"Words of {name}.")
    ingested(site, inbox)
    request = asked("PatientID=A", "rest")
    digest = site.create_cohort(request).digest
    say(inbox, "A", "Corrected words.", "C", "202401031200")
    ingested(site, inbox)
    view = site.cohort("c")
    assert view.digest == digest and view.balance is not None
    assert any(line.startswith("1 pairs stand no more") for line in view.warnings)
    assert [(role.role, role.patients) for role in view.balance.roles] == [
        ("fitting", 1),
        ("calibration", 1),
        ("target", 1),
    ]


def test_one_person_with_two_ids_plays_one_role(site: Appliance, inbox: Path) -> None:
    """A report that gives both ids makes them one person, across studies and roles."""
    for number, name in enumerate("ABCD"):
        put(inbox, name, number + 1)
        say(inbox, name, f"Words of {name}.")
    text = (inbox / "A-F.hl7").read_text().replace("PID|||A|", "PID|||A~D|")
    (inbox / "A-F.hl7").write_text(text)
    ingested(site, inbox)
    with pytest.raises(UsageError, match="1 of 1 target patients are also control patients"):
        site.create_cohort(asked("PatientID=A", "PatientID=B,C,D"))
    assert dict(site.create_cohort(asked("PatientID=A", "rest")).counts)["target"] == 1


def test_two_ids_of_a_control_are_one_patient(site: Appliance, inbox: Path) -> None:
    """The split, the counts and the balance of a cohort know one person, whatever the ids."""
    for number, name in enumerate("ABCD"):
        put(inbox, name, number + 1)
        say(inbox, name, f"Words of {name}.")
    text = (inbox / "A-F.hl7").read_text().replace("PID|||A|", "PID|||A~D|")
    (inbox / "A-F.hl7").write_text(text)
    ingested(site, inbox)
    view = site.create_cohort(asked("PatientID=B", "rest"))
    assert dict(view.counts) == {"fitting": 1, "calibration": 1, "target": 1}
    assert view.balance is not None
    assert {role.role: role.patients for role in view.balance.roles} == dict(view.counts)


def test_a_left_out_issuer_makes_no_second_person(site: Appliance, inbox: Path) -> None:
    """Two modalities send one patient with and without the issuer of the id: two pseudonyms, one role."""
    for number, name in enumerate("ABC"):
        put(inbox, name, number + 1)
        say(inbox, name, f"Words of {name}.")
    put(inbox, "D", 4, PatientID="A", IssuerOfPatientID="SITE")
    say(inbox, "A", "Words of another day.", "C", accession="ACC-D")
    ingested(site, inbox)
    assert len({row.patient for row in site.pairs()}) == 4
    with pytest.raises(UsageError, match="1 of 1 target patients are also control patients"):
        site.create_cohort(asked("AccessionNumber=ACC-A", "AccessionNumber!=ACC-A"))
    counts = dict(site.create_cohort(asked("AccessionNumber=ACC-A", "rest")).counts)
    assert counts == {"fitting": 1, "calibration": 1, "target": 1}


@pytest.mark.parametrize("name", ["", "abc", "ffffffffffff"])
def test_a_pair_that_is_not_there_is_refused(site: Appliance, name: str) -> None:
    """Too few digits, or no such pair."""
    with pytest.raises(UsageError, match="no pair"):
        site.pair(name)


def test_a_fhir_report_finds_its_study_by_reference(site: Appliance, inbox: Path) -> None:
    """The report names an ImagingStudy that came in another file, and no other handle."""
    put(inbox, "A", 1, StudyInstanceUID="1.2.840.1", AccessionNumber="")
    patient = {"identifier": {"type": {"coding": [{"code": "MR"}]}, "value": "A"}}
    study = {
        "resourceType": "ImagingStudy",
        "id": "s1",
        "status": "available",
        "subject": patient,
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.1"}],
    }
    text = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "status": "final",
        "category": [{"coding": [{"code": "RAD"}]}],
        "code": {"text": "CT of the chest"},
        "subject": patient,
        "imagingStudy": [{"reference": "ImagingStudy/s1"}],
        "conclusion": "A shadow on the left.",
    }
    (inbox / "study.json").write_text(json.dumps(study))
    (inbox / "report.json").write_text(json.dumps(text))
    ingested(site, inbox)
    (row,) = site.pairs()
    assert (row.rule, row.note) == ("StudyInstanceUID", "study named by an ImagingStudy")
