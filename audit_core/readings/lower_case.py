"""The loss of the report in lower case (Carlini 2021, "lowercase"): one forward pass with another text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from audit_core.adapters.families import GENERATIVE
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, losses, register
from audit_core.samples import Sample

NAME = "lower_case"
SCALAR = "neg_loss_lower_case"


def opened(scene: Scene) -> Read:
    """−L of the same pairs with the report in lower case."""
    feed = scene.feed

    def read(chunk: Sequence[Sample]) -> Scalars:
        lowered = [replace(sample, text=sample.text.lower()) for sample in chunk]
        batch = feed.adapter.encode(lowered, feed.settings.max_text_tokens)  # not kept: same ids
        return {SCALAR: -losses(feed, batch)}

    return read


register(Reading(NAME, (SCALAR,), (GENERATIVE,), PASSES[NAME], opened))
