"""Slice similarities other than the cosine, over per-sample gradients that are really made.

A plain second implementation: no Grams, no leave-one-out. Reference members are in the mean they are compared
with, as published.

Letters: B samples, N pairs, T positions, I inputs, O outputs, K slices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audit_core.adapters.base import ModelAdapter
from audit_core.gradients import capture
from audit_core.samples import Sample

Floats = NDArray[np.float64]
Compare = Callable[[Tensor, Tensor, int], Tensor]

BATCH = 8
SHORTEST = 1e-8  # of a slice, as published (docs/as-published.md)

SIMILARITIES: Mapping[str, Compare] = {
    "cosine": lambda g, r, along: (
        (g * r).sum(along) / (g.norm(dim=along).clamp_min(SHORTEST) * r.norm(dim=along).clamp_min(SHORTEST))
    ),
    "dot": lambda g, r, along: (g * r).sum(along),
    "L1": lambda g, r, along: -(g - r).abs().sum(along),
    "L2": lambda g, r, along: -(g - r).norm(dim=along),
}
"""Name -> similarity of gradients [B, O, I] with a mean [1, O, I] along one axis; larger is nearer."""


def slice_similarities(
    adapter: ModelAdapter,
    names: Sequence[str],
    references: Sequence[Sample],
    pairs: Sequence[Sample],
    text_tokens: int,
) -> dict[str, Floats]:
    """Similarity of every row and column of every matrix with the same slice of the references' mean.

    Args:
        adapter: the frozen model.
        names: matrices; their slices follow each other, rows before columns.
        references: reference members, whose mean gradient is compared with.
        pairs: N pairs; references may be among them.
        text_tokens: at most so many report tokens.

    Returns:
        name of the similarity -> [N, K].
    """
    mean: dict[str, Tensor] = {}
    for made in _gradients(adapter, names, references, text_tokens):
        for name, grads_BOI in made.items():
            mean[name] = mean.get(name, torch.zeros(())) + grads_BOI.sum(0, keepdim=True)
    mean = {name: total / len(references) for name, total in mean.items()}
    found: dict[str, list[Tensor]] = {kind: [] for kind in SIMILARITIES}
    for made in _gradients(adapter, names, pairs, text_tokens):
        for kind, compare in SIMILARITIES.items():
            parts = [compare(made[name], mean[name], along) for name in names for along in (2, 1)]
            found[kind].append(torch.cat(parts, dim=1))
    return {kind: torch.cat(parts).double().numpy() for kind, parts in found.items()}


def _gradients(
    adapter: ModelAdapter, names: Sequence[str], pairs: Sequence[Sample], text_tokens: int
) -> Iterator[dict[str, Tensor]]:
    """Matrix -> gradients [B, O, I] of the pairs of one batch."""
    for at in range(0, len(pairs), BATCH):
        got = capture(adapter, adapter.encode(pairs[at : at + BATCH], text_tokens), names)
        yield {
            name: torch.einsum("bto,bti->boi", layer.grads_BTO, layer.acts_BTI)
            for name, layer in got.layers.items()
        }


def top_slices(similarity: Floats, member: NDArray[np.bool_], rows: NDArray[np.int64], count: int) -> Floats:
    """[N] mean over the `count` slices with the largest gap between reference members and controls.

    τ has a meaning for cosines only; here every similarity keeps as many slices as the cosine keeps at τ.

    Args:
        similarity: [N, K].
        member: [n] of the references, True for members.
        rows: [n] where the references lie.
        count: slices to keep, 1 … K.
    """
    gap = similarity[rows[member]].mean(axis=0) - similarity[rows[~member]].mean(axis=0)
    kept = np.argsort(-gap, kind="stable")[:count]
    return np.asarray(similarity[:, kept].mean(axis=1))
