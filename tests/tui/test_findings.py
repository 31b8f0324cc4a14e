"""Findings: opened with what they take, paged through, filtered below; hidden until a logged reveal."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input

from appliance.errors import Busy, NotPermitted
from appliance.finding_views import FindingsAsked, FindingsNeed
from tests.tui.finding_simulator import IDENTITY, REPORT, row
from tests.tui.pilot import drive, glass, press, settle, until
from tests.tui.simulator import Simulator
from tui.app import GradAuditApp
from tui.idle import Idle
from tui.screens.finding import FindingScreen, probability
from tui.screens.finding_dialogs import OpenDialog, RevealDialog
from tui.screens.findings import PAGE, FindingsScreen
from tui.widgets.rows import Rows

SIZES = ((80, 24), (132, 40), (60, 20))
REASON = "an access request"
TO_REASON = ("4", "enter", "v", "shift+tab")


def words(app: GradAuditApp) -> str:
    """All that is on the glass, in one line."""
    return " ".join(glass(app).split())


async def typed(pilot: Pilot[Any], **fields: str) -> None:
    """Fill the fields of a dialog and press its button."""
    for name, value in fields.items():
        pilot.app.screen.query_one(f"#{name}", Input).value = value
    pilot.app.screen.query_one("#act", Button).press()
    await settle(pilot)


# -- the list ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_a_line_says_what_the_audit_says(size: tuple[int, int]) -> None:
    """Pseudonym, flag, score and leak probability at every size; more columns where there is room."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4")
        seen = glass(app)
        first = next(one for one in seen.splitlines() if row(0).patient in one)
        assert "flagged" in first
        assert "> 99.9 %" in first
        assert "46 findings, highest score first" in words(app)
        assert ("p-value" in seen) is (size[0] >= 80)

    drive(steps, size)


def test_a_million_findings_are_fetched_by_the_page() -> None:
    """The last of a million is one key away, and two pages are all that was asked for."""
    backend = Simulator(findings_=1_000_000)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "end")
        assert row(999_999).patient in glass(app)
        assert "1,000,000 findings" in words(app)
        assert {(offset, limit) for _, offset, limit in backend.asked} <= {
            (page * PAGE, PAGE) for page in (0, 999_999 // PAGE - 1, 999_999 // PAGE)
        }

    drive(steps, backend=backend)


def test_order_prior_and_filters_are_the_databases_work() -> None:
    """Each key asks for another list from its first line on; what is asked for is said on the screen."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "o")
        assert backend.asked[-1] == (FindingsAsked(sort="p-value", prior="0.01"), 0, PAGE)
        assert "smallest p-value first" in words(app)
        await press(pilot, "p", "t")
        assert backend.asked[-1][0] == FindingsAsked(flagged=True, sort="p-value", prior="0.1")
        assert "5 of 46 findings" in words(app)
        assert "filter: flagged" in words(app)
        await press(pilot, "t", "f")
        await typed(pilot, role="target", probability="0.5", score="3.7")
        last = backend.asked[-1][0]
        assert (last.role, last.min_probability, last.min_score) == ("target", 0.5, 3.7)
        expected = [
            one for one in map(row, range(46)) if (one.probability or 0) >= 0.5 and (one.score or 0) >= 3.7
        ]
        assert f"{len(expected)} of 46 findings" in words(app)

    drive(steps, backend=backend)


@pytest.mark.parametrize("told", ["much", "nan", "inf", "-inf"])
def test_a_filter_that_is_no_number_is_said_in_the_dialog(told: str) -> None:
    """The dialog stays, and nothing is asked for."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "f")
        before = len(backend.asked)
        await typed(pilot, score=told)
        assert "are numbers" in words(app)
        assert len(backend.asked) == before

    drive(steps, backend=backend)


def test_nothing_like_it_names_the_next_key() -> None:
    """A filter that leaves nothing says how to change it."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "f")
        await typed(pilot, pseudonym="Q")
        assert "press f to filter otherwise" in words(app)

    drive(steps)


def test_without_an_audit_the_next_key_is_named() -> None:
    """No audit has finished: r runs one."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4")
        assert "press r to run one" in words(app)

    drive(steps, backend=Simulator(audits_={}))


