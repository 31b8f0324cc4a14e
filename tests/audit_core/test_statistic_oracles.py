"""Statistics against the slow obvious version: enumeration, textbook loops, other routes in scipy."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.stats import beta, binomtest, bootstrap, mannwhitneyu

from audit_core.calibration import (
    PRIORS,
    benjamini_hochberg,
    binomial_lower,
    binomial_upper,
    clopper_pearson,
    conformal_p,
    exceedance_p,
    likelihood_ratio,
)
from audit_core.exposure import TAILS, prevalence_lower, quantifier
from audit_core.ranking import Resampler, auroc, rank_test_p_many, resampled


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_conformal_p_is_exact_over_all_orders() -> None:
    """Of all 120 orders of five scores, exactly k/5 give p ≤ k/5."""
    p = np.array(
        [conformal_p(np.array(o[:4], float), np.array(o[4:], float))[0] for o in permutations(range(5))]
    )
    assert [int((p <= k / 5 + 1e-12).sum()) for k in range(1, 6)] == [24, 48, 72, 96, 120]


def _step_up(p: list[Fraction], q: Fraction) -> list[bool]:
    """Benjamini & Hochberg's rule as printed: reject up to the last p(i) ≤ q·i/m, in exact numbers."""
    line = [value for i, value in enumerate(sorted(p), 1) if value <= q * i / len(p)]
    return [bool(line) and value <= max(line) for value in p]


@pytest.mark.parametrize(("seed", "q"), [(0, 0.1), (1, 0.1), (2, 0.2), (3, 0.15), (4, 0.3)])
def test_benjamini_hochberg_equals_the_exact_rule(seed: int, q: float) -> None:
    """On conformal p-values, whose ties and borders floats blur, the flags are those of exact numbers."""
    draw, some = rng(seed), 0
    for _ in range(200):
        n, m = int(draw.integers(9, 120)), int(draw.integers(1, 40))
        ranks = draw.integers(1, n + 2, m) if draw.random() < 0.3 else 1 + draw.binomial(n, 0.05, m)
        expected = _step_up([Fraction(int(rank), n + 1) for rank in ranks], Fraction(str(q)))
        assert benjamini_hochberg(ranks / (n + 1.0), q).tolist() == expected
        some += any(expected)
    assert 20 < some < 200
    assert benjamini_hochberg(np.array([1 / 40, *np.ones(5)]), 0.15).tolist() == [True, *[False] * 5]
    assert benjamini_hochberg(np.array([]), 0.1).size == 0


@pytest.mark.parametrize(("count", "total"), [(0, 12), (1, 30), (7, 40), (40, 40), (3, 1000)])
def test_binomial_bounds_equal_the_search_of_scipy(count: int, total: int) -> None:
    """Both sides and both one-sided bounds are those that `binomtest` finds by searching the tail."""
    both = binomtest(count, total).proportion_ci(0.95, "exact")
    found = clopper_pearson(count, total)
    assert (found.low, found.high) == pytest.approx((both.low, both.high), abs=1e-9)
    low = binomtest(count, total, alternative="greater").proportion_ci(0.999, "exact").low
    high = binomtest(count, total, alternative="less").proportion_ci(0.999, "exact").high
    assert binomial_lower(count, total, 0.001) == pytest.approx(low, abs=1e-9)
    assert binomial_upper(count, total, 0.001) == pytest.approx(high, abs=1e-9)


def test_exceedance_equals_enumeration() -> None:
    """Six controls and four targets at level 2/7: the chance of k beyond is a share of all 210 deals."""
    deals = []
    for chosen in combinations(range(10), 4):
        targets = np.array(chosen, dtype=float)
        controls = np.setdiff1d(np.arange(10.0), targets)
        deals.append(exceedance_p(controls, targets, 2 / 7))
    counts = np.array([count for count, _ in deals])
    for count, chance in deals:
        assert chance == pytest.approx((counts >= count).mean(), abs=1e-12)
    assert set(counts) == {0, 1, 2, 3, 4}


def _pooled(members: list[float], controls: list[float]) -> list[tuple[float, int, int]]:
    """Pool adjacent violators in exact numbers: (first score, members, controls) per step."""
    steps: list[tuple[float, int, int]] = []
    for score in sorted({*members, *controls}):
        steps.append((score, members.count(score), controls.count(score)))
        while len(steps) > 1 and steps[-2][1] * steps[-1][2] >= steps[-1][1] * steps[-2][2]:
            (_, m, c), (start, k, d) = steps.pop(), steps.pop()
            steps.append((start, k + m, d + c))
    return steps


@pytest.mark.parametrize("seed", range(4))
def test_likelihood_ratio_equals_pooling_by_hand(seed: int) -> None:
    """Steps start where exact pooling starts them; each holds its counts and half a pair on both sides."""
    draw = rng(seed)
    members, controls = draw.integers(2, 14, 60).astype(float), draw.integers(0, 11, 45).astype(float)
    steps = _pooled(members.tolist(), controls.tolist())
    found = likelihood_ratio(members, controls)
    assert found.starts.tolist() == [start for start, _, _ in steps]
    ratios = [(m + 0.5) / 61 / ((c + 0.5) / 46) for _, m, c in steps]
    np.testing.assert_allclose(found.ratios, np.maximum.accumulate(ratios), rtol=1e-12)


