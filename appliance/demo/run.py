"""The demonstration: the whole main job on shipped studies and models, checked against a truth list.

The truth list is read after the audits and only to say whether their answers are right.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from appliance import egress
from appliance.api import Appliance
from appliance.cohort_request import CohortRequest
from appliance.errors import ApplianceError
from appliance.views import AuditView, Progress
from appliance.words.table import tell
from appliance.worker import Worker

ASSETS = Path(__file__).resolve().parent / "assets"
PASSPHRASE = (
    "this is only a demonstration"  # CC0 and synthetic content; printed so that the screens can be opened
)
POLICY = "demo"
VERIFIER = Path(__file__).resolve().parent.parent / "evidence" / "verify_evidence.py"


@dataclass(slots=True)
class DemoModel:
    """One shipped model's answer."""

    name: str
    verdict: str
    truth_ok: bool
    pack: str
    pack_verified: bool


@dataclass(slots=True)
class DemoOutcome:
    """What the demonstration found."""

    workspace: Path
    models: list[DemoModel] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    egress_attempts: int = 0

    @property
    def as_expected(self) -> bool:
        """Every verdict right, every pack verified, nobody tried to leave."""
        right = all(model.truth_ok and model.pack_verified for model in self.models)
        return right and bool(self.models) and self.egress_attempts == 0

    def plain(self) -> dict[str, Any]:
        """The object `demo --json` prints."""
        return {
            "models": [
                {
                    "name": model.name,
                    "verdict": model.verdict,
                    "truth_ok": model.truth_ok,
                    "pack": model.pack,
                    "pack_verified": model.pack_verified,
                }
                for model in self.models
            ],
            "seconds": {phase: round(seconds, 2) for phase, seconds in self.seconds.items()},
            "egress_attempts": self.egress_attempts,
            "workspace": str(self.workspace),
        }

    def text(self) -> str:
        """The same for a reader."""
        lines = ["DEMO — small sample of public teaching cases, made-up names", ""]
        for model in self.models:
            truth = "as planted" if model.truth_ok else "NOT what was planted"
            proof = "verified" if model.pack_verified else "NOT VERIFIED"
            lines.append(f"{model.name:12} {model.verdict:13} ({truth}); evidence {model.pack} {proof}")
        lines += [
            "",
            f"took {self.seconds['total']:.0f} s; attempts to reach a network: {self.egress_attempts}",
        ]
        lines.append(tell("demo.auditor"))
        lines.append(f'screens: gradaudit --workspace "{self.workspace}"   (passphrase: {PASSPHRASE})')
        return "\n".join(lines)


def run_demo(keep: Path | None, step: Callable[[Progress], None], say: Callable[[str], None]) -> DemoOutcome:
    """Ingest, register, freeze, audit every shipped model, pack and verify.

    Args:
        keep: folder for workspace and packs; a folder in the user's data directory when None. An earlier
            demonstration there is replaced.
    """
    folder = _empty_folder(keep)
    outcome = DemoOutcome(workspace=folder / "workspace")
    plan = json.loads((ASSETS / "plan.json").read_text(encoding="utf-8"))
    began = time.monotonic()
    # The auditor imports its libraries while the workspace is being made and studies are being read.
    with Worker(read=[ASSETS / "models"], preload="audit") as auditor:
        with _timed(outcome, "workspace"):
            appliance = Appliance.create(outcome.workspace, PASSPHRASE, site=plan["site"], demo=True)
        with appliance:
            with _timed(outcome, "ingest"):
                view = appliance.ingest([ASSETS / "studies"], step)
            say(f"{view.images} images and {view.reports} reports, {view.pairs} pairs")
            for wanted in plan["models"]:
                with _timed(outcome, f"audit {wanted['name']}"):
                    audited = _audit(appliance, auditor, wanted, step)
                with _timed(outcome, f"evidence {wanted['name']}"):
                    pack = appliance.export_pack(
                        audited.row.audit_id, folder / f"evidence-{wanted['name']}.zip"
                    )
                    outcome.models.append(_answer(audited, pack))
    outcome.seconds["total"] = time.monotonic() - began
    outcome.egress_attempts = len(egress.attempts())
    return outcome


def _audit(
    appliance: Appliance, auditor: Worker, wanted: Mapping[str, Any], step: Callable[[Progress], None]
) -> AuditView:
    """Register one model, freeze its cohort, audit it."""
    models = ASSETS / "models"
    appliance.add_model(
        wanted["name"],
        models / wanted["name"],
        base=models / wanted["base"] if wanted["base"] else None,
        vendor=wanted["vendor"],
        released=wanted["released"],
        worker=auditor,
    )
    cohort = wanted["cohort"]
    request = CohortRequest(
        name=cohort["name"],
        selections={role: _selection(text) for role, text in cohort["selections"].items()},
        design="random",
        references=cohort["references"],
        fitting_share=cohort["fitting_share"],
        seed=0,
    )
    appliance.create_cohort(request)
    return appliance.run_audit(wanted["name"], request.name, POLICY, step, worker=auditor)


def _selection(text: str) -> str:
    """A list of accession numbers beside the studies, or a query as it stands."""
    return str(ASSETS / text) if text.endswith(".csv") else text


def _answer(view: AuditView, pack: Path) -> DemoModel:
    """Compare with what was planted, and let the stand-alone verifier read the pack."""
    truth = json.loads((ASSETS / "truth.json").read_text(encoding="utf-8"))["models"][view.row.model]
    word = str(view.verdict.word)
    right = word == truth["must_be"] if "must_be" in truth else word != truth["must_not_be"]
    checked = subprocess.run(
        [sys.executable, "-I", "-S", str(VERIFIER), str(pack)], capture_output=True, timeout=60, check=False
    )
    return DemoModel(view.row.model, word, right, str(pack), checked.returncode == 0)


@contextmanager
def _timed(outcome: DemoOutcome, phase: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    outcome.seconds[phase] = time.monotonic() - began


def _usual_folder() -> Path:
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "gradaudit-demo"


def _empty_folder(keep: Path | None) -> Path:
    folder = (keep or _usual_folder()).absolute()
    marker = folder / "THIS-IS-A-DEMONSTRATION"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise ApplianceError(f"{folder} holds something else", "choose an empty folder with --keep")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    marker.touch()
    return folder