# -- opening -------------------------------------------------------------------------------------------------


def test_opening_takes_a_passphrase_and_a_second_person() -> None:
    """Both are asked for at once; an empty field or a wrong one opens nothing, and enter asks again."""
    backend = Simulator(needs=FindingsNeed(opened=False, passphrase=True, second=True))

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4")
        assert isinstance(app.screen, OpenDialog)
        await typed(pilot, passphrase="correct horse")
        assert "a field is empty" in words(app)
        await typed(pilot, **{"second-name": "second", "second-secret": "wrong"})
        assert isinstance(app.screen, FindingsScreen)
        assert "two officers together" in words(app)
        assert "press enter to open them" in words(app)
        await press(pilot, "enter")
        await typed(
            pilot, passphrase="correct horse",
            **{"second-name": "second", "second-secret": "words of a second one"},
        )  # fmt: skip
        assert "46 findings" in words(app)

    drive(steps, backend=backend)


def test_opened_once_for_a_session() -> None:
    """Going away and coming back opens nothing anew."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "1", "4", "enter", "escape")
        assert backend.calls.count("open_findings") == 1

    drive(steps, backend=backend)


def test_reading_all_rows_says_how_far_it_is() -> None:
    """Told while nothing is listed yet, by the first page alone; what comes late stands over no list."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4")
        assert backend.steps_told == 1
        screen = app.screen
        assert isinstance(screen, FindingsScreen)
        for total, told in ((46, False), (None, True)):
            screen.total = total
            screen._stepped(500_000, 1_000_000)
            await pilot.pause()
            assert ("500,000 of 1,000,000 findings (50 %)" in words(app)) is told

    drive(steps, backend=backend)


@pytest.mark.parametrize(
    "error", [Busy("another command is at the findings", "wait"), NotPermitted("no", "ask")]
)
def test_what_cannot_be_opened_is_said(error: Exception) -> None:
    """The error stands on the screen with its hint, and no line of the list."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4")
        assert f"{error}  hint:" in glass(app)
        assert row(0).patient not in glass(app)

    drive(steps, backend=Simulator(failing={"open_findings": error}))  # type: ignore[dict-item]


def test_findings_that_close_behind_the_screens_leave_the_glass() -> None:
    """Sealed under another key meanwhile: the next page is refused, and what was listed goes."""
    backend = Simulator(findings_=1000)

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4")
        backend.opened = False
        await press(pilot, "end")
        assert "press enter to open them" in words(app)
        assert row(0).patient not in glass(app)

    drive(steps, backend=backend)


# -- one finding ---------------------------------------------------------------------------------------------


def test_a_finding_says_every_score_and_every_prior_in_words() -> None:
    """Scores, what was not scored and why, the leak probability under each prior; nobody's name."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "enter")
        assert isinstance(app.screen, FindingScreen)
        for told in (
            row(0).patient,
            "not scored: no base model",
            "82 % if 1 in 100 such patients",
            "CT of 2024-01-02",
            "Name, image and text are hidden",
        ):
            assert told in words(app)
        assert IDENTITY not in glass(app)

    drive(steps, (80, 40))


def test_escape_goes_back_to_the_same_line() -> None:
    """Order, filter and cursor are as they were left."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "o", "t", "down", "down", "enter", "escape")
        assert isinstance(app.screen, FindingsScreen)
        assert (app.screen.asked.sort, app.screen.asked.flagged) == ("p-value", True)
        assert app.screen.query_one(Rows).cursor == 2
        assert "5 of 46 findings" in words(app)

    drive(steps)


def test_a_reveal_needs_a_reason_and_begins_on_cancel() -> None:
    """Enter at once cancels; without a reason nothing is asked of the appliance."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "enter", "v")
        assert isinstance(app.screen, RevealDialog)
        assert app.focused is app.screen.query_one("#keep")
        await press(pilot, "enter")
        assert isinstance(app.screen, FindingScreen)
        await press(pilot, "v")
        await typed(pilot, reason="  ")
        assert "a field is empty" in words(app)
        assert "reveal_images" not in backend.calls

    drive(steps, backend=backend)


