"""Compare: two audits chosen by keys, side by side, with what may not be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from appliance.compared import ComparedRow, Standing
from appliance.views import VerdictWord
from tests.tui.pilot import drive, glass, press
from tests.tui.simulator import Simulator, audit_view
from tui.app import GradAuditApp
from tui.screens.compare import CompareScreen, ComparisonScreen
from tui.widgets.comparison import Comparison

SIZES = ((80, 24), (132, 40))


async def whole(pilot: Pilot[Any], app: GradAuditApp) -> str:
    """The page from top to bottom, without the layout's blanks."""
    seen = glass(app)
    for _ in range(6):
        await press(pilot, "pagedown")
        seen += glass(app)
    return " ".join(seen.split())


@pytest.mark.parametrize("size", SIZES)
def test_two_audits_are_chosen_and_compared(size: tuple[int, int]) -> None:
    """Enter, down, enter: which two, how much differs, and every part."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "c")
        assert "Choose the first audit." in glass(app)
        await press(pilot, "enter")
        assert "Choose the second audit" in glass(app)
        assert "first   ✗ FAIL" in glass(app)
        await press(pilot, "end", "enter")
        assert isinstance(app.screen, ComparisonScreen)
        shown = await whole(pilot, app)
        for words in (
            "first ✗ FAIL lumen-vlm, 2026-11-20 14:02 UTC, audit a-0003",
            "second ? INCONCLUSIVE clear-vlm",
            "Model",
            "Cohort",
            "Policy",
            "* word FAIL INCONCLUSIVE",
            "INCONCLUSIVE is no PASS",
            "* flagged 21 of 46 patients 0 of 46 patients",
            "/ rank test",
            "not comparable: a p-value says how sure",
        ):
            assert words in shown
        await press(pilot, "n")
        assert isinstance(app.screen, CompareScreen)

    drive(steps, size)


def test_other_patients_are_never_compared() -> None:
    """Two cohorts: every number stands apart with the reason beside it."""
    other = replace(audit_view("a-2", "lumen-vlm", VerdictWord.FAIL), cohort_digest="00" * 32)
    backend = Simulator(audits_={"a-1": audit_view("a-1", "lumen-vlm", VerdictWord.FAIL), "a-2": other})

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "c", "enter", "down", "enter")
        assert "/ not comparable 6" in glass(app)
        assert "/ flagged 21 of 46 patients 21 of 46 patients" in await whole(pilot, app)

    drive(steps, (132, 60), backend=backend)


def test_the_same_audit_twice_is_no_comparison() -> None:
    """Enter again on the first one keeps asking for the second; n forgets the first."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "c", "enter", "enter")
        assert isinstance(app.screen, CompareScreen)
        assert "Choose the second audit" in glass(app)
        await press(pilot, "n")
        assert "Choose the first audit." in glass(app)
        assert "first   ✗" not in glass(app)

    drive(steps)


def test_one_audit_alone_names_the_next_key() -> None:
    """With fewer than two audits the screen says how to get one, and enter does nothing."""
    one = {"a-1": audit_view("a-1", "lumen-vlm", VerdictWord.FAIL)}

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "c", "enter", "enter")
        assert "Two finished audits are needed: press r to run one." in glass(app)

    drive(steps, backend=Simulator(audits_=one))
    drive(steps, backend=Simulator(audits_={}))


@pytest.mark.parametrize("width", [24, 60, 78, 130])
def test_rows_fit_their_width(width: int) -> None:
    """Both values, whatever their length, stay within the width, and no word of it or the reason is lost."""
    one, other, why = (" ".join(f"{letter}{number}" for number in range(30)) for letter in "abc")
    lines = Comparison((ComparedRow("cohort", "patients", one, other, Standing.APART, why),)).draw(width)
    assert max(line.cell_length for line in lines) <= width
    seen = " ".join(line.plain for line in lines).split()
    assert [word for word in f"{one} {other} {why}".split() if word not in seen] == []
