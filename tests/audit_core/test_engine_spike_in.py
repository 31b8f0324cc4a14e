"""The throw-away copy: it learns, it is audited as one matrix per layer, and the original never changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.folder import inspect_folder
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.collect import collect_signals
from audit_core.errors import AuditError, CohortTooSmall
from audit_core.samples import Settings
from audit_core.spike_in import spike_in
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS, write_lora

PAIRS = [tiny.sample(n) for n in range(12)]
BANK = [tiny.sample(n) for n in range(50, 58)]
SPIKED, OTHERS = PAIRS[:6], PAIRS[6:]
SETTINGS = Settings(batch_size=4, minimum_bank=4, spike_in_epochs=8)
WRITERS = {"llava": tiny.write_llava, **TWO_TOWER_MODELS}
FAMILIES = ("llava", "biomedclip", "medsiglip", "blip-itm")


@pytest.fixture(params=FAMILIES)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> ModelAdapter:
    return _open(WRITERS[request.param](tmp_path))


def _open(folder: Path, **opening: Any) -> ModelAdapter:
    return open_model(folder, inspect_folder(folder).family, opening=Opening(**opening))


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
    """Same layers under the same names, frozen, over the original's own weights; they have moved."""
    with spike_in(adapter, SPIKED, settings=SETTINGS, progress=_nothing) as copy:
        assert copy.candidates() == adapter.candidates()
        assert all(not p.requires_grad for p in copy.model.parameters())
        for name in adapter.adaptable():
            assert copy.linear(name).weight is adapter.linear(name).weight
        moved = [n for n in adapter.adaptable() if not torch.equal(copy.weight(n), adapter.weight(n))]
        assert len(moved) > len(adapter.adaptable()) // 2
        _computes_what_it_says(copy)


def _computes_what_it_says(adapter: ModelAdapter) -> None:
    for name in adapter.adaptable():
        plain = adapter.linear(name)
        inputs = torch.randn(3, plain.in_features)
        made = torch.nn.functional.linear(inputs, adapter.weight(name), plain.bias)
        torch.testing.assert_close(adapter.projection(name)(inputs), made, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.parametrize("name", ["llava", "clip"])
def test_a_model_with_a_vendors_adapter_is_spiked_on_top_of_it(tmp_path: Path, name: str, dora: bool) -> None:
    """The copy starts from the effective matrices, learns beside the vendor's adapter, and leaves both be."""
    folder = WRITERS[name](tmp_path / "model")
    adapter = _open(folder, peft=write_lora(tmp_path / "peft", folder, dora=dora))
    base = adapter.without_peft()
    assert base is not None
    before = {n: adapter.weight(n) for n in adapter.adaptable()}
    state = {k: v.clone() for k, v in adapter.model.state_dict().items()}
    with spike_in(adapter, SPIKED, settings=SETTINGS, progress=_nothing) as copy:
        _computes_what_it_says(copy)
        ranks = [int(torch.linalg.matrix_rank(copy.weight(n) - before[n])) for n in before]
        assert min(ranks) > 0
        small = [float((copy.weight(n) - before[n]).norm() / before[n].norm()) for n in before]
        assert max(small) < 0.9  # still the vendor's matrices, not others
        bank = adapter.anchors(BANK, 99, 4)
        gain = _losses(adapter, bank) - _losses(copy, copy.anchors(BANK, 99, 4))
        assert gain[:6].mean() > gain[6:].mean() + 0.05
    assert all(torch.equal(state[k], v) for k, v in adapter.model.state_dict().items())
    assert torch.equal(_losses(base, base.anchors(BANK, 99, 4)), _losses(_open(folder), _bank_of(folder)))


def _bank_of(folder: Path) -> Any:
    return _open(folder).anchors(BANK, 99, 4)


def _losses(adapter: ModelAdapter, bank: Any) -> torch.Tensor:
    return adapter.forward(adapter.encode(PAIRS, 99), bank).losses_B.detach()


def test_the_copy_of_a_half_precision_model_learns_in_float32(tmp_path: Path) -> None:
    """Steps that bfloat16 would round away are kept; the network itself stays as it is."""
    adapter = _open(tiny.write_llava(tmp_path), precision="bfloat16")
    settings = replace(SETTINGS, spike_in_epochs=1)
    with spike_in(adapter, SPIKED, settings=settings, progress=_nothing) as copy:
        assert copy.dtype == torch.bfloat16
        for name in adapter.adaptable():
            weight = copy.weight(name)
            assert weight.dtype == torch.float32
            assert not torch.equal(weight, weight.bfloat16().float())


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
