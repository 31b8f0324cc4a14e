"""Privacy-loss bounds: published anchors, the defining tail, and their error on a randomised response."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from audit_core.epsilon import one_run_lower, one_run_p, two_sample_lower


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


@pytest.mark.parametrize(
    ("right", "guesses", "coins", "delta", "epsilon"),
    [(75, 100, 1000, 1e-4, 0.673), (1439, 1510, 100_000, 1e-5, 2.675)],
)
def test_published_bounds_with_a_delta(
    right: int, guesses: int, coins: int, delta: float, epsilon: float
) -> None:
    """Appendix D and Figure 11 of Steinke, Nasr & Jagielski 2023, to a unit of the last printed place."""
    found = one_run_lower(right, guesses, delta=delta, coins=coins)
    assert found == pytest.approx(epsilon, abs=1e-3)


def slow_p(right: int, guesses: int, epsilon: float, delta: float, coins: int) -> float:
    """The p-value of the paper's Appendix D, summed one number of right guesses after the other."""
    share = 1 / (1 + math.exp(-epsilon))
    largest = mass = 0.0
    for i in range(1, right + 1):
        mass += binom.pmf(right - i, guesses, share)
        largest = max(largest, mass / i)
    return float(min(1.0, binom.sf(right - 1, guesses, share) + 2 * coins * delta * largest))


COUNTS = st.tuples(st.integers(1, 80), st.integers(0, 200), st.floats(0.0, 1.0)).map(
    lambda drawn: (round(drawn[0] * drawn[2]), drawn[0], drawn[0] + drawn[1])
)
"""Right guesses, guesses, coins."""


@given(COUNTS, st.floats(0.0, 6.0), st.floats(0.0, 0.5))
@hypothesis_settings(max_examples=150, deadline=None)
def test_the_p_value_is_the_papers(counts: tuple[int, int, int], epsilon: float, delta: float) -> None:
    """Fast and slow way agree, and a larger ε or δ never makes right guesses more surprising."""
    right, guesses, coins = counts
    found = one_run_p(right, guesses, epsilon, delta, coins)
    assert found == pytest.approx(slow_p(right, guesses, epsilon, delta, coins), abs=1e-9)
    assert one_run_p(right, guesses, epsilon, delta / 2, coins) <= found + 1e-12


@given(COUNTS, st.floats(1e-9, 1e-2))
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_bound_at_a_delta(counts: tuple[int, int, int], delta: float) -> None:
    """It is the bound of δ = 0 or less, falls with δ, meets it as δ vanishes, and rejects all below it."""
    right, guesses, coins = counts
    pure = one_run_lower(right, guesses)
    bounds = [one_run_lower(right, guesses, delta=d, coins=coins) for d in (1e-15, delta, 2 * delta)]
    assert pure + 1e-9 >= bounds[0] >= bounds[1] >= bounds[2] - 1e-8
    assert bounds[0] == pytest.approx(pure, abs=1e-4)
    below = np.linspace(0.0, bounds[1], 7, endpoint=False) if bounds[1] else ()
    assert all(one_run_p(right, guesses, float(e), delta, coins) < 0.05 for e in below)


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_the_bound_with_a_delta_errs_in_at_most_five_percent(epsilon: float) -> None:
    """A randomised response that tells the truth with a further δ: the bound exceeds ε in ≤ 5 % of runs."""
    draw, coins, delta, runs = np.random.default_rng(1), 150, 0.004, 4000
    told = draw.binomial(coins, delta, runs)  # these coins are given away: that is all that δ allows
    right = told + draw.binomial(coins - told, 1 / (1 + math.exp(-epsilon)))
    bounds = {v: one_run_lower(int(v), coins, delta=delta, coins=coins) for v in np.unique(right)}
    over = np.mean([bounds[v] > epsilon for v in right])
    assert over <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    assert np.mean([one_run_lower(int(v), coins) > epsilon for v in right]) > over  # δ = 0 would err more


@pytest.mark.parametrize(
    "wrong",
    [
        (3, 4, 1.0, -1e-9, 9),
        (3, 4, 1.0, 1.0, 9),
        (3, 4, -1.0, 0.0, 9),
        (3, 4, math.inf, 0.0, 9),
        (3, 4, 1.0, 1e-9, 3),
    ],
)
def test_impossible_privacy_is_refused(wrong: tuple[int, int, float, float, int]) -> None:
    """A δ or ε that cannot be, or fewer coins than guesses, is an error and not a p-value."""
    with pytest.raises(ValueError, match="coins"):
        one_run_p(*wrong)
