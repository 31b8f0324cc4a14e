"""How much a mild corruption moves the image's vector (Wu 2025, ICIMIA): one vision pass a corruption.

The vector is what the rest of the model sees: the mean of what the language model is given at the image's
positions; the image embedding of a contrastive model; the class token that a matching head looks at.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from audit_core.adapters.families import CONTRASTIVE, GENERATIVE, MATCHING
from audit_core.readings.images import CORRUPTIONS, corrupted
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, register
from audit_core.samples import Sample

NAME = "image_similarity"


def opened(scene: Scene) -> Read:
    """Mean over the corruptions of cos(v(x), v(c(x))); which way it points differs between models."""
    feed = scene.feed

    def read(chunk: Sequence[Sample]) -> Scalars:
        own_BD = feed.adapter.image_vectors(feed.encode(chunk))
        total_B = torch.zeros(len(chunk), dtype=torch.float64)
        for how in CORRUPTIONS:
            moved = [corrupted(sample, how) for sample in chunk]
            batch = feed.adapter.encode(moved, feed.settings.max_text_tokens)
            total_B += (own_BD * feed.adapter.image_vectors(batch)).sum(1).double().cpu()
        return {NAME: (total_B / len(CORRUPTIONS)).numpy()}

    return read


register(Reading(NAME, (NAME,), (GENERATIVE, CONTRASTIVE, MATCHING), PASSES[NAME], opened))
