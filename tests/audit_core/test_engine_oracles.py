"""The engine against slow obvious oracles, on tiny networks of every family hospitals have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from opacus import GradSampleModule
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from audit_core.adapters.base import Encoded, ModelAdapter
from audit_core.errors import ModelRefused
from audit_core.gradients import LayerCapture, add_gradient_sum, audited_layers, capture
from audit_core.slice_routes import by_grams, by_making
from audit_core.slices import masked_sums, slice_sums
from tests.audit_core.oracle_models import ThinAdapter, alone, looped, network, slices_of, texts

DECODERS = ("llama", "mistral", "qwen2", "gemma")
NETWORKS = (*DECODERS, "bert", "clip", "siglip")
CLOSE = 1e-4


def _batch(name: str) -> Encoded:
    return texts(pixels=name in ("clip", "siglip"))


def _names(adapter: ModelAdapter, batch: Encoded) -> list[str]:
    return [c.name for c in audited_layers(adapter, batch, "all")]


def _made(layer: LayerCapture) -> Tensor:
    return torch.einsum("bto,bti->boi", layer.grads_BTO.double(), layer.acts_BTI.double())


def _reference(like_BOI: Tensor) -> Tensor:
    """A mean gradient with some noise: what R looks like, and no slice of it is zero."""
    noise = torch.randn(like_BOI.shape[1:], generator=torch.Generator().manual_seed(5))
    return like_BOI.mean(0).float() + noise * like_BOI.float().std()


def _worst(found: Tensor, squares: Tensor, reference: Tensor, oracle: tuple[Tensor, Tensor]) -> float:
    """Largest difference of cosines, over slices that have a length by the oracle, whatever ours says."""
    true_squares, wanted = oracle
    lengths = torch.cat([reference.double().square().sum(1), reference.double().square().sum(0)])
    cosine = found.double() / (squares.double() * lengths).sqrt()
    real = true_squares > 1e-10 * true_squares.max()
    return float((cosine - wanted)[real].abs().nan_to_num(nan=torch.inf).max())


def _assert_slices(layer: LayerCapture, grads_BOI: Tensor, name: str) -> None:
    reference = _reference(grads_BOI)
    oracle = slices_of(grads_BOI, reference)
    for route in (by_making, by_grams):
        squares, dots = route(layer.acts_BTI, layer.grads_BTO, (reference,))
        assert _worst(dots, squares, reference, oracle) <= CLOSE, (name, route.__name__)


@pytest.mark.parametrize("name", NETWORKS)
def test_slices_equal_an_autograd_loop_without_padding(name: str) -> None:
    """Both routes give the cosines of single, unpadded pairs; whole matrices agree too."""
    adapter, batch = network(name), _batch(name)
    names = _names(adapter, batch)
    assert len(names) >= 12
    # SigLIP attends to its padding: there a pair alone is a pair padded.
    expected = looped(adapter, batch, names, padded=name == "siglip")
    got = capture(adapter, batch, names)
    assert got.finite_B.all()
    for layer in names:
        made, wanted = _made(got.layers[layer]).flatten(1), expected[layer].double().flatten(1)
        assert torch.cosine_similarity(made, wanted).min() > 1 - CLOSE, layer
        torch.testing.assert_close(made.norm(dim=1), wanted.norm(dim=1), rtol=CLOSE, atol=0)
        _assert_slices(got.layers[layer], expected[layer], layer)


@pytest.mark.parametrize("name", NETWORKS)
def test_slices_equal_the_opacus_oracle(name: str) -> None:
    """The same batch, padded, through Opacus' per-sample gradients."""
    adapter, batch = network(name), _batch(name)
    names = _names(adapter, batch)
    got = capture(adapter, batch, names)
    for layer in names:
        adapter.linear(layer).weight.requires_grad_(True)
    oracle = GradSampleModule(adapter.model.train(), loss_reduction="sum", strict=False)
    try:
        adapter.forward(batch).losses_B.sum().backward()
        for layer in names:
            _assert_slices(got.layers[layer], adapter.linear(layer).weight.grad_sample.detach(), layer)
    finally:
        oracle.remove_hooks()


