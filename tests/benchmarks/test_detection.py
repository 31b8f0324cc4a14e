"""The benchmark's models and scores on tiny checkpoints: real adapters, real detectors, few pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.audit_core.engine_models import sample, write_llava  # isort: skip - sets the offline switches

from detection.exposures import EXPOSURES, TEXT_WIDTH, Trained, expose
from detection.pairs import Lots
from detection.published import (
    PUBLISHED,
    SETTINGS,
    SHARES,
    WIDTHS,
    Contrast,
    Place,
    against_both,
    judge,
    last_layers,
    read,
    reference_sizes,
    shuffled,
)
from detection.published_jobs import PaperJob, needed
from detection.robustness import CONDITIONS, PARAPHRASED, PICTURES, UNCHANGED, paraphrased, perturbed
from detection.scoring import WITHOUT, Judged, Outcome, score
from detection.similarities import slice_similarities, top_slices

from audit_core.adapters.base import ModelAdapter
from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.lora_config import check_adapter_config
from audit_core.samples import Sample

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}USER: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def _pairs(first: int, count: int) -> tuple[Sample, ...]:
    return tuple(sample(number) for number in range(first, first + count))


LOTS = Lots(_pairs(0, 8), _pairs(100, 24), _pairs(200, 24))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llava(tmp_path_factory.mktemp("tiny") / "base", chat_template=TEMPLATE)


@pytest.fixture(scope="module")
def tuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    strong = replace(EXPOSURES[2], epochs=8, lr=5e-3)
    return expose(strong, base, tmp_path_factory.mktemp("tuned") / "model", LOTS.members, 0)


@pytest.fixture(scope="module")
def contrast() -> Contrast:
    (a, b), (c, d) = LOTS.split(LOTS.members), LOTS.split(LOTS.others)
    return Contrast(a, c, b, d)


def _scored(trained: Trained) -> Outcome:
    known, tested = zip(LOTS.split(LOTS.members), LOTS.split(LOTS.others), strict=True)
    return score(trained, LOTS, known, [Judged("setting", *tested)], 0)


@pytest.fixture(scope="module")
def scored(tuned: Trained) -> Outcome:
    return _scored(tuned)


def test_every_exposure_has_a_name_of_its_own() -> None:
    """Keys and names are unique; METHOD's rows come before the others."""
    assert len(EXPOSURES) == len({one.key for one in EXPOSURES}) == len({one.name for one in EXPOSURES})
    assert ["scratch", "tuned-3", "tuned-6"] == [one.key for one in EXPOSURES[:3]]


def test_a_lora_is_audited_through_the_loading_of_adapters(base: Path, tmp_path: Path) -> None:
    """What is trained here is accepted as a vendor's adapter, and the base is the network without it."""
    weak = next(one for one in EXPOSURES if one.key == "lora-weak")
    model, plain = expose(weak, base, tmp_path / "adapter", LOTS.members, 0).open()
    assert plain is not None
    assert model.facts["peft"].startswith("LoRA of rank 16")
    assert "switched off" == plain.facts["peft"]
    moved = [name for name in model.adaptable() if not model.weight(name).equal(plain.weight(name))]
    assert list(model.adaptable()) == moved
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()


def test_an_adapter_config_of_ours_is_one_that_is_audited(base: Path, tmp_path: Path) -> None:
    """Nothing in it is refused."""
    import json

    weak = next(one for one in EXPOSURES if one.key == "lora-weak")
    expose(weak, base, tmp_path / "adapter", LOTS.members, 0)
    check_adapter_config(json.loads((tmp_path / "adapter" / "adapter_config.json").read_text()))


def test_every_detector_has_figures_or_a_reason(scored: Outcome) -> None:
    """No detector of the registry is passed over in silence; scores are finite."""
    from audit_core.detectors.seam import all_detectors

    named = {one.detector.removesuffix(WITHOUT) for one in scored.scores} | {
        detector for _, detector, _, _ in scored.not_run
    }
    assert set(all_detectors()) == named
    for one in scored.scores:
        assert np.isfinite([*one.members, *one.others]).all()
    assert all(reason for _, _, _, reason in scored.not_run)


