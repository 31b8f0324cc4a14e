"""The captured gradients against two oracles: an autograd loop over single pairs, and Opacus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from opacus import GradSampleModule

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.errors import AuditError
from audit_core.gradients import add_gradient_sum, audited_layers, capture
from audit_core.slice_routes import by_grams, by_making
from tests.audit_core import engine_models as tiny

PAIRS = [tiny.sample(n) for n in range(5)]
BANK = [tiny.sample(n) for n in range(50, 58)]
FAMILIES = ("image-text-to-text", "contrastive")


@pytest.fixture(scope="module", params=FAMILIES)
def adapter(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModelAdapter]:
    folder = tmp_path_factory.mktemp("model")
    write = tiny.write_llava if request.param == FAMILIES[0] else tiny.write_clip
    yield open_model(write(folder), request.param)


def _looped(adapter: ModelAdapter, names: list[str]) -> dict[str, list[torch.Tensor]]:
    """One pair at a time, no padding, plain weight gradients."""
    anchors = adapter.anchors(BANK, 99, 4)
    weights = [adapter.linear(name).weight.requires_grad_(True) for name in names]
    found: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    for pair in PAIRS:
        loss = adapter.forward(adapter.encode([pair], 99), anchors).losses_B.sum()
        for name, grad in zip(names, torch.autograd.grad(loss, weights), strict=True):
            found[name].append(grad)
    adapter.model.requires_grad_(False)
    return found


def _names(adapter: ModelAdapter) -> list[str]:
    probe = adapter.encode(PAIRS[:2], 99)
    return [c.name for c in audited_layers(adapter, probe, "all", adapter.anchors(BANK, 99, 4))]


def test_captured_slices_equal_an_autograd_loop(adapter: ModelAdapter) -> None:
    """Both routes give the squared norms and dots of per-pair gradients, with padding and unequal lengths."""
    names = _names(adapter)
    expected = _looped(adapter, names)
    batch = adapter.encode(PAIRS, 99)
    got = capture(adapter, batch, names, adapter.anchors(BANK, 99, 4))
    assert got.finite_B.all()
    for name in names:
        G = torch.stack(expected[name])
        ref = torch.randn(G.shape[1:], generator=torch.Generator().manual_seed(0))
        squares = torch.cat([G.square().sum(2), G.square().sum(1)], dim=1)
        dots = torch.cat([(G * ref).sum(2), (G * ref).sum(1)], dim=1)
        for route in (by_making, by_grams):
            layer = got.layers[name]
            found = route(layer.acts_BTI, layer.grads_BTO, (ref,))
            scale = squares.max().item()
            torch.testing.assert_close(found[0], squares, rtol=1e-3, atol=1e-5 * scale)
            torch.testing.assert_close(found[1], dots, rtol=1e-3, atol=1e-5 * scale**0.5)


def test_gradient_sum_is_the_plain_weight_gradient(adapter: ModelAdapter) -> None:
    """Pass 1's single product per layer equals the sum of per-pair gradients."""
    names = _names(adapter)
    expected = _looped(adapter, names)
    got = capture(adapter, adapter.encode(PAIRS, 99), names, adapter.anchors(BANK, 99, 4))
    for name in names:
        total = torch.zeros_like(adapter.linear(name).weight)
        add_gradient_sum(total, got.layers[name])
        wanted = torch.stack(expected[name]).sum(0)
        torch.testing.assert_close(total, wanted, rtol=1e-3, atol=1e-5 * wanted.abs().max().item())


def test_captured_gradients_equal_the_opacus_oracle(adapter: ModelAdapter) -> None:
    """Per-pair gradients rebuilt from captures have cosine 1 (±1e-4) with Opacus' grad_sample."""
    names = _names(adapter)
    anchors = adapter.anchors(BANK, 99, 4)
    batch = adapter.encode(PAIRS, 99)
    got = capture(adapter, batch, names, anchors)
    for name in names:
        adapter.linear(name).weight.requires_grad_(True)
    oracle = GradSampleModule(adapter.model.train(), loss_reduction="sum", strict=False)
    try:
        adapter.forward(batch, anchors).losses_B.sum().backward()
        for name in names:
            made = torch.einsum("bto,bti->boi", got.layers[name].grads_BTO, got.layers[name].acts_BTI)
            wanted = adapter.linear(name).weight.grad_sample
            cosine = torch.nn.functional.cosine_similarity(made.flatten(1), wanted.flatten(1))
            assert cosine.min().item() > 1 - 1e-4, name
    finally:
        oracle.remove_hooks()
        oracle._close()
        for parameter in adapter.model.parameters():
            parameter.grad = None
        adapter.model.eval().requires_grad_(False)


def test_layers_without_a_gradient_are_left_out(tmp_path: Path) -> None:
    """With vision_feature_layer −2 the last vision block is not audited, and "last3" counts without it."""
    adapter = open_model(tiny.write_llava(tmp_path), "image-text-to-text")
    audited = audited_layers(adapter, adapter.encode(PAIRS[:2], 99), "all")
    assert {c.block for c in audited if c.tower == "vision"} == {0, 1}
    assert not any("lm_head" in c.name for c in audited)
    assert {c.layer for c in audited if c.block < 0} == {"projector"}


def test_layers_with_an_exactly_zero_gradient_are_left_out(tmp_path: Path) -> None:
    """Nothing passes back through a matrix of zeros: what feeds only it says nothing about any pair."""
    adapter = open_model(tiny.write_llava(tmp_path), "image-text-to-text")
    block = "model.language_model.layers.1.mlp"
    with torch.no_grad():
        adapter.linear(f"{block}.down_proj").weight.zero_()
    names = {c.name for c in audited_layers(adapter, adapter.encode(PAIRS[:2], 99), "all")}
    assert f"{block}.down_proj" in names
    assert not {f"{block}.gate_proj", f"{block}.up_proj"} & names


def test_last_three_blocks_of_every_tower() -> None:
    """Blocks are counted per tower among the layers given; heads always stay."""
    from audit_core.adapters.base import Candidate, last_blocks

    layers = [Candidate(f"v{b}", "vision", b, "") for b in (0, 1, 2, 3, 4)]
    layers += [Candidate("t0", "text", 0, ""), Candidate("p", "head", -1, "")]
    assert [c.name for c in last_blocks(layers, 3)] == ["v2", "v3", "v4", "t0", "p"]


def test_the_model_is_left_frozen_and_unhooked(adapter: ModelAdapter) -> None:
    """A capture leaves no hook, no gradient and no trainable parameter behind."""
    capture(adapter, adapter.encode(PAIRS[:2], 99), _names(adapter), adapter.anchors(BANK, 99, 4))
    assert all(not m._forward_hooks for m in adapter.model.modules() if isinstance(m, torch.nn.Linear))
    assert all(p.grad is None and not p.requires_grad for p in adapter.model.parameters())


def test_an_unknown_layer_is_refused_by_name(adapter: ModelAdapter) -> None:
    """Asking for a layer the model does not have names it."""
    with pytest.raises(AuditError, match=r"nowhere\.proj"):
        adapter.linear("nowhere.proj")
