"""Canaries in every attribute of images and reports: none leaves the vault unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.datadict import DicomDictionary, keyword_for_tag
from pydicom.dataset import FileDataset

from appliance.api import Appliance
from appliance.auditing import sample_frames
from appliance.cohorts import CohortRequest
from appliance.pack.gathering import described
from appliance.registry import ModelRecord
from appliance.views import IngestView, plain
from appliance.workspace.workspace import Workspace
from medio.projection import ALLOWED
from tests.medio.objects import image, oru, part10

CANARY = "CANARYQ"
PATIENTS = 12
_LISTED = ALLOWED - {"Modality"}  # may leave; a modality only when it is one
_OTHER_GROUPS = (0x0000, 0x0002, 0x0004, 0x0028, 0x7FE0)


def _full_of_canaries(number: int) -> FileDataset:
    """An image with a canary in every text attribute off the list; handles join it to a report."""
    pixels = np.random.default_rng(number).integers(0, 4000, (64, 64), dtype=np.uint16)
    ds = image(pixels)
    for tag, (vr, multiplicity, *_) in DicomDictionary.items():
        keyword = keyword_for_tag(tag)
        if tag >> 16 in _OTHER_GROUPS or vr not in ("LO", "SH", "PN", "ST", "LT", "CS") or not keyword:
            continue
        if keyword not in _LISTED and keyword != "SpecificCharacterSet" and multiplicity.startswith("1"):
            setattr(ds, keyword, f"{CANARY}{number:03d}")
    ds.StudyInstanceUID, ds.SOPInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
    ds.StudyDate, ds.AccessionNumber = "20240102", f"{CANARY}A{number}"
    ds.private_block(0x0019, CANARY, create=True).add_new(1, "LO", CANARY)
    return ds


@pytest.fixture(scope="module")
def taken_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Appliance, IngestView, Path]]:
    """A workspace with a frozen cohort of twelve patients whose data are canaries."""
    root = tmp_path_factory.mktemp("projection")
    (root / "inbox").mkdir()
    for number in range(PATIENTS):
        (root / "inbox" / f"{CANARY}{number}.dcm").write_bytes(part10(_full_of_canaries(number)))
        text = f"Report {number} of {CANARY}: " + " ".join(f"word{number}{letter}" for letter in "abcdefgh")
        message = oru(f"OBR|1||{CANARY}A{number}|X^CT^L|||20240102", f"OBX|1|TX|X^Findings^L||{text}||||||F")
        patient = f"PID|1||{CANARY}{number:03d}^^^{CANARY}{number:03d}^MR||{CANARY}^ADA"
        (root / "inbox" / f"{number}.hl7").write_bytes(
            message.replace(b"PID|1||PAT1^^^SITE^MR||DOE^JANE", patient.encode())
        )
    workspace = Workspace.create(root / "workspace", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as appliance:
        view = appliance.ingest([root / "inbox"], lambda step: None)
        yield appliance, view, root


def test_pack_log_views_and_covariates_hold_no_canary(taken_in: tuple[Appliance, IngestView, Path]) -> None:
    """Everything that goes to a pack, a log, a view or the model's process but the text itself is clean."""
    site, view, root = taken_in
    assert view.pairs == PATIENTS
    rows = site.pairs()
    assert CANARY in str(rows)  # the officer's own list shows handles: the search below can fail
    lists = {"targets": rows[:4], "controls": rows[4:]}
    for name, some in lists.items():
        (root / name).write_text("\n".join(row.accession for row in some))
    request = CohortRequest(
        name="all",
        selections={
            "member": "",
            "control": str(root / "controls"),
            "target": str(root / "targets"),
            "bank": "",
            "post_release": "",
        },
        design="convenience",
        references="L5",
        fitting_share=0.4,
        seed=0,
    )
    site.create_cohort(request)
    workspace = site._workspace
    document = site._cohort("all")
    model = ModelRecord("m", "", "f", "", "", {}, "", {}, 0, "", "")
    going_out = {
        "pack": json.dumps(described(workspace, model, document, 0)),
        "cohort": json.dumps([plain(one) for one in site.cohorts()]),
        "ingest": json.dumps(plain(view)),
        "overview": json.dumps(plain(site.overview())),
        "log": str(site.log_entries(0, 1000)),
        "covariates": json.dumps(
            [message["covariates"] for message, _ in sample_frames(workspace, document)]
        ),
    }
    assert {} == {place: text for place, text in going_out.items() if CANARY in text}
    for file in (root / "workspace" / "log").rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes()
    assert '"other": 12' in going_out["pack"]  # a modality that is none is not repeated
