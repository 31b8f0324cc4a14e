"""Privacy-loss bounds: published anchors, the defining tail, and their error on a randomised response."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from audit_core.epsilon import one_run_lower, two_sample_lower


@pytest.mark.parametrize(
    ("correct", "guesses", "epsilon"), [(190, 200, 2.40), (600, 600, 5.30), (48, 50, 1.99)]
)
def test_one_run_anchors(correct: int, guesses: int, epsilon: float) -> None:
    """The bounds of METHOD §7 for three numbers of guesses, to two places."""
    assert one_run_lower(correct, guesses) == pytest.approx(epsilon, abs=0.005)


def test_two_sample_anchor() -> None:
    """800 members all above and 800 controls all below the threshold show 5.38, never infinity."""
    assert two_sample_lower(800, 800, 0, 800) == pytest.approx(5.38, abs=0.005)


@pytest.mark.parametrize(("correct", "guesses"), [(48, 50), (30, 40), (9, 9), (700, 1000)])
def test_one_run_is_the_largest_epsilon_rejected(correct: int, guesses: int) -> None:
    """Just under the bound so many right guesses are rarer than 5 %, just above they are not."""
    bound = one_run_lower(correct, guesses)
    tails = [binom.sf(correct - 1, guesses, 1 / (1 + math.exp(-(bound + step)))) for step in (-1e-6, 1e-6)]
    assert tails[0] < 0.05 < tails[1]


@pytest.mark.parametrize("counts", [(40, 60, 2, 80), (60, 60, 0, 80), (11, 60, 3, 400)])
def test_two_sample_is_the_ratio_of_exact_bounds(counts: tuple[int, int, int, int]) -> None:
    """ln of the members' exact lower bound over the controls' exact upper bound, 2.5 % error each."""
    tp, members, fp, controls = counts
    low = binomtest(tp, members).proportion_ci(0.95, "exact").low
    high = binomtest(fp, controls).proportion_ci(0.95, "exact").high
    assert two_sample_lower(*counts) == pytest.approx(max(0.0, math.log(low / high)), abs=1e-9)


def test_guessing_shows_nothing() -> None:
    """Half right, none right, or as many controls as members beyond the threshold: ε ≥ 0 and no more."""
    shown = [one_run_lower(25, 50), one_run_lower(0, 5), two_sample_lower(4, 80, 5, 100)]
    assert [*shown, two_sample_lower(0, 9, 0, 9)] == [0.0] * 4


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 2.5])
def test_bounds_err_in_at_most_five_percent(epsilon: float) -> None:
    """Under randomised response, whose ε is known exactly, either bound exceeds it in ≤ 5 % of runs."""
    draw = np.random.default_rng(0)
    truth = 1 / (1 + math.exp(-epsilon))
    right = draw.binomial(200, truth, 4000)
    one = {v: one_run_lower(int(v), 200) for v in np.unique(right)}
    assert np.mean([one[v] > epsilon + 1e-12 for v in right]) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)
    pairs = zip(draw.binomial(100, truth, 2000), draw.binomial(100, 1 - truth, 2000), strict=True)
    assert np.mean([two_sample_lower(int(t), 100, int(f), 100) > epsilon + 1e-12 for t, f in pairs]) <= 0.05


@pytest.mark.parametrize("counts", [(3, 2), (-1, 5), (0, 0)])
def test_impossible_counts_are_refused(counts: tuple[int, int]) -> None:
    """More right guesses than guesses, or none made, is an error and not a bound."""
    with pytest.raises(ValueError, match="no count"):
        one_run_lower(*counts)
    with pytest.raises(ValueError, match="no count"):
        two_sample_lower(1, 2, *counts)
    with pytest.raises(ValueError, match="between 0 and 1"):
        one_run_lower(1, 2, 1.0)
