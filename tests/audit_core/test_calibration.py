"""p-values, mixture, likelihood ratio, bounds: levels under the null, and known numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, mannwhitneyu
from sklearn.metrics import roc_auc_score

from audit_core.calibration import (
    benjamini_hochberg,
    clopper_pearson,
    conformal_p,
    exceedance_p,
    fit_mixture,
    likelihood_ratio,
    missing_controls,
    mixture_null_p,
)
from audit_core.detectable import detectable_effect
from audit_core.exposure import TAILS, prevalence_lower, quantifier
from audit_core.ranking import (
    Resampler,
    auroc,
    operating_point,
    rank_test_p,
    rank_test_p_many,
    roc_curve,
)
from audit_core.samples import Settings


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_conformal_p_counts_ties_against_the_pair() -> None:
    """p = (1 + #{controls ≥ s}) / (n + 1), a tie counted as above."""
    controls = np.array([1.0, 2.0, 2.0, 3.0])
    expected = [1 / 5, 2 / 5, 4 / 5, 1.0]
    np.testing.assert_allclose(conformal_p(controls, np.array([4.0, 3.0, 2.0, 0.0])), expected)


def test_conformal_p_keeps_its_level() -> None:
    """For exchangeable scores P[p ≤ α] is at most α at every α, and not far below."""
    draw = rng(0)
    p = np.concatenate([conformal_p(draw.normal(size=39), draw.normal(size=5)) for _ in range(2000)])
    for alpha in (0.05, 0.1, 0.5):
        assert abs((p <= alpha).mean() - alpha) < 4 * math.sqrt(alpha / 10_000) * 2


def test_benjamini_hochberg_example() -> None:
    """The step-up rule rejects all up to the last p under its line, also those above theirs."""
    p = np.array([0.01, 0.5, 0.034, 0.036, 0.9])
    assert benjamini_hochberg(p, 0.06).tolist() == [True, False, True, True, False]
    assert not benjamini_hochberg(np.array([0.2, 0.3]), 0.1).any()


def test_false_discoveries_stay_under_q() -> None:
    """With half of the patients exposed the mean share of false flags is at most q, and most are found."""
    false, found = [], []
    for seed in range(400):
        draw = rng(seed)
        targets = np.concatenate([draw.normal(size=25), draw.normal(3, 1, size=25)])
        flagged = benjamini_hochberg(conformal_p(draw.normal(size=80), targets), 0.2)
        false.append(flagged[:25].sum() / max(flagged.sum(), 1))
        found.append(flagged[25:].mean())
    assert np.mean(false) <= 0.2
    assert np.mean(found) > 0.7


@pytest.mark.parametrize(
    ("n", "m", "q", "k", "missing"), [(40, 46, 0.1, 1, 419), (459, 46, 0.1, 1, 0), (40, 46, 0.1, 12, 0)]
)
def test_missing_controls(n: int, m: int, q: float, k: int, missing: int) -> None:
    """n ≥ m/(qk) − 1 controls flag k of m; one fewer cannot."""
    assert missing_controls(n, m, q, k) == missing
    needed = n + missing
    p = np.concatenate([np.full(k, 1 / (needed + 1)), np.ones(m - k)])
    assert benjamini_hochberg(p, q).sum() == k
    if missing:
        p = np.concatenate([np.full(k, 1 / needed), np.ones(m - k)])
        assert benjamini_hochberg(p, q).sum() == 0


def test_clopper_pearson_covers_exactly() -> None:
    """At the interval's ends the binomial tail beyond the count is 2.5 %."""
    interval = clopper_pearson(7, 40)
    assert binom.sf(6, 40, interval.low) == pytest.approx(0.025, abs=1e-9)
    assert binom.cdf(7, 40, interval.high) == pytest.approx(0.025, abs=1e-9)
    assert (clopper_pearson(0, 10).low, clopper_pearson(10, 10).high) == (0.0, 1.0)


def test_exceedance_is_exact() -> None:
    """The chance of so many p-values under α equals the frequency in exchangeable draws."""
    draw = rng(1)
    counts = []
    for _ in range(4000):
        scores = draw.normal(size=40)
        counts.append(exceedance_p(scores[:20], scores[20:], 0.1)[0])
    pooled = np.array(counts)
    for count in (3, 5, 8):
        scores = np.concatenate([np.arange(20.0), np.full(count, 30.0), np.full(20 - count, -1.0)])
        claimed = exceedance_p(scores[:20], scores[20:], 0.1)
        assert claimed[0] == count
        frequency = (pooled >= count).mean()
        assert claimed[1] == pytest.approx(frequency, abs=4 * math.sqrt(frequency / 4000) + 1e-3)


@pytest.mark.parametrize("shape", ["normal", "heavy tails", "skewed"])
def test_mixture_test_keeps_its_level(shape: str) -> None:
    """With nothing leaked the test of π = 0 rejects at most 5 % (and sampling error), whatever the shape."""
    draw = rng(2)
    sample = {
        "normal": lambda n: draw.normal(size=n),
        "heavy tails": lambda n: draw.standard_t(4, size=n),
        "skewed": lambda n: draw.gumbel(size=n),
    }[shape]
    rejected = [mixture_null_p(sample(40), sample(46), draw, 99) <= 0.05 for _ in range(150)]
    assert np.mean(rejected) <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 150)


