"""How much a mild corruption of the image moves what is predicted of the report (Liu 2021 line; METHOD §4).

Mean over corruptions and predictions of KL(p(·|x) ‖ p(·|c(x))): over the vocabulary at each report token; of
the choices among the bank; of match and no match.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit_core.adapters.families import CONTRASTIVE, GENERATIVE, MATCHING
from audit_core.adapters.predictions import Predictions
from audit_core.readings.images import CORRUPTIONS, corrupted
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, register
from audit_core.samples import Sample

NAME = "augmentation_kl"


def opened(scene: Scene) -> Read:
    """The mean divergence of each pair; which way it points differs between models."""
    feed = scene.feed

    def read(chunk: Sequence[Sample]) -> Scalars:
        own = feed.adapter.predictions(feed.encode(chunk), feed.anchors)
        found = np.zeros(len(chunk))
        for how in CORRUPTIONS:
            moved = [corrupted(sample, how) for sample in chunk]
            batch = feed.adapter.encode(moved, feed.settings.max_text_tokens)
            others = feed.adapter.predictions(batch, feed.anchors)
            found += [divergence(one, other) for one, other in zip(own, others, strict=True)]
        return {NAME: found / len(CORRUPTIONS)}

    return read


def divergence(own: Predictions, other: Predictions) -> float:
    """Mean KL divergence in nats of the second predictions from the first, position by position."""
    total = 0.0
    for (p, _), (q, _) in zip(own.pieces(), other.pieces(), strict=True):
        total += float((p.exp() * (p - q)).sum().double())
    return total / len(own.truth_P)


register(Reading(NAME, (NAME,), (GENERATIVE, CONTRASTIVE, MATCHING), PASSES[NAME], opened))
