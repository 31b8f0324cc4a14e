"""An adapter on every generative network: the effective matrix is audited, switched off it is the base."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from tests.audit_core.families.generative_models import GENERATIVE_MODELS
from tests.audit_core.families.merged import assert_same_slices, losses, merged_copy
from tests.audit_core.families.two_tower_models import write_lora


@pytest.mark.parametrize("name", GENERATIVE_MODELS)
def test_an_adapter_on_a_generative_network(tmp_path: Path, name: str) -> None:
    """Losses and slices equal those of the merged copy, names those of the plain model, the base is exact."""
    folder = GENERATIVE_MODELS[name](tmp_path / "model")
    plain = _open(folder, None)
    adapter = _open(folder, write_lora(tmp_path / "peft", folder))
    base = adapter.without_peft()
    assert base is not None
    assert adapter.candidates() == plain.candidates()
    assert torch.equal(losses(base), losses(plain))
    merged = merged_copy(adapter)
    torch.testing.assert_close(losses(adapter), losses(merged), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(losses(adapter), losses(plain), atol=1e-3)
    assert_same_slices(adapter, merged)


def _open(folder: Path, peft: Path | None) -> ModelAdapter:
    return open_model(folder, GENERATIVE, opening=Opening(peft=peft))
