"""Signal tables: leave-one-out, failures that touch nobody else, base models, noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.loading import open_model
from audit_core.collect import collect_signals
from audit_core.errors import AuditError, CohortTooSmall, ModelRefused
from audit_core.results import Progress
from audit_core.samples import Sample, Settings
from audit_core.signals import LIKELIHOOD_SCALARS, SignalTable
from audit_core.slices import cosines, leave_one_out
from tests.audit_core import engine_models as tiny

PAIRS = [tiny.sample(n) for n in range(9)]
BANK = [tiny.sample(n) for n in range(50, 58)]
MEMBERS = [p.pair_id for p in PAIRS[:4]]
SETTINGS = Settings(batch_size=4, minimum_bank=4)
FAMILIES = ("image-text-to-text", "contrastive")


@pytest.fixture(scope="module", params=FAMILIES)
def pair_of_models(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModelAdapter, ModelAdapter]:
    write = tiny.write_llava if request.param == FAMILIES[0] else tiny.write_clip
    folders = [write(tmp_path_factory.mktemp("model"), seed=seed) for seed in (0, 1)]
    return open_model(folders[0], request.param), open_model(folders[1], request.param, base=True)


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> ModelAdapter:
    return open_model(tiny.write_llava(tmp_path_factory.mktemp("llava")), FAMILIES[0])


def _collect(
    adapter: ModelAdapter,
    samples: Sequence[Sample] = PAIRS,
    members: Sequence[str] = MEMBERS,
    base: ModelAdapter | None = None,
    settings: Settings = SETTINGS,
) -> SignalTable:
    quiet = lambda step: None  # noqa: E731
    return collect_signals(
        adapter, samples, members, bank=BANK, base=base, settings=settings, progress=quiet
    )[0]


def test_leave_one_out_equals_a_mean_without_the_pair(
    pair_of_models: tuple[ModelAdapter, ModelAdapter],
) -> None:
    """A reference member's cosines are those it gets as an outsider to the mean of the other members."""
    adapter = pair_of_models[0]
    everyone = _collect(adapter)
    without = _collect(adapter, members=MEMBERS[1:])
    np.testing.assert_allclose(everyone.cosines[0], without.cosines[0], atol=2e-4)
    assert np.abs(everyone.cosines[5] - without.cosines[5]).max() > 1e-2  # R itself did change


def test_leave_one_out_formula_on_plain_vectors() -> None:
    """The scalar identity of METHOD §2 equals recomputing the mean, in one noise slice of 50 members."""
    g = np.random.default_rng(0).normal(size=(50, 8))
    mean = g.mean(0)
    got = leave_one_out(
        (g @ mean)[:, None], np.square(g).sum(1)[:, None], np.array([mean @ mean]), members=50
    )[:, 0]
    rest = (g.sum(0) - g) / 49
    wanted = (g * rest).sum(1) / np.linalg.norm(g, axis=1) / np.linalg.norm(rest, axis=1)
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_noise_gradients_have_no_reference_bias() -> None:
    """Pure noise: members look 1/√n too close to their mean, and leave-one-out takes exactly that away."""
    rng = np.random.default_rng(1)
    n, slices, width = 100, 400, 30
    g = rng.normal(size=(n, slices, width))
    mean = g.mean(0)
    dots, squares = np.einsum("nsw,sw->ns", g, mean), np.square(g).sum(2)
    reference = np.square(mean).sum(1)
    biased = cosines(dots, squares, reference).mean()
    fair = leave_one_out(dots, squares, reference, n)
    assert abs(biased - 0.1) < 0.005
    assert abs(fair.mean()) < 0.003
    assert (fair.mean(0) > 0.1).mean() <= 0.01  # METHOD §8 (3)


