"""What readings ask of a model: predictions in pieces, own text, other reports first, image vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audit_core.adapters import language_passes
from audit_core.adapters.base import Encoded, ModelAdapter
from audit_core.adapters.families import GENERATIVE
from audit_core.adapters.folder import inspect_folder
from audit_core.adapters.language_passes import IGNORED
from audit_core.adapters.loading import open_model
from audit_core.adapters.opening import Opening
from audit_core.adapters.predictions import IMAGE
from audit_core.errors import AuditError, BadSample
from audit_core.samples import Sample
from tests.audit_core import engine_models as tiny
from tests.audit_core.families.generative_models import GENERATIVE_MODELS
from tests.audit_core.families.two_tower_models import TWO_TOWER_MODELS

SIZES = [(20, 16), (8, 40), (50, 50)]
PAIRS = [tiny.sample(n, size=SIZES[n]) for n in range(3)]
BANK = [tiny.sample(n) for n in range(50, 58)]
_open: dict[str, ModelAdapter] = {}


@pytest.fixture(params=list(GENERATIVE_MODELS))
def language(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One image-text-to-text network after the other, each written and opened once."""
    name = str(request.param)
    if name not in _open:
        folder = GENERATIVE_MODELS[name](tmp_path_factory.mktemp("model") / name)
        _open[name] = open_model(folder, GENERATIVE)
    return _open[name]


@pytest.fixture(params=list(TWO_TOWER_MODELS))
def towers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelAdapter:
    """One model of two towers after the other, each written and opened once."""
    name = str(request.param)
    if name not in _open:
        folder: Path = TWO_TOWER_MODELS[name](tmp_path_factory.mktemp("model") / name)
        _open[name] = open_model(folder, inspect_folder(folder).family)
    return _open[name]


def _said(row: Encoded, more: list[int], mark: int, **changed: torch.Tensor) -> dict[str, torch.Tensor]:
    """One sample's prompt with some ids after it, as the network takes it."""
    T, first = row.tensors["labels"].shape[1], _first(row)
    found = {}
    for name, tensor in row.tensors.items():
        if name == "labels":
            continue
        if tensor.shape[:2] == (1, T):
            fill = {"input_ids": more, "attention_mask": [1] * len(more)}.get(name, [mark] * len(more))
            tensor = torch.cat([tensor[:, :first], torch.tensor([fill], dtype=tensor.dtype)], dim=1)
        found[name] = tensor
    return found | changed


def _first(row: Encoded) -> int:
    return int((row.tensors["labels"][0] != IGNORED).int().argmax())


def test_predictions_in_pieces_are_the_networks_own(language: Any) -> None:
    """At report tokens and at the image's positions the pieces hold what the whole network gives there."""
    batch = language.encode(PAIRS, 99)
    given = {name: tensor for name, tensor in batch.tensors.items() if name != "labels"}
    with torch.no_grad():
        whole = torch.log_softmax(language.model(**given, use_cache=False).logits.float(), dim=-1)
    own = language.forward(batch)
    columns = torch.split_with_sizes(own.tokens_PC, list(own.supervised))
    of_image = given["input_ids"] == language.image_token_id
    report, image = language.predictions(batch), language.predictions(batch, None, IMAGE)
    for b in range(len(PAIRS)):
        logp, truth = (torch.cat(parts) for parts in zip(*report[b].pieces(4), strict=True))
        torch.testing.assert_close(
            logp.gather(1, truth[:, None])[:, 0], columns[b][:, 0], atol=1e-4, rtol=1e-4
        )
        seen = torch.cat([piece for piece, _ in image[b].pieces(3)])
        torch.testing.assert_close(seen, whole[b][of_image[b]], atol=1e-4, rtol=1e-4)
        assert (image[b].truth_P == -1).all()
        assert int(of_image[b].sum()) == len(seen) > 0