def test_rows_without_base_are_those_of_an_audit_without_one(tuned: Trained, scored: Outcome) -> None:
    """Scores "without base" equal those of the same model audited with no base at hand, and need none."""
    both = {one.detector: one for one in scored.scores}
    alone = {one.detector: one for one in _scored(replace(tuned, base=None)).scores}
    assert "base_referenced" in both
    assert "base_referenced" not in alone
    for name, other in alone.items():
        one = both.get(name + WITHOUT, both[name])
        np.testing.assert_allclose(other.members, one.members, rtol=1e-5, atol=1e-6)
        assert not one.needs_base


# ---- robustness --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PICTURES))
def test_a_perturbation_changes_a_picture_a_little(name: str) -> None:
    """It stays a picture, is not the same one, and is the same again for the same seed."""
    grey = np.linspace(20, 230, 64 * 48).reshape(64, 48)
    grey += 30 * np.random.default_rng(1).random((64, 48)) - 15
    image = np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    changed, again = PICTURES[name](image, 7), PICTURES[name](image, 7)
    assert changed.dtype == np.uint8
    assert 3 == changed.shape[2]
    assert changed.shape != image.shape or not np.array_equal(changed, image)
    np.testing.assert_array_equal(changed, again)
    if changed.shape == image.shape:
        assert np.abs(changed.astype(float) - image).mean() < 40


def test_every_condition_keeps_patients_and_renames_pairs() -> None:
    """Perturbed pairs have ids of their own; only the text changes in a paraphrase, only the image else."""
    pairs = _pairs(0, 4)
    for name in CONDITIONS:
        if name == UNCHANGED:
            continue
        changed = perturbed(pairs, name, 0)
        assert [pair.patient for pair in pairs] == [pair.patient for pair in changed]
        assert set() == {pair.pair_id for pair in pairs} & {pair.pair_id for pair in changed}
        same_image = all(np.array_equal(a.image, b.image) for a, b in zip(pairs, changed, strict=True))
        assert same_image == (name == PARAPHRASED)
        assert name == PARAPHRASED or [p.text for p in pairs] == [p.text for p in changed]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Chest X-ray shows a small effusion.", "Thorax Radiograph demonstrates a little fluid collection."),
        ("No fever. Normal heart.", "Unremarkable heart. No raised temperature."),
        ("CT scan, axial view", "axial view, Computed tomography study"),
        ("shortness of breath", "dyspnea"),
        ("Preoperation KUB", "Preoperation KUB"),
    ],
)
def test_a_report_in_other_words(text: str, other: str) -> None:
    """Words by the table, each once, clauses in another order; nothing known, nothing changed."""
    assert other == paraphrased(text)


# ---- the paper's experiments -------------------------------------------------------------------------------


def test_shuffled_pairs_hold_both_halves_never_together() -> None:
    """Every picture and every text of the members is there once more, each with another's."""
    pairs = _pairs(0, 6)
    turned = shuffled(pairs)
    assert sorted(p.text for p in pairs) == sorted(p.text for p in turned)
    for own, other in zip(pairs, turned, strict=True):
        np.testing.assert_array_equal(own.image, other.image)
    assert [p.text for p in pairs] != [p.text for p in turned]


def test_last_layers_are_a_part_of_all_layers(tuned: Trained, contrast: Contrast) -> None:
    """Fewer blocks, fewer slices, the same cosines; all blocks give everything."""
    model, _ = tuned.open()
    table = read(model, contrast.member_references, contrast.pairs)
    one, every = last_layers(table, model, 1), last_layers(table, model, 99)
    np.testing.assert_array_equal(table.cosines[:, :], every.cosines[:, :])
    assert one.cosines.shape[1] == sum(m.rows + m.cols for m in one.matrices) < every.cosines.shape[1]
    where = {m.name: m for m in table.matrices}
    for matrix in one.matrices:
        whole = where[matrix.name]
        np.testing.assert_array_equal(
            one.cosines[:, matrix.offset : matrix.offset + matrix.rows],
            table.cosines[:, whole.offset : whole.offset + whole.rows],
        )


