"""Cases on the screens: clocks in words, steps by dialogs that begin on Cancel, and the way to the result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from appliance.errors import IntegrityError, UsageError
from tests.tui.case_views import demo_cases
from tests.tui.pilot import drive, glass, press, until
from tests.tui.simulator import Simulator, demo_overview
from tui.app import GradAuditApp
from tui.screens import cases
from tui.screens.case_steps import DecideDialog, OwnerDialog, ReopenDialog
from tui.screens.cases import CasesScreen
from tui.screens.result import ResultScreen
from tui.widgets.rows import Rows

SIZES = ((80, 24), (132, 40))


def words(app: GradAuditApp) -> str:
    """The glass without the layout's blanks."""
    return " ".join(glass(app).split())


@pytest.mark.parametrize("size", SIZES)
def test_cases_with_their_clocks(size: tuple[int, int]) -> None:
    """Each with verdict or state, both clocks in glyph and words; below, the one under the cursor in full."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a")
        seen = words(app)
        assert "lumen-vlm ▲ open ✗ overdue by 3 h ▸ 56 d left" in seen
        assert "harbor-clip · referred ✓ answered ▸ 56 d left" in seen
        assert "clear-vlm ✓ closed ▲ answered late ✓ answered" in seen
        assert "✗ overdue by 3 h; limit 2026-11-23 14:02 UTC, GDPR Art. 33(1)" in seen
        assert "2026-11-20 14:02 UTC, log entry 131" in seen
        assert "nobody yet: press o" in seen
        await press(pilot, "down")
        assert "✓ answered in 1 d 2 h; limit" in words(app)

    drive(steps, size)


def test_steps_reasons_and_what_clocks_do_not_prove() -> None:
    """Who did what and why, with which clock it answered; and that a clock is no legal opinion."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a", "down")
        seen = words(app)
        assert "referred, answers 72h 2026-11-21 09:15 UTC by officer:77aa" in seen
        assert "Counsel has file 17; the authority was told." in seen
        assert "that is a legal decision" in seen

    drive(steps, (132, 40))


def test_deciding_takes_a_reason() -> None:
    """Focus begins on Cancel; decision, clock and reason go as chosen, and the list is read again."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a", "d")
        assert isinstance(app.screen, DecideDialog)
        assert app.focused is not None and app.focused.id == "cancel"
        await press(pilot, "enter")
        assert isinstance(app.screen, CasesScreen) and "decide_case" not in backend.calls
        await press(pilot, "d")
        app.screen.query_one("#decision").focus()
        await press(pilot, "down", "enter", "down", "enter")
        assert "You or the vendor doubt it" in glass(app)
        assert isinstance(app.focused, Input)
        await press(pilot, *"so", "space", *"it", "space", *"is")
        app.screen.query_one("#act", Button).focus()
        await press(pilot, "enter")
        assert isinstance(app.screen, CasesScreen)
        taken = backend.cases_["a-0003"].steps[-1]
        assert (taken.what, taken.reason, taken.answers) == ("disputed", "so it is", ("72h",))
        assert "written down: lumen-vlm is disputed" in words(app)
        assert "lumen-vlm · disputed" in words(app)

    drive(steps, backend=backend)


def test_a_refused_decision_keeps_what_was_typed() -> None:
    """The appliance says what is missing, in the dialog, and nothing has to be typed again."""
    refusal = UsageError("a reason has at least 3 words", "say what was found")
    backend = Simulator(failing={"decide_case": refusal})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a", "d")
        app.screen.query_one("#reason").focus()
        await press(pilot, *"no")
        app.screen.query_one("#act", Button).focus()
        await press(pilot, "enter")
        assert "✗ a reason has at least 3 words hint: say what was found" in words(app)
        assert app.screen.query_one("#reason", Input).value == "no"

    drive(steps, backend=backend)


def test_an_owner_is_one_of_the_people() -> None:
    """o offers the users there are; the one that is marked becomes the owner."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a", "o")
        assert isinstance(app.screen, OwnerDialog)
        assert "▸ ada" in glass(app) and "officer" in glass(app)
        app.screen.query_one("#owner").focus()
        await press(pilot, "down")
        app.screen.query_one("#act", Button).focus()
        await press(pilot, "enter")
        assert "assign_case eve" in backend.calls
        assert "owner eve state ▲ open" in words(app)

    drive(steps, backend=backend)


