"""Window votes (METHOD §4, base-referenced, ours): in how many places of a report did the model learn more?

A window is eight tokens in a row, or the whole report where it is shorter; its gain is the mean of
ℓ_t − ℓ_t(base). A window votes where its gain is above the median gain of all windows of all pairs. The score
is the share of votes: a single remembered sentence counts for what it is long, and a single surprising token
for no more than its windows. The median is over all pairs alike, so that controls and targets stay
exchangeable.
"""

from __future__ import annotations

import numpy as np

from audit_core.detectors.seam import (
    Detector,
    Floats,
    FoldScores,
    Labelled,
    Signals,
    needs_base,
    register,
    unfitted,
)
from audit_core.samples import Settings

WINDOW = 8


def missing(signals: Signals, refs: Labelled) -> str:
    """A base, and the same tokens in both models."""
    if signals.base is None:
        return needs_base(signals, refs)
    ours, theirs = signals.table.tokens, signals.base.tokens
    if ours is None or theirs is None:
        return "the model does not predict a report's tokens"
    if not np.array_equal(ours.starts, theirs.starts):
        return "model and base cut reports into different numbers of tokens"
    return ""


def score(signals: Signals, refs: Labelled, settings: Settings) -> FoldScores:
    """Share of windows that gained more than the median window; NaN for a pair without tokens."""
    gains = windows(signals)
    every = np.concatenate([np.empty(0), *gains])
    middle = float(np.median(every)) if every.size else 0.0
    votes = [float((gain > middle).mean()) if gain.size else float("nan") for gain in gains]
    return unfitted(np.array(votes), refs)


def windows(signals: Signals) -> list[Floats]:
    """Gain of every window, one array a pair."""
    ours, base = signals.table.tokens, signals.base
    assert ours is not None and base is not None and base.tokens is not None
    gain_P = ours.column("logp") - base.tokens.column("logp")
    found = []
    for start, end in zip(ours.starts[:-1], ours.starts[1:], strict=True):
        own = gain_P[start:end]
        width = min(WINDOW, own.size)
        sums = np.concatenate([[0.0], np.cumsum(own)])
        found.append((sums[width:] - sums[:-width]) / width if width else np.empty(0))
    return found


register(__name__, Detector("window_votes", "ours", fitted=False, missing=missing, score=score))