@pytest.mark.parametrize("name", NETWORKS)
def test_slices_equal_the_functional_oracle(name: str) -> None:
    """The same batch through `torch.func`: no hooks, no captures, no autograd graph of ours."""
    adapter, batch = network(name), _batch(name)
    adapter.model.set_attn_implementation("eager")  # what vmap can see through
    names = _names(adapter, batch)
    got = capture(adapter, batch, names)
    weights = {f"{layer}.weight": adapter.linear(layer).weight for layer in names}

    def loss(chosen: dict[str, Tensor], one: dict[str, Tensor]) -> Tensor:
        class Called(nn.Module):
            def forward(self, **given: Tensor) -> Any:
                return functional_call(adapter.model, chosen, (), given)

        pair = Encoded(("pair",), ("pair",), {k: t[None] for k, t in one.items()})
        return adapter.losses(Called(), pair)[0]

    given = dict(batch.tensors)
    if name in DECODERS:
        expected = vmap(grad(loss), in_dims=(None, 0))(weights, given)
    else:  # their masks are looked into, which vmap does not bear
        singles = [grad(loss)(weights, {k: t[n] for k, t in given.items()}) for n in range(3)]
        expected = {key: torch.stack([single[key] for single in singles]) for key in weights}
    for layer in names:
        _assert_slices(got.layers[layer], expected[f"{layer}.weight"].detach(), layer)


@pytest.mark.parametrize("name", ["llama", "clip"])
def test_masked_slices_are_the_same_numbers(name: str) -> None:
    """Kept rows and columns, in the order asked for, equal those of all slices; none kept gives none."""
    adapter, batch = network(name), _batch(name)
    got = capture(adapter, batch, _names(adapter, batch))
    for layer in got.layers.values():
        O, I = layer.grads_BTO.shape[2], layer.acts_BTI.shape[2]  # noqa: E741
        reference = _reference(_made(layer))
        rows, cols = torch.tensor([O - 1, 0, 3]), torch.tensor([2, I - 1])
        whole = slice_sums(layer, (reference,))
        for chosen in ((rows, cols), (rows, cols[:0]), (rows[:0], cols), (rows[:0], cols[:0])):
            part = masked_sums(layer, reference, *chosen)
            index = torch.cat([chosen[0], O + chosen[1]])
            scale = whole.squares_BS.max().item()
            torch.testing.assert_close(
                part.squares_BS, whole.squares_BS[:, index], rtol=1e-4, atol=1e-6 * scale
            )
            torch.testing.assert_close(
                part.dots_BS[0], whole.dots_BS[0][:, index], rtol=1e-3, atol=1e-6 * scale
            )


@pytest.mark.parametrize(("T", "I", "O"), [(3, 8, 5), (40, 300, 260), (170, 96, 64), (9, 2000, 700)])
def test_every_way_through_the_routes(T: int, I: int, O: int) -> None:  # noqa: E741
    """Matrices made together and in blocks, Grams at once and one by one, masked: all equal float64."""
    generator = torch.Generator().manual_seed(T)
    layer = LayerCapture(torch.randn(3, T, I, generator=generator), torch.randn(3, T, O, generator=generator))
    grads = _made(layer)
    references = tuple(torch.randn(O, I, generator=generator) for _ in range(3))
    for route in (by_making, by_grams):
        squares, *dots = route(layer.acts_BTI, layer.grads_BTO, references)
        for reference, found in zip(references, dots, strict=True):
            assert _worst(found, squares, reference, slices_of(grads, reference)) <= CLOSE
    part = masked_sums(layer, references[0], torch.arange(O), torch.arange(I))
    oracle = slices_of(grads, references[0])
    assert _worst(part.dots_BS[0], part.squares_BS, references[0], oracle) <= CLOSE


