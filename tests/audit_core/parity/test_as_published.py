"""An audit as published gives the scores of a second implementation that shares no code with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from audit_core.adapters.adapted import adapted_layers
from audit_core.blind import pair_facts
from audit_core.cohort import references, scored_rows
from audit_core.collect import collect_signals
from audit_core.detectors.gradaudit import NOT_HELD_OUT
from audit_core.detectors.published.calibration import published_mixture
from audit_core.errors import ModelRefused
from audit_core.policy import PUBLISHED_MASKS
from audit_core.results import References, Role
from audit_core.samples import Settings
from audit_core.scoring import Scored, score_all
from audit_core.signals import SignalTable
from audit_core.store import MemoryStore, Shelf
from tests.audit_core.parity import by_hand
from tests.audit_core.parity.worlds import WORLDS, World, lora
from tests.audit_core.planted import silent

SETTINGS = Settings(
    references=References.L1, deciding_detector="gradaudit", as_published=True, mask="fixed_tau",
    minimum_bank=4, batch_size=8, max_text_tokens=64,
)  # fmt: skip
TAUS = (0.10, 0.45)
PROBES = (Role.CALIBRATION, Role.TARGET)


Build = Callable[[str], World]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Trained models by name, each made once."""
    return cache(lambda name: WORLDS[name](tmp_path_factory.mktemp("world")))


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest, build: Build) -> World:
    """Every trained model in turn."""
    return build(request.param)


def read(world: World, settings: Settings = SETTINGS, shelf: Shelf | None = None) -> SignalTable:
    table, _ = collect_signals(
        world.adapter, world.samples, world.ids(Role.MEMBER),
        bank=world.bank, base=None, settings=settings, progress=silent, shelf=shelf,
    )  # fmt: skip
    return table


def scored(world: World, table: SignalTable, settings: Settings) -> tuple[dict[str, float], Scored]:
    facts = [pair_facts(sample) for sample in world.samples]
    rows = scored_rows(table, None, facts, settings)
    found = score_all(rows, references(rows, settings), settings)["gradaudit"]
    return dict(zip(rows.signals.table.pair_ids, found.values.tolist(), strict=True)), found


def test_the_same_matrices_are_audited(world: World) -> None:
    """The last three blocks by index, of which one may get no gradient; every A and B of a LoRA."""
    loss = world.loss(world.samples[0].pair_id)
    alive = set(by_hand.gradients(world.network, world.names, loss))
    assert {f"{matrix.name}.weight" for matrix in read(world).matrices} == {
        name.removeprefix("base_model.model.") for name in alive
    }


def test_scores_equal_a_second_implementation(world: World) -> None:
    """Every mask, every probe: 1e-4 in score and in leak probability, and the same number of kept slices."""
    oracle = by_hand.published(
        lambda pair: by_hand.gradients(world.network, world.names, world.loss(pair)),
        world.ids(Role.MEMBER), world.ids(Role.FITTING), world.ids(*PROBES),
        [(rule, tau) for rule in PUBLISHED_MASKS for tau in TAUS],
    )  # fmt: skip
    assert len({count for _, count in oracle.values()}) > len(PUBLISHED_MASKS)
    table = read(world)
    for (rule, tau), (expected, kept) in oracle.items():
        mine, detector = scored(world, table, replace(SETTINGS, mask=rule, tau=tau))
        assert detector.found is not None
        assert 0 < kept < detector.found.total
        assert detector.found.kept == kept
        assert {pair: mine[pair] for pair in expected} == pytest.approx(expected, abs=1e-4)
        controls, targets = ([mine[p] for p in world.ids(role)] for role in PROBES)
        by_us = published_mixture(np.array(controls), np.array(targets)).leak_probability(np.array(targets))
        by_them = by_hand.leak_probabilities(*([expected[p] for p in world.ids(role)] for role in PROBES))
        np.testing.assert_allclose(by_us, by_them, atol=1e-4)


def test_reference_pairs_have_no_score(world: World) -> None:
    """Members in their own mean, and all who chose the slices, could only look better than they are."""
    mine, detector = scored(world, read(world), SETTINGS)
    assert detector.reason == NOT_HELD_OUT
    references_ = set(world.ids(Role.MEMBER, Role.FITTING))
    assert {pair for pair, value in mine.items() if np.isnan(value)} == references_


