"""The result's screen lists what the audit could not do, at every width."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.views import Limit, VerdictWord
from tests.tui.pilot import drive, glass, press, until
from tests.tui.simulator import Simulator, audit_view, demo_overview
from tui.app import GradAuditApp

LIMITS = (
    Limit("This audit cannot end in PASS.", "Nobody named members.", "Run it with a spike-in."),
    Limit("[bold]No base.", "", "Ask for the weights."),
)


@pytest.mark.parametrize("size", [(60, 60), (120, 60)])
def test_every_limit_is_on_the_screen(size: tuple[int, int]) -> None:
    """What, why and what would help; foreign markup is made inert."""
    view = audit_view("a-0009", "clear-vlm", VerdictWord.INCONCLUSIVE)
    view = replace(view, result=replace(view.result, limits=LIMITS))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "3")
        await until(pilot, lambda: "clear-vlm" in glass(app))
        await press(pilot, "end")
        seen = glass(app)
        for _ in range(12):
            if "What this audit could not do" in seen:
                break
            await press(pilot, "pageup")
            seen = glass(app) + seen
        for words in ("cannot end in PASS", "why: Nobody named", "what would help: Run it", "(bold)No base."):
            assert words in seen

    drive(steps, size, backend=Simulator(view=demo_overview(), audits_={"a-0009": view}))
