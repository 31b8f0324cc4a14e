"""Small models that know some pairs by heart, and every signal read off them.

Letters: members and fitting controls are references; seen pairs were trained on too, fresh ones never.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.collect import collect_signals
from audit_core.detectors.seam import Labelled, Signals, all_detectors
from audit_core.ranking import auroc
from audit_core.readings.seam import readings, suited
from audit_core.samples import Sample, Settings
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.generative_models import write_llava

LANGUAGE, CONTRASTIVE = "image-text-to-text", "contrastive"
EACH = 12  # pairs of each of the four kinds
BATCH = 12
TRAINING = {LANGUAGE: (60, 6e-3), CONTRASTIVE: (40, 2e-3)}  # epochs, learning rate
SETTINGS = Settings(batch_size=12, minimum_bank=4, max_text_tokens=99)


@dataclass(frozen=True)
class Overfit:
    """Signals of members, fitting controls, seen and fresh pairs, in this order."""

    signals: Signals
    refs: Labelled

    def score(self, name: str) -> np.ndarray:
        """Scores of the full model; the detector must be able to run."""
        detector = all_detectors()[name]
        assert not detector.missing(self.signals, self.refs), name
        return detector.score(self.signals, self.refs, SETTINGS).scores[-1]

    def found(self, name: str) -> float:
        """AUROC of seen against fresh pairs: neither were references."""
        scores = self.score(name)
        return auroc(scores[2 * EACH : 3 * EACH], scores[3 * EACH :])


def overfit(family: str, folder: Path) -> Overfit:
    """Train a copy of a tiny model on members and seen pairs, and read everything off it and its base."""
    torch.manual_seed(0)
    write = write_llava if family == LANGUAGE else tiny.write_clip
    path = write(folder / "model")
    model, base = open_model(path, family), open_model(path, family, base=True)
    pairs = [_pair(family, number) for number in range(4 * EACH)]
    _learn(model, [*pairs[:EACH], *pairs[2 * EACH : 3 * EACH]], *TRAINING[family])
    folds = {pair.pair_id: number % 4 for number, pair in enumerate(pairs[: 2 * EACH])}
    table, base_table = collect_signals(
        model,
        pairs,
        [pair.pair_id for pair in pairs[:EACH]],
        bank=[_pair(family, 1000 + number) for number in range(16)],
        base=base,
        settings=SETTINGS,
        progress=lambda step: None,
        folds=folds,
        readings=suited(readings(), family),
    )
    assert not table.unscored
    rows = np.arange(2 * EACH)
    return Overfit(Signals(table, base_table), Labelled(rows, rows < EACH, rows % 4))


def _pair(family: str, number: int) -> Sample:
    rng = np.random.default_rng(number)
    words = [
        str(word) for word in rng.choice(tiny.WORDS[:-1], 10 if family == CONTRASTIVE else 5 + number % 3)
    ]
    if family == LANGUAGE:  # half of its words begin with a capital, and its tokenizer sees them
        words = [word.title() if rng.random() < 0.5 else word for word in words]
    return replace(tiny.sample(number), text=" ".join(words))


def _learn(model: ModelAdapter, pairs: Sequence[Sample], epochs: int, rate: float) -> None:
    model.model.requires_grad_(True)
    optimiser = torch.optim.Adam(model.model.parameters(), lr=rate)
    order = random.Random(0)
    for _ in range(epochs):
        shuffled = order.sample(list(pairs), len(pairs))
        for start in range(0, len(pairs), BATCH):
            loss = model.training_loss(model.encode(shuffled[start : start + BATCH], 99))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    model.model.requires_grad_(False)
