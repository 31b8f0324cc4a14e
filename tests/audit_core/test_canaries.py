"""Canaries beside an audit: ranks, guesses, a bound that holds, and what they may do to a verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from audit_core.canaries import canary_report
from audit_core.canary_rules import asks_for_review, bars_pass
from audit_core.epsilon import one_run_lower
from audit_core.policy import decide
from audit_core.results import Consequence, ControlOutcome, ControlStatus, VerdictWord
from tests.audit_core.test_policy import CLEAN, POLICY, STRONG


def _plan(rng: np.random.Generator, size: int = 64) -> dict[str, int]:
    """Canary -> copies, each by a fair coin."""
    doses = np.where(rng.random(size) < 0.5, 0, rng.choice((1, 4, 16), size))
    return {f"c{number:03}": int(copies) for number, copies in enumerate(doses)}


def test_perfect_memory_gives_every_guess_right_and_first_ranks() -> None:
    """Scores that follow the copies: ranks 1, an AUROC of 1, and the bound of so many right guesses."""
    copies = _plan(np.random.default_rng(1))
    scores = {name: float(number) + place * 1e-6 for place, (name, number) in enumerate(copies.items())}
    found = canary_report(scores, copies, 32)
    assert (found.correct, found.guesses, found.auroc, found.unscored) == (32, 32, 1.0, 0)
    assert found.epsilon_lower == pytest.approx(one_run_lower(32, 32))
    assert [dose.copies for dose in found.doses] == [1, 4, 16]
    assert {rank for dose in found.doses for rank in dose.ranks} == {1}
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert sum(len(dose.ranks) for dose in found.doses) == found.planted


def test_the_bound_holds_for_a_model_that_remembers_nothing() -> None:
    """Over 600 designs without memory at most about 5 % give a bound above 0, and p-values are level."""
    rng = np.random.default_rng(2)
    reports = [
        canary_report({name: float(rng.normal()) for name in copies}, copies, 32)
        for copies in (_plan(rng) for _ in range(600))
    ]
    above = sum((report.epsilon_lower or 0.0) > 0.0 for report in reports)
    assert above <= 45  # 99.9 % of binomials with 600 tries at 5 %
    early = sum((report.p_value or 1.0) < 0.05 for report in reports)
    assert early <= 47


def test_what_has_no_score_is_a_wrong_guess_and_is_counted() -> None:
    """Leaving canaries out cannot raise the bound: the number of guesses stays as it was committed."""
    copies = dict.fromkeys("abcd", 0) | dict.fromkeys("efgh", 4)
    whole = canary_report({name: float(place) for place, name in enumerate("abcdefgh")}, copies, 8)
    part = canary_report({"a": 0.0, "h": 1.0}, copies, 8)
    assert (whole.correct, part.correct, part.guesses, part.unscored) == (8, 2, 8, 6)
    assert part.epsilon_lower == 0.0
    assert "6 canaries have no score" in part.sentence


@pytest.mark.parametrize("scored", [(), ("a",), ("h",)])
def test_one_side_without_a_score_is_no_comparison(scored: tuple[str, ...]) -> None:
    """Nothing to compare with is no number, and it bars PASS."""
    found = canary_report(dict.fromkeys(scored, 0.0), {"a": 0, "h": 4}, 0)
    assert (found.p_value, found.auroc, found.epsilon_lower) == (None, None, None)
    assert "cannot be compared" in found.sentence
    assert bars_pass(POLICY, replace(STRONG, canaries=found))


def test_ties_say_nothing() -> None:
    """Equal scores give an AUROC of one half and guesses that do not know what was planted."""
    copies = {f"c{number}": 4 * (number % 2) for number in range(32)}
    found = canary_report(dict.fromkeys(copies, 1.0), copies, 16)
    assert found.auroc == 0.5
    assert found.epsilon_lower == 0.0


def test_guesses_and_scores_are_of_the_designs_canaries() -> None:
    """A score of a stranger or more guesses than canaries is a mistake of the caller."""
    with pytest.raises(ValueError, match="canaries"):
        canary_report({"x": 1.0}, {"a": 0}, 0)
    with pytest.raises(ValueError, match="canaries"):
        canary_report({}, {"a": 0}, 2)


def _report(separated: bool) -> object:
    copies = {f"c{number:02}": 4 * (number % 2) for number in range(40)}
    rng = np.random.default_rng(3)
    noise = {name: float(rng.normal()) + 9.0 * separated * (copies[name] > 0) for name in copies}
    return canary_report(noise, copies, 20)


def test_canaries_ask_for_a_review_and_never_for_more() -> None:
    """A quiet patients' test with canaries found is REVIEW; with canaries not found nothing changes."""
    quiet, loud = (replace(CLEAN, canaries=_report(one)) for one in (False, True))
    before = decide(POLICY, CLEAN)
    assert decide(POLICY, quiet).word is before.word
    assert asks_for_review(POLICY, loud)
    verdict = decide(POLICY, loud)
    assert (verdict.word, verdict.line) == (VerdictWord.REVIEW, 4)
    assert "canaries" in verdict.reasons[0]
    assert before.word is VerdictWord.PASS


def test_every_verdict_but_void_says_what_the_canaries_say() -> None:
    """The sentence is the last reason; a void run gives no number."""
    loud = replace(STRONG, canaries=_report(True))
    verdict = decide(POLICY, loud)
    assert verdict.word is decide(POLICY, STRONG).word
    assert verdict.reasons[-1] == loud.canaries.sentence  # type: ignore[union-attr]
    broken = ControlOutcome(
        "pipeline identity", ControlStatus.FAILED, Consequence.VOID, "It is another model."
    )
    void = decide(POLICY, replace(loud, controls=(broken,)))
    assert void.word is VerdictWord.VOID
    assert "canaries" not in " ".join(void.reasons)
