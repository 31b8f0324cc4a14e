"""Planted cases for the simulator: one overdue, one decided, one closed."""

from __future__ import annotations

from dataclasses import replace

from appliance.cases.standing import LEGAL
from appliance.cases.views import CaseRow, CaseState, CaseView, ClockState, ClockView, StepView, StepWord
from appliance.views import VerdictWord

WHY = "Targets rank above calibration controls by patient: p = 0.0000002, below alpha_fail 0.001."
PEOPLE = ("ada", "eve", "officer")
DONE = "2026-11-21T09:15:00.000Z"


def _clocks(first: tuple[ClockState, str], second: tuple[ClockState, str]) -> tuple[ClockView, ClockView]:
    return (
        ClockView("72h", "GDPR Art. 33(1)", first[0], 0, "2026-11-23T14:02:31Z", first[1]),
        ClockView("60d", "45 CFR 164.404(b)", second[0], 0, "2027-01-19T14:02:31Z", second[1]),
    )


LONG = (ClockState.RUNNING, "56 d left")
IN_TIME = (ClockState.ANSWERED, "answered in 4 d 1 h")


def demo_cases() -> dict[str, CaseView]:
    """By audit, the most urgent first."""
    lumen = CaseRow(
        "a-0003", "lumen-vlm", VerdictWord.FAIL, WHY, CaseState.OPEN, "", "2026-11-20T14:02:31.000Z", 131,
        _clocks((ClockState.OVERDUE, "overdue by 3 h"), LONG), "demo@shipped-2",
    )  # fmt: skip
    harbor = CaseRow(
        "a-0002", "harbor-clip", VerdictWord.FAIL, WHY, CaseState.REFERRED, "eve", "2026-11-20T14:02:44.000Z",
        133, _clocks((ClockState.ANSWERED, "answered in 1 d 2 h"), LONG),
    )  # fmt: skip
    clear = CaseRow(
        "a-0001", "clear-vlm", VerdictWord.REVIEW, WHY, CaseState.CLOSED, "ada", "2026-10-01T08:00:00.000Z",
        17, _clocks((ClockState.LATE, "answered late, after 4 d 1 h"), IN_TIME),
    )  # fmt: skip
    steps = (
        StepView(139, DONE, "officer:77aa", StepWord.ASSIGNED, "eve", "", ()),
        StepView(
            141,
            DONE,
            "officer:77aa",
            "referred",
            "",
            "Counsel has file 17; the authority was told.",
            ("72h",),
        ),
    )
    closed = StepView(
        23,
        DONE,
        "officer:77aa",
        StepWord.CLOSED,
        "",
        "The vendor has shown the consent forms.",
        ("72h", "60d"),
    )
    return {
        "a-0003": CaseView(lumen, (), PEOPLE, (LEGAL,)),
        "a-0002": CaseView(harbor, steps, PEOPLE, (LEGAL,)),
        "a-0001": CaseView(clear, (closed,), PEOPLE, (LEGAL,)),
    }


def owned(view: CaseView, owner: str) -> CaseView:
    """After it was assigned."""
    step = StepView(150, DONE, "officer:77aa", StepWord.ASSIGNED, owner, "", ())
    return replace(view, row=replace(view.row, owner=owner), steps=(*view.steps, step))


def decided(view: CaseView, decision: str, reason: str, answers: tuple[str, ...]) -> CaseView:
    """After a decision, or after one was taken back."""
    what = StepWord.REOPENED if decision == "open" else StepWord(decision)
    step = StepView(151, DONE, "officer:77aa", what, "", reason, answers)
    return replace(view, row=replace(view.row, state=CaseState(decision)), steps=(*view.steps, step))
