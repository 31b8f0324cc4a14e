"""The minimum detectable effect is what whole line 3 finds in fresh audits, with and without a limit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from audit_core.detectable import _stratified_p, detectable_effect
from audit_core.exposure import prevalence_lower
from audit_core.ranking import rank_test_p
from audit_core.results import ControlStatus
from audit_core.samples import Settings
from audit_core.shift_controls import conditional_test


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_stratified_test_equals_a_plain_loop_and_keeps_its_level() -> None:
    """Rank sums within strata against their mean and variance, one run at a time; level 5 % on nulls."""
    draw = rng(0)
    targets, controls = draw.normal(size=(3000, 30)), draw.normal(size=(3000, 50))
    strata = np.array_split(draw.permutation(80), 7)
    found = _stratified_p(targets, controls, strata)
    for run in range(3):
        both, excess, variance = np.concatenate([targets[run], controls[run]]), 0.0, 0.0
        for columns in strata:
            size, k = columns.size, int((columns < 30).sum())
            for column in columns[columns < 30]:
                excess += ((both[columns] <= both[column]).sum() - (size + 1) / 2) / (size + 1)
            variance += k * (size - k) / (12 * (size + 1))
        assert found[run] == pytest.approx(0.5 * math.erfc(excess / math.sqrt(2 * variance)), abs=1e-9)
    assert (found < 0.05).mean() == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(("limit", "shift"), [(0.0, 1.5), (0.1, 3.0)])
def test_line_three_fires_in_four_of_five_fresh_audits(limit: float, shift: float) -> None:
    """At the printed share the limit's test, the rank test and the conditional test agree to fire in 80 %."""
    draw, n, m = rng(1), 120, 100
    settings = Settings(exposure_limit=limit, simulations=200)
    shares = [
        detectable_effect(draw.normal(shift, 1, 300), draw.normal(size=n), m, settings, "members", seed).share
        for seed in range(3)
    ]
    share = float(np.mean(np.array(shares, dtype=float)))
    fired = []
    for _ in range(60):
        targets = draw.normal(shift * (draw.random(m) < share), 1.0)
        controls = draw.normal(size=n)
        p = rank_test_p(targets, controls)
        fires = p < settings.alpha_fail if limit == 0.0 else prevalence_lower(targets, controls) > limit
        held = conditional_test(
            np.concatenate([targets, controls]), np.arange(m + n) < m, draw.normal(size=m + n), 0.05, draw
        )
        fired.append(fires and p < settings.alpha_review and held.status is ControlStatus.PASSED)
    assert np.mean(fired) == pytest.approx(0.8, abs=0.13)


def test_the_tier_costs_sensitivity_where_the_limit_alone_would_fire() -> None:
    """Few, far-out patients pass a bound but hardly a rank test: the printed share is what both need."""
    draw = rng(2)
    leaked, controls = draw.normal(9, 1, 200), draw.normal(size=150)
    settings = Settings(exposure_limit=0.02, simulations=200)
    found = detectable_effect(leaked, controls, 150, settings, "members", 0).share
    assert found is not None
    bounds, p_values = [], []
    for _ in range(60):
        targets = np.where(draw.random(150) < found - 0.03, draw.normal(9, 1, 150), draw.normal(size=150))
        bounds.append(prevalence_lower(targets, controls) > 0.02)
        p_values.append(rank_test_p(targets, draw.normal(size=150)) < 0.05)
    assert np.mean(bounds) > 0.9 > np.mean(p_values)
