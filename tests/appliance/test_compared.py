"""Two audits side by side: answers to two questions are not compared, and differences are not missed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.compared import ComparedRow, Standing, compared
from appliance.views import AuditView, Interval, VerdictWord
from tests.tui.simulator import audit_view

FAIL = audit_view("a-1", "lumen-vlm", VerdictWord.FAIL)
NUMBERS = ("flagged", "exposed share", "estimated share", "AUROC of targets")


def row(one: AuditView, other: AuditView, part: str, what: str) -> ComparedRow:
    """One property of two audits."""
    (found,) = [row for row in compared(one, other).rows if (row.part, row.what) == (part, what)]
    return found


def changed(**changes: Any) -> AuditView:
    """The failed audit with another exposure."""
    assert FAIL.result.exposure is not None
    return replace(FAIL, result=replace(FAIL.result, exposure=replace(FAIL.result.exposure, **changes)))


def standings(one: AuditView, other: AuditView) -> set[Standing]:
    """How the numbers of two audits stand to each other."""
    return {row(one, other, "exposure", what).standing for what in NUMBERS}


def test_an_audit_is_the_same_as_itself() -> None:
    """Everything but the p-value, which is never compared."""
    rows = compared(FAIL, FAIL).rows
    assert {one.what for one in rows if one.standing is not Standing.SAME} == {"rank test"}


def test_every_part_is_there() -> None:
    """Model, cohort, policy, verdict and exposure, in this order."""
    assert list(dict.fromkeys(one.part for one in compared(FAIL, FAIL).rows)) == [
        "model",
        "cohort",
        "policy",
        "verdict",
        "exposure",
    ]


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (replace(FAIL, cohort_digest="00" * 32), "different patients"),
        (
            replace(FAIL, result=replace(FAIL.result, deciding_detector="loss")),
            "another detector decided",
        ),
        (replace(FAIL, result=replace(FAIL.result, exposure=None)), "before it had a number"),
        (audit_view("a-2", "lumen-vlm", VerdictWord.VOID), "a control failed"),
    ],
)
def test_answers_to_two_questions_are_not_compared(other: AuditView, why: str) -> None:
    """Other patients, another detector, no number, a void run: every number is set apart with the reason."""
    for one, two in ((FAIL, other), (other, FAIL)):
        assert standings(one, two) == {Standing.APART}
        assert {why in row(one, two, "exposure", what).why for what in NUMBERS} == {True}


def test_the_control_of_the_same_question() -> None:
    """Control: with the same patients and detector the numbers are compared."""
    assert Standing.APART not in standings(FAIL, changed(flagged=3))
    assert row(FAIL, changed(flagged=3), "exposure", "flagged").standing is Standing.DIFFERS


def test_a_void_run_has_no_number() -> None:
    """What a void run counted is not shown."""
    void = replace(FAIL, verdict=audit_view("a", "m", VerdictWord.VOID).verdict)
    told = [row(void, FAIL, "exposure", what).first for what in (*NUMBERS, "rank test", "detectable share")]
    assert [text for text in told if any(sign.isdigit() for sign in text)] == []


def test_overlapping_intervals_show_no_difference() -> None:
    """Two estimates that cannot be told apart are not called different; two that can are."""
    near = changed(prevalence_estimate=0.55, prevalence_ci=Interval(0.4, 0.7))
    far = changed(prevalence_estimate=0.9, prevalence_ci=Interval(0.8, 0.95))
    none = changed(prevalence_estimate=None, prevalence_ci=None)
    stands = [row(FAIL, one, "exposure", "estimated share").standing for one in (near, far, none)]
    assert stands == [Standing.CLOSE, Standing.DIFFERS, Standing.APART]


def test_flags_at_another_rate_are_not_compared() -> None:
    """Another q flags other patients for the same scores."""
    found = row(FAIL, changed(q=0.05), "exposure", "flagged")
    assert (found.standing, "false flags" in found.why) == (Standing.APART, True)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (replace(FAIL, policy_digest="00" * 32), "different rules"),
        (replace(FAIL, cohort_digest="00" * 32), "different patients"),
        (audit_view("a-2", "lumen-vlm", VerdictWord.VOID), "nothing may be concluded"),
        (replace(FAIL, result=replace(FAIL.result, as_published=True)), "as published"),
    ],
)
def test_verdicts_by_other_rules_are_not_compared(other: AuditView, why: str) -> None:
    """Another policy, cohort or way to run, and a void run, set the words apart."""
    found = row(FAIL, other, "verdict", "word")
    assert found.standing is Standing.APART
    assert why in found.why


def test_inconclusive_is_said_to_be_no_pass() -> None:
    """Beside an INCONCLUSIVE stands that it is none."""
    found = row(FAIL, audit_view("a-2", "lumen-vlm", VerdictWord.INCONCLUSIVE), "verdict", "word")
    assert (found.standing, "no PASS" in found.why) == (Standing.DIFFERS, True)
