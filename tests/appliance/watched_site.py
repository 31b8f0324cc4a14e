"""A site whose vendors' models change: one workspace, small real checkpoints, one worker for all trials."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance import enrolment
from appliance.api import Appliance
from appliance.registry import ModelRecord
from appliance.shown import model_record
from appliance.views import Progress
from appliance.watch import versions
from appliance.watch.views import WatchedModel
from appliance.worker import Worker
from appliance.workspace.workspace import Workspace
from audit_core.estimates import Trial
from tests.appliance.sealed_by_hand import Reader
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.two_tower_models import write_lora

PASSPHRASE = "four random words"
WEIGHTS = "model.safetensors"


class Site:
    """An open workspace and folders of vendors.

    Attributes:
        appliance: waits for nothing between two looks.
        shelf: a model, its base and an adapter, never changed: `copied` gives a test its own.
    """

    def __init__(self, folder: Path, worker: Worker) -> None:
        self.root, self.shelf, self.folder = folder / "workspace", folder / "shelf", folder
        self.worker = worker
        tiny.write_llava(self.shelf / "model")
        tiny.write_llava(self.shelf / "base", seed=1)
        write_lora(self.shelf / "adapter", self.shelf / "model")
        workspace = Workspace.create(self.root, PASSPHRASE, "Test", unsafe_fast_kdf=True)
        self.appliance = Appliance(workspace)
        self.appliance._quiet_s = 0.0

    def copied(self, name: str) -> Path:
        """What the vendor of one line has delivered: `model`, `base` and `adapter`."""
        return shutil.copytree(self.shelf, self.folder / name)

    def line(self, name: str, *parts: str) -> Path:
        """A registered line of a test's own; returns its folders."""
        folder = self.copied(name)
        given: dict[str, Any] = {part: folder / part for part in parts}
        self.appliance.add_model(name, folder / "model", worker=self.worker, **given)
        return folder

    def look(self, name: str, step: Callable[[Progress], None] = lambda _: None) -> WatchedModel:
        """What a look at one line comes to."""
        (row,) = self.appliance.watch_models([name], step, self.worker)
        return row

    def records(self, line: str) -> tuple[ModelRecord, ...]:
        """The versions of a line as they are stored."""
        rows = versions.by_line(self.appliance._workspace.catalogue.models())[line]
        return tuple(map(model_record, rows))

    def acts(self, name: str) -> list[str]:
        """Outcomes of the log's entries of one act, oldest first."""
        return [row.outcome for row in self.appliance.log_entries(0, 1_000_000) if row.act == name]


_TRIED: list[Trial] = []


def in_process(monkeypatch: Any, *, trial: bool = False) -> None:
    """Read weight files here, and not in a boxed process of their own: other tests look at that one.

    Args:
        monkeypatch: of one test.
        trial: open every model as an audit would; else only the first, and believe the others.
    """
    monkeypatch.setattr(enrolment, "Worker", Reader)
    tried = enrolment._tried

    def believed(*given: Any) -> Trial:
        if not _TRIED:
            _TRIED.append(tried(*given))
        return _TRIED[0]

    if not trial:
        monkeypatch.setattr(enrolment, "_tried", believed)


def flip(file: Path, at: int = -4) -> None:
    """Change one byte: by default the lowest of the last number."""
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def edit(file: Path, **settings: Any) -> None:
    """Change settings of a json file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
