"""The watch and the claims by keys over a real workspace: a changed file, its answer, a claim and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from appliance.worker import Worker
from tests.appliance.watched_site import WEIGHTS, Site, flip, in_process
from tests.tui.pilot import drive, glass, press, sees, settle
from tests.tui.test_on_a_site import refused
from tui.app import GradAuditApp
from tui.screens.change import ChangeScreen
from tui.screens.claim import ClaimScreen


async def filled(pilot: Pilot[Any], app: GradAuditApp, **fields: str) -> None:
    """Type into a dialog, then press its act."""
    for name, text in fields.items():
        app.screen.query_one(f"#{name}", Input).value = text
    await settle(pilot)
    app.screen.query_one("#act", Button).press()
    await settle(pilot)


def test_a_changed_model_is_found_answered_and_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """w finds the flipped byte, y answers it, n keeps a claim and x withdraws it; the log has each."""
    in_process(monkeypatch)
    with Worker([], "audit", threads=1) as worker:
        site = Site(tmp_path, worker)
        folder = site.line("lumen", "base")
        flip(folder / "model" / WEIGHTS)

        async def watch(pilot: Pilot[Any], app: GradAuditApp) -> None:
            await press(pilot, "6", "w", "enter")
            await sees(pilot, app, "▲ changed lumen@2 weights; unannounced")
            await press(pilot, "enter", "1")
            await sees(pilot, app, "lumen@2", "press 6")
            await press(pilot, "6")
            await sees(pilot, app, "2 ▲ unanswered")
            await press(pilot, "enter", "enter")
            assert isinstance(app.screen, ChangeScreen)
            await sees(pilot, app, "lumen@2 against lumen", f"weights changed {WEIGHTS}", "not compared:")

        async def answer(pilot: Pilot[Any], app: GradAuditApp) -> None:
            await press(pilot, "6", "enter", "y")
            await filled(pilot, app, reason="The vendor has confirmed the release.")
            await sees(pilot, app, "2 versions", "✓ answered")
            await press(pilot, "u")
            await filled(pilot, app, reason="The vendor has written of a release in spring.", release="3")
            await sees(pilot, app, "A change is announced until")

        async def claim(pilot: Pilot[Any], app: GradAuditApp) -> None:
            await press(pilot, "6", "enter", "n")
            await filled(pilot, app, source="contract, clause 7")
            await sees(pilot, app, ": not tested", "not trained on customer data")
            await press(pilot, "tab", "enter")
            assert isinstance(app.screen, ClaimScreen) and app.screen.view is not None
            await sees(pilot, app, "contract, clause 7", "lumen@2 alone")
            number = app.screen.view.row.claim_id
            await press(pilot, "x")
            await filled(pilot, app, claim=number, reason="The vendor has taken it back.")
            await sees(pilot, app, "withdrawn")
            await press(pilot, "escape")
            assert "– withdrawn" in glass(app)

        for steps in (watch, answer, claim):
            drive(steps, (132, 50), backend=site.appliance, unlock=refused)
        acts = [row.act for row in site.appliance.log_entries(0, 1_000)]
        assert {"model.watch", "model.changed", "model.answer", "model.announce"} <= set(acts)
        assert {"claim.add", "claim.withdraw"} <= set(acts)
        site.appliance.close()
