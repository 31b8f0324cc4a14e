"""Which neurons a pair wakes, against those that members and non-members wake (Tang 2025, NA-PDD).

A pair's pattern in a layer is the share of its positions at which each neuron of the feed-forward part is
above zero: at report tokens of a language model, in both towers of a contrastive model. The number is the
mean over layers of cos(pattern, mean of members) − cos(pattern, mean of non-members); a reference pair is
left out of its own mean.

Letters: B samples, T positions, F neurons of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from audit_core.adapters.families import CONTRASTIVE, GENERATIVE, MATCHING
from audit_core.batches import Feed
from audit_core.errors import BadSample
from audit_core.ownership import by_sample
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, register
from audit_core.samples import Sample

NAME = "neurons"
SCALAR = "neuron_similarity"

Patterns = dict[str, Tensor]
"""Layer -> shares of positions, float64 [B, F]."""


@dataclass(frozen=True, slots=True)
class Group:
    """Summed patterns of some reference pairs, layer -> [F], and who is in them."""

    sums: Patterns
    pairs: frozenset[str]

    def mean(self, layer: str, pair_id: str, own_F: Tensor) -> Tensor:
        """Their mean pattern, without this pair where it is one of them."""
        if pair_id not in self.pairs:
            return self.sums[layer] / len(self.pairs)
        return (self.sums[layer] - own_F) / max(1, len(self.pairs) - 1)


def opened(scene: Scene) -> Read:
    """Similarity to members minus similarity to non-members; both means are made first."""
    names = scene.feed.adapter.feed_forward()
    groups = [_summed(scene.feed, references, names) for references in (scene.members, scene.controls)]

    def read(chunk: Sequence[Sample]) -> Scalars:
        found = patterns(scene.feed, chunk, names)
        scores = [_score(sample.pair_id, row, found, groups) for row, sample in enumerate(chunk)]
        return {SCALAR: np.array(scores)}

    return read


def patterns(feed: Feed, chunk: Sequence[Sample], names: Sequence[str]) -> Patterns:
    """The patterns of a batch; layer by layer only the shares are kept."""
    batch = feed.encode(chunk)
    told_BT = feed.adapter.text_positions(batch)
    vision = {c.name for c in feed.adapter.candidates() if c.tower == "vision"}
    found: Patterns = {}

    def take(name: str, tensor: Tensor) -> None:
        awake_BTF = (by_sample(name, tensor, batch) > 0).double()
        if name in vision:
            found[name] = awake_BTF.mean(1).cpu()
            return
        weight_BT = told_BT.to(awake_BTF.device).double()
        count_B1 = weight_BT.sum(1, keepdim=True).clamp_min(1.0)
        found[name] = (torch.einsum("btf,bt->bf", awake_BTF, weight_BT) / count_B1).cpu()

    feed.adapter.neurons(batch, feed.anchors, names, take)
    return found


def _summed(feed: Feed, references: Sequence[Sample], names: Sequence[str]) -> Group:
    """A reference that cannot be read is in no mean."""
    sums: Patterns = {}
    inside: list[str] = []
    for start in range(0, len(references), feed.pace.batch):
        chunk = references[start : start + feed.pace.batch]
        try:
            _add(sums, inside, chunk, patterns(feed, chunk, names))
        except BadSample:
            for sample in chunk:
                try:
                    _add(sums, inside, [sample], patterns(feed, [sample], names))
                except BadSample:
                    continue
    return Group(sums, frozenset(inside))


def _add(sums: Patterns, inside: list[str], chunk: Sequence[Sample], found: Patterns) -> None:
    for layer, values_BF in found.items():
        sums[layer] = sums.get(layer, torch.zeros(values_BF.shape[1], dtype=torch.float64)) + values_BF.sum(0)
    inside += [sample.pair_id for sample in chunk]


def _score(pair_id: str, row: int, found: Patterns, groups: Sequence[Group]) -> float:
    gaps = []
    for layer, values_BF in found.items():
        own_F = values_BF[row]
        close = [torch.cosine_similarity(own_F, group.mean(layer, pair_id, own_F), dim=0) for group in groups]
        gaps.append(float(close[0] - close[1]))
    return float(np.mean(gaps)) if gaps else float("nan")


FAMILIES = (GENERATIVE, CONTRASTIVE, MATCHING)
register(Reading(NAME, (SCALAR,), FAMILIES, PASSES[NAME], opened, needs_references=True))
