"""Entropies and divergences of predictions against sums over the vocabulary in plain Python."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from audit_core.adapters.predictions import Predictions
from audit_core.readings import augmentation_kl, entropies


def outcomes(rows: int, size: int, seed: int) -> torch.Tensor:
    """Log-probabilities [rows, size], some nearly sure and some nearly even."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([0.1, 1.0, 4.0, 12.0]).repeat(rows)[:rows, None]
    return torch.log_softmax(scale * torch.randn(rows, size, generator=generator), dim=1)


def test_renyi_entropies_are_those_of_the_formula() -> None:
    """Every order equals a sum over the vocabulary in plain Python; α = 1 and ∞ are limits of the others."""
    logp = outcomes(8, 30, 0)
    found = entropies.renyi(logp).double()
    for row, logs in enumerate(logp.double().tolist()):
        total = sum(math.exp(x) for x in logs)
        p = [math.exp(x) / total for x in logs]
        for column, order in ((0, 0.5), (2, 2.0)):
            wanted = math.log(sum(q**order for q in p)) / (1 - order)
            assert float(found[row, column]) == pytest.approx(wanted, abs=1e-4)
        near_one = math.log(sum(q**1.0001 for q in p)) / -0.0001
        assert float(found[row, 1]) == pytest.approx(near_one, abs=1e-3)
        large = math.log(sum(q**100.0 for q in p)) / (1 - 100.0)
        assert float(found[row, 3]) == pytest.approx(large, rel=0.05, abs=1e-4)


def test_mod_renyi_is_the_formula() -> None:
    """Every order equals the bracket of METHOD §4 summed over the vocabulary in plain Python."""
    logp, truth = outcomes(8, 12, 1), torch.arange(8)
    found = entropies.mod_renyi(logp, truth).double()
    for row, logs in enumerate(logp.double().tolist()):
        p, y = [math.exp(x) for x in logs], int(truth[row])
        for column, order in enumerate((0.5, 1.0001, 2.0)):
            k = abs(order - 1)
            others = sum(q * (1 - q) ** k - q for j, q in enumerate(p) if j != y)
            wanted = ((1 - p[y]) * p[y] ** k - (1 - p[y]) + others) / k
            assert float(found[row, column]) == pytest.approx(wanted, rel=2e-3, abs=2e-4)


def test_mod_renyi_is_largest_for_what_is_surely_true() -> None:
    """A sure and right prediction gives 0, the most there is; sure and wrong the least, yet finite."""
    sure = torch.log_softmax(torch.tensor([[200.0, 0.0, 0.0]] * 2), dim=1)
    right, wrong = entropies.mod_renyi(sure, torch.tensor([0, 1])).tolist()
    assert right == pytest.approx([0.0, 0.0, 0.0], abs=1e-5)
    assert all(math.isfinite(value) and value < -1.0 for value in wrong)


@pytest.mark.parametrize(("share", "count"), [(0.0, 1), (0.1, 2), (1.0, 23)])
def test_the_largest_entropies_are_averaged(share: float, count: int) -> None:
    """K % of 23 positions, the largest; one at least."""
    values = torch.tensor(random.Random(0).sample(range(100), 23)).double()
    assert entropies.largest(values, share) == pytest.approx(sum(sorted(values.tolist())[-count:]) / count)


def test_pieces_make_no_difference() -> None:
    """Entropies and divergences of many predictions are those of all of them at once."""
    p, q = outcomes(70, 9, 2), outcomes(70, 9, 3)
    one, other = (Predictions(x, torch.arange(70) % 9, lambda rows: rows) for x in (p, q))
    plain, modified = entropies.entropies(one)
    np.testing.assert_allclose(plain, entropies.renyi(p), atol=1e-6)
    np.testing.assert_allclose(modified, entropies.mod_renyi(p, torch.arange(70) % 9), atol=1e-6)
    wanted = np.mean([sum(np.exp(a) * (a - b)) for a, b in zip(p.numpy(), q.numpy(), strict=True)])
    assert augmentation_kl.divergence(one, other) == pytest.approx(wanted, rel=1e-5)


def test_nothing_is_modified_without_a_truth() -> None:
    """At the image's positions nothing had to be said."""
    one = Predictions(outcomes(4, 5, 0), torch.full((4,), -1), lambda rows: rows)
    assert entropies.entropies(one)[1] is None
