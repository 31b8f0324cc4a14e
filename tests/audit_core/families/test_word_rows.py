"""Word rows can be read off every family, and find the word table of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from audit_core.adapters.folder import inspect_folder
from audit_core.adapters.loading import open_model
from audit_core.batches import Feed, Pace
from audit_core.readings.seam import Scene, readings
from audit_core.readings.word_rows import word_table
from audit_core.samples import Settings
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.generative_models import GENERATIVE_MODELS
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS

FAMILIES: dict[str, Callable[..., Path]] = {**GENERATIVE_MODELS, **TWO_TOWER_MODELS}
SETTINGS = Settings(max_text_tokens=99, minimum_bank=1)
PAIRS = [tiny.sample(number, size=size) for number, size in enumerate([(20, 16), (8, 40), (50, 50)])]
BANK = [tiny.sample(number) for number in range(50, 54)]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_s_words_are_read(name: str, tmp_path: Path) -> None:
    """With a base whose word table lies elsewhere, every pair has three numbers not the same for all."""
    folder = FAMILIES[name](tmp_path / name)
    family = inspect_folder(folder).family
    model, base = open_model(folder, family), open_model(folder, family)
    table = word_table(base.model)
    assert table is not None
    with torch.no_grad():
        table.weight.add_(torch.randn(table.weight.shape, generator=torch.Generator().manual_seed(1)))
    feed = Feed(model, model.anchors(BANK, 99, 4), SETTINGS, lambda step: None, Pace(3))
    found = readings()["word_rows"].open(Scene(feed, base=base))(PAIRS)
    rows = np.column_stack(list(found.values()))
    assert np.isfinite(rows).all()
    assert (np.abs(rows[:, 0]) > 0).all()
    assert np.ptp(rows[:, 0]) > 0
