"""Bytes that zlib needs for what of a report reaches the model (Carlini 2021, "zlib"). No model runs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from audit_core.adapters.families import GENERATIVE
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, register
from audit_core.samples import Sample

NAME = "compressed_text"
SCALAR = "text_bytes"


def opened(scene: Scene) -> Read:
    """Length of the compressed text, of the tokens that are supervised."""
    adapter = scene.feed.adapter

    def read(chunk: Sequence[Sample]) -> Scalars:
        rows = adapter.report_ids(scene.feed.encode(chunk))
        sizes = [len(zlib.compress(adapter.spelled(ids).encode())) for ids in rows]
        return {SCALAR: np.array(sizes, dtype=np.float64)}

    return read


register(Reading(NAME, (SCALAR,), (GENERATIVE,), PASSES[NAME], opened))
