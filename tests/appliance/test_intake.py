"""Ingest with a real worker: what counts as known, and which pairs stand when a report is replaced."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from appliance import limits
from appliance.api import Appliance
from appliance.cohorts import pair_rows
from appliance.intake import Intake
from appliance.readers import listing, parser
from appliance.views import IngestView
from appliance.workspace.workspace import Workspace
from tests.medio.objects import image

MESSAGE = (
    "MSH|^~\\&|RIS|SITE|||{time}||ORU^R01|{status}1|P|2.4\r"
    "PID|||PAT1||Made^Up\r"
    "OBR|1||ACC1|X^CHEST^L|||20240102|||||||||||||||{time}|||{status}\r"
    "OBX|1|TX|X^Findings^L||{text}||||||{status}\r"
)
PRELIMINARY = MESSAGE.format(time="202401021200", status="P", text="A shadow on the left.")
CORRECTED = MESSAGE.format(time="202401031200", status="C", text="A shadow on the right.")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Appliance]:
    workspace = Workspace.create(tmp_path / "workspace", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as appliance:
        yield appliance


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """One image and its preliminary report."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    image(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save_as(folder / "image.dcm")
    (folder / "preliminary.hl7").write_bytes(PRELIMINARY.encode())
    return folder


def ingested(site: Appliance, folder: Path) -> IngestView:
    """Ingest without narration."""
    return site.ingest([folder], lambda step: None)


def test_the_same_content_twice_in_one_ingest_counts_once(site: Appliance, inbox: Path) -> None:
    """A copy inside an archive, and a message that also stands in a batch of messages, are duplicates."""
    with zipfile.ZipFile(inbox / "again.zip", "w") as archive:
        archive.write(inbox / "image.dcm", "image.dcm")
    (inbox / "two.hl7").write_bytes((PRELIMINARY + CORRECTED).encode())
    view = ingested(site, inbox)
    assert (view.files, view.images, view.reports, view.duplicates) == (4, 1, 2, 1)


def test_a_copy_looked_at_early_counts_once(
    site: Appliance, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be read before its original is stored, and its turn may come some batches later."""
    monkeypatch.setattr(limits, "BATCH_FILES", 1)
    (inbox / "z.dcm").write_bytes((inbox / "image.dcm").read_bytes())
    files = listing([inbox])
    intake = Intake(site._workspace, lambda: parser([inbox]), lambda step: None, workers=1)
    for reader in intake._readers._readers:
        reader._wanted = lambda digest: True
    with site._workspace.writing():
        view = intake.run(files)
    assert (view.files, view.images, view.duplicates) == (3, 1, 1)


def test_a_corrected_report_takes_the_place_of_the_preliminary_one(site: Appliance, inbox: Path) -> None:
    """The image stands in one pair at any time; the pair it was in before stays for frozen cohorts."""
    assert ingested(site, inbox).pairs == 1
    (before,) = pair_rows(site._workspace)
    (inbox / "corrected.hl7").write_bytes(CORRECTED.encode())
    assert ingested(site, inbox).pairs == 1
    (after,) = pair_rows(site._workspace)
    assert after.pair_id != before.pair_id
    assert site.overview().pairs == 1
    kept = {pair.pair_id: pair.standing for pair in site._workspace.catalogue.pairs()}
    assert kept == {before.pair_id: False, after.pair_id: True}


def test_a_file_fetched_again_leaves_the_quarantine(site: Appliance, inbox: Path) -> None:
    """One that was empty, and one that was cut, come whole; a third one stays as it is."""
    whole = (inbox / "image.dcm").read_bytes()
    for name, data in (("empty.hl7", b""), ("image.dcm", whole[:-100]), ("noise", b"\0\1nothing")):
        (inbox / name).write_bytes(data)
    ingested(site, inbox)
    assert sorted(row.reason for row in site.quarantine()) == ["empty-file", "truncated", "unknown-format"]
    (inbox / "empty.hl7").write_bytes(CORRECTED.encode())
    (inbox / "image.dcm").write_bytes(whole)
    ingested(site, inbox)
    assert [row.reason for row in site.quarantine()] == ["unknown-format"]


def test_a_link_and_a_file_that_cannot_be_opened_are_set_aside(site: Appliance, inbox: Path) -> None:
    """A link to a known image is no duplicate of it: links are not followed, and nothing else is lost."""
    (inbox / "link.dcm").symlink_to(inbox / "image.dcm")
    (inbox / "vanished.dcm").symlink_to(inbox / "nowhere.dcm")
    view = ingested(site, inbox)
    assert (view.images, view.reports, view.duplicates) == (1, 1, 0)
    assert view.quarantined == (("link", 2),)
