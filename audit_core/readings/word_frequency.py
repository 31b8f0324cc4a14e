"""Divergence from randomness (Zhang 2024, DC-PDD, EMNLP): tokens that are likely here and rare elsewhere.

Mean over the first occurrence of each token of min(p·log(1/f), a), with p what the model gives it and f its
share of a reference text: (count + 1)/(all + V). The reference is a count of words of VQA-RAD (CC0), which
`benchmarks/word_counts.py` made; every word is put through the model's own tokenizer. a = 0.01 as released.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import audit_core.detectors.published
from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.families import GENERATIVE
from audit_core.readings.prices import PASSES
from audit_core.readings.seam import Floats, Read, Reading, Scalars, Scene, register
from audit_core.samples import Sample

NAME = "word_frequency"
SCALAR = "dc_pdd"
CAP = 0.01
COUNTS = "radiology_words.json"


def opened(scene: Scene) -> Read:
    """The calibrated mean of each pair; the token counts are made once."""
    feed = scene.feed
    surprise = -np.log(token_shares(feed.adapter, word_counts()))

    def read(chunk: Sequence[Sample]) -> Scalars:
        batch = feed.encode(chunk)
        with torch.no_grad():
            outcome = feed.adapter.forward(batch, feed.anchors)
        assert outcome.tokens_PC is not None
        logp = torch.split_with_sizes(outcome.tokens_PC[:, 0].double().cpu(), list(outcome.supervised))
        rows = feed.adapter.report_ids(batch)
        found = [
            calibrated(np.exp(own.numpy()), np.array(ids), surprise)
            for own, ids in zip(logp, rows, strict=True)
        ]
        return {SCALAR: np.array(found)}

    return read


def calibrated(p: Floats, ids: np.ndarray[tuple[int], np.dtype[np.int64]], surprise: Floats) -> float:
    """Mean of min(p·log(1/f), a) over first occurrences.

    Args:
        p: [T] probability of each token.
        ids: [T] the tokens.
        surprise: [V] log(1/f).
    """
    _, first = np.unique(ids, return_index=True)
    return float(np.minimum(p[first] * surprise[ids[first]], CAP).mean())


def word_counts() -> dict[str, int]:
    """Words of the shipped reference text, as they are written there, and how often."""
    folder = Path(str(audit_core.detectors.published.__file__)).parent
    counts: dict[str, int] = json.loads((folder / COUNTS).read_text(encoding="utf-8"))["words"]
    return counts


def token_shares(adapter: ModelAdapter, counts: dict[str, int]) -> Floats:
    """[V] share of every token of the model's vocabulary, none of them zero."""
    found = np.zeros(adapter.outcomes)
    for word, count in counts.items():
        np.add.at(found, [token for token in adapter.token_ids(word) if token < found.size], count)
    return np.asarray((found + 1.0) / (found.sum() + found.size))


register(Reading(NAME, (SCALAR,), (GENERATIVE,), PASSES[NAME], opened))
