"""A hospital's own studies and model brought in by keys alone, over a real workspace, up to the schedule."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
from textual.pilot import Pilot
from textual.widgets import Button

from appliance.api import Appliance
from appliance.workspace.workspace import Workspace
from tests.audit_core import engine_models as tiny
from tests.medio.objects import image, part10
from tests.tui.pilot import drive, glass, press, settle
from tui.app import GradAuditApp

PATIENCE_S = 180.0  # a model is opened in a process of its own


async def act(pilot: Pilot[Any], app: GradAuditApp) -> str:
    """Press the dialog's act and read what came of it."""
    app.screen.query_one("#act", Button).press()
    await pilot.pause()
    end = monotonic() + PATIENCE_S
    while app.labour.busy:
        assert monotonic() < end, f"still {app.labour.summary}"
        await pilot.pause(0.02)
    await settle(pilot)
    return " ".join(glass(app).replace("│", "").split())


def test_from_an_empty_workspace_to_a_model_and_a_cohort_that_says_what_it_lacks(tmp_path: Path) -> None:
    """Five windows, no line of code: what the screens ask is what the appliance takes."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "a.dcm").write_bytes(part10(image(np.arange(4096, dtype=np.int16).reshape(64, 64))))
    (inbox / "b.bin").write_bytes(b"\x00\x01nothing")
    tiny.write_llava(tmp_path / "tiny", seed=0)
    workspace = Workspace.create(tmp_path / "site", "four random words", "Test", unsafe_fast_kdf=True)
    with Appliance(workspace) as site:

        async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
            await press(pilot, "5")
            assert "No study yet: press i" in glass(app)
            await press(pilot, "i", *str(inbox))
            told = await act(pilot, app)
            assert "2 files: 1 × image; 0 report texts" in told and "1 set aside" in told
            assert site.studies() == ()
            assert "taken in: 1 images, 0 reports" in await act(pilot, app)
            await press(pilot, "escape")
            assert "1 studies, 0 reports, 0 pairs" in glass(app)
            await press(pilot, "n", *"spring", "enter", *"all")
            assert "there is no pair to choose from" in await act(pilot, app)
            await press(pilot, "escape", "6", "n", *str(tmp_path / "tiny"))
            assert "registered tiny: image-text-to-text" in await act(pilot, app)
            await press(pilot, "escape")
            assert [view.name for view in site.models()] == ["tiny"]
            await press(pilot, "0", "u")
            assert "nothing is due" in glass(app)
            await press(pilot, "n")
            assert "no cohort is frozen" in glass(app)

        drive(steps, size=(120, 40), backend=site)
