"""Slices that nearly cancel along T: what is left of them is as exact by Grams as by making."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audit_core.adapters.base import Outcome
from audit_core.gradients import LayerCapture, _cleaned
from audit_core.slice_routes import by_grams, by_making, row_sums
from audit_core.slices import cosines

B, T, I, O = 4, 24, 160, 128  # noqa: E741


@pytest.fixture(params=[1e-1, 1e-2, 1e-3, 3e-4])
def cancelling(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    """A key projection: its gradients sum to zero over T; one input hardly varies, one does not at all."""
    generator = torch.Generator().manual_seed(0)
    grads = 1e-4 * torch.randn(B, T, O, generator=generator)
    grads -= grads.mean(1, keepdim=True)
    acts = torch.randn(B, T, I, generator=generator)
    acts[:, :, 0] = 30.0 * (1 + request.param * torch.randn(B, T, generator=generator))
    acts[:, :, 1] = 0.0
    return acts, grads


def _cosines(acts: torch.Tensor, grads: torch.Tensor) -> tuple[np.ndarray, torch.Tensor]:
    """In float64, [B, O + I]; and the mean they are taken with."""
    made = torch.einsum("bto,bti->boi", grads.double(), acts.double())
    mean = made.mean(0).float()
    lengths = np.concatenate([mean.double().square().sum(1), mean.double().square().sum(0)])
    dots = torch.cat([(made * mean).sum(2), (made * mean).sum(1)], dim=1).numpy()
    squares = torch.cat([made.square().sum(2), made.square().sum(1)], dim=1).numpy()
    return cosines(dots, squares, lengths), mean


def test_slices_that_cancel_are_made(cancelling: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Both routes are within 1e-4 of float64, and the column that is zero has no cosine by either."""
    acts, grads = cancelling
    wanted, mean = _cosines(acts, grads)
    lengths = np.concatenate([mean.double().square().sum(1), mean.double().square().sum(0)])
    for route in (by_making, by_grams):
        squares, dots = (part.double().numpy() for part in route(acts, grads, (mean,)))
        np.testing.assert_allclose(cosines(dots, squares, lengths), wanted, atol=1e-4)


def test_masked_slices_that_cancel_are_made(cancelling: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The same for one column alone, as a mask may keep it, among few or many."""
    acts, grads = cancelling
    wanted, mean = _cosines(acts, grads)
    for kept in (torch.tensor([0]), torch.arange(I)):
        squares, dots = row_sums(grads, acts[:, :, kept], mean[:, kept].T)
        lengths = mean.double().square().sum(0)[kept].numpy()
        found = cosines(dots.double().numpy(), squares.double().numpy(), lengths)
        np.testing.assert_allclose(found, wanted[:, O + kept.numpy()], atol=1e-4)


def test_every_row_is_looked_at_when_two_layers_share_a_place_in_memory() -> None:
    """A shorter view of an input does not hide what is not finite behind its end."""
    whole = torch.ones(2, 6, 3)
    whole[1, 5, 2] = torch.nan
    grads = torch.ones(2, 6, 2)
    layers = {"short": LayerCapture(whole[:, :4], grads[:, :4]), "long": LayerCapture(whole, grads.clone())}
    outcome = Outcome(torch.zeros(2), {}, (1, 1))
    assert _cleaned(outcome, layers, torch.tensor([True, True])).finite_B.tolist() == [True, False]