def test_posteriors_follow_from_ratio_and_prior() -> None:
    """At each of the three priors the posterior odds are the prior odds times the step's ratio."""
    draw = rng(9)
    found = likelihood_ratio(draw.normal(1, 1, 80), draw.normal(0, 1, 80))
    assert PRIORS == ("0.001", "0.01", "0.1")
    for prior in map(float, PRIORS):
        p = found.posterior(found.starts, prior)
        np.testing.assert_allclose(p / (1 - p), found.ratios * prior / (1 - prior), rtol=1e-9)


def test_bootstrap_interval_equals_scipy() -> None:
    """The patient bootstrap of the AUROC gives the percentile interval of scipy's, up to drawing."""
    draw = rng(10)
    up, down = draw.normal(1, 1, 50), draw.normal(0, 1, 40)
    found = Resampler(50, 40, 10_000, draw).interval(up, down)
    theirs = bootstrap((up, down), auroc, method="percentile", n_resamples=3000, rng=draw).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)


def test_resamples_draw_every_patient_alike() -> None:
    """Each resample holds as many patients as there are; each comes once on average."""
    counts = resampled(20, 10_000, rng(11))
    assert counts.shape == (10_000, 20) and (counts.sum(axis=1) == 20).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1.0, atol=0.05)
    np.testing.assert_allclose(counts.var(axis=0), 0.95, atol=0.08)


@pytest.mark.parametrize("sizes", [(7, 12), (30, 9), (30, 40)])
def test_many_rank_tests_equal_one_by_one(sizes: tuple[int, int]) -> None:
    """Simulated audits use the law that the real one would use at these sizes: counted, or normal."""
    draw = rng(12)
    up, down = draw.normal(1, 1, (6, sizes[0])), draw.normal(0, 1, (6, sizes[1]))
    method = "exact" if min(sizes) <= 10 else "asymptotic"
    expected = [
        mannwhitneyu(a, b, alternative="greater", method=method).pvalue for a, b in zip(up, down, strict=True)
    ]
    np.testing.assert_allclose(rank_test_p_many(up, down), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("shape", "share"), [("heavy", 0.0), ("heavy", 0.1), ("separated", 0.5), ("low", 0.2)]
)
def test_prevalence_bound_holds_whatever_exposed_scores_look_like(shape: str, share: float) -> None:
    """Heavy tails, full separation, exposed scores that lie lower: the bound errs in at most 5 % of draws."""
    draw, wrong = rng(13), 0
    shift = {"heavy": 2.0, "separated": 9.0, "low": -2.0}[shape]
    for _ in range(500):
        exposed = draw.random(90) < share
        wrong += prevalence_lower(draw.standard_t(2, 90) + shift * exposed, draw.standard_t(2, 70)) > share
    assert wrong / 500 <= 0.05


def test_prevalence_bound_is_near_in_large_cohorts() -> None:
    """On 4,000 clearly separated patients it comes within .05 of the share, above what DKW gives."""
    draw = rng(14)
    exposed = draw.random(4000) < 0.3
    targets, controls = draw.normal(8.0 * exposed, 1.0), draw.normal(size=4000)
    found = prevalence_lower(targets, controls)
    assert 0.25 < found <= exposed.mean()
    band = math.sqrt(math.log(2 / 0.025) / (2 * 4000))  # both curves, α split in two
    cut = np.sort(controls)[::-1][[int(tail * 4000) for tail in TAILS]]
    seen, clean = ((group[:, None] > cut).mean(axis=0) for group in (targets, controls))
    by_dkw = np.max((seen - band - clean - band) / (1 - clean - band))
    assert found > by_dkw > 0.2


def test_prevalence_bound_is_its_formula() -> None:
    """Five tails, both sides exact at 5 %/10 by the beta law, the largest share; never below nothing."""
    draw = rng(15)
    targets, controls = draw.normal(1, 1, 70), draw.normal(size=55)
    high = np.sort(controls)[::-1]
    shares = []
    for place in (0, 2, 5, 13, 27):  # controls above each threshold
        above = int((targets > high[place]).sum())
        seen = beta.ppf(0.005, above, 70 - above + 1) if above else 0.0
        clean = beta.ppf(0.995, place + 1, 55 - place)
        shares.append((seen - clean) / (1 - clean))
    assert prevalence_lower(targets, controls) == pytest.approx(max(shares), abs=1e-12)
    assert max(shares) > 0.01
    assert prevalence_lower(targets - 3.0, controls) == 0.0


def test_quantifier_covers_a_planted_share() -> None:
    """The bootstrap interval of the estimate holds the planted share in most draws."""
    inside = 0
    for seed in range(60):
        draw = rng(seed)
        targets = draw.normal(2.0 * (draw.random(100) < 0.3), 1.0)
        _, interval = quantifier(targets, draw.normal(size=100), draw.normal(2, 1, 100), draw, 400)
        assert interval is not None
        inside += interval.low <= 0.3 <= interval.high
    assert inside / 60 >= 0.86