def test_mixture_finds_a_planted_share() -> None:
    """40 % leaked two and a half spreads away: the test rejects, the share is near, posteriors rise."""
    draw = rng(3)
    controls = draw.normal(size=400)
    scores = np.concatenate([draw.normal(size=240), draw.normal(2.5, 0.7, size=160)])
    found = fit_mixture(controls, scores)
    assert mixture_null_p(controls, scores, draw, 99) <= 0.02
    assert found.share == pytest.approx(0.4, abs=0.08)
    assert (found.leaked_mean, found.leaked_sd) == pytest.approx((2.5, 0.7), abs=0.25)


@pytest.mark.parametrize("leaked_sd", [0.4, 1.0, 2.5])
def test_leak_probability_never_falls(leaked_sd: float) -> None:
    """Narrow or wide leaked component: a higher score never has a lower probability."""
    draw = rng(4)
    scores = np.concatenate([draw.normal(size=300), draw.normal(2, leaked_sd, size=200)])
    found = fit_mixture(draw.normal(size=400), scores)
    values = found.leak_probability(np.linspace(-50, 50, 4001))
    assert (np.diff(values) >= -1e-12).all() and values[0] >= 0 and values[-1] <= 1
    assert values[-1] > 0.9 and values[0] < 0.25


def test_likelihood_ratio_rises_and_stays_honest() -> None:
    """Steps never fall; perfect separation of 30 from 40 claims a ratio of at most about 80."""
    draw = rng(5)
    ratio = likelihood_ratio(draw.normal(1, 1, 60), draw.normal(0, 1, 80))
    assert (np.diff(ratio.ratios) >= 0).all() and ratio.ratios.size > 3
    assert (np.diff(ratio.posterior(np.linspace(-5, 5, 200), 0.1)) >= 0).all()
    perfect = likelihood_ratio(np.arange(100.0, 130), np.arange(40.0))
    assert 40 < perfect.ratios[-1] < 90
    assert perfect.posterior(np.array([200.0]), 0.001)[0] < 0.1


def test_likelihood_ratio_is_calibrated() -> None:
    """Among fresh pairs given about 50 % at prior .1, about half are members."""
    draw = rng(6)
    ratio = likelihood_ratio(draw.normal(2, 1, 2000), draw.normal(0, 1, 2000))
    member = draw.random(40_000) < 0.1
    posterior = ratio.posterior(draw.normal(2.0 * member, 1.0), 0.1)
    middle = (posterior > 0.3) & (posterior < 0.7)
    assert member[middle].mean() == pytest.approx(posterior[middle].mean(), abs=0.06)


def test_auroc_equals_scikit_learn() -> None:
    """With ties, ours is the standard AUROC, and the ROC curve has that area."""
    up, down = rng(7).integers(0, 6, 30).astype(float) + 1, rng(8).integers(0, 6, 40).astype(float)
    truth = roc_auc_score(np.repeat([1, 0], [30, 40]), np.concatenate([up, down]))
    assert auroc(up, down) == pytest.approx(truth)
    fpr, tpr = np.array(roc_curve(up, down)).T
    assert np.trapezoid(tpr, fpr) == pytest.approx(truth)
    assert (fpr[-1], tpr[-1]) == (1.0, 1.0)


def test_bootstrap_interval_covers() -> None:
    """The 95 % interval holds the true AUROC in about 95 % of draws."""
    truth, inside = 0.760, 0
    for seed in range(300):
        draw = rng(seed)
        interval = Resampler(40, 40, 400, draw).interval(draw.normal(1, 1, 40), draw.normal(0, 1, 40))
        inside += interval.low <= truth <= interval.high
    assert 0.90 <= inside / 300 <= 0.985


def test_perfect_separation_is_not_certainty() -> None:
    """Groups that do not overlap still get an interval of more than one point."""
    interval = Resampler(36, 28, 200, rng(9)).interval(np.arange(100.0, 136), np.arange(28.0))
    assert (interval.low, interval.high) == (pytest.approx(0.025 ** (1 / 28)), 1.0)


