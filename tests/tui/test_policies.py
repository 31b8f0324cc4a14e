"""Policies: versions with their state; text, difference, dry run of one; proposing, approving, rejecting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from appliance import policy_file
from appliance.errors import CannotWrite
from tests.appliance import members_site
from tests.tui.pilot import drive, glass, press, sees
from tests.tui.policy_simulator import SECOND, TWO
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.screens.policies import PoliciesScreen
from tui.screens.policy_dialogs import ApproveDialog, ProposeDialog, RejectDialog

SIZES = ((80, 24), (132, 40))


def words(app: GradAuditApp) -> str:
    """The glass without the layout's blanks."""
    return " ".join(glass(app).split())


async def fill(pilot: Pilot[Any], app: GradAuditApp, **typed: str) -> None:
    """Type into the fields of a dialog."""
    for name, value in typed.items():
        field = app.screen.query_one(f"#{name}", Input)
        field.focus()
        await pilot.pause(0)
        field.value = value
    await pilot.pause(0)


@pytest.mark.parametrize("size", SIZES)
def test_versions_with_their_state_and_the_text_of_what_waits(size: tuple[int, int]) -> None:
    """State as sign and word; the cursor starts on the proposal, whose text and deeds stand below."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7")
        shown = words(app)
        assert "– replaced default 1 as shipped" in shown
        assert "✓ in force default 2 2026-11-02 00:00 b.meyer, c.weiss" in shown
        assert "▸ ▲ proposed default 3" in shown
        assert "proposed 2026-11-19 16:40 UTC by a.operator: as the board asked" in shown
        assert "[decision]" in glass(app), "the text stands as it is"
        await press(pilot, "up")
        assert "approved 2026-11-20 08:12 UTC by b.meyer and c.weiss, from 2026-11-02 00:00" in words(app)
        await press(pilot, "end")
        assert "nobody of this site has approved it" in words(app)

    drive(steps, size)


@pytest.mark.parametrize("size", SIZES)
def test_what_it_changes_key_by_key(size: tuple[int, int]) -> None:
    """d: change as sign and word, old, new, stricter or looser; what the key decides in plain words."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "d")
        shown = words(app)
        assert "What it changes" in shown and "default@2 to default@3" in shown
        assert "* changed decision.must_detect 0.25 0.2 stricter" in shown
        assert "* changed decision.alpha_review 0.05 0.02 looser" in shown
        assert "- removed isolation.required seccomp, la" in shown
        await press(pilot, "end")
        assert "from seccomp, landlock to seccomp" in words(app)
        assert "layers without which no audit starts" in words(app)
        await press(pilot, "v")
        assert "[decision]" in glass(app)

    drive(steps, size, backend=backend)
    assert "diff_policies default@3 " in backend.calls


def test_any_two_versions_can_be_compared() -> None:
    """m marks the first; without a mark what is in force has nothing to be compared with, and says so."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "up", "d")
        assert "✗ nothing else is in force as default hint:" in words(app)
        await press(pilot, "m")
        assert "in force marked default 2" in words(app)
        await press(pilot, "up", "d")
        assert "diff_policies default@2 default@1" in backend.calls
        assert "* changed decision.q 0.05 0.1 stricter" in words(app)

    drive(steps, backend=backend)


@pytest.mark.parametrize("size", SIZES)
def test_what_past_audits_would_have_ended_in(size: tuple[int, int]) -> None:
    """t: then and now as sign and word; what cannot be told needs a new run, and says which key."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "t")
        shown = words(app)
        assert "same 1, other verdict 1, needs a new run 1, would not begin 1" in shown
        assert "▸ ✗ FAIL ✗ FAIL lumen-vlm 2026-11-20" in shown
        assert "* ? INCONCLUSIVE ✓ PASS clear-vlm" in shown
        assert "? needs a new run ▲ REVIEW north-vlm" in shown
        await press(pilot, "down", "down")
        assert "the audit computed with what changes: decision.alpha_review, method.seed" in words(app)

    drive(steps, size)


