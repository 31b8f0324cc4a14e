"""Rényi entropies of predictions, and their versions that know the truth (Li 2024, VL-MIA; METHOD §4).

H_α(p) = log(Σ p^α)/(1−α); α = 1 is Shannon's entropy, α = ∞ is −log max p.

Letters: P predictions, V outcomes, A orders α.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from audit_core.adapters.predictions import Predictions

ORDERS: Final = ("half", "1", "2", "inf")
SHARES: Final[Mapping[str, float]] = {"max": 0.0, "10": 0.1, "100": 1.0}
"""Which predictions count: the one of the largest entropy, the top tenth, all of them."""

MOD_ORDERS: Final = ("half", "1", "2")
LEAST: Final = 1e-7
"""Floor of 1 − p inside a logarithm: what float32 can tell from 1."""


def renyi(logp_PV: Tensor) -> Tensor:
    """[P, A] entropies of `ORDERS`, in nats."""
    return torch.stack(
        [
            2.0 * torch.logsumexp(0.5 * logp_PV, dim=1),
            -(logp_PV.exp() * logp_PV).sum(1),
            -torch.logsumexp(2.0 * logp_PV, dim=1),
            -logp_PV.amax(1),
        ],
        dim=1,
    )


def mod_renyi(logp_PV: Tensor, truth_P: Tensor) -> Tensor:
    """[P, 3] of `MOD_ORDERS`, larger = more member-like; METHOD §4, ModRényi.

    With k = |α−1|: (1/k)·[(1−p_y)·p_y^k − (1−p_y) + Σ_{j≠y} (p_j·(1−p_j)^k − p_j)]; α = 1 is its limit,
    (1−p_y)·log p_y + Σ_{j≠y} p_j·log(1−p_j), the modified entropy of Song & Mittal (2021), negated.
    """
    p_PV = logp_PV.exp()
    rest_PV = (1.0 - p_PV).clamp_min(0.0)
    own_P1 = truth_P[:, None]
    logp_y, rest_y = (x.gather(1, own_P1)[:, 0] for x in (logp_PV, rest_PV))

    def of_others(values_PV: Tensor) -> Tensor:
        return values_PV.scatter(1, own_P1, 0.0).sum(1)

    found = []
    for k in (0.5, None, 1.0):
        if k is None:
            log_rest = rest_PV.clamp_min(LEAST).log()
            found.append(rest_y * logp_y + of_others(p_PV * log_rest))
        else:
            others = of_others(p_PV * (rest_PV.pow(k) - 1.0))
            found.append((rest_y * ((k * logp_y).exp() - 1.0) + others) / k)
    return torch.stack(found, dim=1)


def entropies(predictions: Predictions) -> tuple[Tensor, Tensor | None]:
    """(Rényi [P, A], its versions with the truth [P, 3] or None), float64, piece by piece."""
    plain, modified = [], []
    for logp_PV, truth_P in predictions.pieces():
        plain.append(renyi(logp_PV))
        if bool((truth_P >= 0).all()):
            modified.append(mod_renyi(logp_PV, truth_P))
    whole = torch.cat(plain).double().cpu()
    return whole, torch.cat(modified).double().cpu() if len(modified) == len(plain) else None


def largest(entropies_P: Tensor, share: float) -> float:
    """Mean of the largest entropies: of this share of the positions, but of one at least."""
    count = max(1, math.floor(share * len(entropies_P)))
    return float(entropies_P.topk(count).values.mean())


def max_renyi(entropies_PA: Tensor, where: str) -> dict[str, float]:
    """Max-Rényi-K%, negated, for every share and order: scalar name -> number."""
    return {
        f"renyi_{where}_{name}_{order}": -largest(entropies_PA[:, column], share)
        for name, share in SHARES.items()
        for column, order in enumerate(ORDERS)
    }


def names(where: str) -> tuple[str, ...]:
    """The scalars of `max_renyi`."""
    return tuple(f"renyi_{where}_{name}_{order}" for name in SHARES for order in ORDERS)
