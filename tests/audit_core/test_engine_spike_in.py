"""The throw-away copy: it learns, it is plain weights again, and the original never changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.collect import collect_signals
from audit_core.errors import AuditError, CohortTooSmall
from audit_core.samples import Settings
from audit_core.spike_in import spike_in
from tests.audit_core import engine_models as tiny

PAIRS = [tiny.sample(n) for n in range(12)]
BANK = [tiny.sample(n) for n in range(50, 58)]
SPIKED, OTHERS = PAIRS[:6], PAIRS[6:]
SETTINGS = Settings(batch_size=4, minimum_bank=4, spike_in_epochs=8)
FAMILIES = ("image-text-to-text", "contrastive")


@pytest.fixture(params=FAMILIES)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> ModelAdapter:
    write = tiny.write_llava if request.param == FAMILIES[0] else tiny.write_clip
    return open_model(write(tmp_path), request.param)


def _nothing(step: object) -> None:
    del step


def test_the_copy_remembers_and_the_original_is_untouched(adapter: ModelAdapter) -> None:
    """Spiked pairs gain more likelihood than others; not one bit of the original changes."""
    before = {k: v.clone() for k, v in adapter.model.state_dict().items()}
    everyone = {"bank": BANK, "base": None, "settings": SETTINGS, "progress": _nothing}
    ids = [p.pair_id for p in SPIKED]
    plain, _ = collect_signals(adapter, PAIRS, ids, **everyone)  # type: ignore[arg-type]
    with spike_in(adapter, SPIKED, settings=SETTINGS, progress=_nothing) as copy:
        spiked, _ = collect_signals(copy, PAIRS, ids, **everyone)  # type: ignore[arg-type]
    gain = spiked.scalars["neg_loss"] - plain.scalars["neg_loss"]
    assert gain[:6].mean() > gain[6:].mean() + 0.05
    after = adapter.model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(before[k], after[k]) for k in before)
    assert all(not p.requires_grad for p in adapter.model.parameters())


def test_the_copy_is_audited_on_the_same_matrices(adapter: ModelAdapter) -> None:
    """LoRA is merged: the copy has the original's tensors by name and shape, frozen, with other values."""
    with spike_in(adapter, SPIKED, settings=SETTINGS, progress=_nothing) as copy:
        assert {k: v.shape for k, v in copy.model.state_dict().items()} == {
            k: v.shape for k, v in adapter.model.state_dict().items()
        }
        assert [c.name for c in copy.candidates()] == [c.name for c in adapter.candidates()]
        assert all(not p.requires_grad for p in copy.model.parameters())
        moved = [
            n for n in adapter.adaptable() if not torch.equal(copy.linear(n).weight, adapter.linear(n).weight)
        ]
        assert len(moved) > len(adapter.adaptable()) // 2


def test_the_same_seed_gives_the_same_copy(adapter: ModelAdapter) -> None:
    """A spike-in can be replayed, does not disturb the process's random numbers, and depends on its seed."""
    settings = replace(SETTINGS, spike_in_epochs=1)
    torch.manual_seed(5)
    undisturbed = torch.rand(1)
    losses = []
    for seed in (0, 0, 1):
        torch.manual_seed(5)
        with spike_in(adapter, SPIKED, settings=replace(settings, seed=seed), progress=_nothing) as copy:
            assert torch.equal(torch.rand(1), undisturbed)
            loss = copy.training_loss(copy.encode(SPIKED, 99))
        losses.append(float(loss))
    assert losses[0] == losses[1]
    assert not np.isclose(losses[0], losses[2], rtol=1e-7)


def test_a_spike_in_without_epochs_or_pairs_is_refused(adapter: ModelAdapter) -> None:
    """Nothing to train on is said, not silently audited as a spike-in."""
    with (
        pytest.raises(CohortTooSmall),
        spike_in(adapter, SPIKED[:1], settings=SETTINGS, progress=_nothing),
    ):
        pass
    with (
        pytest.raises(AuditError, match="epoch"),
        spike_in(adapter, SPIKED, settings=Settings(), progress=_nothing),
    ):
        pass