@pytest.mark.parametrize("name", ["BiomedCLIP", "Llama-LLaVA"])
def test_members_gain_from_being_in_their_own_mean(name: str, build: Build) -> None:
    """Published cosines of members are larger than leave-one-out, those of everybody else are the same."""
    world = build(name)
    mine = read(world)
    own = read(world, replace(SETTINGS, as_published=False, layers="all"))
    shared = [m for m in own.matrices if m.name in {one.name for one in mine.matrices}]
    of_mine = np.concatenate([np.arange(m.offset, m.offset + m.rows + m.cols) for m in mine.matrices])
    of_own = np.concatenate([np.arange(m.offset, m.offset + m.rows + m.cols) for m in shared])
    for role, low, high in ((Role.MEMBER, 0.02, 0.3), (Role.TARGET, -1e-5, 1e-5)):
        rows = [row for row, s in enumerate(world.samples) if s.role is role]
        bias = np.nanmean(mine.cosines[rows][:, of_mine] - own.cosines[rows][:, of_own])
        assert low <= bias <= high


def test_a_failed_pair_is_unscored_and_moves_nobody(world: World) -> None:
    """The released code would call it clean with a score of 0."""
    broken = replace(world.samples[-1], text=" ")
    with_one = replace(world, samples=[*world.samples[:-1], broken])
    table = read(with_one)
    assert set(table.unscored) == {broken.pair_id}
    mine, _ = scored(with_one, table, SETTINGS)
    before, _ = scored(world, read(world), SETTINGS)
    assert broken.pair_id not in mine
    probes = [pair for pair in world.ids(*PROBES) if pair != broken.pair_id]
    assert [mine[p] for p in probes] == pytest.approx([before[p] for p in probes], abs=1e-5)


def test_slices_of_a_lora_hang_on_an_arbitrary_basis(tmp_path: Path) -> None:
    """B → BM⁻¹, A → MA leaves the model as it is: the published scores move, ours do not."""
    world = WORLDS["LoRA"](tmp_path)
    own = replace(SETTINGS, as_published=False, mask="fixed_tau", layers="all")
    before = [scored(world, read(world, s), s)[0] for s in (SETTINGS, own)]
    change_basis(world)
    after = [scored(world, read(world, s), s)[0] for s in (SETTINGS, own)]
    moved = [max(abs(a[p] - b[p]) for p in world.ids(*PROBES)) for a, b in zip(after, before, strict=True)]
    assert moved[0] > 0.01
    assert moved[1] < 1e-4


def change_basis(world: World) -> None:
    """Give every LoRA layer of the opened model another basis of its rank."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for _, layer in adapted_layers(world.adapter.model):
            a_RI, b_OR = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            basis = torch.randn(len(a_RI), len(a_RI), generator=generator) + 2 * torch.eye(len(a_RI))
            a_RI.copy_(basis @ a_RI)
            b_OR.copy_(b_OR @ torch.linalg.inv(basis))


def test_steps_of_an_audit_of_ours_are_not_found_as_published(build: Build) -> None:
    """One store for both ways: each computes its own signals."""
    world = build("BiomedCLIP")
    own = replace(SETTINGS, as_published=False)
    shelf = Shelf(MemoryStore(), {})
    for settings in (own, SETTINGS, own):
        kept = read(world, settings, shelf)
        np.testing.assert_array_equal(kept.cosines, read(world, settings).cosines)
        assert kept.as_published is settings.as_published


@pytest.mark.parametrize(("name", "layers", "blocks"), [("LoRA", "last3", 3), ("Llama-LLaVA", "all", 8)])
def test_other_choices_of_layers(name: str, layers: str, blocks: int, build: Build) -> None:
    """`last3` holds for a LoRA too; `all` takes four language and four vision blocks; the fifth is dead."""
    found = read(build(name), replace(SETTINGS, layers=layers)).matrices
    assert len({matrix.layer for matrix in found} - {"projector"}) == blocks
    assert all((".lora_" in matrix.name) is (name == "LoRA") for matrix in found)


def test_nothing_was_published_for_dora(tmp_path: Path) -> None:
    """A magnitude beside the two matrices: refused by name, with the way out."""
    with pytest.raises(ModelRefused, match="DoRA") as refused:
        read(lora(tmp_path, dora=True))
    assert "--as-published" in refused.value.hint
