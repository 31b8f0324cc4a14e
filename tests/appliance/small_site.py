"""A site with a tiny model and two hundred made-up pairs, built without ingesting: audits take seconds.

One is made a process, since trying a model out imports the libraries; everybody gets a copy of it.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from appliance import policy_file
from appliance.api import Appliance
from appliance.cohorts import CohortRequest
from appliance.frames import FRAME, packed
from appliance.sealed import REPORT_TEXT
from appliance.workspace.rows import StoredInstance, StoredPair, StoredReport
from appliance.workspace.workspace import Workspace
from tests.audit_core import engine_models as tiny

PASSPHRASE = "four random words"
ROLES = {"member": ("CR", 40), "control": ("DX", 90), "target": ("CT", 70)}


def build(folder: Path) -> Path:
    """A workspace with the model `tiny`, its base, and the cohort `spring`; returns its root.

    It is a copy: the folders that the models were registered from are elsewhere, `make` has them in place.
    """
    shutil.copytree(_made().name, folder, dirs_exist_ok=True)
    return folder / "workspace"


@cache
def _made() -> tempfile.TemporaryDirectory[str]:
    """What is copied; it goes with the process."""
    made = tempfile.TemporaryDirectory(prefix="small-site-")
    make(Path(made.name))
    return made


def make(folder: Path) -> Path:
    """As `build`, with the vendor's folders `model` and `base` beside it."""
    root = folder / "workspace"
    workspace = Workspace.create(root, PASSPHRASE, "Test", unsafe_fast_kdf=True)
    model = tiny.write_llava(folder / "model", seed=0)
    base = tiny.write_llava(folder / "base", seed=1)
    with Appliance(workspace) as appliance:
        _fill(workspace)
        appliance.add_model("tiny", model, base=base)
        chosen = {role: f"Modality={modality}" for role, (modality, _) in ROLES.items()}
        appliance.create_cohort(CohortRequest("spring", chosen, "random", "L1", 0.45, 0))
    return root


def _fill(workspace: Workspace) -> None:
    """Frames and texts into the vault, rows into the catalogue."""
    instances, reports, pairs = [], [], []
    for number, modality in enumerate(m for m, count in ROLES.values() for _ in range(count)):
        handles = {"StudyInstanceUID": f"2.25.{number}", "StudyDate": "20240102", "Modality": modality}
        sample = tiny.sample(number, size=(32, 32))
        frame = workspace.vault.put(FRAME, packed(sample.image))
        text = workspace.vault.put(REPORT_TEXT, f"{sample.text} {number}".encode())
        shared = {"AccessionNumber": f"A{number}", "PatientID": f"P{number}", "IssuerOfPatientID": ""}
        instances.append(
            StoredInstance(
                content_digest=f"{number:064x}", SeriesInstanceUID="", SOPInstanceUID=f"2.25.{number}.1",
                BodyPartExamined="CHEST", TransferSyntaxUID="", attributes={}, height=32, width=32,
                frame_object=frame, frame_rule="only frame", **shared, **handles,
            )
        )  # fmt: skip
        report = f"{number + 1000:064x}"
        reports.append(
            StoredReport(report, "plain text", status="final", text_object=text, **shared, **handles)
        )
        pairs.append(
            StoredPair(
                pair_id=f"{number + 2000:064x}", patient=f"P-{number:08x}", BodyPartExamined="CHEST",
                image_digest=instances[-1].content_digest, report_digest=report,
                rule="study", frame_rule="only frame", **handles,
            )
        )  # fmt: skip
    workspace.catalogue.add_records(instances, reports)
    workspace.catalogue.settle_pairs(pairs)


def quick_policy(folder: Path, of: str = "demo") -> str:
    """A shipped policy with few repetitions: for tests of equality, not of statistics."""
    text = (policy_file.FOLDER / f"{of}.toml").read_text().replace(f'name = "{of}"', 'name = "quick"')
    for key, value in {"bootstrap": 100, "simulations": 50, "permutations": 5}.items():
        lines = [f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.splitlines()]
        text = "\n".join(lines) + "\n"
    file = folder / "quick.toml"
    file.write_text(text)
    return str(file)
