"""One model whole: versions and how each was found, what changed, where it comes from, what is claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from appliance.claims.views import ClaimKind, ClaimRequest, ClaimUnit
from appliance.errors import UsageError
from tests.tui.claim_views import BUDGET, PRIVATE
from tests.tui.pilot import drive, glass, press, sees, settle
from tests.tui.simulator import Simulator
from tests.tui.watch_views import ANNOUNCED, CHANGES, FORESEEN, LOOKED, UNANSWERED
from tui.app import GradAuditApp
from tui.screens.change import ChangeScreen
from tui.screens.claim import ClaimScreen, at_least, at_most, parameters
from tui.screens.claim_dialogs import ClaimDialog, WithdrawDialog
from tui.screens.model import ModelScreen
from tui.screens.models import ModelsScreen
from tui.screens.result import ResultScreen
from tui.screens.watch_dialogs import AnswerDialog

SIZES = ((80, 24), (132, 40))


def typed(app: GradAuditApp, **fields: str) -> None:
    """Fill fields of the dialog in sight."""
    for name, text in fields.items():
        app.screen.query_one(f"#{name}", Input).value = text


async def act(pilot: Pilot[Any], app: GradAuditApp) -> None:
    """Press the dialog's act."""
    app.screen.query_one("#act", Button).press()
    await settle(pilot)


@pytest.mark.parametrize("size", SIZES)
def test_the_registry_says_what_waits_and_what_is_claimed(size: tuple[int, int]) -> None:
    """The newest version, that somebody has to answer it, the worst of a vendor's claims: sign and word."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6")
        await sees(pilot, app, "3 ▲ unanswered", "✗ 1 contradicted", "? 1 not tested", "1 registered")
        await sees(pilot, app, "last look ▲ changed 2026-11-20 13:40 UTC")
        await press(pilot, "down", "down")
        await sees(pilot, app, "? absent 2026-11-20 13:40 UTC, since 2026-11-18 02:00 UTC. nothing lies at")

    drive(steps, size)


@pytest.mark.parametrize("size", SIZES)
def test_a_model_shows_versions_claims_lineage_and_chart(size: tuple[int, int]) -> None:
    """How each version was found, with its verdict; claims; the tree from base to adapter; the chart."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "enter")
        shown = glass(app)
        for words in (
            "3 versions, 1 unanswered: press y",
            "▲ unannounced",
            "✓ announced",
            "· registered",
            "weights, config",
            "✗ contradicted",
            "▲ questioned",
            "– withdrawn",
            "└ harbor-clip  adapter in harbor-lora",
        ):
            assert words in shown, words
        assert "de-identified" in shown, "of this line only"
        await press(pilot, "tab", "tab", "end")
        assert "95 % interval of the exposed share" in " ".join(glass(app).split())
        await press(pilot, "escape")
        assert isinstance(app.screen, ModelsScreen)

    drive(steps, size)


def test_a_change_is_told_from_files_to_exposure() -> None:
    """Sentences, files by part, layers and tensors with what is audited, settings, both audits."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "enter", "enter")
        assert isinstance(app.screen, ChangeScreen)
        shown = " ".join(glass(app).split())
        for words in (
            "lumen-vlm@3 against lumen-vlm@2",
            "14 of 96 tensors differ; 9 of them are audited.",
            "▸ 1 d 23 h left; limit 2026-11-23 13:40 UTC",
            "0 of 46, 0–7.7 %",
            "21 of 46, 31–61 %",
            "not comparable: one audit states none",
            "language layer 3, mlp +0.02 to +0.41",
            "projector not listed to +0.19",
            "weights changed model.safetensors",
            "new generation_config.json",
            "7 of 9, 5 audited",
            "1.0 MiB changed, audited language_model.model.layers.3.mlp.up_proj.weight",
            "text_config.rope_theta 10000.0 to 500000.0",
            "generation_config.do_sample none to false",
        ):
            assert words in shown, words
        assert "different policies" not in shown
        await press(pilot, "o")
        assert isinstance(app.screen, ResultScreen) and app.screen.audit_id == "a-0003"

    drive(steps, size=(132, 80))


def test_a_change_without_two_audits_says_what_is_missing() -> None:
    """No number stands where there is none, and o names the next step."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "enter", "down", "enter")
        shown = glass(app)
        assert "not compared: lumen-vlm was never audited on this panel" in shown
        assert "release 2.1; the vendor's letter of 1 August" in " ".join(shown.split())
        await press(pilot, "y", "o")
        assert "no audit of both versions on one panel" in glass(app)
        await press(pilot, "escape", "end", "enter")
        assert isinstance(app.screen, ModelScreen)
        assert "lumen-vlm is the first version: nothing changed" in glass(app)

    drive(steps)


