"""Reliability of leak probabilities: each judged by others, counted once, and right where it must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit_core.calibration import clopper_pearson
from audit_core.reliability import FOLDS, LEAST, reliability
from audit_core.results import ReliabilityBin
from tests.audit_core.planted import World
from tests.audit_core.test_judgement import judged


def drawn(members: int, controls: int, effect: float, seed: int) -> tuple[ReliabilityBin, ...]:
    draw = np.random.default_rng(seed)
    return reliability(
        draw.normal(effect, 1, members), draw.normal(0, 1, controls), np.random.default_rng([seed, 7])
    )


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from((0.0, 1.0, 8.0)), st.integers(0, 99))
def test_every_reference_is_in_one_bin(members: int, controls: int, effect: float, seed: int) -> None:
    """Counts add up, bins ascend and are no smaller than stated; too few references give none."""
    bins = drawn(members, controls, effect, seed)
    if min(members, controls) < FOLDS:
        assert bins == ()
        return
    assert sum(one.members for one in bins) == members
    assert sum(one.references for one in bins) == members + controls
    assert all(one.references >= LEAST for one in bins)
    predicted = [one.predicted for one in bins]
    assert predicted == sorted(predicted)
    assert 0 <= predicted[0] <= predicted[-1] <= 1
    assert all(one.interval == clopper_pearson(one.members, one.references) for one in bins)


def test_what_is_predicted_is_what_is_observed() -> None:
    """With many references of a known law, nearly every interval holds the predicted share."""
    bins = [one for seed in range(8) for one in drawn(1500, 1500, 1.0, seed)]
    held = sum(one.interval.low - 0.02 <= one.predicted <= one.interval.high + 0.02 for one in bins)
    assert len(bins) >= 40
    assert held / len(bins) > 0.9


def test_nobody_is_judged_by_a_fit_that_saw_him() -> None:
    """Where members and controls are alike no probability strays far; fitted with themselves some would."""
    bins = drawn(30, 30, 0.0, 3)
    for one in bins:
        assert one.interval.low <= 0.5 <= one.interval.high


@pytest.mark.parametrize(("effect", "told"), [(1.5, True), (0.0, False)])
def test_only_where_probabilities_are_stated(effect: float, told: bool) -> None:
    """An audit that finds its members says how right it is; one that does not states neither."""
    result, findings = judged(World(effect=effect), 1)
    assert bool(result.reliability) is told
    assert any("0.01" in one.leak_probability for one in findings) is told
