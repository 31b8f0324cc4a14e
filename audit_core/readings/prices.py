"""What readings cost, in forward passes a pair; a generated token counts as one tenth. Torch-free.

A reading takes its price from here, so that an estimate need not open the modules that compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from audit_core.thresholds import OFFICERS, RENYI

PASSES: Final[Mapping[str, float]] = {
    "after_controls": 2.0,  # one pass over a text several times as long
    "after_members": 2.0,
    "augmentation_kl": 4.0,  # the image itself and three corruptions of it
    "compressed_text": 0.1,
    "generated_text": 13.8,  # the prompt, and at most 128 tokens
    "image_similarity": 4.0,  # towers only in generative models, so less there
    "lower_case": 1.0,
    "neurons": 1.5,  # a quarter of the pairs are members, a quarter controls; those are read twice
    "renyi": 1.0,
    "renyi_image": 3.0,  # two passes, and predictions at all of the image's positions
    "word_frequency": 1.0,
    "word_rows": 3.0,  # forward and back
}

READ_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "augmentation_kl": ("augmentation_kl",),
    "con_recall": ("after_controls", "after_members"),
    "dc_pdd": ("word_frequency",),
    "fused": ("word_rows",),
    "image_corruption": ("image_similarity",),
    "lower_case": ("lower_case",),
    "m4i": ("generated_text",),
    "modified_entropy": ("renyi",),
    "modrenyi_2": ("renyi",),
    "modrenyi_half": ("renyi",),
    "neuron_activation": ("neurons",),
    "rank_average": ("word_rows",),
    "recall": ("after_controls",),
    "zlib": ("compressed_text",),
    **{name: ("renyi" if name.startswith("renyi_text_") else "renyi_image",) for name in RENYI},
}
"""Detector -> the readings it needs; of the others none."""


OF_BASE: Final = frozenset({"word_rows"})
"""Readings that are not made without a base model."""

OF_REFERENCES: Final = {
    "after_controls": "neg_loss_after_controls",
    "after_members": "neg_loss_after_members",
    "neurons": "neuron_similarity",
}
"""Readings that compare a pair with known members or fitting controls, and what they give: roles are in these
numbers before anything is fitted."""


def passes(deciding: str, with_base: bool) -> float:
    """Forward passes a pair beyond the audit's own, where this detector decides; families may have fewer."""
    needed = {reading for name in {*OFFICERS, deciding} for reading in READ_BY.get(name, ())}
    if not with_base:
        needed -= OF_BASE
    return sum(PASSES[reading] for reading in sorted(needed))
