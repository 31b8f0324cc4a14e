"""Published detectors: formulas, what they need, which way they point on models that know pairs by heart."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit_core.adapters.adapted import adapted_layers
from audit_core.adapters.folder import inspect_folder
from audit_core.adapters.loading import open_model, open_source
from audit_core.cohort import scored_rows
from audit_core.collect import collect_signals
from audit_core.controls import label_permutation
from audit_core.detectors.published.gradnorm_layers import last_block, projector
from audit_core.detectors.published.window_votes import windows
from audit_core.detectors.seam import Labelled, Signals, all_detectors, oriented, published, wanted
from audit_core.policy import Policy, decide
from audit_core.ranking import auroc
from audit_core.readings.seam import readings, suited
from audit_core.results import ControlStatus, References, Unscored, VerdictWord
from audit_core.samples import ModelSource, Settings
from audit_core.scoring import SpikeSignals, score_spike
from audit_core.signals import Matrix
from audit_core.tokens import TokenSignals
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.generative_models import write_llava
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS, write_lora
from tests.audit_core.overfit import CONTRASTIVE, LANGUAGE, Overfit, overfit
from tests.audit_core.planted import FAST, World, judged, planted

ORDERS = ("half", "1", "2", "inf")
BOTH = {
    "loss", "minkpp", "mink", "gradnorm", "gradnorm_last", "gradnorm_projector", "gradaudit", "gradsafe",
    "base_referenced", "minkpp_difference", "fused", "rank_average", "entropy", "modified_entropy",
    "modrenyi_half", "modrenyi_2", "m4i", *(f"renyi_text_100_{order}" for order in ORDERS),
}  # fmt: skip
POINTING = {
    LANGUAGE: {
        *BOTH, "zlib", "lower_case", "dc_pdd", "recall", "con_recall", "window_votes",
        *(f"renyi_text_10_{order}" for order in ORDERS), *(f"renyi_both_100_{order}" for order in ORDERS),
    },
    CONTRASTIVE: {*BOTH, "cosine", "task_slope", "task_vector"},
}  # fmt: skip
"""Detectors whose source says which way they point, and that find pairs in a model this small."""

ONLY_LANGUAGE = {"zlib", "lower_case", "dc_pdd", "recall", "con_recall", "window_votes"} | {
    f"renyi_{where}_{share}_{order}"
    for where in ("image", "both")
    for share in ("max", "10", "100")
    for order in ORDERS
}
SMALL = Policy(
    "p", "1", minimum_members=2, minimum_fitting=2, minimum_calibration=2, minimum_targets=2, minimum_bank=1
)
NOBODY = Labelled(np.array([], np.int64), np.array([], np.bool_), np.array([], np.int64))


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Overfit]:
    known: dict[str, Overfit] = {}

    def world(family: str) -> Overfit:
        if family not in known:
            known[family] = overfit(family, tmp_path_factory.mktemp(family))
        return known[family]

    return world


def made_up(**scalars: np.ndarray) -> Signals:
    """Planted signals with a base, and further scalars."""
    cohort = planted(World(effect=1.0), 0)
    return Signals(replace(cohort.table, scalars={**cohort.table.scalars, **scalars}), cohort.base)


def run(name: str, signals: Signals, refs: Labelled = NOBODY) -> np.ndarray:
    detector = all_detectors()[name]
    assert not detector.missing(signals, refs)
    return detector.score(signals, refs, FAST).scores[-1]


@pytest.mark.parametrize("family", [LANGUAGE, CONTRASTIVE])
def test_detectors_point_to_what_was_trained(family: str, worlds: Callable[[str], Overfit]) -> None:
    """Pairs a model knows by heart score above fresh ones, by every detector whose source says so."""
    world = worlds(family)
    found = {name: world.found(name) for name in POINTING[family]}
    assert {name: value for name, value in found.items() if value < 0.55} == {}
    assert min(found[name] for name in ("loss", "minkpp", "base_referenced", "modified_entropy")) > 0.9


@pytest.mark.parametrize("name", ["image_corruption", "augmentation_kl"])
@pytest.mark.parametrize("family", [LANGUAGE, CONTRASTIVE])
def test_the_references_say_which_way_a_corruption_points(
    name: str, family: str, worlds: Callable[[str], Overfit]
) -> None:
    """Under the full model members are never below controls; turning the signal round changes no score."""
    world = worlds(family)
    signal = {"image_corruption": "image_similarity"}.get(name, name)
    scores = world.score(name)[world.refs.rows]
    assert auroc(scores[world.refs.member], scores[~world.refs.member]) >= 0.5
    table = world.signals.table
    turned = replace(table, scalars={**table.scalars, signal: -table.scalars[signal]})
    np.testing.assert_array_equal(
        world.score(name), run(name, Signals(turned, world.signals.base), world.refs)
    )


@pytest.mark.parametrize("name", ["image_corruption", "augmentation_kl"])
def test_a_fold_does_not_choose_its_own_direction(name: str) -> None:
    """The sign under a fold's model is that of the others: the same whatever the fold's own labels are."""
    rng = np.random.default_rng(0)
    signal = {"image_corruption": "image_similarity"}.get(name, name)
    signals = made_up(**{signal: rng.normal(size=150)})
    refs = Labelled(np.arange(40), np.arange(40) % 2 == 0, np.arange(40) // 8)
    swapped = replace(refs, member=np.where(refs.folds == 0, ~refs.member, refs.member))
    detector = published()[name]
    before, after = (detector.score(signals, labels, FAST).scores for labels in (refs, swapped))
    np.testing.assert_array_equal(before[0], after[0])
    values = signals.table.scalars[signal]
    assert {1.0, -1.0} >= set(np.unique(before / (values - np.median(values))))


def test_a_direction_chosen_on_noise_finds_nothing() -> None:
    """References scored without their own fold have AUROC ½ on average, though the direction was chosen."""
    found = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        refs = Labelled(np.arange(48), np.arange(48) % 2 == 0, rng.permutation(48) % 5)
        scores = oriented(5 + rng.normal(size=100), refs).scores[refs.folds, refs.rows]
        found.append(auroc(scores[refs.member], scores[~refs.member]))
    assert abs(np.mean(found) - 0.5) < 0.0155  # 2.5 standard errors


def test_a_direction_chosen_on_noise_is_not_called_broken() -> None:
    """Permuted labels do not separate the references by a direction that was chosen on the others."""
    outcomes = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        signals = made_up(image_similarity=rng.normal(size=150))
        refs = Labelled(np.arange(60), np.arange(60) % 2 == 0, np.arange(60) // 12)
        alone = signals.take(refs.rows)
        outcomes.append(label_permutation(published()["image_corruption"], alone, refs, FAST, rng).status)
    assert set(outcomes) == {ControlStatus.PASSED}


def test_ratios_are_the_formulas() -> None:
    """zlib, lower case, ReCaLL, Con-ReCall and M4I from their scalars, number by number."""
    own, other, third = np.array([-2.0, -0.5]), np.array([-3.0, -2.0]), np.array([-1.0, -0.25])
    given = {
        "neg_loss": own, "neg_loss_lower_case": other, "neg_loss_after_controls": other,
        "neg_loss_after_members": third, "text_bytes": np.array([20.0, 50.0]), "cosine": np.array([0.0, 0.5]),
    }  # fmt: skip
    table = replace(made_up().table, scalars=given, pair_ids=("a", "b"))
    signals = Signals(table, None)
    np.testing.assert_allclose(run("zlib", signals), [-0.1, -0.01])
    np.testing.assert_allclose(run("lower_case", signals), [1.5, 4.0])
    np.testing.assert_allclose(run("recall", signals), [1.5, 4.0])
    np.testing.assert_allclose(run("con_recall", signals), [(-3 + 0.5) / -2, (-2 + 0.125) / -0.5])
    np.testing.assert_allclose(run("m4i", signals), [-np.sqrt(2.0), -1.0])
    said = replace(table, scalars={**given, "rouge_l": np.array([0.25, 1.0])})
    np.testing.assert_allclose(run("m4i", Signals(said, None)), [0.25, 1.0])


def test_a_loss_of_nothing_is_no_infinity() -> None:
    """A model that is sure of every token gives finite ratios."""
    scalars = {
        "neg_loss": np.zeros(2),
        "neg_loss_lower_case": -np.ones(2),
        "neg_loss_after_controls": -np.ones(2),
    }
    signals = Signals(replace(made_up().table, scalars=scalars, pair_ids=("a", "b")), None)
    for name in ("lower_case", "recall"):
        assert (np.isfinite(run(name, signals)) & (run(name, signals) > 1e6)).all()


def test_norms_of_a_part_are_those_of_its_matrices() -> None:
    """Projector and last block: −log of the root of the summed squares, by name of the layer."""
    layers = ("vision layer 2", "projector", "language layer 9", "language layer 10", "language layer 10")
    matrices = tuple(Matrix(f"m{i}", layer, 0, 1, 1) for i, layer in enumerate(layers))
    assert (projector(matrices), last_block(matrices)) == ([1], [3, 4])
    norms = np.log(np.array([[1.0, 2.0, 3.0, 4.0, 3.0]], np.float32))
    signals = Signals(replace(made_up().table, matrices=matrices, norms=norms), None)
    np.testing.assert_allclose(run("gradnorm_projector", signals), [-np.log(2.0)], rtol=1e-6)
    np.testing.assert_allclose(run("gradnorm_last", signals), [-np.log(5.0)], rtol=1e-6)
    bare = replace(signals.table, matrices=matrices[:1], norms=norms[:, :1])
    assert published()["gradnorm_projector"].missing(Signals(bare, None), NOBODY) == "no projector is audited"


def test_gradsafe_is_the_mean_over_every_slice() -> None:
    """Nothing is masked; slices a pair does not have are left out."""
    signals = made_up()
    cosines = signals.table.cosines.copy()
    cosines[3, 7] = np.nan
    signals = replace(signals, table=replace(signals.table, cosines=cosines))
    refs = Labelled(np.arange(40), np.arange(40) % 2 == 0, np.arange(40) % 5)
    np.testing.assert_allclose(run("gradsafe", signals, refs), np.nanmean(cosines, axis=1), atol=1e-6)


def test_window_votes_by_hand() -> None:
    """Windows of eight tokens, or the whole report; a vote for each above the median of all windows."""
    rng = np.random.default_rng(0)
    lengths = (12, 3, 0, 9)
    blocks = [[rng.normal(size=(n, 4)).astype(np.float32) for n in lengths] for _ in "ab"]
    mine, base = map(TokenSignals.of, blocks)
    table = replace(made_up().table, tokens=mine, pair_ids=tuple("abcd"))
    signals = Signals(table, replace(table, tokens=base))
    gains = []
    for row, length in enumerate(lengths):
        gain = mine.pair(row)[:, 0].astype(float) - base.pair(row)[:, 0].astype(float)
        width = min(8, length)
        gains.append([gain[i : i + width].mean() for i in range(length - width + 1)] if length else [])
    assert [len(gain) for gain in gains] == [len(gain) for gain in windows(signals)] == [5, 1, 0, 2]
    middle = np.median([one for gain in gains for one in gain])
    votes = [np.mean(np.array(gain) > middle) if gain else np.nan for gain in gains]
    np.testing.assert_allclose(run("window_votes", signals), votes)
    longer = replace(table, tokens=TokenSignals.of([np.ones((n + 1, 4), np.float32) for n in lengths]))
    why = published()["window_votes"].missing(Signals(table, longer), NOBODY)
    assert "different numbers of tokens" in why


def test_differences_are_those_of_the_scalars() -> None:
    """Min-K%++ of the model minus that of the base."""
    signals = made_up()
    assert signals.base is not None
    gap = signals.table.scalars["minkpp"] - signals.base.scalars["minkpp"]
    np.testing.assert_array_equal(run("minkpp_difference", signals), gap)


def test_the_slope_is_the_loss_along_the_task_vector(tmp_path: Path) -> None:
    """⟨−G, ΔW⟩ summed over matrices equals −∂L/∂α by a difference quotient of the loss itself."""
    import torch

    folders = [tiny.write_clip(tmp_path / str(seed), seed=seed) for seed in (0, 1)]
    model, base = open_model(folders[0], CONTRASTIVE), open_model(folders[1], CONTRASTIVE, base=True)
    pairs, bank = [tiny.sample(n) for n in range(5)], [tiny.sample(n) for n in range(50, 58)]
    table, _ = collect_signals(
        model, pairs, (), bank=bank, base=base, settings=Settings(batch_size=5, minimum_bank=4, layers="all"),
        progress=lambda step: None,
    )  # fmt: skip
    slopes = run("task_slope", Signals(table, None))
    anchors = model.anchors(bank, 256, 4)
    weights = {m.name: model.linear(m.name).weight for m in table.matrices}
    moves = {name: (w - base.linear(name).weight).detach() for name, w in weights.items()}

    def losses(alpha: float) -> np.ndarray:
        with torch.no_grad():
            for name, weight in weights.items():
                weight += (alpha - 1) * moves[name]
            found = model.forward(model.encode(pairs, 256), anchors).losses_B.numpy().copy()
            for name, weight in weights.items():
                weight -= (alpha - 1) * moves[name]
        return np.asarray(found)

    step = 2e-3
    quotient = (losses(1 + step) - losses(1 - step)) / (2 * step)
    np.testing.assert_allclose(slopes, -quotient, rtol=2e-2, atol=2e-2 * np.abs(quotient).max())


def test_the_slope_of_an_adapter_is_that_of_its_scale(tmp_path: Path) -> None:
    """With a LoRA, one number per adapted layer, none for the others, and their sum is −∂L/∂scale."""
    folder = TWO_TOWER_MODELS["clip"](tmp_path / "model")
    adapter = write_lora(tmp_path / "lora", folder)
    opened = open_source(ModelSource(folder, CONTRASTIVE, {}, peft=adapter), device="cpu")
    model, base = opened
    pairs, bank = [tiny.sample(n) for n in range(5)], [tiny.sample(n) for n in range(50, 58)]
    table, _ = collect_signals(
        model, pairs, (), bank=bank, base=base, settings=Settings(batch_size=5, minimum_bank=4, layers="all"),
        progress=lambda step: None,
    )  # fmt: skip
    layers = dict(adapted_layers(model.model))
    slopes = table.task_slopes
    assert slopes is not None
    moved = [matrix.name in layers for matrix in table.matrices]
    assert 0 < sum(moved)
    assert (slopes[:, moved] != 0).all() and not slopes[:, np.logical_not(moved)].any()
    anchors = model.anchors(bank, 256, 4)

    def losses(scale: float) -> np.ndarray:
        for layer in layers.values():
            layer.scaling = {name: value * scale for name, value in layer.scaling.items()}
        found = model.forward(model.encode(pairs, 256), anchors).losses_B.detach().numpy().copy()
        for layer in layers.values():
            layer.scaling = {name: value / scale for name, value in layer.scaling.items()}
        return np.asarray(found)

    step = 2e-3
    quotient = (losses(1 + step) - losses(1 - step)) / (2 * step)
    np.testing.assert_allclose(
        run("task_slope", Signals(table, None)), -quotient, rtol=2e-2, atol=2e-2 * np.abs(quotient).max()
    )


KINDS = {"llava": write_llava, **{name: TWO_TOWER_MODELS[name] for name in ("clip", "medsiglip", "blip-itm")}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_detector_scores_or_says_why(kind: str, tmp_path: Path) -> None:
    """On a decoder, a CLIP, a SigLIP and a matching model: finite numbers that differ, or a reason."""
    folder = KINDS[kind](tmp_path / kind)
    family = inspect_folder(folder).family
    model = open_model(folder, family)
    pairs = [replace(tiny.sample(n), text=tiny.sample(n).text.title()) for n in range(12)]
    folds = {pair.pair_id: n % 2 for n, pair in enumerate(pairs[:8])}
    table, _ = collect_signals(
        model, pairs, [pair.pair_id for pair in pairs[:4]], bank=[tiny.sample(n) for n in range(50, 58)],
        base=None, settings=Settings(batch_size=4, minimum_bank=4, max_text_tokens=30),
        progress=lambda step: None, folds=folds,
        readings=[one for one in suited(readings(), family) if not one.needs_base],
    )  # fmt: skip
    rows = np.arange(8)
    refs, signals = Labelled(rows, rows < 4, rows % 2), Signals(table, None)
    reasons = {}
    for name, detector in all_detectors().items():
        reasons[name] = detector.missing(signals, refs)
        if not reasons[name] and not detector.fitted:
            scores = detector.score(signals, refs, FAST).scores[-1]
            assert np.isfinite(scores).all(), name
            assert np.unique(scores).size > 1 or name == "m4i", name
    silent = {name for name, why in reasons.items() if why}
    needs_base = {"base_referenced", "task_vector", "minkpp_difference", "task_slope", "window_votes"}
    expected = {
        "llava": {"cosine"},
        "clip": ONLY_LANGUAGE,
        "medsiglip": ONLY_LANGUAGE,
        "blip-itm": ONLY_LANGUAGE | {"cosine", "m4i"},
    }[kind]
    assert expected | needs_base == silent


@pytest.mark.parametrize(
    "name", ["recall", "zlib", "cosine", "image_corruption", "neuron_activation", "task_slope"]
)
def test_a_policy_that_names_what_cannot_be_read_is_inconclusive(name: str) -> None:
    """The deciding detector's reason is the answer; nothing else decides in its place."""
    result, findings = judged(World(effect=1.0), 0, deciding_detector=name)
    verdict = decide(replace(SMALL, deciding_detector=name), result)
    assert verdict.word is VerdictWord.INCONCLUSIVE
    assert any(f"The deciding detector, {name}, has no score: " in reason for reason in verdict.reasons)
    assert all(isinstance(finding.scores[name], Unscored) for finding in findings)


