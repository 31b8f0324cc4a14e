"""A site with made-up pairs and no model: designs take a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from appliance.api import Appliance
from appliance.designs.making import DesignRequest
from appliance.frames import FRAME, packed
from appliance.sealed import REPORT_TEXT
from appliance.views import Progress
from appliance.workspace.rows import StoredInstance, StoredPair, StoredReport
from appliance.workspace.workspace import Workspace

PASSPHRASE = "four random words"
REQUEST = DesignRequest("spring", "all", 8, "0.5")
PATIENTS = 60


def create(folder: Path, patients: int = PATIENTS, same_picture: Sequence[int] = ()) -> Path:
    """A workspace with one pair per patient, and a second one for the first patient; returns its root.

    Args:
        same_picture: numbers of patients who share the picture of patient 0.
    """
    root = folder / "workspace"
    with Appliance(Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)) as opened:
        _fill(opened._workspace, patients, same_picture)
    return root


def unlocked(root: Path) -> Appliance:
    """The workspace, open."""
    return Appliance(Workspace.open(root, PASSPHRASE))


def silent(step: Progress) -> None:
    """Nobody watches."""


def _fill(workspace: Workspace, patients: int, same_picture: Sequence[int]) -> None:
    instances, reports, pairs = [], [], []
    for number in range(patients + 1):
        who = number if number < patients else 0
        rng = np.random.default_rng(0 if number in same_picture else number)
        image = np.repeat(rng.integers(0, 256, (8, 8, 1), dtype=np.uint8).repeat(8, 0).repeat(8, 1), 3, 2)
        handles = {"StudyInstanceUID": f"1.2.{number}", "StudyDate": f"2024{1 + number % 9:02}11"}
        shared = {
            "AccessionNumber": f"ACC{number:07}",
            "PatientID": f"MRN{who:07}",
            "IssuerOfPatientID": "SITE",
            "Modality": "DX",
        }
        frame = workspace.vault.put(FRAME, packed(image))
        text = workspace.vault.put(REPORT_TEXT, f"Finding number {number} of nobody".encode())
        instances.append(
            StoredInstance(
                content_digest=f"{number:064x}", SeriesInstanceUID="", SOPInstanceUID=f"1.2.{number}.1",
                BodyPartExamined="CHEST", TransferSyntaxUID="", attributes={}, height=64, width=64,
                frame_object=frame, frame_rule="only frame", **shared, **handles,
            )
        )  # fmt: skip
        report = f"{number + 1000:064x}"
        reports.append(StoredReport(report, "plain", status="final", text_object=text, **shared, **handles))
        pairs.append(
            StoredPair(
                pair_id=f"{number + 2000:064x}", patient=f"P-{who:08x}", BodyPartExamined="CHEST",
                image_digest=instances[-1].content_digest, report_digest=report, Modality="DX",
                rule="study", frame_rule="only frame", **handles,
            )
        )  # fmt: skip
    workspace.catalogue.add_records(instances, reports)
    workspace.catalogue.settle_pairs(pairs)