class _Tied(nn.Module):
    """Two layers with one weight, one of them called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6, bias=False), nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(torch.tanh(self.first(input=x)))))


def _plain(batch: int, positions: int = 4, width: int = 6) -> Encoded:
    names = tuple(f"pair{n}" for n in range(batch))
    x = torch.randn(batch, positions, width, generator=torch.Generator().manual_seed(0))
    return Encoded(names, names, {"x": x})


def test_layers_that_share_a_weight_are_one_matrix() -> None:
    """All three uses follow each other along T, before any norm; the matrix is audited once."""
    torch.manual_seed(0)
    adapter = ThinAdapter(_Tied(), lambda model, b: model(b.tensors["x"]).square().sum((1, 2)))
    batch = _plain(3)
    names = _names(adapter, batch)
    assert names == ["first"]
    weight = adapter.linear("first").weight.requires_grad_(True)
    losses = adapter.forward(batch).losses_B
    expected = torch.stack([torch.autograd.grad(x, weight, retain_graph=True)[0] for x in losses])
    adapter.model.requires_grad_(False)
    for name in ("first", "second"):
        layer = capture(adapter, batch, [name]).layers[name]
        assert layer.acts_BTI.shape[1] == 3 * 4
        _assert_slices(layer, expected, name)


class _Mixing(nn.Module):
    """A layer whose input of one pair depends on all pairs of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.lin, self.out = nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.lin(x)
        return self.out(hidden - hidden.mean(0, keepdim=True))


def test_pairs_that_touch_each_other_are_refused() -> None:
    """A network that normalises over the batch is never audited in batches; the layer is named."""
    adapter = ThinAdapter(_Mixing(), lambda model, b: model(b.tensors["x"]).square().sum((1, 2)))
    with pytest.raises(ModelRefused, match=r"touch each other in lin"):
        audited_layers(adapter, _plain(2), "all")


class _Packed(nn.Module):
    """A vision tower that packs the patches of all images into one row, and a head over their means."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.head = nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, packed: Tensor, shares: list[int]) -> Tensor:
        parts = torch.tanh(self.patch(packed)).split(shares)
        return self.head(torch.stack([part.mean(0) for part in parts]))


def _packed(shares: tuple[int, ...], told: tuple[int, ...]) -> tuple[ThinAdapter, Encoded]:
    torch.manual_seed(0)
    adapter = ThinAdapter(_Packed(), lambda m, b: m(b.tensors["x"], list(shares)).square().sum(1))
    names = tuple(f"pair{n}" for n in range(len(shares)))
    return adapter, Encoded(names, names, {"x": torch.randn(sum(shares), 6)}, told)


def test_packed_rows_belong_to_their_samples() -> None:
    """Unequal shares of a packed tensor; the head has one row per sample; missing rows are zero."""
    adapter, batch = _packed((2, 6, 4), (1, 3, 2))
    assert _names(adapter, batch) == ["patch", "head"]
    layer = capture(adapter, batch, ["patch", "head"]).layers
    assert layer["patch"].acts_BTI.shape == (3, 6, 6) and layer["head"].acts_BTI.shape == (3, 1, 5)
    weight = adapter.linear("patch").weight.requires_grad_(True)
    losses = adapter.forward(batch).losses_B
    expected = torch.stack([torch.autograd.grad(x, weight, retain_graph=True)[0] for x in losses])
    adapter.model.requires_grad_(False)
    _assert_slices(layer["patch"], expected, "patch")


def test_rows_given_to_the_wrong_sample_are_refused() -> None:
    """Shares that are wrong, or do not come out whole, are found before anything is audited."""
    adapter, batch = _packed((2, 6, 4), (1, 1, 1))
    with pytest.raises(ModelRefused, match="touch each other in patch"):
        audited_layers(adapter, batch, "all")
    adapter, batch = _packed((2, 6, 4), (2, 2, 3))
    with pytest.raises(ModelRefused, match=r"12 rows of patch cannot be shared out among 3 pairs"):
        audited_layers(adapter, batch, "all")


@pytest.mark.parametrize("name", DECODERS)
def test_the_last_block_keeps_report_positions_only(name: str) -> None:
    """Positions without a gradient are dropped: in the last block only k and v keep the prompt."""
    adapter, batch = network(name), texts()
    got = capture(adapter, batch, _names(adapter, batch))
    length = {layer.split(".")[-1]: c.acts_BTI.shape[1] for layer, c in got.layers.items() if ".1." in layer}
    # Tokens from the fourth on are supervised, by the positions before them; the last position predicts none.
    assert {length[x] for x in ("q_proj", "o_proj", "gate_proj", "up_proj", "down_proj")} == {6}
    assert {length[x] for x in ("k_proj", "v_proj")} == {8}


def test_a_sample_that_is_not_finite_costs_no_other() -> None:
    """NaN or overflow in one pair: that pair is marked and zero, the others' numbers are what they were."""
    adapter, batch = network("clip"), texts(pixels=True)
    names = _names(adapter, batch)
    before = capture(adapter, batch, names)
    pixels = batch.tensors["pixel_values"].clone()
    pixels[1, 0, 0, 0] = torch.inf
    broken = capture(adapter, replace(batch, tensors={**batch.tensors, "pixel_values": pixels}), names)
    assert broken.finite_B.tolist() == [True, False, True]
    for name in names:
        made, clean = _made(broken.layers[name]), _made(before.layers[name])
        assert not made[1].any()
        torch.testing.assert_close(made[[0, 2]], clean[[0, 2]], rtol=1e-4, atol=1e-9)