def test_a_published_detector_may_decide() -> None:
    """A policy that names one gets its verdict from it, and it is run beside the battery."""
    result, _ = judged(World(effect=1.5), 0, deciding_detector="mink", references=References.L1)
    assert result.deciding_detector == "mink"
    assert result.exposure is not None
    assert set(wanted("mink")) == set(wanted("fused")) | {"mink"}
    assert {report.name for report in result.detectors} == set(wanted("mink"))


def test_a_spike_in_without_the_deciding_signal_has_no_scores() -> None:
    """At L4 there are no known members, so what is read after members' reports is missing on the copy too."""
    cohort = planted(World(effect=1.0), 0)
    settings = replace(FAST, references=References.L4, deciding_detector="recall")
    rows = scored_rows(cohort.table, cohort.base, cohort.facts, settings)
    spike = SpikeSignals(cohort.table, cohort.base, cohort.table.pair_ids[:9], cohort.table.pair_ids[9:20])
    leaked, clean = score_spike(spike, "recall", rows, NOBODY, settings)
    assert leaked.size == clean.size == 0


def test_every_detector_is_documented() -> None:
    """docs/detectors.md names each detector in backticks, those with a slice by a pattern, and no other."""
    page = (Path(__file__).parents[2] / "docs" / "detectors.md").read_text()
    tables = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    named = {name for cell in tables for name in re.findall(r"`([^`]+)`", cell)}
    shares, slices = ("max", "10", "100"), ("text", "image", "both")
    patterns = {
        f"renyi_{where}_K_α": {f"renyi_{where}_{k}_{a}" for k in shares for a in ORDERS} for where in slices
    }
    meant = {one for name in named for one in patterns.get(name, {name})}
    assert set(all_detectors()) == meant