def test_an_unannounced_change_is_answered_once() -> None:
    """y begins on Cancel and takes a reason; afterwards nothing waits any more."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "enter", "down", "y")
        assert isinstance(app.screen, AnswerDialog)
        assert app.focused is not None and app.focused.id == "cancel"
        assert app.screen.query_one("#act", Button).disabled
        typed(app, reason="the vendor has confirmed release 3")
        await settle(pilot)
        await act(pilot, app)
        assert "answer_change lumen-vlm@3 the vendor has confirmed release 3" in backend.calls
        await sees(pilot, app, "3 versions", "✓ answered")
        await press(pilot, "y")
        assert "no change waits for an answer" in glass(app)

    drive(steps, backend=backend)


def test_what_the_appliance_refuses_stays_in_the_dialog() -> None:
    """A day that is none: the sentence with its hint, and what was typed; then it is announced."""
    backend = Simulator(announced=())

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "enter", "u")
        typed(app, release="spring", until="soon", reason="their newsletter")
        await settle(pilot)
        await act(pilot, app)
        assert "soon is no day  hint: write YYYY-MM-DD" in glass(app)
        typed(app, until="2027-01-31")
        await act(pilot, app)
        await sees(pilot, app, "A change is announced until 2027-01-31, spring: their newsletter")

    drive(steps, backend=backend)


def test_the_watch_says_line_by_line_what_it_found() -> None:
    """Changed, absent and changing first, with why; the rest in one count. enter looks at all."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "w", "enter")
        await sees(pilot, app, "▲ changed lumen-vlm@3 weights, config; unannounced")
        shown = " ".join(glass(app).split())
        assert "? absent clear-vlm nothing lies at its folder" in shown
        assert "? changing north-vlm files changed while they were read" in shown
        assert "✓ unchanged: 1 of 4" in shown
        await press(pilot, "enter")
        assert isinstance(app.screen, ModelsScreen)
        await press(pilot, "enter", "w", "enter", "enter")
        assert [call for call in backend.calls if call.startswith("watch_models")] == [
            "watch_models",
            "watch_models lumen-vlm",
        ]

    drive(steps, backend=backend)


def test_the_verdict_names_the_policys_version_wherever_it_is_listed() -> None:
    """Runs and cases tell which text decided, not the name alone."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "2")
        await sees(pilot, app, "policy demo@2")
        await press(pilot, "a")
        await sees(pilot, app, "policy demo@shipped-2")

    drive(steps, (132, 40))


def test_nothing_but_the_unchanged_is_one_line() -> None:
    """A quiet look is no list."""
    quiet = Simulator(looked=LOOKED[1:2])

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "w", "enter")
        await sees(pilot, app, "✓ unchanged: 1 of 1")

    drive(steps, backend=quiet)


@pytest.mark.parametrize("size", SIZES)
def test_a_claim_stands_with_its_numbers(size: tuple[int, int]) -> None:
    """The audit's bound beside what the claim allows; the accountants, and why one could not tell."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "enter", "tab", "enter")
        assert isinstance(app.screen, ClaimScreen)
        shown = " ".join(glass(app).split())
        for words in (
            "✗ contradicts ✗ FAIL lumen-vlm@3 2.31 1 E4",
            "PRV: ε at most 3.92, at least 3.87 (opacus 1.5.4)",
            "GDP: no number; holds only for long runs",
            "model card, section 4, 2026-02-20",
            "A bound from below: the true ε may be larger.",
        ):
            assert words in shown, words
        await press(pilot, "enter")
        assert isinstance(app.screen, ResultScreen)

    drive(steps, size)


