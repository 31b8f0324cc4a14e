"""Studies: counts and reasons, page by page, and no handle of a patient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.errors import NotPermitted
from appliance.views import PairingView, QuarantineRow
from tests.tui.pilot import drive, glass, press
from tests.tui.simulator import Simulator, demo_overview
from tui.app import GradAuditApp

SIZES = ((80, 24), (132, 40))


@pytest.mark.parametrize("size", SIZES)
def test_counts_reasons_and_pairing_are_on_one_screen(size: tuple[int, int]) -> None:
    """What came in, what was set aside and why, what joined the pairs, what is in none; at every size."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5")
        shown = " ".join(glass(app).split())
        for words in (
            "189 studies, 189 reports, 174 pairs",
            "120 by AccessionNumber, 54 by StudyInstanceUID",
            "truncated-pixels 2",
            "archive-encrypted",
            "3 files",
            "no-report 11 0",
            "no-image 0 4",
            "15 images and reports",
            "DEMO",
        ):
            assert words in shown
        assert "truncated-pixels: the pixel data end too early" in shown
        await press(pilot, "tab", "down")
        assert "no-image: no image of the study it names is here" in glass(app)

    drive(steps, size)


def test_files_are_listed_by_handle_and_the_last_of_many_is_a_key_away() -> None:
    """f lists single files; of a hundred thousand only the rows in sight are drawn."""
    many = (QuarantineRow("not-dicom", 100_000, "cannot be parsed", "2026-11-20T13:58:02Z"),)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5", "f", "end")
        assert f"{99_999:08x}" in glass(app)
        await press(pilot, "f")
        assert "100,000" in glass(app)

    drive(steps, backend=Simulator(aside=many))


def test_an_empty_site_says_how_to_begin() -> None:
    """No study: the key that takes them in."""
    view = replace(demo_overview(), studies=0, reports=0, pairs=0, quarantined=0)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5")
        assert "No study yet: press i" in glass(app)
        assert "Nothing was set aside." in glass(app)

    drive(steps, backend=Simulator(view=view, aside=(), paired=PairingView((), ())))


def test_what_a_role_may_not_see_leaves_the_counts() -> None:
    """An auditor reads how much there is, and who may see why files were set aside."""
    refusal = NotPermitted("studies.quarantine is not for the role auditor", "Ask an officer.")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "5")
        assert "189 studies" in glass(app)
        assert "not for the role auditor  hint: Ask an officer." in glass(app)

    drive(steps, backend=Simulator(failing={"quarantine": refusal}))
