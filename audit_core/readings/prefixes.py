"""The loss of a report read after other reports (Xie 2024, ReCaLL; Wang 2025, Con-ReCall).

The others stand between the prompt and the report, unsupervised, and are the same for every pair but for
those of its own patient: no pair is ever its own prefix. So the report's tokens are the same with and
without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from audit_core.adapters.families import GENERATIVE
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Read, Reading, Scalars, Scene, losses, register
from audit_core.samples import Sample

SHOTS = 4
WORDS = 60
"""How many reports are read first, and how much of each."""

CONTROLS, MEMBERS = "after_controls", "after_members"


def prefix(sample: Sample, donors: Sequence[Sample]) -> tuple[str, ...]:
    """The reports that are read before this pair's: of the first donors who are other patients."""
    others = sorted((one for one in donors if one.patient != sample.patient), key=lambda one: one.pair_id)
    return tuple(" ".join(one.text.split()[:WORDS]) for one in others[:SHOTS])


def _opened(name: str, donors_of: Callable[[Scene], Sequence[Sample]]) -> Callable[[Scene], Read]:
    def opened(scene: Scene) -> Read:
        feed = scene.feed

        def read(chunk: Sequence[Sample]) -> Scalars:
            found = np.empty(len(chunk))
            before = [prefix(sample, donors_of(scene)) for sample in chunk]
            for texts, rows in groupby(sorted(range(len(chunk)), key=before.__getitem__), before.__getitem__):
                where = list(rows)
                batch = feed.adapter.encode_after(
                    [chunk[row] for row in where], texts, feed.settings.max_text_tokens
                )
                found[where] = -losses(feed, batch)
            return {f"neg_loss_{name}": found}

        return read

    return opened


for _name, _donors in ((CONTROLS, lambda scene: scene.controls), (MEMBERS, lambda scene: scene.members)):
    register(
        Reading(
            _name,
            (f"neg_loss_{_name}",),
            (GENERATIVE,),
            PASSES[_name],
            _opened(_name, _donors),
            needs_references=True,
        )
    )