def test_a_slice_carried_by_one_pair_is_dropped() -> None:
    """If all of a slice's mean comes from one member, nothing is left to compare it with."""
    g = np.zeros((3, 4))
    g[0] = [1.0, 2.0, 3.0, 4.0]
    mean = g.mean(0)
    got = leave_one_out((g @ mean)[:, None], np.square(g).sum(1)[:, None], np.array([mean @ mean]), 3)
    assert np.isnan(got).all()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_pair_that_is_not_finite_touches_nobody(place: int, llava: ModelAdapter) -> None:
    """A NaN pair, even as a reference, becomes unscored; every other number is what it is without it."""
    texts = [
        replace(p, text=" ".join(["no acute finding left"][0:1] * (1 + n // 3))) for n, p in enumerate(PAIRS)
    ]
    bad = replace(texts[place], text="no acute finding poison")
    poisoned = llava.around(llava.model)
    table = poisoned.model.get_input_embeddings().weight
    row = int(llava.encode([bad], 9).tensors["input_ids"][0][-2])  # type: ignore[attr-defined]
    saved = table[row].clone()
    clean = _collect(llava, texts, members=[t.pair_id for n, t in enumerate(texts[:4]) if n != place])
    try:
        with torch.no_grad():
            table[row] = torch.nan
        samples = [*texts[:place], bad, *texts[place + 1 :]]
        got = _collect(poisoned, samples, members=[t.pair_id for t in texts[:4]])
    finally:
        with torch.no_grad():
            table[row] = saved
    assert list(got.unscored) == [bad.pair_id]
    assert "finite" in got.unscored[bad.pair_id]
    others = [n for n in range(len(texts)) if n != place]
    assert all(np.isnan(values[place]) for values in got.scalars.values())
    for name in LIKELIHOOD_SCALARS:
        np.testing.assert_array_equal(got.scalars[name][others], clean.scalars[name][others])
    np.testing.assert_allclose(got.cosines[others], clean.cosines[others], atol=1e-5)
    np.testing.assert_allclose(got.norms[others], clean.norms[others], atol=1e-5)


@pytest.mark.parametrize("scale", [10.0, 30.0, 100.0, 300.0, 1000.0])
def test_a_pair_that_outweighs_the_others_has_right_cosines_or_none(scale: float) -> None:
    """From the float32 sums the engine makes: within 1e-4 of really leaving the pair out, or dropped."""
    generator = torch.Generator().manual_seed(0)
    G = torch.randn(10, 400, 64, generator=generator) + torch.randn(400, 64, generator=generator)
    G[0] *= scale
    R = G.mean(0)
    d, q = ((G[0] * R).sum(1).double().numpy(), G[0].square().sum(1).double().numpy())
    r = R.double().square().sum(1).numpy()
    found = leave_one_out(d[None], q[None], r, 10)[0]
    rest = G[1:].double().sum(0)
    wanted = torch.nn.functional.cosine_similarity(G[0].double(), rest, dim=1).numpy()
    kept = np.isfinite(found)
    assert kept.all() if scale == 10.0 else not kept.all() if scale == 1000.0 else True
    np.testing.assert_allclose(found[kept], wanted[kept], atol=1e-4)


def test_a_pair_the_model_cannot_take_costs_only_itself(
    pair_of_models: tuple[ModelAdapter, ModelAdapter],
) -> None:
    """An empty report fails its batch; the batch is repeated pair by pair and only that pair is unscored."""
    adapter = pair_of_models[0]
    samples = [*PAIRS, replace(tiny.sample(20), text="   ")]
    got, clean = _collect(adapter, samples), _collect(adapter)
    assert list(got.unscored) == ["pair020"]
    assert "no report text" in got.unscored["pair020"]
    np.testing.assert_allclose(got.scalars["neg_loss"][:-1], clean.scalars["neg_loss"], atol=1e-5)


def test_nothing_scored_is_an_error_with_the_reason(llava: ModelAdapter) -> None:
    """When every pair fails the audit stops and says why."""
    with pytest.raises(AuditError, match="no pair"):
        _collect(llava, [replace(p, text="") for p in PAIRS])


def test_batch_size_changes_no_number(pair_of_models: tuple[ModelAdapter, ModelAdapter]) -> None:
    """Padding and batch neighbours leave every signal alone."""
    adapter, base = pair_of_models
    one = _collect(adapter, base=base, settings=replace(SETTINGS, batch_size=1))
    many = _collect(adapter, base=base, settings=replace(SETTINGS, batch_size=9))
    for name, values in one.scalars.items():
        np.testing.assert_allclose(values, many.scalars[name], rtol=1e-4, atol=1e-4, err_msg=name)
    np.testing.assert_allclose(one.norms, many.norms, atol=1e-3)
    np.testing.assert_allclose(one.cosines, many.cosines, atol=1e-3)
    np.testing.assert_allclose(one.task_cosines, many.task_cosines, atol=1e-4)


def test_shapes_and_slices_line_up(pair_of_models: tuple[ModelAdapter, ModelAdapter]) -> None:
    """Matrices tile the slice axis without gaps; unscored apart, everything is finite."""
    got = _collect(*pair_of_models[:1], base=pair_of_models[1])
    ends = [m.offset + m.rows + m.cols for m in got.matrices]
    assert [m.offset for m in got.matrices] == [0, *ends[:-1]]
    assert got.cosines.shape == (len(PAIRS), ends[-1])
    assert got.norms.shape == got.task_cosines.shape == (len(PAIRS), len(got.matrices))
    assert np.isfinite(got.norms).all() and np.isfinite(got.task_cosines).all()
    assert np.nanmax(np.abs(got.cosines)) <= 1 + 1e-5
    total = 0.5 * np.log(np.exp(2 * got.norms.astype(float)).sum(1))
    np.testing.assert_allclose(got.scalars["neg_log_grad_norm"], -total, atol=1e-5)


def test_task_cosine_follows_a_descent_step(llava: ModelAdapter, tmp_path: Path) -> None:
    """A model that moved from its base down one pair's gradient has that pair's task cosine at 1."""
    import copy

    moved = llava.around(copy.deepcopy(llava.model))
    names = [m.name for m in _collect(llava).matrices]
    weights = [llava.linear(n).weight.requires_grad_(True) for n in names]
    loss = llava.forward(llava.encode(PAIRS[:1], 99)).losses_B.sum()
    grads = torch.autograd.grad(loss, weights)
    llava.model.requires_grad_(False)
    with torch.no_grad():
        for name, grad in zip(names, grads, strict=True):
            moved.linear(name).weight -= 1e-3 * grad
    got = _collect(moved, base=llava)
    assert got.task_cosines[0].min() > 0.9
    assert got.task_cosines[0].mean() > got.task_cosines[1:].mean() + 0.2


def test_a_base_of_another_shape_is_refused(llava: ModelAdapter, tmp_path: Path) -> None:
    """A base model whose matrices differ is named as such."""
    import copy

    wrong = llava.around(copy.deepcopy(llava.model))
    wrong.model.model.multi_modal_projector.linear_2 = torch.nn.Linear(16, 15)
    with pytest.raises(ModelRefused, match="linear_2"):
        _collect(llava, base=wrong)


def test_base_table_has_scalars_and_no_gradients(pair_of_models: tuple[ModelAdapter, ModelAdapter]) -> None:
    """The base model gives the same likelihood scalars and nothing per slice."""
    seen: list[str] = []
    _, base = collect_signals(
        pair_of_models[0], PAIRS, MEMBERS, bank=BANK, base=pair_of_models[1], settings=SETTINGS,
        progress=lambda step: seen.append(step.phase),
    )  # fmt: skip
    assert base is not None
    assert set(LIKELIHOOD_SCALARS) <= set(base.scalars)
    assert "neg_log_grad_norm" not in base.scalars
    assert base.norms.shape == base.cosines.shape == base.task_cosines.shape == (len(PAIRS), 0)
    assert list(dict.fromkeys(seen)) == ["references", "signals", "base model"]


def test_the_scalars_alone_are_the_same_without_gradients(llava: ModelAdapter) -> None:
    """Reading likelihoods only (shuffled pairs) gives the same likelihoods."""
    alone, _ = collect_signals(
        llava, PAIRS, (), bank=(), base=None, settings=SETTINGS, progress=lambda step: None, gradients=False
    )
    full = _collect(llava)
    for name in LIKELIHOOD_SCALARS:
        np.testing.assert_allclose(alone.scalars[name], full.scalars[name], atol=1e-5)


def test_without_members_there_are_norms_and_no_cosines(llava: ModelAdapter) -> None:
    """An audit without reference members (L5) still has gradient norms."""
    got = _collect(llava, members=())
    assert got.cosines.shape == (len(PAIRS), 0)
    assert np.isfinite(got.norms).all()


def test_one_pair_per_patient_enters_the_mean(llava: ModelAdapter) -> None:
    """A patient's second pair changes no mean, and has no cosines itself: they could not be unbiased."""
    second = tiny.sample(30, patient=PAIRS[0].patient)
    got = _collect(llava, [*PAIRS, second], members=[*MEMBERS, second.pair_id])
    np.testing.assert_allclose(got.cosines[:-1], _collect(llava).cosines, atol=1e-4)
    assert np.isnan(got.cosines[-1]).all()
    assert got.facts["reference_members"] == "4"
    assert not got.unscored


def test_a_small_bank_or_too_few_references_are_refused(tmp_path: Path, llava: ModelAdapter) -> None:
    """Both say how many there are and how many are needed."""
    clip = open_model(tiny.write_clip(tmp_path), FAMILIES[1])
    with pytest.raises(CohortTooSmall, match="8 pairs, at least 31"):
        _collect(clip, settings=replace(SETTINGS, minimum_bank=31))
    with pytest.raises(CohortTooSmall, match="only 1 of 1"):
        _collect(llava, members=MEMBERS[:1])


def test_an_anchor_of_the_same_patient_is_no_negative(tmp_path: Path) -> None:
    """A pair that is in the bank itself is scored as if it were not."""
    clip = open_model(tiny.write_clip(tmp_path), FAMILIES[1])
    batch = clip.encode(PAIRS[:3], 99)
    alone = clip.forward(batch, clip.anchors(BANK, 99, 4))
    with_own = clip.forward(batch, clip.anchors([*BANK, PAIRS[0]], 99, 4))
    torch.testing.assert_close(alone.losses_B[0], with_own.losses_B[0])
    torch.testing.assert_close(alone.scalars["minkpp"][0], with_own.scalars["minkpp"][0])
    assert with_own.losses_B[1] > alone.losses_B[1]


def test_progress_counts_up_to_all_pairs(llava: ModelAdapter) -> None:
    """Every phase ends with done = total."""
    steps: list[Progress] = []
    collect_signals(llava, PAIRS, MEMBERS, bank=(), base=None, settings=SETTINGS, progress=steps.append)
    last = {step.phase: step for step in steps}
    assert (last["references"].done, last["references"].total) == (4, 4)
    assert (last["signals"].done, last["signals"].total) == (9, 9)