def test_no_graph_below_the_first_audited_layer_and_no_weight_gradient() -> None:
    """The input of the first audited layer has no history; nothing above makes a gradient of a weight."""
    adapter, batch = network("llama"), texts()
    first = "model.layers.1.self_attn.q_proj"
    seen: dict[str, bool] = {}

    def look(name: str) -> Any:
        return lambda module, given, out: seen.__setitem__(name, out.requires_grad)

    below = adapter.model.get_submodule("model.layers.0")
    above = adapter.model.get_submodule("model.layers.1")
    handles = [below.register_forward_hook(look("below")), above.register_forward_hook(look("above"))]
    held: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t.numel()) or t, lambda t: t):
        capture(adapter, batch, [first])
    whole = len(held)
    held.clear()
    with torch.autograd.graph.saved_tensors_hooks(lambda t: held.append(t.numel()) or t, lambda t: t):
        capture(adapter, batch, [c.name for c in adapter.candidates()])
    for handle in handles:
        handle.remove()
    assert seen["above"] and whole < 0.7 * len(held)
    seen.clear()
    below.register_forward_hook(look("below"))
    capture(adapter, batch, [first])
    assert seen == {"below": False}
    assert all(p.grad is None and not p.requires_grad for p in adapter.model.parameters())


def _with_lora(seed: int = 0) -> ThinAdapter:
    adapter = network("llama")
    config = LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "down_proj"])
    model = inject_adapter_in_model(config, adapter.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2, generator=generator)
    return ThinAdapter(model, adapter.losses)


def test_adapted_layers_give_slices_of_the_effective_matrix_in_any_gauge() -> None:
    """LoRA: the gradient of W + s·BA, as a merged copy has it, and the same after B → BM⁻¹, A → MA."""
    adapter, batch = _with_lora(), texts()
    names = _names(adapter, batch)
    merged = network("llama")
    with torch.no_grad():
        for name in names:
            merged.linear(name).weight.copy_(adapter.weight(name))
    expected = looped(merged, batch, names)
    before = capture(adapter, batch, names)
    turn = torch.randn(3, 3, generator=torch.Generator().manual_seed(2)) + 2 * torch.eye(3)
    with torch.no_grad():
        for name in names:
            module = adapter.projection(name)
            if not isinstance(module, nn.Linear):
                a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
                a.copy_(turn @ a)
                b.copy_(b @ torch.linalg.inv(turn))
    after = capture(adapter, batch, names)
    for name in names:
        _assert_slices(before.layers[name], expected[name], name)
        _assert_slices(after.layers[name], expected[name], name)


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_bfloat16_statistics_are_float32(name: str) -> None:
    """Statistics of bfloat16 captures equal float64 on the same captures; all is near float32."""
    exact, batch = network(name), texts()
    names = _names(exact, batch)
    expected = looped(exact, batch, names)
    adapter = network(name)
    adapter.model.to(torch.bfloat16)
    got = capture(adapter, batch, names)
    for layer in names:
        assert got.layers[layer].acts_BTI.dtype == torch.bfloat16
        made = _made(got.layers[layer])
        _assert_slices(got.layers[layer], made, layer)
        total = torch.zeros(made.shape[1:])
        add_gradient_sum(total, got.layers[layer])
        torch.testing.assert_close(
            total.double(), made.sum(0), rtol=1e-4, atol=1e-5 * made.abs().max().item()
        )
        near = torch.cosine_similarity(made.flatten(1), expected[layer].double().flatten(1))
        assert near.min() > 0.98, layer


def test_alone_takes_padding_off() -> None:
    """The oracle itself: a pair alone has its own length."""
    assert [alone(texts(), n).tensors["input_ids"].shape[1] for n in range(3)] == [9, 5, 7]