@pytest.mark.parametrize("sizes", [(8, 9), (46, 40)])
def test_rank_test_keeps_its_level_and_agrees_with_scipy(sizes: tuple[int, int]) -> None:
    """Level at 5 % and 0.1 % within sampling error, also for the version that runs many audits at once."""
    draw = rng(10)
    up, down = draw.normal(size=(20_000, sizes[0])), draw.normal(size=(20_000, sizes[1]))
    many = rank_test_p_many(up, down)
    assert (many < 0.05).mean() <= 0.055
    if sizes[0] > 10:
        assert (many < 0.001).mean() <= 0.002
        for i in range(5):
            assert rank_test_p(up[i], down[i]) == pytest.approx(many[i], abs=1e-6)
    else:
        exact = mannwhitneyu(up[0], down[0], alternative="greater", method="exact").pvalue
        assert rank_test_p(up[0], down[0]) == pytest.approx(exact)
    assert rank_test_p(np.ones(5), np.ones(9)) == 1.0


@pytest.mark.parametrize(
    ("alpha", "controls", "label", "missing"),
    [
        (0.05, 200, "headline", 0),
        (0.05, 40, "rough", 160),
        (0.05, 19, "not resolvable", 181),
        (0.01, 40, "not resolvable", 960),
    ],
)
def test_resolution_guard(alpha: float, controls: int, label: str, missing: int) -> None:
    """A rate is printed from 1/α controls on, as a headline from 10/α on; else the missing number is."""
    scores = np.arange(float(controls))
    point = operating_point(alpha, np.array([controls - 2.5, 1e9]), scores, np.array([-1.0, 1e9, -2.0]))
    assert (point.label, point.missing_controls) == (label, missing)
    if label == "not resolvable":
        assert point.tpr is None and point.realised_fpr is None
    else:
        threshold = controls - 1 - math.floor(alpha * controls)
        assert point.tpr == (1.0 if controls - 2.5 > threshold else 0.5)
        assert (scores > threshold).mean() <= alpha
        assert point.realised_fpr == clopper_pearson(1, 3)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_prevalence_bound_errs_at_most_alpha(share: float) -> None:
    """The 95 % lower bound exceeds the true share in at most 5 % of draws, and is not always zero."""
    draw = rng(11)
    bounds = []
    for _ in range(600):
        m = 60
        exposed = draw.random(m) < share
        bounds.append(prevalence_lower(draw.normal(5.0 * exposed, 1.0), draw.normal(size=80)))
    assert (np.array(bounds) > share).mean() <= 0.05
    if share:
        assert np.mean(bounds) > 0.05
    assert len(TAILS) <= 5


def test_quantifier_is_near_and_bounded() -> None:
    """The share estimate covers a planted 30 %, and is none where members look like controls."""
    draw = rng(12)
    targets = np.concatenate([draw.normal(size=140), draw.normal(2, 1, 60)])
    estimate, interval = quantifier(targets, draw.normal(size=200), draw.normal(2, 1, 200), draw)
    assert estimate == pytest.approx(0.3, abs=0.1)
    assert interval is not None and interval.low < 0.3 < interval.high
    flat = draw.normal(size=200)
    assert quantifier(flat[:50], flat, flat + 1e-9, draw) == (None, None)


def test_detectable_effect_is_what_simulation_finds() -> None:
    """At the printed share four in five fresh audits fire; a stricter level needs a larger share."""
    draw = rng(13)
    controls, leaked = draw.normal(size=400), draw.normal(2, 1, size=400)
    settings = Settings(alpha_fail=0.001, simulations=600)
    effect = detectable_effect(leaked, controls, 60, settings, "members", 0)
    assert effect.share is not None and 0.05 < effect.share < 0.6
    fired = []
    for _ in range(400):
        exposed = draw.random(60) < effect.share
        targets = np.where(exposed, draw.normal(2, 1, 60), draw.normal(size=60))
        fired.append(rank_test_p(targets, draw.normal(size=400)) < 0.001)
    assert np.mean(fired) == pytest.approx(0.8, abs=0.08)
    looser = detectable_effect(leaked, controls, 60, replace(settings, alpha_fail=0.05), "members", 0)
    assert looser.share is not None and looser.share < effect.share


def test_detectable_effect_with_a_tolerated_share() -> None:
    """With a limit the bound must exceed it, so the detectable share lies above the limit."""
    draw = rng(14)
    settings = Settings(exposure_limit=0.2, simulations=60)
    effect = detectable_effect(draw.normal(6, 1, 80), draw.normal(size=200), 80, settings, "members", 0)
    assert effect.share is not None and effect.share > 0.2


def test_no_detectable_effect_without_sensitivity() -> None:
    """Where leaked pairs look like controls no share is printed and the sentence says so."""
    flat = rng(15).normal(size=200)
    effect = detectable_effect(flat, flat, 40, Settings(simulations=60), "members", 0)
    assert effect.share is None and "all 40 patients" in effect.sentence