def test_without_an_audit_the_next_key_is_named() -> None:
    """A dry run over nothing says what to press."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "t")
        assert "No audit has finished yet: press 1, then r" in glass(app)

    drive(steps, backend=Simulator(tried=()))


def test_approving_takes_the_name_and_starts_on_cancel() -> None:
    """Enter on the dialog does nothing; with the whole name typed the button approves, from a day on."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "y")
        assert isinstance(app.screen, ApproveDialog)
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        assert not app.screen.query("#second"), "one officer is enough here"
        await press(pilot, "enter")
        assert isinstance(app.screen, PoliciesScreen) and not backend.approved
        await press(pilot, "y")
        await fill(pilot, app, name="defaul")
        assert app.screen.query_one("#act", Button).disabled
        await fill(pilot, app, name="default", **{"from": "2026-12-01"})
        assert not app.screen.query_one("#act", Button).disabled
        app.screen.query_one("#act", Button).focus()
        await press(pilot, "enter")
        assert "✓ default@3 approved, in force from 2026-12-01" in words(app)
        assert "▸ ▸ approved default 3 2026-12-01 00:00" in words(app)

    drive(steps, backend=backend)
    assert backend.approved == [("default@3", "2026-12-01", "", None)]


def test_two_together_approve() -> None:
    """Where the quorum is two the second one's name and passphrase are asked for, and never shown."""
    backend = Simulator(need=TWO)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "y")
        await fill(pilot, app, name="default")
        assert app.screen.query_one("#act", Button).disabled
        await fill(pilot, app, passphrase="my own words", second=SECOND.name, secret=SECOND.secret)
        assert SECOND.secret not in glass(app) and "my own words" not in glass(app)
        app.screen.query_one("#act", Button).focus()
        await press(pilot, "enter")
        assert "✓ default@3 approved, in force now" in words(app)

    drive(steps, backend=backend)
    assert backend.approved == [("default@3", "", "my own words", SECOND)]


def test_a_refused_approval_says_so() -> None:
    """A wrong second person: one line with a hint, and the proposal still waits."""
    backend = Simulator(need=TWO)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "y")
        await fill(pilot, app, name="default", passphrase="mine", second="nobody", secret="x")
        app.screen.query_one("#act", Button).focus()
        await press(pilot, "enter")
        assert "✗ two officers together approve a policy hint: Name the second one." in words(app)
        assert "▲ proposed default 3" in words(app)

    drive(steps, backend=backend)
    assert backend.approved == []


def test_only_what_waits_is_decided() -> None:
    """y and x on what is in force open nothing, and say why."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        for key in "yx":
            await press(pilot, "7", "up", key)
            assert isinstance(app.screen, PoliciesScreen)
            assert "✗ default@2 is in force: nothing is to be decided" in words(app)
            await press(pilot, "1")

    drive(steps, backend=backend)


def test_rejecting_takes_a_reason() -> None:
    """x: the focus starts on Cancel, and the reason goes along."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "x")
        assert isinstance(app.screen, RejectDialog)
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        assert app.screen.query_one("#act", Button).disabled
        await fill(pilot, app, reason="too few controls")
        app.screen.query_one("#act", Button).focus()
        await press(pilot, "enter")
        assert "✗ rejected default 3" in words(app)

    drive(steps, backend=backend)
    assert backend.rejected == [("default@3", "too few controls")]


def test_proposing_a_file() -> None:
    """p: file and reason; the new version has the cursor. A wrong key is named with its line."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "p")
        assert isinstance(app.screen, ProposeDialog)
        await press(pilot, *"ward.toml", "enter", *"why", "enter")
        assert "propose_policy ward.toml why" in backend.calls
        assert "✓ ward@1 waits for approval" in words(app)
        assert "▸ ▲ proposed ward" in words(app)
        await press(pilot, "p", *"broken.toml", "enter", "enter")
        assert "✗ line 8: the policy has an unknown key decision.alpha_fial hint: did you mean" in words(app)
        await press(pilot, "p", "escape")
        assert isinstance(app.screen, PoliciesScreen)

    drive(steps, (132, 40), backend=backend)


def test_what_the_role_may_not_do_is_not_offered() -> None:
    """An auditor looks, compares and tries; the keys of deciding are not on the key line."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7")
        last = glass(app).splitlines()[-1]
        assert "Diff" in last and "Try" in last
        assert "Approve" not in last and "Propose" not in last

    drive(steps, backend=Simulator(role="auditor"))