def test_a_reveal_shows_and_hides_again() -> None:
    """After the reason: who it is, the image and the text; h takes all of it away."""
    backend = Simulator()

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *TO_REASON, *REASON, "enter", "enter")
        await until(pilot, lambda: IDENTITY in glass(app))
        for told in (IDENTITY, REPORT, "Not for diagnosis", "accession A-17"):
            assert told in words(app)
        assert REASON not in glass(app)
        await press(pilot, "h")
        await until(pilot, lambda: IDENTITY not in glass(app))
        assert "Name, image and text are hidden" in words(app)
        assert backend.reasons == [(REASON, "")]

    drive(steps, (80, 60), backend=backend)


def test_a_reveal_with_two() -> None:
    """Where findings take two, the second one types name and secret for each reveal."""
    backend = Simulator(needs=FindingsNeed(opened=False, passphrase=False, second=True), opened=True)
    second = {"second-name": "second", "second-secret": "words of a second one"}

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, "4", "enter", "v")
        await typed(pilot, reason=REASON, **second)
        await until(pilot, lambda: IDENTITY in glass(app))

    drive(steps, (80, 60), backend=backend)
    assert backend.reasons == [(REASON, "second")]


@pytest.mark.parametrize("keys", [("1",), ("4",), ("ctrl+l",)], ids=["left", "back", "locked"])
def test_what_was_revealed_goes_with_the_screen(keys: tuple[str, ...]) -> None:
    """Leaving, going back or locking leaves nothing of the patient on the glass or in a widget."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *TO_REASON, *REASON, "enter", "enter")
        await until(pilot, lambda: IDENTITY in glass(app))
        await press(pilot, *keys)
        seen = glass(app) + "".join(
            repr(node) for screen in app.screen_stack for node in screen.walk_children()
        )
        assert IDENTITY not in seen
        assert REPORT not in seen
        assert IDENTITY not in f"{app.title}{app.sub_title}"

    drive(steps, (80, 60))


def test_read_anew_it_is_hidden_and_can_be_revealed_again() -> None:
    """The page comes back without who it is, and v is the key that is offered."""

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        await press(pilot, *TO_REASON, *REASON, "enter", "enter")
        screen = app.screen
        assert isinstance(screen, FindingScreen) and screen.revealed
        screen.reload()
        await settle(pilot)
        assert IDENTITY not in glass(app) and not screen.revealed
        await press(pilot, "v")
        assert isinstance(app.screen, RevealDialog)

    drive(steps, (80, 60))


def test_a_minute_without_a_key_hides_it() -> None:
    """59 seconds leave it there, 60 do not."""
    now = [0.0]

    async def steps(pilot: Pilot[Any], app: GradAuditApp) -> None:
        app.idle = Idle(15, lambda: now[0])
        await press(pilot, *TO_REASON, *REASON, "enter", "enter")
        screen = app.screen
        assert isinstance(screen, FindingScreen)
        now[0] += 59
        screen._hide_when_idle()
        await settle(pilot)
        await until(pilot, lambda: IDENTITY in glass(app))
        now[0] += 1
        screen._hide_when_idle()
        await until(pilot, lambda: IDENTITY not in glass(app))

    drive(steps, (80, 60))


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0, "0 %"), (0.0004, "< 0.1 %"), (0.44, "44 %"), (0.99961, "> 99.9 %"), (1.0, "> 99.9 %")],
)
def test_no_probability_is_told_as_certainty(value: float, told: str) -> None:
    """A model of scores knows neither; only what is exactly none is told so."""
    assert probability(value) == told
