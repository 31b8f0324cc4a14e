"""Studies and reports as the officer sees them: handles in the clear, texts masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from appliance import permissions
from appliance.api import Appliance
from appliance.cohorts import pair_rows
from appliance.errors import UsageError
from appliance.library import Library
from appliance.workspace.workspace import Workspace
from tests.medio.objects import image, part10

MESSAGE = (
    "MSH|^~\\&|RIS|SITE|||{time}||ORU^R01|{status}1|P|2.4\r"
    "PID|||PAT1||Canary^Adelheid||19520229\r"
    "OBR|1|PL1|FI1|X^CHEST^L|||20240102|||||||||||||||{time}|||{status}\r"
    "OBX|1|TX|X^Findings^L||{text}||||||{status}\r"
)
TEXT = "Mrs. CANARY, born 29 Feb 1952, ACC1: a 12 mm nodule. Call 555-010-0199."
ACCESSION = {"AccessionNumber": "ACC1", "FillerOrderNumberImagingServiceRequest": "FI1"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """A workspace with two images of one study and two versions of its report."""
    tmp_path = tmp_path_factory.mktemp("library")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in (5, 6):
        pixels = np.full((64, 64), number, np.uint16)
        pixels[: 8 * number] = np.arange(64)
        ds = image(pixels, PatientName="Canary^Adelheid", SOPInstanceUID=f"1.2.3.{number}", **ACCESSION)
        (inbox / f"{number}.dcm").write_bytes(part10(ds))
    for name, time, status, text in (
        ("p", "202401021200", "P", "A shadow."),
        ("c", "202401031200", "C", TEXT),
    ):
        (inbox / f"{name}.hl7").write_bytes(MESSAGE.format(time=time, status=status, text=text).encode())
    workspace = Workspace.create(tmp_path / "workspace", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as appliance:
        appliance.ingest([inbox], lambda step: None)
        yield appliance


def test_a_study_is_one_row_with_what_belongs_to_it(site: Appliance) -> None:
    """Reports that name no study UID stand with the images they were paired with."""
    (row,) = site.studies()
    assert (row.study, row.accession, row.modalities) == ("1.2.3", "ACC1", "CT")
    assert (row.series, row.images, row.pairs) == (1, 2, 2)
    assert row.patient.startswith("P-")


@pytest.mark.parametrize("name", ["1.2.3", "ACC1"])
def test_a_study_is_named_by_uid_or_accession(site: Appliance, name: str) -> None:
    """Both handles lead to the same images and reports."""
    view = site.study(name)
    assert [one.size for one in view.images] == ["64×64", "64×64"]
    assert "corrected" in {one.status for one in view.reports}


@pytest.mark.parametrize("name", ["", "1.2", "nobody"])
def test_what_is_not_there_is_said(site: Appliance, name: str) -> None:
    """A part of a handle, or none, names no study."""
    with pytest.raises(UsageError, match="no study"):
        site.study(name)


def test_a_report_is_shown_masked(site: Appliance) -> None:
    """Names and dates of the study's own headers are hidden; findings stay."""
    (corrected,) = (row for row in site.reports() if row.status == "corrected")
    view = site.report(corrected.digest[:8])
    assert "12 mm nodule" in view.text
    for hidden in ("CANARY", "1952", "555-010-0199"):
        assert hidden not in view.text
    assert view.hidden >= 2
    assert view.masked == "masked, not de-identified"


def test_a_report_has_its_history(site: Appliance) -> None:
    """Every version with its status, oldest first; the one that stands is paired."""
    (corrected,) = (row for row in site.reports() if row.status == "corrected")
    versions = site.report(corrected.digest).versions
    assert [(one.status, one.state) for one in versions] == [
        ("preliminary", "unpaired"),
        ("corrected", "paired"),
    ]


def test_a_report_needs_enough_digits(site: Appliance) -> None:
    """A few digits could be another report tomorrow."""
    digest = site.reports()[0].digest
    for prefix in ("", digest[:5], "0" * 64):
        with pytest.raises(UsageError, match="no report"):
            site.report(prefix)


LOOKS: dict[str, Callable[[Appliance], Any]] = {
    "studies": lambda site: site.studies(),
    "study": lambda site: site.study("ACC1"),
    "reports": lambda site: site.reports(),
    "report": lambda site: site.report(Library(site._workspace).reports()[0].digest),
    "pairs": lambda site: site.pairs(),
    "unpaired": lambda site: site.unpaired(),
    "pair": lambda site: site.pair(pair_rows(site._workspace)[0].pair_id[:8]),
    "duplicates": lambda site: site.duplicates(lambda step: None),
    "erasure_plan": lambda site: site.erasure_plan("PAT1"),
}
OF_ONE = {"study", "report", "pair", "erasure_plan"}


@pytest.mark.parametrize("name", LOOKS)
def test_every_look_is_one_entry(site: Appliance, name: str) -> None:
    """It comes with what is shown, says who looks, and at which thing if it is one; twice is two entries."""
    before = site._log.size
    assert LOOKS[name](site) == LOOKS[name](site)
    first, second = site._log.entries(before, 10)
    assert (first.act, first.object, first.actor) == (second.act, second.object, second.actor)
    assert (first.act, first.outcome) == (permissions.RULES[name].act, "allowed")
    assert first.actor.startswith("officer:")
    assert (first.object == "workspace") is (name not in OF_ONE)


def test_every_method_that_shows_patient_data_is_a_look() -> None:
    """A new one under these acts needs a line above."""
    acts = {permissions.RULES[name].act for name in LOOKS}
    assert set(LOOKS) == {name for name, rule in permissions.RULES.items() if rule.act in acts}


def test_what_is_not_there_is_no_look(site: Appliance) -> None:
    """Nothing is shown, so nothing is logged."""
    before = site._log.size
    for look in (lambda: site.study("nobody"), lambda: site.report("0" * 64), lambda: site.pair("0" * 64)):
        with pytest.raises(UsageError):
            look()
    assert site._log.size == before


def test_an_entry_about_a_look_names_nobody(site: Appliance) -> None:
    """Not in the clear; nor can somebody with the disk, and so the log's key, find a number by trying all."""
    before = site._log.size
    for look in LOOKS.values():
        look(site)
    things = {entry.object for entry in site._log.entries(before, 99)}
    assert len(things) == 1 + len(OF_ONE)
    assert things.isdisjoint(site._log.identifier(one) for one in ("1.2.3", "ACC1", "PAT1", "FI1", "PL1"))
