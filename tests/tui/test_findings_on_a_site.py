"""The officer's look at a finding over a real workspace: what is shown, what is logged, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Button, Input

from appliance.api import Appliance
from tests.appliance import ward
from tests.tui.pilot import drive, glass, press, settle, until
from tui.app import GradAuditApp
from tui.screens.finding import FindingScreen
from tui.screens.finding_dialogs import RevealDialog, SiftDialog
from tui.screens.findings import FindingsScreen

CANARY = "CANARY"
REASON = "an access request of 3 May"
SIZE = (100, 70)


def of_whom(site: Appliance, number: str) -> str:
    """Pseudonym of a patient."""
    return site.erasure_plan(number).patient


async def revealed(pilot: Pilot[Any], app: GradAuditApp, patient: str) -> None:
    """List, find the patient by pseudonym, open, and reveal."""
    await press(pilot, "4", "f")
    await until(pilot, lambda: isinstance(app.screen, SiftDialog))
    app.screen.query_one("#pseudonym", Input).value = patient
    app.screen.query_one("#act", Button).press()
    await settle(pilot)
    await until(pilot, lambda: isinstance(app.screen, FindingsScreen) and app.screen.total in (2, 4))
    await press(pilot, "enter")
    await until(pilot, lambda: "Name, image and text are hidden" in glass(app))
    assert isinstance(app.screen, FindingScreen)
    assert CANARY not in glass(app)
    assert "issued by" not in glass(app)
    await press(pilot, "v")
    await until(pilot, lambda: isinstance(app.screen, RevealDialog))
    app.screen.query_one("#reason", Input).value = REASON
    app.screen.query_one("#act", Button).press()
    await settle(pilot)


def test_from_the_list_to_the_patient_and_back(tmp_path: Path) -> None:
    """The id, the image and the masked text come after the entry; the log has neither reason nor patient."""
    root = ward.build(tmp_path / "workspace", lambda text: f"{CANARY}{text}")
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        patient, before = of_whom(site, ward.ERASED_ONE), site.log_count()

        async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
            await revealed(pilot, app, patient)
            await until(pilot, lambda: "  issued by WARD" in glass(app))
            shown = glass(app)
            for told in ("8 x 8 pixels", "masked"):
                assert told in shown
            await press(pilot, "h")
            await until(pilot, lambda: CANARY not in glass(app))
            assert "issued by" not in glass(app)

        drive(steps, SIZE, backend=site)
    with Appliance.unlock(root, ward.PASSPHRASE) as site:
        rows = site._log.rows(before, site.log_count())
        acts = [(row.act, row.outcome) for row in rows]
        assert acts.count(("findings.open", "allowed")) == 1
        assert acts.count(("findings.list", "allowed")) == 1
        assert acts.count(("findings.reveal", "allowed")) == 1
        written = b"".join(path.read_bytes() for path in (root / "log").rglob("*") if path.is_file())
        for secret in (REASON, CANARY, patient):
            assert secret.encode() not in written
        assert [one.reason for one in site.reveals()] == [REASON]