@pytest.mark.parametrize("size", [(80, 24), (132, 40)])
def test_what_a_policy_asks_of_the_site_is_told_in_words_and_by_clause(size: tuple[int, int]) -> None:
    """Quorum, retention and cadence stand above the text; e lists every key with what its text cites."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7")
        shown = " ".join(glass(app).split())
        assert "2 officers together open findings; the log is kept for 6 years" in shown
        assert "models are audited anew: generative 180 days" in shown
        await press(pilot, "e", "down")
        assert "Keys and clauses" in glass(app)
        assert "45 CFR 164.316(b)(2)(i): six years" in glass(app)
        assert "for how many years the log is kept at least" in glass(app)
        await press(pilot, "v")
        assert "SHA-256" in glass(app)

    drive(steps, size)


def test_a_vendors_file_only_tightens() -> None:
    """w: what is looser is refused with its line, and the dialog stays; what is stricter is listed."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "w", *"loose.toml", "tab", *"new.toml")
        app.screen.query_one("#act", Button).press()
        await sees(pilot, app, "line 2: decision.q is looser: 0.2, here 0.1 hint:")
        app.screen.query_one("#vendor", Input).value = "vendor.toml"
        app.screen.query_one("#act", Button).press()
        await sees(pilot, app, "default@3-tightened is written to new.toml", "press p to propose it")
        await sees(
            pilot,
            app,
            "default@3 to default@3-tightened",
            "* changed decision.alpha_review 0.02 0.05 stricter",
        )

    drive(steps, backend=backend)
    assert backend.calls[-1] == "tighten_policy default@3 vendor.toml new.toml"


def test_a_failing_appliance_is_one_line() -> None:
    """What cannot be read or written is said, and the screen stays."""
    failing = {"dry_run_policy default@3": CannotWrite("the disk is full", "make room")}

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "7", "t")
        assert "✗ the disk is full hint: make room" in words(app)

    drive(steps, backend=Simulator(failing=dict(failing)))


def test_on_a_real_workspace_two_people_approve(tmp_path: Path) -> None:
    """From the overview's line to a policy in force: proposed by an operator, approved by two officers."""
    secrets = members_site.build(tmp_path / "workspace")
    text = (policy_file.FOLDER / "default.toml").read_text().replace('version = "shipped-2"', 'version = "2"')
    (tmp_path / "own.toml").write_text(text.replace("must_detect = 0.25", "must_detect = 0.2"))
    with members_site.opened(tmp_path / "workspace", "operator", secrets) as operator:
        operator.propose_policy(tmp_path / "own.toml", "as the board asked")
    with members_site.opened(tmp_path / "workspace", "officer", secrets) as officer:
        officer.join("second", secrets["second"])
        officer.set_quorum(2)
        officer._present.clear()

        async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
            assert "policy default version 2 waits for approval" in words(app)
            await press(pilot, "7", "d")
            assert "* changed decision.must_detect 0.25 0.2 stricter" in words(app)
            await press(pilot, "y")
            await fill(pilot, app, name="default", second="second", secret=secrets["second"])
            app.screen.query_one("#act", Button).focus()
            await press(pilot, "enter")
            assert "✓ default@2 approved, in force now" in words(app)
            assert "approved" in words(app) and "by officer and second" in words(app)

        drive(steps, (132, 40), backend=officer)
        assert officer.policy("default@2").deeds[-1].by == ("officer", "second")
        assert officer._policy("default")[1] == "default@2"