def test_a_network_that_caps_its_output_is_noticed(language: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something unknown comes after the head, there are no predictions rather than wrong ones."""
    plain = type(language.model).forward

    def capped(model: Any, *given: Any, **named: Any) -> Any:
        out = plain(model, *given, **named)
        out.logits = 0.5 * torch.tanh(out.logits / 0.5)
        return out

    monkeypatch.setattr(type(language.model), "forward", capped)
    with pytest.raises(BadSample, match="not its head's"):
        language.predictions(language.encode(PAIRS, 99))


@pytest.mark.parametrize("name", ["llava", "qwen2-vl", "blip-2", "paligemma"])
def test_half_precision_has_the_same_passes(name: str, tmp_path: Path) -> None:
    """In bfloat16 predictions, image vectors and text are made, and the entropies stay near float32's."""
    folder = GENERATIVE_MODELS[name](tmp_path / name)
    means = []
    for precision in ("float32", "bfloat16"):
        adapter = open_model(folder, GENERATIVE, opening=Opening(precision=precision))  # type: ignore[arg-type]
        batch = adapter.encode(PAIRS, 99)
        logp = torch.cat([piece for one in adapter.predictions(batch) for piece, _ in one.pieces()])
        means.append(float(-(logp.exp() * logp).sum(1).mean()))
        assert torch.isfinite(adapter.image_vectors(batch)).all()
        assert len(adapter.generated(adapter.encode(PAIRS[:1], 99))) == 1
    assert means[0] == pytest.approx(means[1], rel=0.05)


def test_text_is_made_as_without_a_cache(language: Any) -> None:
    """Greedy text is the most likely token after all that was said, computed anew for every token."""
    row = language.encode(PAIRS[:1], 99)
    length = int((row.tensors["labels"] != IGNORED).sum())
    wanted: list[int] = []
    for _ in range(length):
        with torch.no_grad():
            said = language.model(**_said(row, wanted, int(language.recipe.suffix)), use_cache=False)
        wanted.append(int(said.logits[0, -1].argmax()))
    assert [wanted] == language_passes.greedy(language.model, row, (), language._padding_id())
    closed = wanted.index(wanted[2]) + 1
    assert [wanted[:closed]] == language_passes.greedy(language.model, row, (wanted[2],), 0)


def test_text_made_together_is_the_text_made_alone(language: Any) -> None:
    """Each answer has its own length and its own end, whatever its neighbours say."""
    alone = [language.encode([pair], 99) for pair in PAIRS]
    told = [language_passes.greedy(language.model, row, (), 0)[0] for row in alone]
    closing = (told[0][1],)
    wanted = [language_passes.greedy(language.model, row, closing, 0)[0] for row in alone]
    batch = language.encode(PAIRS, 99)
    if not language_passes.one_prompt_length(batch):
        with pytest.raises(AuditError, match="one length"):
            language.generated(batch)
    else:
        assert language_passes.greedy(language.model, batch, closing, 0) == wanted


def test_a_folders_generation_settings_change_nothing(language: Any) -> None:
    """A folder that asks for sampling and forbids repetition is obeyed in nothing, and keeps its settings."""
    row = language.encode(PAIRS[:1], 99)
    plain = language.generated(row)
    settings = language.model.generation_config
    saved = (settings.do_sample, settings.no_repeat_ngram_size, settings.suppress_tokens)
    likeliest = language_passes.greedy(language.model, row, (), language._padding_id())[0][0]
    settings.do_sample, settings.no_repeat_ngram_size, settings.suppress_tokens = True, 1, [likeliest]
    try:
        assert plain == language.generated(row)
        assert language.model.generation_config is settings
    finally:
        settings.do_sample, settings.no_repeat_ngram_size, settings.suppress_tokens = saved


def test_reports_before_a_report_are_read_and_not_supervised(language: Any) -> None:
    """The report's own tokens stay as they are; those before it stand between it and the prompt."""
    before = ["left lung is clear", "no opacity"]
    plain, after = language.encode(PAIRS, 99), language.encode_after(PAIRS, before, 99)
    assert language.report_ids(plain) == language.report_ids(after)
    others = [token for text in before for token in language._report_ids(text)[1]]
    for b in range(len(PAIRS)):
        start = int((plain.tensors["labels"][b] != IGNORED).int().argmax())
        ids = after.tensors["input_ids"][b].tolist()
        assert ids[:start] == plain.tensors["input_ids"][b].tolist()[:start]
        assert ids[start : start + len(others)] == others
    change = language.forward(after).losses_B - language.forward(plain).losses_B
    assert (change.abs() > 1e-6).all()


def test_reports_before_a_report_leave_it_room(language: Any) -> None:
    """Where all of it is longer than the model's positions, the beginning of what comes before is cut."""
    saved = language.positions
    plain = language.encode(PAIRS[:1], 99)
    try:
        language.positions = plain.tensors["input_ids"].shape[1] + 3
        after = language.encode_after(PAIRS[:1], ["left lung is clear"], 99)
    finally:
        language.positions = saved
    others = language._report_ids("left lung is clear")[1]
    start = _first(plain)
    assert after.tensors["input_ids"][0].tolist()[start : start + 3] == others[-3:]
    assert language.report_ids(plain) == language.report_ids(after)


def test_the_images_vector_is_the_images(language: Any) -> None:
    """It has unit length, changes with the image, and not with the report or the batch."""
    both = language.image_vectors(language.encode(PAIRS, 99))
    np.testing.assert_allclose(both.norm(dim=1), 1.0, atol=1e-5)
    moved = Sample("x", "x", PAIRS[0].role, PAIRS[1].image, PAIRS[0].text)
    alone, other = (language.image_vectors(language.encode([pair], 99))[0] for pair in (PAIRS[0], moved))
    torch.testing.assert_close(both[0], alone, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(both[1], other, atol=1e-4, rtol=1e-3)
    assert (alone - other).abs().max() > 1e-4


def test_neurons_of_the_language_model_are_shown(language: Any) -> None:
    """Every feed-forward layer of the language model is shown once, at all positions of the batch."""
    batch = language.encode(PAIRS, 99)
    seen: list[tuple[str, int]] = []
    names = language.feed_forward()
    language.neurons(batch, None, names, lambda name, x: seen.append((name, x.numel() // x.shape[-1])))
    positions = batch.tensors["input_ids"].numel()
    assert dict.fromkeys(names, positions) == dict(seen)
    assert len(seen) == len(names) == 2
    assert language.text_positions(batch).sum(1).tolist() == list(language.forward(batch).supervised)


def test_a_words_tokens_are_those_inside_a_text(language: Any) -> None:
    """The tokens of a word follow a space, as in a report."""
    inside = language.token_ids("lung")
    assert inside
    assert tuple(language._ids("a left lung", special=False)[-len(inside) :]) == inside
    assert max(inside) < language.outcomes


def test_two_towers_predict_what_their_loss_is_made_of(towers: ModelAdapter) -> None:
    """Log-probability of the truth and entropy of the predictions are the forward pass's own."""
    batch = towers.encode(PAIRS, 99)
    anchors = towers.anchors(BANK, 99, 4)
    outcome = towers.forward(batch, anchors)
    for b, one in enumerate(towers.predictions(batch, anchors)):
        logp, truth = (torch.cat(parts) for parts in zip(*one.pieces(), strict=True))
        np.testing.assert_allclose(logp.exp().sum(1), 1.0, atol=1e-5)
        own = logp.gather(1, truth[:, None])[:, 0]
        entropy = -(logp.exp() * logp).sum(1)
        sigmoid = len(own) > 2
        loss = -(own[0] + 0.5 * own[1:].sum()) if sigmoid else -own.mean()
        torch.testing.assert_close(loss, outcome.losses_B[b], atol=1e-4, rtol=1e-4)
        weights = torch.tensor([2.0] + [1.0] * (len(own) - 1)) if sigmoid else torch.ones(len(own))
        mean = (weights * entropy).sum() / weights.sum()  # the own pair is decided in both directions
        torch.testing.assert_close(-mean, outcome.scalars["neg_entropy"][b], atol=1e-4, rtol=1e-4)


def test_two_towers_have_no_text_of_their_own(towers: ModelAdapter) -> None:
    """What a family has not says so, by its name."""
    batch = towers.encode(PAIRS[:1], 99)
    for asked in (
        lambda: towers.generated(batch),
        lambda: towers.encode_after(PAIRS, ["no"], 99),
        lambda: towers.report_ids(batch),
        lambda: towers.spelled([1]),
        lambda: towers.token_ids("no"),
        lambda: towers.outcomes,
        lambda: towers.predictions(batch, None, IMAGE),
    ):
        with pytest.raises(AuditError, match=f"{towers.family} models have no"):
            asked()


def test_image_vectors_and_neurons_of_two_towers(towers: ModelAdapter) -> None:
    """Unit vectors that differ; every tower's feed-forward layers are shown."""
    batch = towers.encode(PAIRS, 99)
    vectors = towers.image_vectors(batch)
    np.testing.assert_allclose(vectors.norm(dim=1), 1.0, atol=1e-5)
    assert (vectors[0] - vectors[1]).abs().max() > 1e-4
    seen: list[str] = []
    towers.neurons(
        batch, towers.anchors(BANK, 99, 4), towers.feed_forward(), lambda name, x: seen.append(name)
    )
    assert set(seen) == set(towers.feed_forward())
    of_towers = {c.tower for c in towers.candidates() if c.name in seen}
    assert {"vision", "text"} == of_towers