def test_a_decision_is_taken_back() -> None:
    """u asks why, and says that the clocks run again."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a", "end", "u")
        assert isinstance(app.screen, ReopenDialog)
        assert "Both clocks run again" in glass(app)
        app.screen.query_one("#act", Button).focus()
        await press(pilot, "enter")
        assert "reopen_case" in backend.calls
        assert "clear-vlm ▲ open" in words(app)

    drive(steps, backend=backend)


def test_from_a_case_to_its_result_and_back() -> None:
    """enter opens the result of that audit, a leads back to the same case."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a", "down", "enter")
        assert isinstance(app.screen, ResultScreen)
        assert app.screen.audit_id == "a-0002"
        await press(pilot, "a")
        assert app.screen.query_one(Rows).cursor == 1

    drive(steps)


@pytest.mark.parametrize("size", SIZES)
def test_the_overview_begins_with_open_cases(size: tuple[int, int]) -> None:
    """Open cases with their clocks stand above the models; closed ones are not there; enter opens one."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        seen = glass(app)
        assert seen.index("overdue by 3 h") < seen.index("Models")
        assert "clear-vlm ✓ closed" not in words(app)
        await press(pilot, "down", "enter")
        assert isinstance(app.screen, CasesScreen)
        assert app.screen.query_one(Rows).cursor == 1

    drive(steps, size)


def test_without_a_case_the_next_key_is_named() -> None:
    """Nothing open, nothing there: both screens say so, and the models have the focus."""
    backend = Simulator(view=replace(demo_overview(), cases=()), cases_={})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        assert "No case is open" in glass(app)
        assert app.focused is not None and app.focused.id == "models"
        await press(pilot, "a")
        assert "No case: a FAIL or REVIEW is one. Press r to run an audit." in glass(app)
        await press(pilot, "enter", "d", "o", "u")
        assert isinstance(app.screen, CasesScreen)

    drive(steps, backend=backend)


def test_clocks_in_sight_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is read again by itself; focus and cursor stay where they are."""
    monkeypatch.setattr(cases, "TICK_S", 0.05)
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a", "down")
        view = backend.cases_["a-0003"]
        first = replace(view.row.clocks[0], said="overdue by 4 h")
        later = replace(view, row=replace(view.row, clocks=(first, view.row.clocks[1])))
        backend.cases_ = {**backend.cases_, "a-0003": later}
        await until(pilot, lambda: "overdue by 4 h" in glass(app))
        assert app.screen.query_one(Rows).cursor == 1

    drive(steps, backend=backend)


def test_a_damaged_record_is_said() -> None:
    """An integrity error is a line with a hint, and no case is made up."""
    damage = IntegrityError("the step of a case in entry 9 is not the one that was logged", "Restore it.")

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a")
        assert "entry 9 is not the one that was logged hint: Restore it." in words(app)

    drive(steps, backend=Simulator(failing={"cases": damage}))


def test_foreign_text_of_a_case_is_inert() -> None:
    """A model's name, an owner, a reason: nothing of them is markup or an escape."""
    view = demo_cases()["a-0002"]
    bad = "[@click=app.leave]x[/x]\x1b]52;c;eA==\x07"
    spoilt = replace(
        view, row=replace(view.row, model=bad, owner=bad), steps=(replace(view.steps[1], reason=bad),)
    )

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "a", "d")
        assert "\x1b" not in glass(app)
        await press(pilot, "escape")
        assert "\x1b" not in glass(app)
        assert "@click" in glass(app)

    drive(steps, (132, 40), backend=Simulator(cases_={"a-0002": spoilt}))
