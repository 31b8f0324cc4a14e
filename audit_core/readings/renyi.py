"""Entropies of everything the model predicts of a report (Li 2024; Song & Mittal 2021): one forward pass.

Generative: over the vocabulary at each report token. Contrastive: of the two softmaxes over the bank; SigLIP:
of its decisions. Matching: of match and no match.
"""

from __future__ import annotations

from collections.abc import Sequence

from audit_core.adapters.families import CONTRASTIVE, GENERATIVE, MATCHING
from audit_core.adapters.predictions import REPORT
from audit_core.readings.entropies import MOD_ORDERS, entropies, max_renyi, names
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, columns, register
from audit_core.samples import Sample

NAME = "renyi"
MODIFIED = tuple(f"modrenyi_{order}" for order in MOD_ORDERS)


def opened(scene: Scene) -> Read:
    """Max-Rényi-K% over the report and ModRényi of each pair."""
    feed = scene.feed

    def read(chunk: Sequence[Sample]) -> Scalars:
        rows = []
        for one in feed.adapter.predictions(feed.encode(chunk), feed.anchors, REPORT):
            plain, modified = entropies(one)
            assert modified is not None
            rows.append(
                max_renyi(plain, "text") | dict(zip(MODIFIED, modified.mean(0).tolist(), strict=True))
            )
        return columns(rows)

    return read


FAMILIES = (GENERATIVE, CONTRASTIVE, MATCHING)
register(Reading(NAME, (*names("text"), *MODIFIED), FAMILIES, PASSES[NAME], opened))
