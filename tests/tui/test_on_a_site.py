"""The screens that only look, over a real workspace: they open, and nothing of a patient is on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from appliance.api import Appliance
from appliance.errors import Locked
from tests.appliance import ward
from tests.tui.pilot import drive, glass, press
from tui.app import GradAuditApp
from tui.screens.compare import ComparisonScreen
from tui.screens.studies import StudiesScreen

CANARY = "CANARY"
OTHER_AUDIT = "A-00000000000c"


def refused(passphrase: str) -> Appliance:
    """Nobody unlocks in this test."""
    raise Locked("locked", "")


def test_the_screens_over_a_workspace(tmp_path: Path) -> None:
    """Studies, models, evidence and a comparison show what the appliance says, and nothing of a patient."""
    root = ward.build(tmp_path / "workspace", lambda text: f"{CANARY}{text}")
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        ward.audited(site._workspace, site._cohort(ward.COHORT), OTHER_AUDIT, "done")
        assert CANARY in repr(site.pairs()), "the control: the site has a patient to show"
        before = site.log_count()

        async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
            await press(pilot, "5", "f", "tab")
            seen = glass(app)
            assert f"{sum(pairs for _, pairs in site.pairing().rules)} pairs" in seen
            assert isinstance(app.screen, StudiesScreen)
            assert app.screen.pairing == site.pairing()
            assert CANARY not in repr((app.screen.pairing, app.screen.aside))
            await press(pilot, "6")
            seen += glass(app)
            await press(pilot, "8")
            seen += glass(app)
            assert "No pack of this audit yet" in seen
            await press(pilot, "c", "enter", "end", "enter")
            assert isinstance(app.screen, ComparisonScreen)
            seen += glass(app)
            assert "= same" in seen
            assert CANARY not in seen

        drive(steps, (132, 40), backend=site, unlock=refused)
        acts = {row.act for row in site._log.rows(before, site.log_count())}
        assert acts <= {"workspace.lock"}, "looking at counts writes nothing; a look at a patient would"


def test_a_refused_role_reads_the_rest(tmp_path: Path) -> None:
    """An auditor's key opens evidence and comparison; studies say how many, and who may see why."""
    root = ward.build(tmp_path / "workspace")
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        site.add_user("eve", "auditor", "the words of eve")
    with Appliance.unlock(root, "the words of eve", "eve") as auditor:

        async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
            await press(pilot, "5")
            assert "is not for the role auditor" in glass(app)
            assert "studies" in glass(app)
            await press(pilot, "8")
            assert ward.MODEL in glass(app)
            assert "not for the role" not in glass(app)

        drive(steps, backend=auditor, unlock=refused)
