"""The legal clocks of a case as glyph and words; a table's cell says less than a line of its own."""

from __future__ import annotations

from textual.content import Content

from appliance.cases.views import CaseState, ClockState, ClockView
from appliance.words.table import tell
from tui.glyphs import Glyphs
from tui.text import foreign, line
from tui.words import moment

TICK_S = 60.0  # after which clocks in sight are read again
_STYLE = {
    ClockState.RUNNING: "bold",
    ClockState.OVERDUE: "bold $fail",
    ClockState.ANSWERED: "$pass",
    ClockState.LATE: "bold $review",
}
_SHORT = {ClockState.ANSWERED: tell("case.answered"), ClockState.LATE: tell("case.answered_late")}


def _glyph(clock: ClockView, glyphs: Glyphs) -> str:
    return {
        ClockState.RUNNING: glyphs.point,
        ClockState.OVERDUE: glyphs.failed,
        ClockState.ANSWERED: glyphs.passed,
        ClockState.LATE: glyphs.verdicts["REVIEW"],
    }[clock.state]


def clock_cell(clock: ClockView, glyphs: Glyphs) -> Content:
    """A clock in a table: at most "overdue by 9 d 23 h"."""
    said = _SHORT.get(clock.state, line(clock.said))
    return Content.styled(f"{_glyph(clock, glyphs)} {said}", _STYLE[clock.state])


def clock_line(clock: ClockView, glyphs: Glyphs) -> Content:
    """A clock in full: what it says, its limit, and where that stands."""
    return Content.assemble(
        (f"{_glyph(clock, glyphs)} {line(clock.said)}", _STYLE[clock.state]),
        f"; {tell('clock.limit', moment=moment(line(clock.due_utc)))}, ",
        foreign(clock.law, "$muted"),
    )


def state_cell(state: CaseState, glyphs: Glyphs) -> Content:
    """What was decided last, as glyph and word."""
    word = tell(f"case.state.{state.value}")
    if state is CaseState.OPEN:
        return Content.styled(f"{glyphs.verdicts['REVIEW']} {word}", "bold $review")
    sign = glyphs.passed if state is CaseState.CLOSED else glyphs.dot
    return Content.styled(f"{sign} {word}", "$muted" if state is CaseState.CLOSED else "bold")
