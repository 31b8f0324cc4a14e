"""GradAudit as published, a second time from METHOD §1 alone: one pair at a time, plain autograd, loops.

Nothing of `audit_core` is used here. What is chosen where METHOD is silent stands in docs/as-published.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Gradients = dict[str, Tensor]
Slices = dict[str, list[list[float]]]  # matrix -> [cosines of its rows, cosines of its columns]


def last_three(model: nn.Module, towers: Sequence[str], heads: Sequence[str]) -> list[str]:
    """Matrices of the last three blocks of each tower, by index, and of the heads.

    Args:
        towers: patterns whose first group is the index of a block.
        heads: beginnings of parameter names.
    """
    chosen = []
    names = [name for name, value in model.named_parameters() if value.ndim == 2]
    for pattern in towers:
        found = {name: int(match.group(1)) for name in names if (match := re.search(pattern, name))}
        last = sorted(set(found.values()))[-3:]
        chosen += [name for name, index in found.items() if index in last]
    return chosen + [name for name in names if name.startswith(tuple(heads))]


def lora_matrices(model: nn.Module) -> list[str]:
    """Every matrix of a LoRA, A and B alike."""
    return [name for name, value in model.named_parameters() if "lora_" in name and value.ndim == 2]


def gradients(model: nn.Module, names: Sequence[str], loss: Tensor) -> Gradients:
    """Gradient of one pair's loss by every named matrix that gets one."""
    matrices = dict(model.named_parameters())
    wanted = [matrices[name] for name in names]
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    return {name: g.double() for name, g in zip(names, found, strict=True) if g is not None}


def reference_mean(members: Sequence[Gradients]) -> Gradients:
    """Mean gradient of all reference members."""
    mean = {name: torch.zeros_like(value) for name, value in members[0].items()}
    for one in members:
        for name, value in one.items():
            mean[name] = mean[name] + value / len(members)
    return mean


def slice_cosines(one: Gradients, mean: Gradients) -> Slices:
    """Cosine of every row and every column with the same row or column of the mean."""
    found: Slices = {}
    for name, matrix in one.items():
        rows = [_cosine(matrix[r, :], mean[name][r, :]) for r in range(matrix.shape[0])]
        columns = [_cosine(matrix[:, c], mean[name][:, c]) for c in range(matrix.shape[1])]
        found[name] = [rows, columns]
    return found


def _cosine(one: Tensor, other: Tensor) -> float:
    lengths = max(float(one.norm()), 1e-8) * max(float(other.norm()), 1e-8)
    return float(one @ other) / lengths


def sensitive(members: Sequence[Slices], others: Sequence[Slices], rule: str, tau: float) -> dict[str, list]:
    """Which rows and which columns of every matrix are kept."""
    kept: dict[str, list] = {}
    for name in members[0]:
        kept[name] = []
        for side in (0, 1):
            count = len(members[0][name][side])
            gaps = []
            for k in range(count):
                high = sum(one[name][side][k] for one in members) / len(members)
                low = sum(one[name][side][k] for one in others) / len(others)
                gaps.append(high - low)
            kept[name].append(_chosen(gaps, rule, tau))
    return kept


def _chosen(gaps: list[float], rule: str, tau: float) -> list[bool]:
    over = [gap > tau for gap in gaps]
    if rule == "tau_or_topq" and not any(over):
        return [gap >= _quantile(gaps, 0.90) for gap in gaps]
    if rule == "adaptive_keep" and sum(over) < 0.20 * len(gaps):
        return [gap >= _quantile(gaps, 0.80) for gap in gaps]
    if rule == "quantile":
        over = [gap > _quantile(gaps, 0.80) for gap in gaps]
        if not any(over):
            largest = sorted(range(len(gaps)), key=lambda k: -gaps[k])[:16]
            over = [k in largest for k in range(len(gaps))]
    return over


def _quantile(values: list[float], q: float) -> float:
    return float(torch.quantile(torch.tensor(values, dtype=torch.float64), q))


def score(one: Slices, kept: dict[str, list]) -> float:
    """Mean cosine over all kept slices of all matrices."""
    pooled = []
    for name, sides in one.items():
        for side in (0, 1):
            for cosine, keep in zip(sides[side], kept[name][side], strict=True):
                if keep:
                    pooled.append(cosine)
    return sum(pooled) / len(pooled)


def leak_probabilities(held_out: Sequence[float], scores: Sequence[float]) -> list[float]:
    """Posterior of the leaked part of a mixture whose clean part is fixed on held-out non-members."""
    middle = _quantile(list(held_out), 0.5)
    clean = [value - middle for value in held_out]
    gaps = [value - middle for value in scores]
    mean0 = sum(clean) / len(clean)
    sd0 = math.sqrt(sum((value - mean0) ** 2 for value in clean) / len(clean))
    share, mean1, sd1 = 0.5, mean0 + 2 * sd0, sd0

    def posterior(gap: float) -> float:
        one = share * _normal(gap, mean1, sd1)
        return one / (one + (1 - share) * _normal(gap, mean0, sd0))

    for _ in range(5000):
        weights = [posterior(gap) for gap in gaps]
        total = sum(weights)
        mean1 = sum(w * gap for w, gap in zip(weights, gaps, strict=True)) / total
        variance = sum(w * (gap - mean1) ** 2 for w, gap in zip(weights, gaps, strict=True)) / total
        sd1 = max(math.sqrt(variance), sd0 / 10)
        before, share = share, total / len(gaps)
        if abs(share - before) < 1e-10:
            break
    return [posterior(gap) for gap in gaps]


def _normal(value: float, mean: float, sd: float) -> float:
    return math.exp(-0.5 * ((value - mean) / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def published(
    pairs: Callable[[str], Gradients],
    members: Sequence[str],
    others: Sequence[str],
    probes: Sequence[str],
    rules: Sequence[tuple[str, float]],
) -> dict[tuple[str, float], tuple[dict[str, float], int]]:
    """(Rule, τ) -> (score of every probe, kept slices); `pairs` gives the gradients of one pair."""
    of_members = [pairs(pair) for pair in members]
    mean = reference_mean(of_members)
    up = [slice_cosines(one, mean) for one in of_members]
    down = [slice_cosines(pairs(pair), mean) for pair in others]
    asked = {pair: slice_cosines(pairs(pair), mean) for pair in probes}
    found = {}
    for rule, tau in rules:
        kept = sensitive(up, down, rule, tau)
        count = sum(sum(side) for sides in kept.values() for side in sides)
        found[rule, tau] = ({pair: score(one, kept) for pair, one in asked.items()}, count)
    return found