def test_bounds_are_rounded_to_the_safe_side() -> None:
    """A bound from below down, one from above up; what is not said is said to be unsaid."""
    assert (at_least(2.3199), at_most(3.9101)) == ("2.31", "3.92")
    assert (at_least(2.3), at_most(4.4)) == ("2.3", "4.4"), "what is round stays so"
    budget = replace(BUDGET, noise=None, neighbours=None, accountant="")
    assert "noise not said" in parameters(budget) and "neighbours not said" in parameters(budget)


def test_a_claim_is_kept_with_what_the_vendor_says() -> None:
    """Only a claim of differential privacy asks for numbers; what is none is named, and nothing is kept."""
    backend = Simulator()
    asked: list[ClaimRequest] = []
    keep = backend.add_claim
    backend.add_claim = lambda request: (asked.append(request), keep(request))[1]  # type: ignore[method-assign]

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "enter", "n")
        assert isinstance(app.screen, ClaimDialog) and not app.screen.query_one("#numbers").display
        typed(app, source="model card")
        await press(pilot, "right", "right")
        assert app.screen.query_one("#act", Button).disabled, "ε and δ are needed now"
        typed(app, epsilon="eight", delta="1e-5", rate="0.01", steps="4000")
        await settle(pilot)
        await act(pilot, app)
        assert "epsilon: eight is no number  hint: write 8" in glass(app) and not asked
        typed(app, epsilon="8", steps="4000.5")
        await act(pilot, app)
        assert "steps: 4000.5 is no whole number" in glass(app) and not asked
        typed(app, steps="4000")
        await act(pilot, app)
        await sees(pilot, app, "kept as C-0badcafe: not tested")

    drive(steps, backend=backend)
    (wanted,) = asked
    assert (wanted.model, wanted.kind, wanted.later) == ("lumen-vlm@3", ClaimKind.PRIVATE, False)
    told = wanted.budget
    assert told is not None
    assert (told.epsilon, told.delta, told.noise, told.sampling_rate) == (8.0, 1e-5, None, 0.01)
    assert (told.steps, told.unit, told.neighbours) == (4000, ClaimUnit.RECORD, None)


def test_withdrawing_takes_the_number_and_a_reason() -> None:
    """It begins on Cancel; another number does not do; afterwards the claim stands as withdrawn."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "enter", "x")
        assert isinstance(app.screen, WithdrawDialog)
        assert app.focused is not None and app.focused.id == "cancel"
        typed(app, claim="C-00000000", reason="recorded for the wrong model")
        await settle(pilot)
        assert app.screen.query_one("#act", Button).disabled
        typed(app, claim=PRIVATE.claim_id)
        await settle(pilot)
        await act(pilot, app)
        assert f"withdraw_claim {PRIVATE.claim_id} recorded for the wrong model" in backend.calls
        await press(pilot, "x")
        assert "no claim in force is under the cursor" in glass(app)

    drive(steps, backend=backend)


def test_a_model_without_claims_or_changes_names_the_next_key() -> None:
    """Empty tables say n; a model that was never audited says so; nothing is drawn that is not there."""
    bare = Simulator(claims_={}, changes_=(), announced=())

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "6", "down", "enter")
        assert "No claim yet: press n to keep one." in glass(app)
        await press(pilot, "x", "y")
        assert "no change waits for an answer" in glass(app)

    drive(steps, backend=bare)


def test_a_failure_is_told_with_its_hint() -> None:
    """What the appliance refuses is a line with a hint, on each of the three screens."""
    for call, keys in (
        ("lineage", ("6", "enter")),
        (f"model_change {UNANSWERED.model}", ("6", "enter", "enter")),
        (f"claim {PRIVATE.claim_id}", ("6", "enter", "tab", "enter")),
    ):

        async def steps(pilot: Pilot[Any], app: GradAuditApp, keys: tuple[str, ...] = keys) -> None:
            await press(pilot, *keys)
            assert "the notes cannot be read" in glass(app) and "gradaudit workspace verify" in glass(app)

        failing = {call: UsageError("the notes cannot be read", "gradaudit workspace verify")}
        drive(steps, backend=Simulator(failing=failing))


def test_the_planted_changes_are_those_of_one_line() -> None:
    """The control of this file's own views."""
    assert {row.line for row in CHANGES} == {ANNOUNCED.line} == {"lumen-vlm"}
    assert UNANSWERED.waits and not FORESEEN.waits
