"""Entropies at the image's own positions, alone and with the report's (Li 2024, VL-MIA, image slice).

What a language model predicts after each piece of the image was never supervised; the paper finds that it
remembers the image all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.predictions import IMAGE, REPORT
from audit_core.readings.entropies import entropies, max_renyi, names
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, columns, register
from audit_core.samples import Sample

NAME = "renyi_image"


def opened(scene: Scene) -> Read:
    """Max-Rényi-K% over the image's positions, and over those and the report's together."""
    feed = scene.feed

    def read(chunk: Sequence[Sample]) -> Scalars:
        batch = feed.encode(chunk)
        of_image = [entropies(one)[0] for one in feed.adapter.predictions(batch, feed.anchors, IMAGE)]
        of_report = [entropies(one)[0] for one in feed.adapter.predictions(batch, feed.anchors, REPORT)]
        return columns(
            [
                max_renyi(image, "image") | max_renyi(torch.cat([image, report]), "both")
                for image, report in zip(of_image, of_report, strict=True)
            ]
        )

    return read


register(Reading(NAME, (*names("image"), *names("both")), (GENERATIVE,), PASSES[NAME], opened))