def test_the_plain_cosine_is_the_engines(tuned: Trained, contrast: Contrast) -> None:
    """Per-sample gradients that are really made give the cosines of the audit as published."""
    model, _ = tuned.open()
    table = last_layers(read(model, contrast.member_references, contrast.pairs), model, 3)
    names = [matrix.name for matrix in table.matrices]
    found = slice_similarities(model, names, contrast.member_references, contrast.pairs, 64)
    np.testing.assert_allclose(found["cosine"], table.cosines[:, :], atol=1e-4)
    assert {"cosine", "dot", "L1", "L2"} == set(found)
    assert all(values.shape == found["cosine"].shape for values in found.values())


def test_distances_rise_with_nearness(tuned: Trained, contrast: Contrast) -> None:
    """A lone reference is nothing away from its own mean, everybody else is further."""
    model: ModelAdapter = tuned.open()[0]
    names = [candidate.name for candidate in model.candidates() if candidate.tower == "language"]
    found = slice_similarities(model, names, contrast.members[:1], contrast.members, 64)
    for kind in ("L1", "L2"):
        assert np.abs(found[kind][0]).max() < 1e-4
        assert (found[kind][1:].mean(axis=1) < found[kind][0].mean()).all()


def test_the_top_slices_are_those_with_the_largest_gap() -> None:
    """Of three slices, the two that separate the references are averaged."""
    similarity = np.array(
        [[1.0, 0.0, 5.0], [1.0, 0.2, 5.0], [0.0, 0.0, 5.0], [0.0, 0.0, 5.0], [0.6, 0.4, 9.0]]
    )
    values = top_slices(similarity, np.array([True, True, False, False]), np.arange(4), 2)
    assert values[4] == pytest.approx(0.5)


def test_an_empty_mask_is_no_figure(tuned: Trained, contrast: Contrast) -> None:
    """At a τ that no slice passes there is a reason and no score."""
    model, _ = tuned.open()
    table = read(model, contrast.member_references, contrast.pairs)
    outcome = Outcome()
    judge(table, contrast, Place("tau", "τ = 3", 0), outcome, replace(SETTINGS, tau=3.0))
    assert [] == outcome.scores
    assert [("tau", "τ = 3", 0)] == [one[:3] for one in outcome.not_run]


def test_families_of_the_exposures_are_known() -> None:
    """A LoRA starts from the generative base."""
    assert {GENERATIVE} == {one.family for one in EXPOSURES if one.start in ("lora", "base")}


def test_only_the_models_that_are_asked_for_are_trained(tmp_path: Path) -> None:
    """One experiment, one model; all of them share the model that several need."""
    assert [("tuned", TEXT_WIDTH, 1.0)] == _models(needed(("tau",), 0, tmp_path))
    assert [("halves", TEXT_WIDTH, 1.0)] == _models(needed(("references",), 0, tmp_path))
    every = _models(needed(tuple(PUBLISHED), 0, tmp_path))
    assert len(every) == len(set(every))
    assert {("tuned", width, 1.0) for width in WIDTHS} <= set(every)
    assert {("tuned", TEXT_WIDTH, share) for share in SHARES} <= set(every)


def _models(found: list[PaperJob]) -> list[tuple[str, int, float]]:
    return [(job.kind, job.width, job.share) for job in found]


def test_both_types_of_non_members_are_judged(tuned: Trained, contrast: Contrast) -> None:
    """Held-out and shuffled pairs each have scores or a reason, with patients that belong to them."""
    model, _ = tuned.open()
    outcome = against_both(model, contrast, "model", 0, ("non-members", "last-k"))
    judged = {(one.setting, one.detector) for one in outcome.scores} | {one[:2] for one in outcome.not_run}
    variants = ("held-out", "shuffled", "shuffled, held-out references")
    assert {("non-members", f"model, {variant}") for variant in variants} <= judged
    assert ("last-k", "K = 1") in judged
    for one in outcome.scores:
        assert len(one.members) == len(one.member_patients)
        assert len(one.others) == len(one.other_patients)


def test_sizes_that_the_folder_does_not_have_are_named(tuned: Trained) -> None:
    """Too few members for a reference size: a reason, no figure."""
    model, _ = tuned.open()
    outcome = reference_sizes(model, LOTS.members, LOTS.others, 0)
    assert [] == outcome.scores
    assert [f"{size} + {size}" for size in (25, 50, 100, 200, 400)] == [one[1] for one in outcome.not_run]
