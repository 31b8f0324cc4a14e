"""Frozen layers by the faster products: the same numbers, and nothing left behind."""

from __future__ import annotations

import torch
from torch import nn

from audit_core.products import frozen_products


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 40), nn.GELU(), nn.Linear(40, 8, bias=False)).requires_grad_(False)


def test_frozen_layers_give_the_same_outputs_and_input_gradients() -> None:
    """Forward and backward of batched inputs, against plain layers, with and without bias."""
    network = _network()
    x = torch.randn(3, 5, 24, requires_grad=True)
    plain = network(x)
    (wanted,) = torch.autograd.grad(plain.square().sum(), x)
    with frozen_products(network):
        fast = network(x)
        (found,) = torch.autograd.grad(fast.square().sum(), x)
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_trained_and_half_precision_layers_are_left_as_they_are_and_all_are_afterwards() -> None:
    """A layer whose weight is trained keeps its own forward, so that its gradient exists."""
    network = _network()
    network[2].weight.requires_grad_(True)
    x = torch.randn(4, 24)
    with frozen_products(network):
        assert "forward" in vars(network[0])
        assert "forward" not in vars(network[2])
        network(x).sum().backward()
    assert network[2].weight.grad is not None
    assert "forward" not in vars(network[0])
    with frozen_products(network.bfloat16()):
        assert "forward" not in vars(network[0])
